package tlkit_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/janpfeifer/gonb/gonbui/protocol"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/export"
)

// A notebook with FineTune, run from top to bottom and again: it keeps what the folds of the
// training pictures favour.
func TestFineTuneStory(t *testing.T) {
	trains(t)
	dir := t.TempDir()
	draw(t, dir, 12, 100)
	out, status := start(t, dir, "story")
	if status != 0 {
		t.Fatalf("status %d\n%s", status, out)
	}
	for _, words := range []string{"fine-tuning, plan tlkit: 2 epochs", "  · batch norms keep the checkpoint's statistics", "the head alone ", "gain ", "tuned.head.safetensors: "} {
		if !strings.Contains(out, words) {
			t.Errorf("no %q in\n%s", words, out)
		}
	}
	if n := strings.Count(out, "logistic head: "); n != 1 {
		t.Errorf("the head's plan is printed %d times, want once: FineTune continues from it\n%s", n, out)
	}
	if n := len(accuracy.FindAllString(out, -1)); n != 3 {
		t.Errorf("%d lines of accuracy, want those of FitHead, FineTune and Evaluate:\n%s", n, out)
	}
	h, err := export.Read(filepath.Join(dir, "tuned.head.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if not := strings.Contains(out, "fine-tuning does not pay here"); not != (len(h.Changed) == 0) {
		t.Errorf("%d tensors changed, and the output is\n%s", len(h.Changed), out)
	}
	again, status := start(t, dir, "story")
	if status != 0 || strings.Count(again, "resumed .tlkit/few: ") != 2 {
		t.Errorf("again: status %d\n%s", status, again)
	}
	if a, b := accuracy.FindAllString(out, -1), accuracy.FindAllString(again, -1); strings.Join(a, "\n") != strings.Join(b, "\n") {
		t.Errorf("first %q, again %q", a, b)
	}
}

// An interrupted fine-tuning keeps the results of FitHead, continues, and ends like one that was
// not interrupted. Another one under its name is refused, with the differences.
func TestFineTuneGoesOn(t *testing.T) {
	trains(t)
	straight, dir := t.TempDir(), t.TempDir()
	for _, d := range []string{straight, dir} {
		draw(t, d, 20, 300)
		if out, status := start(t, d, "fit"); status != 0 {
			t.Fatalf("status %d\n%s", status, out)
		}
	}
	refused := func(name string, words ...string) {
		t.Helper()
		out, status := start(t, dir, name)
		for _, w := range append(words, "✗ FineTune of few could not be done", "→ ") {
			if status != 1 || !strings.Contains(out, w) {
				t.Errorf("%s: status %d, no %q in\n%s", name, status, w, out)
			}
		}
	}
	norms := func(want string) {
		t.Helper()
		if out, status := start(t, dir, "norms"); status != 0 || !strings.Contains(out, want) {
			t.Errorf("norms: status %d, no %q in\n%s", status, want, out)
		}
	}
	norms("all 52 have the checkpoint's statistics, bit for bit\nprobe false")
	refused("backwards", "-1 epochs")
	refused("quickly", `no plan "quickly"`, "keras_guide")
	refused("from", `"layer9"`, "features.18")
	if out, status := start(t, dir, "evaluate"); status != 0 {
		t.Errorf("after refusals: status %d\n%s", status, out)
	}

	var once sync.Once
	got, out, status := cell(t, dir, "tune", func(cmd *exec.Cmd, d protocol.DisplayData) {
		if strings.HasPrefix(words(d), "fine-tuning") && !strings.Contains(words(d), "plan") {
			once.Do(func() { _ = cmd.Process.Signal(os.Interrupt) })
		}
	})
	if last := words(got[len(got)-1]); status != 130 || !strings.HasPrefix(last, "⏸ FineTune of few is paused") || !strings.Contains(last, "what was trained so far is saved") || !strings.Contains(last, "→ run the cell again to go on") {
		t.Fatalf("interrupted: status %d, %q\n%s", status, last, out)
	}
	if out, status := start(t, dir, "evaluate"); status != 0 || !accuracy.MatchString(lastLine(out)) {
		t.Errorf("the head is gone: status %d\n%s", status, out)
	}
	if out, status := start(t, dir, "fit"); status != 0 || !strings.Contains(out, "resumed .tlkit/few: its head was fitted before") {
		t.Errorf("the head's cell again: status %d\n%s", status, out)
	}
	refused("keras", "plan: fastai there, keras_guide now", "give this one another name")
	refused("longer", "finetune: 2 there, 3 now")

	out, status = start(t, dir, "tune")
	if status != 0 || !strings.Contains(out, "continuing after step") || !accuracy.MatchString(lastLine(out)) {
		t.Fatalf("going on: status %d\n%s", status, out)
	}
	if out, status := start(t, straight, "tune"); status != 0 {
		t.Fatalf("status %d\n%s", status, out)
	}
	norms("the statistics of 7 of 52 moved") // three in each of two blocks, one in the last stage
	a, _ := os.ReadFile(filepath.Join(dir, ".tlkit/few/head.safetensors"))
	b, _ := os.ReadFile(filepath.Join(straight, ".tlkit/few/head.safetensors"))
	if len(a) == 0 || !bytes.Equal(a, b) {
		t.Error("the interrupted and the uninterrupted training give different networks")
	}
	history, err := curves.ReadFile(filepath.Join(dir, ".tlkit/few/history.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if x, ok := history.Unfrozen(); !ok || x < 1 || len(history.Series(curves.Valid, curves.Loss)) < 4 || len(history.Series("", curves.Rate)) == 0 {
		t.Errorf("the curve lacks a phase or the border: %v, %v", x, history.Marks)
	}
	if out, status := start(t, dir, "curves"); status != 0 || !strings.Contains(out, "backbone") {
		t.Errorf("curves: status %d\n%s", status, out)
	}
}
