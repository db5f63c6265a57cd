package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	said "github.com/tlkit/transfer-learning/tlkit/answers"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/runs"
)

// storedRun writes a finished run that was right on all but the first wrong of 50 pictures.
func storedRun(t *testing.T, dir, name string, wrong int) {
	t.Helper()
	folder := filepath.Join(dir, run.Home, name)
	a := &said.Answers{Task: datasets.Classes, Names: []string{"ants", "bees"}, Split: "valid", Truth: head.Samples{Classes: 2}}
	for i := range 50 {
		row := []float32{0, 1}
		if i < wrong {
			row = []float32{1, 0}
		}
		a.Pictures, a.Files, a.Truth.Y, a.Logits = append(a.Pictures, fmt.Sprint(i)), append(a.Files, fmt.Sprint(i)), append(a.Truth.Y, 1), append(a.Logits, row...)
	}
	raw, err := json.Marshal(run.Result{Task: datasets.Classes, Score: metrics.Fraction{Correct: 50 - wrong, Total: 50}.Score(), Split: "valid", Data: "photos", Model: "resnet18", Family: head.LogisticKind})
	if err != nil {
		t.Fatal(err)
	}
	testpictures.Write(t, filepath.Join(folder, "spec.json"), []byte("{}"))
	testpictures.Write(t, filepath.Join(folder, "result.json"), raw)
	testpictures.Write(t, filepath.Join(folder, "history.jsonl"), []byte(someHistory))
	if err := a.Write(filepath.Join(folder, said.File)); err != nil {
		t.Fatal(err)
	}
}

func TestRuns(t *testing.T) {
	dir := t.TempDir()
	tlkit := func(t *testing.T, args ...string) (int, string, string) {
		t.Helper()
		t.Chdir(dir)
		var o, e bytes.Buffer
		status := execute(t.Context(), args, &o, &e)
		return status, o.String(), e.String()
	}
	if status, out, _ := tlkit(t, "runs"); status != 0 || !strings.Contains(out, "no finished run") {
		t.Errorf("an empty folder: %d, %q", status, out)
	}
	if status, out, _ := tlkit(t, "runs", "--json"); status != 0 || strings.TrimSpace(out) != "[]" {
		t.Errorf("an empty folder: %d, %q", status, out)
	}
	storedRun(t, dir, "frozen", 12)
	storedRun(t, dir, "tuned", 2)
	testpictures.Write(t, filepath.Join(dir, run.Home, "half", "spec.json"), []byte("{}"))
	status, out, errs := tlkit(t, "runs")
	if status != 0 || !strings.Contains(out, "accuracy 96.0 %") || !strings.Contains(out, "48 of 50") || !strings.Contains(errs, "half, not finished") {
		t.Errorf("%d, %q\n%s", status, errs, out)
	}
	_, out, _ = tlkit(t, "runs", "frozen", "tuned", "--json")
	c := one[runs.Comparison](t, out)
	if d := c.Runs[1].Difference; c.Base != "frozen" || d == nil || d.Pictures != 50 || d.Value != 0.2 || d.Interval.Low <= 0 {
		t.Errorf("%s", out)
	}
	status, out, errs = tlkit(t, "runs", "frozen", "tuned", "--png", "d.png", "--curves", "c.png")
	if status != 0 || !strings.Contains(out, "tuned against frozen: better, +20.0 points (95 % +") {
		t.Errorf("%d, %q\n%s", status, errs, out)
	}
	for _, file := range []string{"d.png", "c.png"} {
		if raw, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(raw), "\x89PNG") {
			t.Errorf("%s: %v", file, err)
		}
	}
	for _, c := range [][]string{
		{"tunde", "tuned"},
		{"frozen tuned --png d.png", "exists"},
		{"frozen --png e.png", "two runs"},
		{"frozen frozen", "twice"},
	} {
		if status, _, errs := tlkit(t, append([]string{"runs"}, strings.Fields(c[0])...)...); status != 1 || !strings.Contains(errs, c[1]) {
			t.Errorf("%s: %d, %q, want %q", c[0], status, errs, c[1])
		}
	}
}

// What cannot be meant is refused before anything is computed.
func TestWhyAndMapAreChecked(t *testing.T) {
	dir := t.TempDir()
	testpictures.Write(t, filepath.Join(dir, "there.png"), []byte("x"))
	for _, c := range [][]string{
		{"why", "want a head and a picture"},
		{"why head there.png --k 0", "want 1 to 24"},
		{"why head there.png --png there.png", "exists"},
		{"why head missing.png", "cannot be opened"},
		{"why head .", "is a folder"},
		{"why head there.png", "head"},
		{"map", "want one folder"},
		{"map photos", "nothing to write"},
		{"map photos --json --pictures", "--pictures is for"},
		{"map photos --png there.png", "exists"},
		{"map photos --data x --json", "is no head"},
		{"map photos --json", "photos"},
		{"map . --json --most 1", "want 2 to"},
		{"evaluate mobilenetv2 photos --figures f", "want a head"},
	} {
		t.Chdir(dir)
		var o, e bytes.Buffer
		status := execute(t.Context(), strings.Fields(c[0]), &o, &e)
		if errs := e.String(); status != 1 || !strings.Contains(errs, c[1]) {
			t.Errorf("%s: %d, %q, want %q", c[0], status, errs, c[1])
		}
	}
}
