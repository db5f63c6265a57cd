package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Bench is what several backbones are probed on: the same pictures, the same splits, the same
// engine.
type Bench struct {
	Data   *datasets.Dataset
	Task   task.Task // of Data
	Engine *engine.Engine
	Split  string // the pictures that the probes are scored on, in words
	// Number of pictures to learn from and to score on.
	Pictures int
	// Decoded shares the decoding of the pictures among the networks; nil = each decodes them itself.
	Decoded *features.Decoded

	spec       Spec
	onTraining bool
	fitting    time.Duration // of the last head
}

// ScoreOnTraining makes probes score the training pictures alone: each is predicted by a head that did
// not see it, on the folds that choose the head's strength. What is chosen by such scores leaves the
// pictures to report on untouched.
func (b *Bench) ScoreOnTraining() {
	b.onTraining, b.Split = true, fmt.Sprintf("folds of %d training pictures", len(b.Data.In(datasets.Train)))
}

// OpenBench opens the data set and the engine of a spec; its Model is not used. It is an error if
// the data set lacks the pictures of the split or folds. p may be nil.
func OpenBench(ctx context.Context, s Spec, place Place, p Progress) (*Bench, error) {
	p, shown := place.Shown(p)
	defer shown()
	p.State("opening data", 0, 0)
	ds, err := datasets.Open(ctx, s.Data, place.Pictures(s, p))
	if err != nil {
		return nil, err
	}
	b := &Bench{Data: ds, spec: s}
	b.Task, err = task.Named(ds.Task)
	if err != nil {
		return nil, err
	}
	introduce(ds, p)
	train, eval, split, err := divide(ds, s)
	if err != nil {
		return nil, err
	}
	b.Split, b.Pictures = split, len(train)+len(eval)
	b.Engine, err = openEngine(ctx, s.Form, place, p)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Missing returns how many pictures of the probe of a network have no features in the cache.
func (b *Bench) Missing(ctx context.Context, net *zoo.Net) (int, error) {
	o, err := newOpened(b.Data, net, b.Engine)
	if err != nil {
		return 0, err
	}
	train, eval, _, err := divide(o.data, b.spec)
	if err != nil {
		return 0, err
	}
	return o.job(slices.Concat(train, eval), views{0, b.spec.Seed}).Missing(ctx)
}

// Probed is the result of a linear probe of a backbone. With folds it covers all pictures, each
// predicted by a head that did not see it.
type Probed struct {
	Backbone features.Backbone // the network as it ran
	Items    []datasets.Item
	Truth    head.Samples // labels or values of the pictures, without features
	Logits   []float32    // [len(Items), K]
	Score    metrics.Score
	Fitting  time.Duration // what the head took, after [Bench.ScoreOnTraining]
}

// Probe fits a head on the frozen features of a network. Pictures that turn out to be unreadable
// are dropped from the data set. p may be nil.
func (b *Bench) Probe(ctx context.Context, net *zoo.Net, p Progress) (*Probed, error) {
	p, shown := Place{}.Shown(p)
	defer shown()
	o, err := newOpened(b.Data, net, b.Engine)
	if err != nil {
		return nil, err
	}
	o.decoded = b.Decoded
	eval, logits, err := b.probe(ctx, o, p)
	if err != nil {
		return nil, err
	}
	truth := eval.s
	truth.X = nil
	report, err := evaluate.New(b.Task, evaluate.Input{Names: b.Data.Labels, Truth: truth, Logits: logits})
	if err != nil {
		return nil, err
	}
	return &Probed{Backbone: o.frozen, Items: eval.items, Truth: truth, Logits: logits, Score: report.Score(), Fitting: b.fitting}, nil
}

// probe returns the pictures to score on, and the logits of the probe for them.
func (b *Bench) probe(ctx context.Context, o *opened, p Progress) (*sample, []float32, error) {
	if !b.onTraining {
		return o.probe(ctx, b.spec, p)
	}
	trainItems, evalItems, _, err := divide(o.data, b.spec)
	if err != nil {
		return nil, nil, err
	}
	// The features of the pictures to report on are computed, so that a run of this network is quickly
	// done; nothing looks at them.
	train, _, err := o.samples(ctx, trainItems, evalItems, views{0, b.spec.Seed}, p)
	if err != nil {
		return nil, nil, err
	}
	if err := cmp.Or(o.settle(p), train.enough(o.data)); err != nil {
		return nil, nil, err
	}
	p.State("training", 0, 0)
	began := time.Now()
	fitted, err := o.fitHead(ctx, train, b.spec, p)
	b.fitting = time.Since(began)
	if err != nil {
		return nil, nil, err
	}
	if fitted.Fit.OutOfFold == nil {
		return nil, nil, advice.New(errors.New("run: a label with a single training picture leaves nothing to hold out"), "add pictures of it, or leave it out with --min-per-label 2")
	}
	return train, fitted.Fit.OutOfFold, nil
}

// probe fits a head on frozen features and returns its logits for the pictures reported on; with
// folds, for all pictures, each from a head that did not see it.
func (o *opened) probe(ctx context.Context, s Spec, p Progress) (eval *sample, logits []float32, err error) {
	// Again for each backbone, because unreadable pictures have been dropped since.
	trainItems, evalItems, _, err := divide(o.data, s)
	if err != nil {
		return nil, nil, err
	}
	train, eval, err := o.samples(ctx, trainItems, evalItems, views{0, s.Seed}, p)
	if err != nil {
		return nil, nil, err
	}
	if err := cmp.Or(o.settle(p), train.enough(o.data)); err != nil {
		return nil, nil, err
	}
	if s.Folds > 0 {
		logits, _, err = o.crossValidate(ctx, s, train, train, p)
		return train, logits, err
	}
	p.State("training", 0, 0)
	fitted, err := o.fitHead(ctx, train, s, p)
	if err != nil {
		return nil, nil, err
	}
	return eval, fitted.Model.Logits(eval.s.X), nil
}
