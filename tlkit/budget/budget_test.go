package budget

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// whenSaid calls do at the first state that has a word in it.
type whenSaid struct {
	word  string
	do    func()
	lines []string
}

func (w *whenSaid) State(what string, _, _ int64) {
	if w.do != nil && strings.Contains(what, w.word) {
		w.do()
		w.do = nil
	}
}
func (w *whenSaid) Say(s string) { w.lines = append(w.lines, s) }

func usual() string { return zoo.Rows()[0].Name }

// picked returns what the record says was picked.
func picked(r *Record) (out []Tried) {
	for _, t := range r.Tried {
		if t.Picked {
			out = append(out, t)
		}
	}
	return out
}

// A budget that is large enough is kept. What was tried is scored on the training pictures alone, and
// the command of the record gives the same result.
func TestBudgetIsKept(t *testing.T) {
	folder, work := testpictures.Shapes(t, []string{"discs", "bars"}, 20), t.TempDir()
	place, began, asked := run.Place{Folder: work, Offline: true}, time.Now(), 20*time.Second
	r, err := Train(t.Context(), run.Spec{Data: folder, Seed: 1}, Budget{Time: asked}, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	record, err := Of(r)
	if err != nil {
		t.Fatal(err)
	}
	if took > asked+5*time.Second {
		t.Errorf("%v of %v: %+v", took, asked, record)
	}
	if d := took.Seconds() - record.Spent; d < 0 || d > 1 || record.Asked != asked.Seconds() || record.Interrupted {
		t.Errorf("took %v, the record says %v of %v", took, record.Spent, record.Asked)
	}
	p := picked(record)
	if len(p) != 1 || p[0].Model != r.Model || p[0].Total != r.Train || r.Total != 8 || !slices.ContainsFunc(record.Tried, func(one Tried) bool { return one.Model == usual() }) {
		t.Errorf("picked %+v of %+v, the result is of %s, %d to learn from, %d to report on", p, record.Tried, r.Model, r.Train, r.Total)
	}
	stored, err := run.Find(work, filepath.Base(r.Run))
	if err != nil {
		t.Fatal(err)
	}
	var there Record
	if err := json.Unmarshal(stored.Result.Budget, &there); err != nil || there.Model != record.Model || len(there.Tried) != len(record.Tried) {
		t.Errorf("%v: result.json has %+v", err, there)
	}
	if text := strings.Join(record.Repeat, " "); !strings.Contains(text, "--model "+r.Model) || !strings.HasPrefix(text, "tlkit train "+folder) {
		t.Errorf("repeat: %s", text)
	}

	again, err := run.Train(t.Context(), run.Spec{Data: folder, Model: record.Model, Finetune: record.Finetune, Form: r.Form, Seed: 1}, run.Place{Folder: work, Name: "again", Offline: true}, nil)
	if err != nil || again.Score != r.Score || again.LogLoss != r.LogLoss {
		t.Errorf("%v: repeated: %s, loss %v, within the budget %s, loss %v", err, again.Line(), again.LogLoss, r.Line(), r.LogLoss)
	}

	// A finished one is not computed again.
	place.Resume = true
	began = time.Now()
	resumed, err := Train(t.Context(), run.Spec{Data: folder, Seed: 1}, Budget{Time: asked}, place, nil)
	for err != nil && strings.Contains(err.Error(), "another process") && time.Since(began) < time.Minute {
		time.Sleep(time.Second) // work that was given up ends
		resumed, err = Train(t.Context(), run.Spec{Data: folder, Seed: 1}, Budget{Time: asked}, place, nil)
	}
	if err != nil || resumed.Score != r.Score || string(resumed.Budget) == "" || resumed.Seconds != r.Seconds {
		t.Errorf("%v: resumed in %v: %+v", err, time.Since(began), resumed)
	}
}

// A budget that is too small for anything gives the head of the default network, and says so.
func TestTooSmallABudget(t *testing.T) {
	folder := testpictures.Shapes(t, []string{"discs", "bars"}, 10)
	r, err := Train(t.Context(), run.Spec{Data: folder, Seed: 1}, Budget{Time: time.Millisecond}, run.Place{Folder: t.TempDir(), Offline: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	record, err := Of(r)
	if err != nil || r.Model != usual() || r.Finetune != nil || !strings.Contains(record.Over, "default network") || record.Rule != "" || record.Spent <= record.Asked {
		t.Errorf("%v: %s, %+v", err, r.Model, record)
	}
	if len(record.Left) == 0 || record.Left[len(record.Left)-1].What != "fine-tuning "+usual() {
		t.Errorf("left %+v", record.Left)
	}
	if _, err := os.Stat(r.Head); err != nil {
		t.Error(err)
	}
}

// An interrupt keeps the best so far; with Resume, the rest of the time goes on.
func TestInterruptKeepsTheBestSoFar(t *testing.T) {
	folder, work := testpictures.Shapes(t, []string{"discs", "bars"}, 10), t.TempDir()
	place := run.Place{Folder: work, Offline: true}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := Train(ctx, run.Spec{Data: folder, Seed: 1}, Budget{Time: 20 * time.Second}, place, &whenSaid{word: "2 of ", do: cancel})
	if !errors.Is(err, context.Canceled) || r == nil || r.Model != usual() {
		t.Fatalf("%v: %+v", err, r)
	}
	record, err := Of(r)
	if err != nil || !record.Interrupted || len(record.Tried) != 1 {
		t.Fatalf("%v: %+v", err, record)
	}
	place.Resume = true
	r, err = Train(t.Context(), run.Spec{Data: folder, Seed: 1}, Budget{Time: 20 * time.Second}, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	after, err := Of(r)
	if err != nil || after.Interrupted || len(after.Tried) < 2 || after.Spent <= record.Spent {
		t.Errorf("%v: %+v", err, after)
	}
}

// A network that is named is not compared, and fine-tuning that takes too long is left.
func TestNamedNetworkIsNotCompared(t *testing.T) {
	folder := testpictures.Shapes(t, []string{"discs", "bars"}, 10)
	s := run.Spec{Data: folder, Model: usual(), Finetune: 5000, Seed: 1}
	r, err := Train(t.Context(), s, Budget{Time: 20 * time.Second}, run.Place{Folder: t.TempDir(), Offline: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	record, err := Of(r)
	if err != nil || len(record.Tried) != 0 || r.Finetune != nil || len(record.Left) != 1 || record.Left[0].Seconds < 20 {
		t.Errorf("%v: %+v", err, record)
	}
}

func TestBadBudgets(t *testing.T) {
	for word, s := range map[string]struct {
		spec run.Spec
		time time.Duration
	}{
		"more than 0": {run.Spec{Data: "x"}, 0},
		"3 folds":     {run.Spec{Data: "x", Folds: 3}, time.Second},
		"2 seeds":     {run.Spec{Data: "x", Seeds: 2}, time.Second},
		"no data set": {run.Spec{Data: "nowhere-at-all"}, time.Second},
		"resnet19":    {run.Spec{Data: "insects", Model: "resnet19"}, time.Second},
	} {
		r, err := Train(t.Context(), s.spec, Budget{Time: s.time}, run.Place{Folder: t.TempDir(), Offline: true}, nil)
		if r != nil || err == nil || word != "resnet19" && !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", word, err)
		}
	}
}
