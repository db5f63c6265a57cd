package run

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/confidence"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/heads"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// headFile is the name of the head file in a run's folder.
const headFile = "head.safetensors"

// write makes the content of the head file, and writes it into the folder for the first seed.
func (t *training) write(ctx context.Context) error {
	t.progress.State("saving the head", 0, 0)
	plan, err := t.plans()
	if err != nil {
		return err
	}
	c := headContent{
		model: t.fitted.Model, net: t.opened.net, reading: t.reading, known: t.known, plan: plan, seed: t.spec.Seed, train: t.train.distinct(),
		result: export.Result{Split: t.split, Folds: t.spec.Folds, Score: t.figures.Score},
	}
	if t.tuned != nil {
		c.model, c.net, c.tuned = t.tuned.result.Head, t.tuned.result.Net, true
	} else if c.builtIn, err = t.builtIn(); err != nil {
		return err
	}
	t.head, err = t.opened.head(ctx, c)
	if err != nil || !t.first {
		return err
	}
	return t.head.Write(t.folder.file(headFile))
}

// headContent is what a head file holds beside data set and backbone.
type headContent struct {
	model   heads.Model
	net     *zoo.Net  // the backbone, or the tuned network
	tuned   bool      // it is the tuned one
	builtIn []float32 // features of the built-in pictures; nil = not known yet
	reading task.Reading
	known   confidence.Known // the zero value = nothing
	plan    json.RawMessage
	seed    uint64
	train   []datasets.Item // each picture once
	result  export.Result
}

// head returns the content of a head file, with the logits of the built-in pictures.
func (o *opened) head(ctx context.Context, c headContent) (*export.Head, error) {
	if c.builtIn == nil {
		var err error
		c.builtIn, err = export.BuiltIn(ctx, features.FromNet(c.net, o.eng), c.net.Preset)
		if err != nil {
			return nil, err
		}
	}
	row := o.net.Row
	h := &export.Head{
		Task: o.data.Task, Thresholds: c.reading.Thresholds, Scales: c.reading.Scales,
		Labels: o.data.Labels, Preset: c.net.Preset, Seed: c.seed, Plan: c.plan, Parity: c.model.Logits(c.builtIn),
		Backbone: export.Backbone{Name: row.Name, SHA256: o.net.SHA256, Entry: o.net.Entry, Features: row.Features, Origin: row.Origin, Licence: row.Licence},
		Data:     export.Data{Name: o.data.Name, Fingerprint: o.fingerprint, Train: len(c.train), PerLabel: perLabel(o.data.Task, c.train, len(o.data.Labels))},
		Result:   c.result,
		Versions: engine.Versions(),
	}
	h.SetModel(c.model)
	if c.known != (confidence.Known{}) {
		h.Confidence = &c.known
	}
	h.Versions["go"] = runtime.Version()
	if set := o.data.Set; set != nil {
		h.Data.Licence = set.Licence
	}
	if c.tuned {
		h.Changed = c.net.Changes()
	}
	return h, nil
}

// TunedHead returns the content of a head file for a network that was trained by your own plan, as
// [finetune.Train] returned it in r for the data d of [Prepare] with this spec. It scores the network on
// d.Valid, or, if that is empty, on the pictures that Train reports on; the score is in Result of the
// head. Write it with [export.Head.Write]. The file then works like that of any run:
//
//	tuned, err := finetune.Train(ctx, d, plan, recorder)
//	h, err := spec.TunedHead(ctx, d, tuned, run.Place{})
//	err = h.Write("mine.head.safetensors")
//
// It is an error if the data set is not the one of d, or if its pictures cannot be read.
func (s Spec) TunedHead(ctx context.Context, d finetune.Data, r *finetune.Result, place Place) (*export.Head, error) {
	t := byHand{spec: s, data: d, result: r}
	if d.Net == nil || d.Engine == nil || d.Head == nil || r == nil || r.Net == nil || r.Head == nil {
		return nil, advice.New(errors.New("run: no data or no trained network for a head file, want both"), "pass the data of run.Prepare and the result of finetune.Train")
	}
	ds, err := datasets.Open(ctx, t.spec.Data, place.Pictures(t.spec, nil))
	if err != nil {
		return nil, err
	}
	o, err := newOpened(ds, d.Net, d.Engine)
	if err != nil {
		return nil, err
	}
	o.fingerprint = ds.Fingerprint()
	if err := t.learntFrom(ds); err != nil {
		return nil, err
	}
	reading, err := o.task.Reading(d.Features, t.outOfFold())
	if err != nil {
		return nil, err
	}
	split := cmp.Or(d.Split, t.spec.Split, string(ds.Evaluation()))
	score, err := t.score(ctx, o, reading, split)
	if err != nil {
		return nil, err
	}
	plan, err := json.Marshal(map[string]any{"finetune": r.Plan})
	if err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	return o.head(ctx, headContent{model: r.Head, net: r.Net, tuned: true, reading: reading, plan: plan, seed: t.spec.Seed, train: d.Train,
		result: export.Result{Split: split, Score: score}})
}

// byHand is a network that was trained by a plan of one's own.
type byHand struct {
	spec   Spec
	data   finetune.Data
	result *finetune.Result
}

// learntFrom reports a data set that does not hold the pictures that were learnt from.
func (t byHand) learntFrom(ds *datasets.Dataset) error {
	known := map[string]datasets.Item{}
	for _, item := range ds.In(datasets.Train) {
		known[item.Rel] = item
	}
	for _, item := range t.data.Train {
		if same := known[item.Rel]; same.SHA256 != item.SHA256 || same.Class != item.Class || len(ds.Labels) != t.data.Outputs {
			return advice.New(fmt.Errorf("run: %s was learnt from and is not among the training pictures of %s with that label", item.Rel, ds.Name), "pass the spec that Prepare got")
		}
	}
	return nil
}

// outOfFold returns the logits of each row of the features by a network that did not see its
// picture; nil if there are none.
func (t byHand) outOfFold() []float32 {
	u := tuning{result: t.result, rows: t.data.Rows}
	if u.rows == nil {
		for i := range t.data.Train {
			u.rows = append(u.rows, i)
		}
	}
	return u.outOfFold(t.data.Outputs, t.data.Head.OutOfFold)
}

// score measures the tuned network on pictures that it did not learn from.
func (t byHand) score(ctx context.Context, o *opened, reading task.Reading, split string) (metrics.Score, error) {
	items := t.data.Valid
	if len(items) == 0 {
		items = o.data.In(datasets.Split(split))
	}
	tuned := o.with(t.result.Net)
	seen, err := tuned.sample(ctx, items, views{0, t.spec.Seed}, silent{})
	if err == nil {
		err = tuned.settle(silent{})
	}
	if err != nil {
		return metrics.Score{}, err
	}
	report, err := evaluate.New(o.task, evaluate.Input{Names: o.data.Labels, Truth: seen.s, Logits: t.result.Head.Logits(seen.s.X), Reading: reading, Files: seen.files()})
	if err != nil {
		return metrics.Score{}, err
	}
	return report.Score(), nil
}

// plans returns the plans of the head and of fine-tuning as JSON.
func (t *training) plans() (json.RawMessage, error) {
	var v any = t.plan
	if t.tuned != nil {
		v = map[string]any{"head": t.plan, "finetune": t.tuned.result.Plan}
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	return raw, nil
}
