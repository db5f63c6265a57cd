package evaluate

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

func TestLabelsReport(t *testing.T) {
	in := LabelsInput{
		Labels: []string{"wings", "ant", "unused\x1b[31m"},
		Truth:  []bool{true, false, false, false, true, false, true, true, false, false, false, false},
		Logits: []float32{3, -2, -4, -1, 2, -3, -2.5, 0.5, -3, 0.2, -3, -5},
		Files:  []string{"a", "b", "c", "d"},
	}
	r, err := NewLabels(in)
	if err != nil {
		t.Fatal(err)
	}
	worst := r.TopLosses[0]
	if worst.File != "c" || worst.Label != "wings" || !worst.Truth || math.Abs(worst.Loss-math.Log1p(math.Exp(2.5))) > 1e-12 || math.Abs(worst.Probability-math.Exp(-worst.Loss)) > 1e-12 {
		t.Errorf("worst %+v", worst)
	}
	if second := r.TopLosses[1]; second.File != "d" || second.Truth || math.Abs(second.Loss-math.Log1p(math.Exp(0.2))) > 1e-7 {
		t.Errorf("second %+v", second)
	}
	if w := r.Worst(); len(w) != 12 || w[0].Truth != "wings" || w[0].Predicted != "no wings" || w[1].Truth != "no wings" || w[1].Predicted != "wings" ||
		w[2].Truth != w[2].Predicted || math.Abs(w[0].Probability-metrics.Sigmoid(2.5)) > 1e-9 {
		t.Errorf("worst %+v", w)
	}
	// wings: 1, then 2 of 4
	if len(r.TopLosses) != 12 || r.Counted != 2 || math.Abs(r.MAP-(0.75+1)/2) > 1e-12 {
		t.Errorf("%d losses, mAP %v of %d", len(r.TopLosses), r.MAP, r.Counted)
	}
	check(t, r.Text(), "mAP 87.5 %", "mean of 2 label(s)", "wings", "2/4", "threshold", "unused?[31m")
	if f := r.Figure(); !strings.Contains(f.Text(), "ant 100.0 %") || strings.Contains(f.Text(), "unused") {
		t.Error(f.Text())
	} else if err := f.PNG(&bytes.Buffer{}); err != nil {
		t.Error(err)
	}
	if b, err := json.Marshal(r); err != nil || !strings.Contains(string(b), `"map":0.875`) || !strings.Contains(string(b), `"top_losses"`) {
		t.Errorf("%s %v", b, err)
	}
}

func TestValuesReport(t *testing.T) {
	in := ValuesInput{
		Names:     []string{"x", "fixed"},
		Truth:     []float64{1, 7, 2, 7, 3, 7, 6, 7},
		Predicted: []float32{1.5, 7, 2, 7.5, 2.5, 7, 5, 7},
		Files:     []string{"a", "b", "c", "d"},
	}
	r, err := NewValues(in)
	if err != nil {
		t.Fatal(err)
	}
	sd := math.Sqrt(3.5)
	if w := r.Misses[0]; len(r.Misses) != 4 || w.File != "d" || w.Name != "x" || w.True != 6 || w.Predicted != 5 || math.Abs(w.Deviations+1/sd) > 1e-12 {
		t.Errorf("%d, worst %+v", len(r.Misses), w)
	}
	if math.Abs(r.R2-(1-1.5/14)) > 1e-12 || r.Counted != 1 || r.Values[0].MAE != 0.5 {
		t.Errorf("%+v", r.ValueScores)
	}
	check(t, r.Text(), "R² 0.893", "mean of 1 value(s)", "fixed", "most wrong: x 6, predicted 5 (d)")
	if f := r.Figure(); !strings.Contains(f.Text(), "x: R² 0.89") {
		t.Error(f.Text())
	} else if err := f.PNG(&bytes.Buffer{}); err != nil {
		t.Error(err)
	}
	if b, err := json.Marshal(r); err != nil || !strings.Contains(string(b), `"r2":0.89`) || !strings.Contains(string(b), `"interval":null`) {
		t.Errorf("%s %v", b, err)
	}
}

// check wants the words in a text of at most 80 columns.
func check(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("no %q in\n%s", w, text)
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		if len([]rune(line)) > 80 {
			t.Errorf("%d columns: %s", len([]rune(line)), line)
		}
	}
}

func TestTaskReportsRefuse(t *testing.T) {
	for name, err := range map[string]error{
		"no pictures": second(NewLabels(LabelsInput{Labels: []string{"a"}})),
		"ragged":      second(NewLabels(LabelsInput{Labels: []string{"a", "b"}, Truth: make([]bool, 3), Logits: make([]float32, 3)})),
		"files":       second(NewValues(ValuesInput{Names: []string{"a"}, Truth: make([]float64, 3), Predicted: make([]float32, 3), Files: []string{"x"}})),
		"NaN":         second(NewValues(ValuesInput{Names: []string{"a"}, Truth: []float64{1, 2}, Predicted: []float32{1, float32(math.NaN())}})),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "evaluate: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
