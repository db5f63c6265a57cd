package run

import (
	"cmp"
	"context"
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// opened holds the data set, network and engine of a run.
type opened struct {
	data *datasets.Dataset
	task task.Task // of data
	net  *zoo.Net
	eng  *engine.Engine

	fingerprint string // of the data as it was opened, before unreadable pictures are dropped
}

// openNet loads the checkpoint with the pixels the spec asks for.
func openNet(ctx context.Context, s Spec, place Place, p Progress) (*zoo.Net, error) {
	preset, err := s.preset()
	if err != nil {
		return nil, err
	}
	p.State("loading weights", 0, 0)
	return zoo.Load(ctx, s.Model, place.zoo(s.Weights, preset, p))
}

// Zoo is how weights are loaded here.
func (place Place) Zoo(p Progress) zoo.Options {
	return zoo.Options{Offline: place.Offline, NonCommercial: place.NonCommercial, Report: orSilent(p).State}
}

// zoo is Zoo with a file instead of the published one, and other pixels; "" and nil = neither.
func (place Place) zoo(weights string, preset *transforms.Preset, p Progress) zoo.Options {
	o := place.Zoo(p)
	o.Weights, o.Preset = weights, preset
	return o
}

// Pixels are what the network of the spec is shown: its own preset with Preset and Statistics applied.
func (s Spec) Pixels() (transforms.Preset, error) {
	p, err := s.preset()
	if p != nil || err != nil {
		return *cmp.Or(p, &transforms.Preset{}), err
	}
	row, err := zoo.Find(s.Model)
	return row.Preset, err
}

// preset is the row's with --preset and --statistics applied; nil = the row's own.
func (s Spec) preset() (*transforms.Preset, error) {
	if s.Preset == "" && s.Statistics == "" {
		return nil, nil
	}
	row, err := zoo.Find(s.Model)
	if err != nil {
		return nil, err
	}
	preset := row.Preset
	if s.Preset != "" {
		other, err := zoo.Find(s.Preset)
		if err != nil {
			return nil, fmt.Errorf("run: --preset takes the name of a model whose preset is meant: %w", err)
		}
		preset = other.Preset
	}
	if s.Statistics != "" {
		q, err := transforms.Statistics(s.Statistics)
		if err != nil {
			row, unknown := zoo.Find(s.Statistics)
			if unknown != nil {
				return nil, fmt.Errorf("run: --statistics takes named statistics or a model whose are meant: %w", err)
			}
			q = row.Preset
		}
		preset = preset.WithStatistics(q)
		preset.Name += " with statistics " + s.Statistics
	}
	return &preset, nil
}

// openEngine opens XLA, installing its CPU plugin when it is not there yet.
func openEngine(ctx context.Context, offline bool, p Progress) (*engine.Engine, error) {
	p.State("opening engine", 0, 0)
	e, err := engine.Open(ctx, engine.Options{Install: !offline, Report: p.State})
	if err != nil {
		return nil, err
	}
	return e, nil
}

func open(ctx context.Context, s Spec, place Place, p Progress) (*opened, error) {
	p.State("opening data", 0, 0)
	// Whether the model exists is known at once; whether the pictures are good takes longer.
	if _, err := zoo.Find(s.Model); err != nil {
		return nil, err
	}
	ds, err := datasets.Open(ctx, s.Data, datasets.Options{Offline: place.Offline, Seed: s.Seed, Report: p.State})
	if err != nil {
		return nil, err
	}
	introduce(ds, p)
	net, err := openNet(ctx, s, place, p)
	if err != nil {
		return nil, err
	}
	eng, err := openEngine(ctx, place.Offline, p)
	if err != nil {
		return nil, err
	}
	o, err := newOpened(ds, net, eng)
	if err != nil {
		return nil, err
	}
	o.fingerprint = ds.Fingerprint()
	return o, nil
}

func newOpened(ds *datasets.Dataset, net *zoo.Net, eng *engine.Engine) (*opened, error) {
	t, err := task.Named(ds.Task)
	if err != nil {
		return nil, err
	}
	return &opened{data: ds, task: t, net: net, eng: eng}, nil
}

// introduce says what was found in the data: pictures by split, and every file left out.
func introduce(ds *datasets.Dataset, p Progress) {
	line := ds.Name + ": " + ds.Task.Words(ds.Labels)
	for _, split := range ds.Splits() {
		line += fmt.Sprintf(", %d %s", len(ds.In(split)), split)
	}
	if ds.Dealt {
		line += " (valid dealt by the seed)"
	}
	p.Say(line)
	bad := append(append([]datasets.Bad{}, ds.Report.Unreadable...), ds.Report.NotPicture...)
	const shown = 10
	for i, b := range bad {
		if i == shown {
			p.Say(fmt.Sprintf("left out: %d more", len(bad)-shown))
			break
		}
		p.Say(fmt.Sprintf("left out: %s: %s", b.Rel, b.Why))
	}
	for _, w := range ds.Report.Warnings {
		p.Say(w)
	}
}

// introduce says whose pictures and whose weights these are, and on what terms.
func (o *opened) introduce(p Progress) {
	if s := o.data.Set; s != nil && s.Licence != "" {
		p.Say(fmt.Sprintf("%s: licence %s", s.Name, s.Licence))
	}
	p.Say(fmt.Sprintf("%s: licence %s, %s", o.net.Row.Name, o.net.Row.Licence, o.net.Row.Origin))
	p.Say(o.eng.String())
}

// extract computes features and takes pictures that turn out unreadable out of the data set.
func (o *opened) extract(ctx context.Context, job features.Job, p Progress) (*features.Matrix, error) {
	job.BadLimit = 1 // Drop counts, over the whole set: one broken picture of ten in valid is no wrong folder
	job.Progress = func(done, cached, total int) { p.State("extracting features", int64(done), int64(total)) }
	ready := job.Backbone.Open
	job.Backbone.Open = func(ctx context.Context, size int) (func([]float32) ([]float32, error), error) {
		p.State("compiling", 0, 0) // seconds of silence otherwise
		return ready(ctx, size)
	}
	m, err := features.Extract(ctx, job)
	if err != nil {
		return nil, err
	}
	var bad []datasets.Bad
	for _, b := range m.Bad {
		bad = append(bad, datasets.Bad{Rel: job.Items[b.Item].Rel, Why: b.Err.Error()})
		p.Say(fmt.Sprintf("left out: %v", b.Err))
	}
	if bad != nil {
		if err := o.data.Drop(bad...); err != nil {
			return nil, err
		}
	}
	return m, nil
}
