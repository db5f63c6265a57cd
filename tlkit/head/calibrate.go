package head

import (
	"context"
	"math"

	"gonum.org/v1/gonum/mat"
)

// factors are what outputs may be multiplied by to be logits: e^-7 to e^7.
const (
	lowestFactor = -7
	widestFactor = 14
)

// Calibrate returns the factor that outputs [N, K] of classes are to be multiplied by for the lowest
// log loss, and that loss. The loss is convex in the factor, so a golden-section search over its
// logarithm finds it. The samples need one label a picture, and no features.
func (s Samples) Calibrate(outputs []float32) (factor, loss float64) {
	scaled := make([]float32, len(outputs))
	at := func(log float64) float64 {
		f := float32(math.Exp(log))
		for i, v := range outputs {
			scaled[i] = v * f
		}
		return LogLoss(scaled, s.Y, s.Classes)
	}
	const golden = 0.6180339887498949
	lo, width := float64(lowestFactor), float64(widestFactor)
	a, b := lo+(1-golden)*width, lo+golden*width
	fa, fb := at(a), at(b)
	for width > 1e-3 {
		width *= golden
		if fa <= fb {
			b, fb = a, fa
			a = lo + (1-golden)*width
			fa = at(a)
			continue
		}
		lo, a, fa = a, b, fb
		b = lo + golden*width
		fb = at(b)
	}
	if fb < fa {
		a, fa = b, fb
	}
	return math.Exp(a), fa
}

// scaledBy multiplies the head's outputs, in place.
func (h *Linear) scaledBy(factor float64) *Linear {
	for i := range h.Weight {
		h.Weight[i] = float32(float64(h.Weight[i]) * factor)
	}
	for i := range h.Bias {
		h.Bias[i] = float32(float64(h.Bias[i]) * factor)
	}
	return h
}

// closedForm is a head of classes that is solved in one step for each candidate of one number.
type closedForm struct {
	s          Samples
	candidates []float64
	held       [][]float32 // out-of-fold outputs at each candidate, [N, K]; not used without folds
	step       func(Step)  // may be nil
	solve      func(candidate float64) (*Linear, error)
}

// fit chooses the candidate by out-of-fold log loss, each with its best factor; in a tie, the first.
// Without folds, there is one candidate and no factor.
func (c closedForm) fit(ctx context.Context, folded bool) (*Fit, error) {
	s, fit := c.s, &Fit{}
	factors := make([]float64, len(c.candidates))
	for i := range factors {
		factors[i] = 1
		if !folded {
			continue
		}
		one := Choice{Strength: c.candidates[i], Right: Correct(c.held[i], s.Y, s.Classes)}
		factors[i], one.Loss = s.Calibrate(c.held[i])
		one.Score = float64(one.Right) / float64(s.Len())
		fit.Choices = append(fit.Choices, one)
	}
	best := lowest(fit.Choices)
	for i, candidate := range c.candidates {
		if i != best && c.step == nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, err := c.solve(candidate)
		if err != nil {
			return nil, err
		}
		h.scaledBy(factors[i])
		if i == best {
			fit.Head, fit.Strength, fit.Steps = h, candidate, i+1
		}
		if c.step == nil {
			continue
		}
		row := Step{Step: i + 1, FoldRight: -1, FoldLoss: math.NaN(), FoldScore: math.NaN(), Head: h}
		row.TrainLoss, row.TrainScore, row.TrainRight = s.measure(h.Logits(s.X))
		if folded {
			row.FoldLoss, row.FoldScore, row.FoldRight = fit.Choices[i].Loss, fit.Choices[i].Score, fit.Choices[i].Right
		}
		c.step(row)
	}
	if folded {
		fit.OutOfFold = c.held[best]
		for i := range fit.OutOfFold {
			fit.OutOfFold[i] *= float32(factors[best])
		}
	}
	if len(c.candidates) == 1 {
		fit.Choices = nil
	}
	return fit, fit.Head.Check()
}

// perClass returns the number of samples of each class and the means of their rows, [K, r]. A class
// without samples has a mean of zeros.
func (s Samples) perClass(z *mat.Dense) (count []float64, mean *mat.Dense) {
	_, r := z.Dims()
	count, mean = make([]float64, s.Classes), mat.NewDense(s.Classes, r, nil)
	for i, y := range s.Y {
		count[y]++
		row := mean.RawRowView(y)
		for j, v := range z.RawRowView(i) {
			row[j] += v
		}
	}
	for k, n := range count {
		row := mean.RawRowView(k)
		for j := range row {
			row[j] /= max(n, 1)
		}
	}
	return count, mean
}
