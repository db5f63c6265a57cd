// Package heads has the families of heads of a classifier and chooses among them by folds of the
// training pictures, as package head chooses a strength.
//
//	fit, err := heads.Fit(ctx, heads.AutoKind, samples, heads.Options{Folds: folds})
//	logits := fit.Model.Logits(valid) // [N, K]
//	fmt.Println(heads.Line(fit.Families))
//
// A [Model] takes features, as in package head: [N, C] row-major. Its logits are such that
// head.Softmax turns them into probabilities. The package is plain Go, does not open files and does not
// print; the same samples and options give the same bits on the same kind of processor.
package heads

import (
	"errors"
	"fmt"
	"math"

	"github.com/tlkit/transfer-learning/tlkit/head"
)

// Model is a fitted head: a [head.Linear], a [Cosine], [Neighbours] or a [Mean].
type Model interface {
	// Logits returns the logits [N, K] of features [N, C], both row-major; nil if the length of x is
	// not a multiple of C.
	Logits(x []float32) []float32
	// Size returns C and K.
	Size() (features, outputs int)
	// Check reports sizes that do not fit together and numbers that are not finite.
	Check() error
}

// Cosine is a linear head on features that are first scaled to length 1, so that only their direction
// counts, as in cosine similarity.
type Cosine struct{ head.Linear }

// Logits returns W·x/|x| + b for every row.
func (c *Cosine) Logits(x []float32) []float32 { return c.Linear.Logits(unit(x, c.Features)) }

// MeasureCosine is s.Measure for a step of a [Cosine] head, on features of any length.
func MeasureCosine(s head.Step, other head.Samples) (loss, score float64) {
	other.X = unit(other.X, other.Features)
	return s.Measure(other)
}

// unit returns rows of length 1 in the direction of those of x; a row of zeros stays one. It returns x
// if it has no rows of that width.
func unit(x []float32, width int) []float32 {
	if width < 1 || len(x)%width != 0 {
		return x
	}
	out := make([]float32, len(x))
	for i := 0; i < len(x); i += width {
		var sum float64
		for _, v := range x[i : i+width] {
			sum += float64(v) * float64(v)
		}
		if sum == 0 {
			continue
		}
		by := 1 / math.Sqrt(sum)
		for j, v := range x[i : i+width] {
			out[i+j] = float32(float64(v) * by)
		}
	}
	return out
}

// Mean has the mean of the probabilities of several models. Its logits are their logarithms.
type Mean struct{ Of []Model }

// smallest is what a probability is taken for at least, so that its logarithm is finite.
const smallest = 1e-12

// Logits returns the logarithms of the mean probabilities of every row.
func (m *Mean) Logits(x []float32) []float32 {
	var sum []float64
	for _, one := range m.Of {
		_, k := one.Size()
		p := head.Softmax(one.Logits(x), k)
		if sum == nil {
			sum = make([]float64, len(p))
		}
		for i, v := range p {
			sum[i] += float64(v) / float64(len(m.Of))
		}
	}
	out := make([]float32, len(sum))
	for i, v := range sum {
		out[i] = float32(math.Log(max(v, smallest)))
	}
	return out
}

// Size returns the width of a feature row and the number of classes.
func (m *Mean) Size() (features, outputs int) {
	if len(m.Of) == 0 {
		return 0, 0
	}
	return m.Of[0].Size()
}

// Check reports fewer than two models, models of different sizes, and what is wrong with one.
func (m *Mean) Check() error {
	if len(m.Of) < 2 {
		return fmt.Errorf("heads: a mean of %d models, want at least 2", len(m.Of))
	}
	c, k := m.Size()
	for _, one := range m.Of {
		if _, nested := one.(*Mean); nested {
			return errors.New("heads: a mean of means, want a mean of other models")
		}
		if c2, k2 := one.Size(); c2 != c || k2 != k {
			return fmt.Errorf("heads: a mean of models of %d classes on %d features and of %d on %d, want the same sizes", k, c, k2, c2)
		}
		if err := one.Check(); err != nil {
			return err
		}
	}
	return nil
}
