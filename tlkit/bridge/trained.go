package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/weights"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Trained is a network in the variables of a store, after your training.
type Trained struct {
	Net      *zoo.Net // as it was loaded
	Engine   *engine.Engine
	Backbone *model.Scope // the scope that Net.Graph was given
	// Head is the scope of the head: one linear layer on the features, as layers.Dense makes it.
	Head *model.Scope
	Set  *datasets.Dataset
	Seed uint64 // of your training, for the record
}

// HeadFile returns the content of a head file: the head, the backbone's tensors that differ from the
// checkpoint, the labels, and the logits of the built-in pictures, which every later opening must
// reproduce. It scores the network on the set's evaluation split. Write it with [export.Head.Write]; then
// it works like that of any run: tlkit predict, serve, evaluate, export.
//
// It is an error if the head is not one linear layer, if a weight has become NaN or infinite, or if the
// set has no pictures to evaluate on.
func (t Trained) HeadFile(ctx context.Context) (*export.Head, error) {
	if t.Net == nil || t.Engine == nil || t.Backbone == nil || t.Head == nil || t.Set == nil {
		return nil, errors.New("bridge: a trained network needs Net, Engine, Backbone, Head and Set")
	}
	linear, err := t.linear()
	if err != nil {
		return nil, err
	}
	tuned, err := t.tuned()
	if err != nil {
		return nil, err
	}
	kind, err := task.Named(t.Set.Task)
	if err != nil {
		return nil, err
	}
	train := t.Set.In(datasets.Train)
	reading, err := kind.Reading(kind.Samples(train, nil, len(t.Set.Labels)), nil)
	if err != nil {
		return nil, err
	}
	result, err := t.score(ctx, scored{kind, reading, tuned, linear})
	if err != nil {
		return nil, err
	}
	parity, err := export.Parity(ctx, features.FromNet(tuned, t.Engine), tuned.Preset, linear)
	if err != nil {
		return nil, err
	}
	row := t.Net.Row
	h := &export.Head{
		Task: t.Set.Task, Thresholds: reading.Thresholds, Scales: reading.Scales, Labels: t.Set.Labels, Preset: tuned.Preset, Seed: t.Seed,
		Plan: json.RawMessage(`{"loop":"GoMLX"}`), Linear: *linear, Parity: parity, Changed: tuned.Changes(), Result: result,
		Backbone: export.Backbone{Name: row.Name, SHA256: t.Net.SHA256, Entry: t.Net.Entry, Features: row.Features, Origin: row.Origin, Licence: row.Licence},
		Data:     export.Data{Name: t.Set.Name, Fingerprint: t.Set.Fingerprint(), Train: len(train)},
		Versions: engine.Versions(),
	}
	h.Versions["go"] = runtime.Version()
	if t.Set.Set != nil {
		h.Data.Licence = t.Set.Set.Licence
	}
	return h, h.Check()
}

// linear returns the head from its variables.
func (t Trained) linear() (*head.Linear, error) {
	features, outputs := t.Net.Row.Features, len(t.Set.Labels)
	l := &head.Linear{Features: features, Classes: outputs}
	// A loaded checkpoint keeps a variable to itself until it is asked for by name: these are the names
	// of layers.Dense.
	for _, name := range []string{"weights", "biases"} {
		t.Head.At("dense").GetVariable(name)
	}
	for v := range t.Head.IterVariables() {
		values, err := valuesOf(v)
		if err != nil {
			return nil, err
		}
		shape := v.Shape().Dimensions
		switch {
		case slices.Equal(shape, []int{features, outputs}) && l.Weight == nil:
			l.Weight, err = weights.OItoIO.Undo([]int{outputs, features}, values)
			if err != nil {
				return nil, fmt.Errorf("bridge: %w", err)
			}
		case slices.Equal(shape, []int{outputs}) && l.Bias == nil:
			l.Bias = values
		default:
			return nil, advice.New(fmt.Errorf("bridge: the head in %s has a variable %s of shape %v; a head file holds one linear layer, [%d,%d] and [%d]", t.Head.Scope(), v.Path(), shape, features, outputs, outputs), "save other heads with GoMLX's checkpoints")
		}
	}
	if l.Weight == nil {
		return nil, advice.New(fmt.Errorf("bridge: scope %s has no weights [%d,%d]", t.Head.Scope(), features, outputs), "pass the scope that layers.Dense was given")
	}
	if l.Bias == nil {
		l.Bias = make([]float32, outputs)
	}
	return l, l.Check()
}

// tuned returns the network with the values of the variables.
func (t Trained) tuned() (*zoo.Net, error) {
	var changes []weights.Tensor
	for _, w := range t.Net.Declaration().Weights {
		v := t.Backbone.GetVariable(w.Name)
		if v == nil {
			return nil, advice.New(fmt.Errorf("bridge: scope %s has no variable %s of %s", t.Backbone.Scope(), w.Name, t.Net.Row.Name), "pass the scope that Net.Graph was given")
		}
		values, err := valuesOf(v)
		if err != nil {
			return nil, err
		}
		if before, _, _ := t.Net.Tensor(w.Name); slices.Equal(before, values) {
			continue
		}
		inFile, err := w.Layout.Undo(w.Shape, values)
		if err != nil {
			return nil, fmt.Errorf("bridge: %s: %w", w.Name, err)
		}
		changes = append(changes, weights.FromFloat32(w.Name, w.Shape, inFile))
	}
	if changes == nil {
		return t.Net, nil
	}
	return t.Net.With(changes)
}

func valuesOf(v *model.Variable) ([]float32, error) {
	value, err := v.Value()
	if err != nil {
		return nil, fmt.Errorf("bridge: %s: %w", v.Path(), err)
	}
	values, err := tensors.CopyFlatData[float32](value)
	if err != nil {
		return nil, fmt.Errorf("bridge: %s: %w", v.Path(), err)
	}
	return values, nil
}

// scored is what score measures.
type scored struct {
	kind    task.Task
	reading task.Reading
	net     *zoo.Net
	head    *head.Linear
}

// score measures the network on the evaluation split of the set.
func (t Trained) score(ctx context.Context, of scored) (export.Result, error) {
	split := t.Set.Evaluation()
	if split == "" {
		return export.Result{}, advice.New(fmt.Errorf("bridge: %s has no pictures beside the training ones", t.Set.Name), "open a set that has some, or set datasets.Options.ValidFraction")
	}
	items := t.Set.In(split)
	m, err := features.Extract(ctx, features.Job{Items: items, Preset: of.net.Preset, Backbone: features.FromNet(of.net, t.Engine)})
	if err != nil {
		return export.Result{}, err
	}
	var seen []datasets.Item
	for _, i := range m.Items {
		seen = append(seen, items[i])
	}
	truth := of.kind.Samples(seen, m.Data, len(t.Set.Labels))
	report, err := evaluate.New(of.kind, evaluate.Input{Names: t.Set.Labels, Truth: truth, Logits: of.head.Logits(m.Data), Reading: of.reading})
	if err != nil {
		return export.Result{}, err
	}
	return export.Result{Split: string(split), Score: report.Score()}, nil
}
