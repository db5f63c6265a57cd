package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/guard"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/results"
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
	// frozen is net on eng. What it has compiled serves every pass of the run.
	frozen features.Backbone
	shards *shards     // features that were computed part by part; nil = none
	form   engine.Form // of the run that is repeated; then the one that was chosen
	// words is the head that descriptions of the labels make, from which fits start; nil = zeros.
	words *head.Linear
	// decoded shares the pictures with runs of other networks; nil = it does not.
	decoded *features.Decoded

	guard   *guard.Guard   // looks at the pictures that reach net; nil = it has reported
	verdict *results.Guard // what it has reported; nil = nothing yet

	fingerprint string         // of the data when opened, before unreadable pictures were dropped
	bad         []datasets.Bad // pictures that could not be decoded, until settle drops them
}

// openNet loads the checkpoint with the preset of the spec.
func openNet(ctx context.Context, s Spec, place Place, p Progress) (*zoo.Net, error) {
	preset, err := s.preset()
	if err != nil {
		return nil, err
	}
	p.State("loading weights", 0, 0)
	if file, own := zoo.OwnFile(s.Model); own && preset != nil && preset.Channels == "" { // a size alone
		return s.inferred(ctx, &zoo.PresetError{File: file}, place, p)
	}
	net, err := zoo.Load(ctx, s.Model, place.zoo(s, preset, p))
	if errors.As(err, new(*zoo.PresetError)) {
		return s.inferred(ctx, err, place, p)
	}
	return net, err
}

// Zoo returns the options for loading weights at this place.
func (place Place) Zoo(p Progress) zoo.Options {
	return zoo.Options{Offline: place.Offline, NonCommercial: place.NonCommercial, Report: orSilent(p).State}
}

// zoo is Zoo with the weights file of s instead of the published one, and another preset; "" and nil
// stand for none.
func (place Place) zoo(s Spec, preset *transforms.Preset, p Progress) zoo.Options {
	o := place.Zoo(p)
	o.Weights, o.Entry, o.Preset = s.Weights, s.Entry, preset
	return o
}

// Pixels returns the preset for the spec's network: its own, with Preset, Statistics and Size of
// the spec applied. It is an error if a name is unknown, or the network does not take the size.
func (s Spec) Pixels() (transforms.Preset, error) {
	p, err := s.preset()
	if p != nil || err != nil {
		return *cmp.Or(p, &transforms.Preset{}), err
	}
	row, err := zoo.Find(s.Model)
	return row.Preset, err
}

// preset returns the row's preset with --preset, --statistics and --size applied; nil stands for the
// row's own.
func (s Spec) preset() (*transforms.Preset, error) {
	if s.Preset == "" && s.Statistics == "" && s.Size == 0 {
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
			return nil, fmt.Errorf("run: --preset takes the name of a model with the preset to use: %w", err)
		}
		preset = other.Preset
	}
	if s.Statistics != "" {
		q, err := transforms.Statistics(s.Statistics)
		if err != nil {
			row, unknown := zoo.Find(s.Statistics)
			if unknown != nil {
				return nil, fmt.Errorf("run: --statistics takes the name of statistics, or of a model with the statistics to use: %w", err)
			}
			q = row.Preset
		}
		preset = preset.WithStatistics(q)
		preset.Name += " with statistics " + s.Statistics
	}
	if s.Size != 0 {
		if err := row.Fits(s.Size); err != nil {
			return nil, err
		}
		preset = preset.At(s.Size)
		preset.Name += fmt.Sprintf(" at %d pixels", s.Size)
	}
	return &preset, nil
}

// openEngine opens XLA, and installs its CPU plugin if it is missing. Plain Go instead of XLA is an
// error, unless the place or the environment agrees to it.
func openEngine(ctx context.Context, form engine.Form, place Place, p Progress) (*engine.Engine, error) {
	p.State("opening engine", 0, 0)
	e, err := engine.Open(ctx, engine.Options{Install: !place.Offline, Report: p.State, Note: p.Say, Form: form})
	if err != nil {
		return nil, err
	}
	if err := e.Agreed(); err != nil && !place.PlainGo {
		e.Close()
		return nil, err
	}
	return e, nil
}

