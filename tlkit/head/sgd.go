package head

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// SGDOptions are the hyperparameters of PyTorch's transfer learning tutorial. Zero values stand for
// the tutorial's: 25 epochs, batches of 4, rate 0.001, momentum 0.9, rate × 0.1 every 7 epochs.
type SGDOptions struct {
	Epochs   int        // 0 = 25
	Batch    int        // samples a step; 0 = 4
	Rate     float64    // learning rate; 0 = 0.001
	Momentum float64    // 0 = 0.9; negative = no momentum
	Every    int        // epochs between drops of the rate; 0 = 7
	Drop     float64    // factor of a drop, in (0, 1]; 0 = 0.1
	Seed     uint64     // initial weights and the order of the samples
	Folds    [][]int    // held-out samples of each fold, for an out-of-fold curve; may be nil
	Step     func(Step) // called after each epoch; may be nil
	// ClassWeights weighs the loss of each sample by N/(K n), as in [LogisticOptions].
	ClassWeights bool

	weights []float64 // of the classes; nil = none
}

func (o SGDOptions) filled() (SGDOptions, error) {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	set(&o.Epochs, 25)
	set(&o.Batch, 4)
	set(&o.Every, 7)
	if o.Rate == 0 {
		o.Rate = 1e-3
	}
	if o.Momentum == 0 {
		o.Momentum = 0.9
	}
	o.Momentum = max(o.Momentum, 0)
	if o.Drop == 0 {
		o.Drop = 0.1
	}
	if o.Epochs < 1 || o.Batch < 1 || o.Every < 1 || !(o.Rate > 0) || o.Momentum >= 1 || !(o.Drop > 0 && o.Drop <= 1) {
		return o, fmt.Errorf("head: SGD with %d epochs, batch %d, rate %v, momentum %v, drop %v every %d epochs: want positive numbers, momentum below 1, drop at most 1",
			o.Epochs, o.Batch, o.Rate, o.Momentum, o.Drop, o.Every)
	}
	return o, nil
}

// SGD fits a linear head on raw features as the tutorial's "ConvNet as fixed feature extractor"
// does: nn.Linear's initial weights (uniform within 1/√C), cross-entropy, PyTorch's momentum (v ←
// μv + g, w ← w − rate·v), and a new seeded order of the samples in each epoch. There is one Step
// for each epoch; Step.Rate is the rate of that epoch.
//
// It is an error if the samples have Targets or do not pass [Samples.Check], if an option is out of
// range, or if the weights diverge. ctx stops the fit between epochs.
func SGD(ctx context.Context, s Samples, o SGDOptions) (*Fit, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if s.Targets != nil {
		return nil, advice.New(errors.New("head: SGD on Samples.Targets, want one label a picture in Samples.Y"), "use Logistic for several labels, Ridge for values")
	}
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	if o.ClassWeights {
		o.weights, err = s.classWeights()
		if err != nil {
			return nil, err
		}
	}
	runs, err := sgdRuns(s, o)
	if err != nil {
		return nil, err
	}
	fit := &Fit{Head: runs[0].head}
	if len(o.Folds) > 0 {
		fit.OutOfFold = make([]float32, s.Len()*s.Classes)
	}
	for epoch := 1; epoch <= o.Epochs; epoch++ {
		rate := o.Rate * math.Pow(o.Drop, float64((epoch-1)/o.Every))
		for _, r := range runs {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			r.epoch(s, o, rate)
		}
		if err := fit.Head.Check(); err != nil {
			return nil, advice.New(fmt.Errorf("head: SGD diverged in epoch %d at rate %v: %w", epoch, rate, err), "use a smaller rate")
		}
		for f, rows := range o.Folds {
			for _, i := range rows {
				copy(fit.OutOfFold[i*s.Classes:], runs[f+1].head.Logits(s.Row(i)))
			}
		}
		fit.Steps = epoch
		if o.Step != nil {
			o.Step(fit.sgdStep(s, epoch, rate))
		}
	}
	return fit, nil
}

