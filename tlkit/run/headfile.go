package run

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/features"
)

// headFile is the name of the head file in a run's folder.
const headFile = "head.safetensors"

// write makes the content of the head file, and writes it into the folder for the first seed.
func (t *training) write(ctx context.Context) error {
	linear, net := t.fitted.Fit.Head, t.opened.net
	if t.tuned != nil {
		linear, net = t.tuned.result.Head, t.tuned.result.Net
	}
	parity, err := export.Parity(ctx, features.FromNet(net, t.opened.eng), net.Preset, linear)
	if err != nil {
		return err
	}
	plan, err := t.plans()
	if err != nil {
		return err
	}
	row := t.opened.net.Row
	t.head = &export.Head{
		Task: t.opened.data.Task, Thresholds: t.reading.Thresholds, Scales: t.reading.Scales,
		Labels: t.opened.data.Labels, Preset: net.Preset, Seed: t.spec.Seed, Plan: plan, Linear: *linear, Parity: parity,
		Backbone: export.Backbone{Name: row.Name, SHA256: t.opened.net.SHA256, Entry: t.opened.net.Entry, Features: row.Features, Origin: row.Origin, Licence: row.Licence},
		Data:     export.Data{Name: t.opened.data.Name, Fingerprint: t.opened.fingerprint, Train: t.train.pictures()},
		Result:   export.Result{Split: t.split, Folds: t.spec.Folds, Score: t.figures.Score},
		Versions: engine.Versions(),
	}
	t.head.Versions["go"] = runtime.Version()
	if set := t.opened.data.Set; set != nil {
		t.head.Data.Licence = set.Licence
	}
	if t.tuned != nil {
		t.head.Changed = net.Changes()
	}
	if !t.first {
		return nil
	}
	return t.head.Write(t.folder.file(headFile))
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
