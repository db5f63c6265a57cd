package finetune

import (
	"math/rand/v2"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// MeasureSteps builds and compiles the training step of a plan, for net with a head of two classes,
// and calls measure with a function that takes one step on a made-up batch, and with the time it took
// to compile the program, or to find it in the engine's cache. The learning rates are those of the
// plan's groups; what it learns is meaningless.
func MeasureSteps(net *zoo.Net, e *engine.Engine, p Plan, measure func(step func() error, compiled time.Duration) error) error {
	const classes = 2
	if err := p.Check(net); err != nil {
		return err
	}
	t, err := newTuner(net, e, objective{task.Classes{}, classLoss{k: classes}, classes}, freshHead(classes, net.Row.Features, p.Seed), p)
	if err != nil {
		return err
	}
	defer t.close()
	began := time.Now()
	if err := t.compiled(); err != nil {
		return err
	}
	compiled := time.Since(began)
	rates := make([]float64, len(p.Groups))
	for i, g := range p.Groups {
		rates[i] = g.Rate
	}
	b, now := t.madeUp(classes), p.Rule.Now(make([]int, len(rates)), rates, p.Rule.Momentum)
	return measure(func() error {
		_, err := t.run(b, now)
		return err
	}, compiled)
}

// madeUp is a batch of noise.
func (t *tuner) madeUp(classes int) *batch {
	n, width := t.plan.Batch, t.width()
	b := &batch{x: make([]float32, n*width), targets: make([]float32, n*classes), rows: make([]float32, n)}
	rng := rand.New(rand.NewPCG(t.plan.Seed, 7))
	for i := range b.x {
		b.x[i] = float32(rng.NormFloat64())
	}
	for i := range n {
		b.targets[i*classes+i%classes], b.rows[i] = 1, 1
	}
	if t.plan.Dropout > 0 {
		b.keep = make([]float32, n*t.net.Row.Features)
		for i := range b.keep {
			b.keep[i] = 1
		}
	}
	return b
}
