package runs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/answers"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// made writes a finished run by hand: right on all but every so many-th of 100 pictures.
func made(t interface {
	Fatal(...any)
}, dir, name string, wrong int) {
	folder := filepath.Join(dir, run.Home, name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	a := &answers.Answers{Task: datasets.Classes, Names: []string{"ants", "bees"}, Split: "valid", Truth: head.Samples{Classes: 2}}
	correct := 0
	for i := range 100 {
		a.Pictures, a.Files, a.Truth.Y = append(a.Pictures, fmt.Sprint(i)), append(a.Files, fmt.Sprint(i)), append(a.Truth.Y, 0)
		row := []float32{1, 0}
		if i%wrong == 0 {
			row = []float32{0, 1}
		} else {
			correct++
		}
		a.Logits = append(a.Logits, row...)
	}
	r := run.Result{Task: datasets.Classes, Score: metrics.Fraction{Correct: correct, Total: 100}.Score(), Split: "valid", Data: "hymenoptera", Model: "mobilenetv2", Family: head.LogisticKind, Train: 244, Seconds: 3.2}
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string][]byte{"spec.json": []byte("{}"), "result.json": raw} {
		if err := os.WriteFile(filepath.Join(folder, file), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Write(filepath.Join(folder, answers.File)); err != nil {
		t.Fatal(err)
	}
}

// history gives a run a history of each of some seeds.
func history(t *testing.T, dir, name string, seeds int) {
	t.Helper()
	for seed := range seeds {
		file := "history.jsonl"
		if seed > 0 {
			file = fmt.Sprintf("history.seed%d.jsonl", seed+1)
		}
		w, _, err := curves.Run{Name: "x", Axis: curves.Epochs}.AppendTo(filepath.Join(dir, run.Home, name, file))
		if err != nil {
			t.Fatal(err)
		}
		for e := range 3 {
			p := curves.Point{Step: e, Epoch: float64(e + 1), Phase: curves.Head, Split: curves.Valid, Metric: curves.Accuracy, Value: 0.8 + 0.02*float64(e+seed), N: 100}
			if err := w.Add(p); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestListAndCompare(t *testing.T) {
	dir := t.TempDir()
	made(t, dir, "frozen", 5)
	made(t, dir, "tuned", 25)
	made(t, dir, "older", 10)
	if err := os.Remove(filepath.Join(dir, run.Home, "older", answers.File)); err != nil {
		t.Fatal(err)
	}
	when := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(dir, run.Home, "older", "result.json"), when, when); err != nil {
		t.Fatal(err)
	}
	for name, result := range map[string]string{"half": "", "broken": "{"} {
		folder := filepath.Join(dir, run.Home, name)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "spec.json"), []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
		if result != "" {
			if err := os.WriteFile(filepath.Join(folder, "result.json"), []byte(result), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	history(t, dir, "frozen", 1)
	history(t, dir, "tuned", 3)
	all, unread, err := List(dir)
	if err != nil || len(all) != 3 || all[2].Name != "older" || unread["half"] != "not finished" || !strings.Contains(unread["broken"], "result.json cannot be read") {
		t.Fatalf("%d runs, %v, %v", len(all), unread, err)
	}
	if table := Table(all); len(table.Rows) != 3 || len(table.Rows[0]) != len(table.Header) {
		t.Errorf("%+v", table)
	}
	chosen, err := Named(all, "frozen", "tuned", "older")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Compare(chosen)
	if err != nil {
		t.Fatal(err)
	}
	d := c.Runs[1].Difference
	if d == nil || d.Pictures != 100 || d.Value < 0.159 || d.Value > 0.161 || d.Interval.Low <= 0 {
		t.Errorf("%+v", d)
	}
	if c.Runs[0].Difference != nil || c.Runs[2].Difference != nil || !strings.Contains(c.Runs[2].Why, "earlier version") {
		t.Errorf("%+v", c.Runs)
	}
	if s := c.Sentences(); len(s) != 2 || !strings.HasPrefix(s[0], "tuned against frozen: better, +16.0 points (95 % +") || !strings.Contains(s[1], "cannot be compared") {
		t.Errorf("%q", s)
	}
	for _, f := range []interface{ Text() string }{c.Figure()} {
		if !strings.Contains(f.Text(), "tuned") {
			t.Error(f.Text())
		}
	}
	if err := c.Figure().PNG(&bytes.Buffer{}); err != nil {
		t.Error(err)
	}
	f, err := c.Curves()
	if err != nil || !strings.Contains(f.Text(), "frozen") || !strings.Contains(f.Text(), "tuned") || strings.Contains(f.Text(), "seed") {
		t.Errorf("%v %s", err, f.Text())
	}
	if table := c.Table(); len(table.Rows) != 3 || len(table.Rows[1]) != len(table.Header) || table.Rows[1][6] != "+16.0 points" || table.Rows[2][6] != "-" {
		t.Errorf("%+v", table)
	}
}

func TestNames(t *testing.T) {
	dir := t.TempDir()
	if all, _, err := List(dir); err != nil || len(all) != 0 {
		t.Errorf("an empty folder: %v, %v", all, err)
	}
	if _, err := Named(nil, "x"); err == nil || !strings.Contains(err.Error(), "there is none here") {
		t.Error(err)
	}
	made(t, dir, "frozen", 5)
	all, _, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Named(all, "frozne"); err == nil || !strings.Contains(err.Error(), "frozen") {
		t.Error(err)
	}
	if _, err := Named(all, "frozen", ".tlkit/frozen"); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Error(err)
	}
	if _, err := Compare(all); err == nil {
		t.Error("one run is no error")
	}
}

type fatal struct{}

func (fatal) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// Two runs on the same pictures: the interval is that of the difference.
func ExampleCompare() {
	dir, err := os.MkdirTemp("", "runs")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	made(fatal{}, dir, "frozen", 5)
	made(fatal{}, dir, "tuned", 10)
	all, _, err := List(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	chosen, err := Named(all, "frozen", "tuned")
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := Compare(chosen)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Sentences()[0])
	// Output: tuned against frozen: better, +10.0 points (95 % +3.4 to +16.2) on the same 100 pictures
}
