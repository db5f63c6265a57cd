package run

import (
	"cmp"
	"context"
	"fmt"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
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

	spec Spec
}

// OpenBench opens the data set and the engine of a spec; its Model is not used. It is an error if
// the data set does not have one label a picture, or if it lacks the pictures of the split or
// folds. p may be nil.
func OpenBench(ctx context.Context, s Spec, place Place, p Progress) (*Bench, error) {
	p = orSilent(p)
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
	if ds.Task != datasets.Classes {
		return nil, advice.New(fmt.Errorf("run: the task of %s is %s, and backbones are ranked by one label a picture", ds.Name, ds.Task), "give its CSV file the columns path,label, or train each one: tlkit train %s --model MODEL", invoke.Quote(s.Data))
	}
	introduce(ds, p)
	_, _, b.Split, err = parts(ds, s)
	if err != nil {
		return nil, err
	}
	b.Engine, err = openEngine(ctx, place.Offline, p)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Probed is the result of a linear probe of a backbone. With folds it covers all pictures, each
// predicted by a head that did not see it.
type Probed struct {
	Items  []datasets.Item
	Truth  []int // class of each picture
	Logits []float32
	Labels int // K; Logits is [len(Items), K]
}

// Probe fits a head on the frozen features of a network. Pictures that turn out to be unreadable
// are dropped from the data set. p may be nil.
func (b *Bench) Probe(ctx context.Context, net *zoo.Net, p Progress) (*Probed, error) {
	o, err := newOpened(b.Data, net, b.Engine)
	if err != nil {
		return nil, err
	}
	eval, logits, err := o.probe(ctx, b.spec, orSilent(p))
	if err != nil {
		return nil, err
	}
	return &Probed{Items: eval.items, Truth: eval.s.Y, Logits: logits, Labels: eval.s.Classes}, nil
}

// probe fits a head on frozen features and returns its logits for the pictures reported on; with
// folds, for all pictures, each from a head that did not see it.
func (o *opened) probe(ctx context.Context, s Spec, p Progress) (eval *sample, logits []float32, err error) {
	// Again for each backbone, because unreadable pictures have been dropped since.
	trainItems, evalItems, _, err := parts(o.data, s)
	if err != nil {
		return nil, nil, err
	}
	b := features.FromNet(o.net, o.eng)
	train, err := o.sample(ctx, b, trainItems, views{0, s.Seed}, p)
	if err != nil {
		return nil, nil, err
	}
	if s.Folds > 0 {
		if err := cmp.Or(o.settle(p), train.enough(o.data)); err != nil {
			return nil, nil, err
		}
		p.State("training", 0, 0)
		logits, _, err = o.crossValidate(ctx, s, train, train, p)
		return train, logits, err
	}
	eval, err = o.sample(ctx, b, evalItems, views{0, s.Seed}, p)
	if err != nil {
		return nil, nil, err
	}
	if err := cmp.Or(o.settle(p), train.enough(o.data)); err != nil {
		return nil, nil, err
	}
	p.State("training", 0, 0)
	fitted, err := o.fitHead(ctx, train, s)
	if err != nil {
		return nil, nil, err
	}
	return eval, fitted.Fit.Head.Logits(eval.s.X), nil
}
