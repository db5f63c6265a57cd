package run

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/parts"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// offReferee is how far features of a machine may be from those of the referee, as a fraction of the
// largest number, before shards may be written: what the networks are verified to.
const offReferee = 2e-5

// ExtractParts computes some parts of a manifest, counted from 0, and writes their shards. Shards that
// are there are left alone. Of the spec, Model, Weights, Entry, Statistics, Preset, Size and Form count,
// and of job, Manifest, Out and Workers. With an error, the parts that were done before it are returned
// too. p may be nil.
//
// A machine whose features are further than 2e-5 from the referee's is refused, and so is one without XLA,
// unless place agrees to plain Go.
func (s Spec) ExtractParts(ctx context.Context, job parts.Job, which []int, place Place, p Progress) (done []parts.Done, err error) {
	p, shown := place.Shown(p)
	defer shown()
	if err := s.checkNetwork(); err != nil {
		return nil, err
	}
	net, err := openNet(ctx, s, place, p)
	if err != nil {
		return nil, err
	}
	eng, err := openEngine(ctx, s.Form, place, p)
	if err != nil {
		return nil, err
	}
	defer eng.Close()
	p.Say(fmt.Sprintf("with %s (licence %s), %s", net.Row.Name, net.Row.Licence, eng.Name))
	job.Function, job.Preset, job.Backbone = function(net), net.Preset, features.FromNet(net, eng)
	job.Machine = fmt.Sprintf("%s, %d threads, %s", eng.Identity(), eng.Threads, runtime.GOARCH)
	off, known, err := job.Backbone.OffReferee(ctx, net)
	if err != nil {
		return nil, err
	}
	if known && off > offReferee {
		return nil, advice.New(fmt.Errorf("run: %s computes features on this machine that are %.1g from the referee's, want at most %.0g", net.Row.Name, off, offReferee), "tlkit verify %s; another --form may agree", net.Row.Name)
	}
	for i, k := range which {
		job.Progress = func(n, of int) {
			p.State(fmt.Sprintf("part %d, %d of %d", k, i+1, len(which)), int64(n), int64(of))
		}
		one, err := job.Extract(ctx, k)
		if err != nil {
			return done, err
		}
		done = append(done, one)
	}
	return done, nil
}

// function is what a network's shards hold.
func function(net *zoo.Net) parts.Function {
	return parts.Function{Model: net.Row.Name, Weights: net.Identity(), Preset: net.Preset.Digest(), Features: net.Row.Features}
}

// shards are features that were computed before, part by part.
type shards struct {
	*parts.Gathered
	rows map[string][]float32 // by the sha256 of the picture
}

// openData opens the data set of a spec, or the shards that it is.
func openData(ctx context.Context, s Spec, place Place, p Progress) (*datasets.Dataset, *shards, error) {
	if !s.Shards {
		ds, err := datasets.Open(ctx, s.Data, place.Pictures(s, p))
		return ds, nil, err
	}
	g, err := parts.Gather(s.Data, nil, s.Model)
	if err != nil {
		return nil, nil, err
	}
	if err := g.Whole(); err != nil {
		return nil, nil, err
	}
	all := &shards{g, make(map[string][]float32, g.Rows)}
	if err := g.Each(func(r parts.Row, x []float32) error { all.rows[r.SHA256] = x; return nil }); err != nil {
		return nil, nil, err
	}
	ds, err := g.Dataset(filepath.Base(s.Data), place.Pictures(s, p))
	return ds, all, err
}

// checkShards reports what needs pictures, of which shards have only features.
func (s Spec) checkShards() error {
	if s.Shards && (s.Finetune > 0 || s.Views > 0) {
		return advice.New(errors.New("run: fine-tuning or augmented views on shards, which have features and no pictures"), "leave out --finetune and --views, or name the folder of the pictures")
	}
	return nil
}

// matrix returns the rows of the items of a job.
func (sh *shards) matrix(job features.Job, net *zoo.Net) (*features.Matrix, error) {
	if want := function(net); sh.Function != want {
		return nil, advice.New(fmt.Errorf("run: the shards are of %s (preset %.8s, weights %.20s), and the network is %s (preset %.8s, weights %.20s)", sh.Function.Model, sh.Function.Preset, sh.Function.Weights, want.Model, want.Preset, want.Weights), "use the options of tlkit extract here too")
	}
	m := &features.Matrix{Features: job.Backbone.Features, Data: make([]float32, 0, len(job.Items)*job.Backbone.Features)}
	for i, item := range job.Items {
		row, ok := sh.rows[item.SHA256]
		if !ok {
			return nil, fmt.Errorf("run: %s has no row in the shards", item.Rel)
		}
		m.Items, m.Data = append(m.Items, i), append(m.Data, row...)
	}
	m.Cached = len(m.Items)
	return m, nil
}
