package run

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// testdata/earlier has a run's folder, with its head file, and two results, as tlkit wrote them
// before scores and tasks had their own types.
func TestRunsOfEarlierVersionsResume(t *testing.T) {
	ctx, work := context.Background(), t.TempDir()
	if err := os.CopyFS(filepath.Join(work, Home, "frozen"), os.DirFS("testdata/earlier/frozen")); err != nil {
		t.Fatal(err)
	}
	var h heard
	out := filepath.Join(work, "again.safetensors")
	spec := Spec{Data: "insects", Model: "mobilenetv2", Seed: 1}
	r, err := Train(ctx, spec, Place{Folder: work, Name: "frozen", Keep: true, Resume: true, Out: out}, &h)
	if err != nil {
		t.Fatal(err)
	}
	if !h.has("resumed") || r.Line() != "accuracy 96.7 % (95 % 95.4-97.6, 967 of 1000) on test" || r.Baseline.Metric != metrics.Accuracy || r.Baseline.Total != 1000 {
		t.Errorf("%q, baseline %+v", r.Line(), r.Baseline)
	}
	stored, err := Find(work, "frozen")
	if err != nil {
		t.Fatal(err)
	}
	if history, err := stored.History(); err != nil || len(history.Points) != r.Steps {
		t.Errorf("%d points of %d, %v", len(history.Points), r.Steps, err)
	}
	e, err := EvaluateHead(ctx, HeadSpec{Head: out, Data: "insects"}, Place{Folder: work}, nil)
	if err != nil {
		t.Fatal(err)
	}
	// Processors round differently, which may change a picture or two near the border.
	if got := int(e.Correct); e.Total != 1000 || got < 965 || got > 969 || e.Warning != "" {
		t.Errorf("%s, %q", e.Line(), e.Warning)
	}
}

func TestResultsOfEarlierVersionsAreRead(t *testing.T) {
	for name, want := range map[string]struct {
		metric         metrics.Metric
		line, baseline string
	}{
		"values": {metrics.R2, "R² 0.112 (95 % 0.094-0.126, 1000 pictures) on test", "R² -0.096"},
		"labels": {metrics.MAP, "mAP 89.6 % (95 % 88.6-90.6, 1000 pictures) on test", "mAP 83.5 %"},
	} {
		raw, err := os.ReadFile(filepath.Join("testdata/earlier", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		testpictures.Write(t, filepath.Join(dir, Home, name, "result.json"), raw)
		s, err := Find(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		if r := s.Result; r.Metric != want.metric || r.Line() != want.line || r.Baseline.Brief() != want.baseline {
			t.Errorf("%s: %q, baseline %q", name, r.Line(), r.Baseline.Brief())
		}
		again, err := json.Marshal(s.Result)
		top := map[string]any{}
		if err == nil {
			err = json.Unmarshal(again, &top)
		}
		_, counted := top["correct"]
		if _, shared := top["accuracy"]; err != nil || counted || shared || top["baseline"].(map[string]any)["interval"] != nil {
			t.Errorf("%s: figures of classes, or an interval from nowhere, in %s, %v", name, again, err)
		}
	}
}