// open opens the data, and only if check accepts it, the network and the engine.
func open(ctx context.Context, s Spec, place Place, p Progress, check func(*datasets.Dataset) error) (*opened, error) {
	// Checking names is fast; checking the pictures takes longer.
	if err := s.checkNetwork(); err != nil {
		return nil, err
	}
	p.State("opening data", 0, 0)
	ds, shards, err := openData(ctx, s, place, p)
	if err != nil {
		return nil, err
	}
	introduce(ds, p)
	if err := check(ds); err != nil {
		return nil, err
	}
	if err := s.checkLabels(ds); err != nil {
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
	o, err := newOpened(ds, net, eng)
	if err != nil {
		return nil, err
	}
	o.fingerprint, o.shards = ds.Fingerprint(), shards
	return o, o.readWords(ctx, s, place, p)
}

func newOpened(ds *datasets.Dataset, net *zoo.Net, eng *engine.Engine) (*opened, error) {
	t, err := task.Named(ds.Task)
	if err != nil {
		return nil, err
	}
	return &opened{data: ds, task: t, net: net, eng: eng, frozen: features.FromNet(net, eng), guard: guard.New(net)}, nil
}

// with returns o with another network.
func (o *opened) with(net *zoo.Net) *opened {
	other := *o
	other.net, other.frozen = net, features.FromNet(net, o.eng).Prefer(o.form)
	return &other
}

// introduce reports what the data set has: pictures by split, and the files that were left out.
func introduce(ds *datasets.Dataset, p Progress) {
	line := ds.Name + ": " + ds.Task.Words(ds.Labels)
	for _, split := range ds.Splits() {
		line += fmt.Sprintf(", %d %s", len(ds.In(split)), split)
	}
	if g := ds.Groups(); g > 0 {
		line += fmt.Sprintf(", in %d groups", g)
	}
	switch {
	case ds.Dealt && ds.Groups() > 0:
		line += " (valid chosen by seed, whole groups)"
	case ds.Dealt:
		line += " (valid chosen by seed)"
	}
	p.Say(line)
	if ds.Report.Table != "" && ds.Set == nil {
		p.Say(ds.Report.Table)
	}
	sayBad(slices.Concat(ds.Report.Unreadable, ds.Report.NotPicture), p)
	if line := ds.Report.SkippedLine(); line != "" {
		p.Say(line)
	}
	for _, w := range ds.Report.Warnings {
		p.Say(w)
	}
}

// shownBad is how many bad files are named.
const shownBad = 10

// sayBad names bad files.
func sayBad(bad []datasets.Bad, p Progress) {
	for i, b := range bad {
		if i == shownBad {
			p.Say(fmt.Sprintf("left out: %d more", len(bad)-shownBad))
			break
		}
		p.Say(fmt.Sprintf("left out: %s: %s", words.Plain(b.Rel), words.Plain(b.Why)))
	}
}

// introduce reports the licences of pictures and weights, and the engine.
func (o *opened) introduce(p Progress) {
	row := o.net.Row
	summary := fmt.Sprintf("with %s (licence %s)", row.Name, row.Licence)
	var lines []string
	if s := o.data.Set; s != nil && s.Licence != "" {
		summary += fmt.Sprintf(", pictures %s (licence %s)", s.Name, s.Licence)
		lines = append(lines, fmt.Sprintf("%s: licence %s", s.Name, s.Licence))
	}
	summary += ", " + o.eng.Name
	lines = append(lines, fmt.Sprintf("%s: licence %s, %s", row.Name, row.Licence, row.Origin), o.eng.String())
	// A notebook folds the lines away.
	if f, ok := p.(folding); ok {
		f.Fold(summary, lines)
	} else {
		p.Say(summary)
	}
	sayNotes(o.net, p)
}

// folding is a Progress that can show lines behind a summary.
type folding interface {
	Fold(summary string, lines []string)
}

// sayNotes reports what was found out about a weights file of the user's.
func sayNotes(net *zoo.Net, p Progress) {
	for _, note := range net.Notes {
		p.Say(note)
	}
}

// prefer makes the run take a form instead of choosing one.
func (o *opened) prefer(f engine.Form) { o.form, o.frozen = f, o.frozen.Prefer(f) }

// chosen remembers a form that was chosen, and reports one that was measured just now.
func (o *opened) chosen(c features.Choice, p Progress) {
	o.form = c.Form
	if len(c.Trials) > 1 {
		p.Say(fmt.Sprintf("%s: %s, measured here", o.net.Row.Name, c))
	}
}

// extract computes features. Pictures that cannot be decoded wait in o.bad for settle.
func (o *opened) extract(ctx context.Context, job features.Job, p Progress) (*features.Matrix, error) {
	// No limit here, because Drop counts over the whole set: one bad picture of ten in valid is
	// acceptable.
	if o.shards != nil {
		return o.shards.matrix(job, o.net)
	}
	job.BadLimit = 1
	job.Note = p.Say
	job.Progress = func(done, cached, total int) { p.State("extracting features", int64(done), int64(total)) }
	job.Chosen = func(c features.Choice) { o.chosen(c, p) }
	if g := o.guard; g != nil {
		job.Look = func(item int, t transforms.Tensor) { _ = g.Look(item, t) }
	}
	job.Compiling = func() { p.State("compiling", 0, 0) } // takes seconds
	m, err := features.Extract(ctx, job)
	if err != nil {
		return nil, err
	}
	o.warn(p)
	for _, b := range m.Bad {
		rel := job.Items[b.Item].Rel
		known := slices.ContainsFunc(o.bad, func(before datasets.Bad) bool { return before.Rel == rel })
		if !known { // another view of it, or the same picture for the report
			o.bad = append(o.bad, datasets.Bad{Rel: rel, Why: strings.TrimPrefix(b.Err.Error(), rel+": ")})
		}
	}
	return m, nil
}

// settle drops pictures that could not be decoded, after all have been tried, and names each once:
// in the error if there are too many of them, otherwise by a sentence.
func (o *opened) settle(p Progress) error {
	bad := o.bad
	o.bad = nil
	if len(bad) == 0 {
		return nil
	}
	if err := o.data.Drop(bad...); err != nil {
		return err
	}
	sayBad(bad, p)
	return nil
}
