package run

import (
	"context"
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Bench is what several backbones are probed on, one after the other: the same pictures, split in
// the same way, on the same engine.
type Bench struct {
	Data   *datasets.Dataset
	Task   task.Task // of Data
	Engine *engine.Engine
	Split  string // what the probes are judged on

	spec Spec
}

// OpenBench opens data and engine of a spec, whose pictures have one label each. Its Model is not
// looked at.
func OpenBench(ctx context.Context, s Spec, place Place, p Progress) (*Bench, error) {
	p = orSilent(p)
	p.State("opening data", 0, 0)
	ds, err := datasets.Open(ctx, s.Data, datasets.Options{Offline: place.Offline, Seed: s.Seed, Report: p.State})
	if err != nil {
		return nil, err
	}
	b := &Bench{Data: ds, spec: s}
	if b.Task, err = task.Named(ds.Task); err != nil {
		return nil, err
	}
	if ds.Task != datasets.Classes {
		return nil, fmt.Errorf("run: %s asks for %s, and backbones are ranked by one label a picture; give its CSV file the columns path,label, or train one after the other: tlkit train %s --model MODEL", ds.Name, ds.Task, s.Data)
	}
	introduce(ds, p)
	if _, _, b.Split, err = parts(ds, s); err != nil {
		return nil, err
	}
	if b.Engine, err = openEngine(ctx, place.Offline, p); err != nil {
		return nil, err
	}
	return b, nil
}

// Probed is what a linear probe of a backbone says about the pictures it is judged on: with folds all
// of them, each by a head that did not see it.
type Probed struct {
	Items  []datasets.Item
	Truth  []int // class of each
	Logits []float32
	Labels int // K; Logits is [len(Items), K]
}

// Probe fits a head on the frozen features of a network. Pictures that turn out unreadable leave the
// data set.
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

// probe fits a head on frozen features and gives its logits of the pictures reported on: with folds
// of all pictures, each by a head that did not see it.
func (o *opened) probe(ctx context.Context, s Spec, p Progress) (eval *sample, logits []float32, err error) {
	// Anew for each: pictures that turned out unreadable have left the set.
	trainItems, evalItems, _, err := parts(o.data, s)
	if err != nil {
		return nil, nil, err
	}
	b := features.FromNet(o.net, o.eng)
	train, err := o.sample(ctx, b, trainItems, views{0, s.Seed}, p)
	if err != nil {
		return nil, nil, err
	}
	if err := train.enough(o.data); err != nil {
		return nil, nil, err
	}
	if s.Folds > 0 {
		p.State("training", 0, 0)
		logits, _, err = o.crossValidate(ctx, s, train, train, p)
		return train, logits, err
	}
	if eval, err = o.sample(ctx, b, evalItems, views{0, s.Seed}, p); err != nil {
		return nil, nil, err
	}
	p.State("training", 0, 0)
	fitted, err := o.fitHead(ctx, train, s)
	if err != nil {
		return nil, nil, err
	}
	return eval, fitted.Fit.Head.Logits(eval.s.X), nil
}