// sgdRuns returns the run on all samples, followed by one without each fold.
func sgdRuns(s Samples, o SGDOptions) ([]*sgdRun, error) {
	runs := []*sgdRun{newSGDRun(s, s.all(), o, 0)}
	for f, rows := range o.Folds {
		out := make(map[int]bool, len(rows))
		for _, i := range rows {
			if i < 0 || i >= s.Len() {
				return nil, fmt.Errorf("head: fold %d names sample %d of %d", f, i, s.Len())
			}
			out[i] = true
		}
		var train []int
		for i := range s.Len() {
			if !out[i] {
				train = append(train, i)
			}
		}
		runs = append(runs, newSGDRun(s, train, o, uint64(f)+1))
	}
	return runs, nil
}

// sgdStep returns the history row of an epoch.
func (fit *Fit) sgdStep(s Samples, epoch int, rate float64) Step {
	h := fit.Head.clone()
	row := Step{Step: epoch, FoldRight: -1, FoldLoss: math.NaN(), FoldScore: math.NaN(), Rate: rate, Head: h}
	row.TrainLoss, row.TrainScore, row.TrainRight = s.measure(h.Logits(s.X))
	if fit.OutOfFold != nil {
		row.FoldLoss, row.FoldScore, row.FoldRight = s.measure(fit.OutOfFold)
	}
	return row
}

type sgdRun struct {
	head     *Linear
	velocity []float32 // [K, C] then [K]
	rows     []int
	order    *rand.Rand
}

func newSGDRun(s Samples, rows []int, o SGDOptions, stream uint64) *sgdRun {
	rng := rand.New(rand.NewPCG(o.Seed, stream))
	h := &Linear{Features: s.Features, Classes: s.Classes, Weight: make([]float32, s.Features*s.Classes), Bias: make([]float32, s.Classes)}
	bound := 1 / math.Sqrt(float64(s.Features))
	for _, v := range [][]float32{h.Weight, h.Bias} {
		for i := range v {
			v[i] = float32((2*rng.Float64() - 1) * bound)
		}
	}
	return &sgdRun{head: h, velocity: make([]float32, len(h.Weight)+len(h.Bias)), rows: append([]int(nil), rows...), order: rng}
}

func (r *sgdRun) epoch(s Samples, o SGDOptions, rate float64) {
	r.order.Shuffle(len(r.rows), func(i, j int) { r.rows[i], r.rows[j] = r.rows[j], r.rows[i] })
	k, c := s.Classes, s.Features
	mu, step := float32(o.Momentum), float32(rate)
	vw, vb := r.velocity[:k*c], r.velocity[k*c:]
	p := make([]float32, k)
	delta := make([]float32, o.Batch*k)
	for start := 0; start < len(r.rows); start += o.Batch {
		batch := r.rows[start:min(start+o.Batch, len(r.rows))]
		for i, row := range batch {
			softmaxRow(p, r.head.Logits(s.Row(row)))
			p[s.Y[row]]--
			weight := float32(1)
			if o.weights != nil {
				weight = float32(o.weights[s.Y[row]])
			}
			for j, v := range p {
				delta[i*k+j] = weight * v / float32(len(batch))
			}
		}
		for j := range k {
			v, w := vw[j*c:(j+1)*c], r.head.Weight[j*c:(j+1)*c]
			for i := range v {
				v[i] *= mu
			}
			vb[j] *= mu
			for i, row := range batch {
				d := delta[i*k+j]
				vb[j] += d
				for n, x := range s.Row(row) {
					v[n] += d * x
				}
			}
			for i := range w {
				w[i] -= step * v[i]
			}
			r.head.Bias[j] -= step * vb[j]
		}
	}
}

func (h *Linear) clone() *Linear {
	return &Linear{Features: h.Features, Classes: h.Classes, Weight: append([]float32(nil), h.Weight...), Bias: append([]float32(nil), h.Bias...)}
}
