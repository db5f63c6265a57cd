package finetune

import (
	"math/rand/v2"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Stepper takes training steps of a plan on one made-up batch, to measure the cost of a step. The
// learning rates are those of the plan's groups; what it learns is meaningless.
type Stepper struct {
	t     *tuner
	batch *batch
	now   []float32

	Compiled time.Duration // time to compile the program, or to find it in the engine's cache
}

// NewStepper builds and compiles the training step of a plan, for net with a head of so many
// classes.
func NewStepper(net *zoo.Net, e *engine.Engine, classes int, p Plan) (*Stepper, error) {
	if err := p.Check(net); err != nil {
		return nil, err
	}
	t, err := newTuner(net, e, objective{task.Classes{}, classLoss{k: classes}, classes}, freshHead(classes, net.Row.Features, p.Seed), p)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := t.compiled(); err != nil {
		t.close()
		return nil, err
	}
	s := &Stepper{t: t, Compiled: time.Since(began)}
	n, width := p.Batch, t.width()
	s.batch = &batch{x: make([]float32, n*width), targets: make([]float32, n*classes), rows: make([]float32, n)}
	rng := rand.New(rand.NewPCG(p.Seed, 7))
	for i := range s.batch.x {
		s.batch.x[i] = float32(rng.NormFloat64())
	}
	for i := range n {
		s.batch.targets[i*classes+i%classes], s.batch.rows[i] = 1, 1
	}
	rates := make([]float64, len(p.Groups))
	for i, g := range p.Groups {
		rates[i] = g.Rate
	}
	if p.Dropout > 0 {
		s.batch.keep = make([]float32, n*net.Row.Features)
		for i := range s.batch.keep {
			s.batch.keep[i] = 1
		}
	}
	s.now = p.Rule.Now(make([]int, len(rates)), rates, p.Rule.Momentum)
	return s, nil
}

// Step takes one step.
func (s *Stepper) Step() error {
	_, err := s.t.run(s.batch, s.now)
	return err
}

// Close frees the memory of the network.
func (s *Stepper) Close() { s.t.close() }
