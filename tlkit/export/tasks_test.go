package export

import (
	"encoding/json"
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// tasks returns small heads of the other two tasks.
func tasks() map[datasets.Task]*Head {
	labels, values := small(), small()
	labels.Labels, values.Labels = []string{"wings", "ant"}, []string{"x", "pressure"}
	labels.Task, labels.Thresholds = datasets.Labels, []float64{0.5, 0.25}
	labels.Result = Result{Split: "valid", Score: metrics.NewScore(metrics.MAP, 0.8, metrics.Interval{Low: 0.7, High: 0.9}, 10)}
	values.Task, values.Scales = datasets.Values, []task.Scale{{Mean: 0, SD: 2, Min: -3, Max: 4}, {Mean: 1013, SD: 0.5, Min: 1012, Max: 1014}}
	values.Result = Result{Split: "valid", Score: metrics.NewScore(metrics.R2, 0.6, metrics.Interval{Low: 0.5, High: 0.7}, 10)}
	return map[datasets.Task]*Head{datasets.Labels: labels, datasets.Values: values}
}

func TestHeadsOfTasksComeBack(t *testing.T) {
	for task, want := range tasks() {
		path := filepath.Join(t.TempDir(), "a.head.safetensors")
		if err := want.Write(path); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, read\n%+v\nwrote\n%+v", task, err, got, want)
		}
	}
	for name, spoil := range map[string]func(l, v *Head) *Head{
		"an unknown task":       func(l, v *Head) *Head { l.Task = "boxes"; return l },
		"thresholds of classes": func(l, v *Head) *Head { l.Task = ""; return l },
		"no thresholds":         func(l, v *Head) *Head { l.Thresholds = nil; return l },
		"a logit as threshold":  func(l, v *Head) *Head { l.Thresholds[0] = -1; return l },
		"no scales":             func(l, v *Head) *Head { v.Scales = nil; return v },
		"a flat scale":          func(l, v *Head) *Head { v.Scales[1].SD = 0; return v },
		"a mean outside":        func(l, v *Head) *Head { v.Scales[0].Min = 1; return v },
	} {
		all := tasks()
		if err := spoil(all[datasets.Labels], all[datasets.Values]).Write(filepath.Join(t.TempDir(), "x.safetensors")); err == nil {
			t.Errorf("a head with %s can be written", name)
		}
	}
}

func TestAnswers(t *testing.T) {
	all := tasks()
	for _, c := range []struct {
		h      *Head
		logits []float32
		json   string
		words  string
	}{
		{small(), []float32{0, float32(math.Log(3))}, ``, `be"es`},
		{all[datasets.Labels], []float32{0, -1}, `{"path":"","labels":["wings","ant"],"probabilities":{"ant":0.2689414213699951,"wings":0.5}}`, "wings 50.0 %, ant 26.9 %"},
		{all[datasets.Labels], []float32{-1, -2}, `{"path":"","labels":[],"probabilities":{"ant":0.11920292202211755,"wings":0.2689414213699951}}`, "none of the labels; the nearest: wings 26.9 %"},
		{all[datasets.Values], []float32{-1.5, 1013.25}, `{"path":"","values":{"pressure":1013.25,"x":-1.5}}`, "x -1.5, pressure 1013"},
	} {
		p := answerOf(t, c.h, c.logits)
		b, err := json.Marshal(p)
		if err != nil || c.json != "" && string(b) != c.json {
			t.Errorf("%s %v\nwant %s", b, err, c.json)
		}
		if !strings.Contains(p.Words(), c.words) {
			t.Errorf("%q, want %q", p.Words(), c.words)
		}
	}
	// The JSON of one label a picture has not changed.
	b, _ := json.Marshal(Prediction{Path: "a.jpg", Label: "ants", Probability: 0.75, Probabilities: map[string]float64{"ants": 0.75, "bees": 0.25}})
	if string(b) != `{"path":"a.jpg","label":"ants","probability":0.75,"probabilities":{"ants":0.75,"bees":0.25}}` {
		t.Errorf("%s", b)
	}
}

// A label that is too improbable to be given is "" in JSON, not missing.
func TestNoLabelIsWritten(t *testing.T) {
	b, err := json.Marshal(Prediction{Path: "a.jpg", Probability: 0.5, Probabilities: map[string]float64{"ants": 0.5, "bees": 0.5}})
	if err != nil || string(b) != `{"path":"a.jpg","probability":0.5,"probabilities":{"ants":0.5,"bees":0.5},"label":""}` {
		t.Errorf("%s %v", b, err)
	}
}

// An error of half a standard deviation counts in full, however small it is compared to 1013 hPa.
func TestParityOfValuesIsInDeviations(t *testing.T) {
	h := tasks()[datasets.Values]
	h.Parity = []float32{2, 1013.5, 0, 1013, -4, 1012.5}
	moved := append([]float32(nil), h.Parity...)
	moved[3] += 0.25
	if off := h.off(moved); math.Abs(off-0.25) > 1e-6 { // 0.5 deviations, of a largest value of 2
		t.Errorf("off by %v, want 0.25", off)
	}
	if off := h.off(h.Parity); off != 0 {
		t.Errorf("the same logits are off by %v", off)
	}
	h.Scales = nil
	if off := h.off(moved); off > 1e-3 {
		t.Errorf("as shares of the largest logit: off by %v", off)
	}
}

// answerOf returns a head's prediction from the logits of one picture.
func answerOf(t *testing.T, h *Head, logits []float32) Prediction {
	t.Helper()
	a, err := answersOf(h.Task)
	if err != nil {
		t.Fatal(err)
	}
	return a.answer(h, logits)
}
