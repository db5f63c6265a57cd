package metrics

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestBadInputIsAnError(t *testing.T) {
	nan := float32(math.NaN())
	good := Matrix{2, 2, []float32{.5, .5, .1, .9}}
	for _, c := range []struct {
		name, want string
		err        func() error
	}{
		{"NaN", "score [0, 1] is NaN", func() error { _, e := CrossEntropy(Matrix{1, 2, []float32{1, nan}}, []int{0}); return e }},
		{"infinite", "is +Inf", func() error { _, e := TopK(Matrix{1, 1, []float32{float32(math.Inf(1))}}, []int{0}, 1); return e }},
		{"short data", "hold 3 values", func() error { _, e := TopK(Matrix{2, 2, []float32{1, 2, 3}}, []int{0, 1}, 1); return e }},
		{"overflowing shape", "hold 2 values", func() error { _, e := Softmax(Matrix{math.MaxInt, 2, []float32{1, 2}}); return e }},
		{"negative shape", "want at least one row", func() error { _, e := Softmax(Matrix{-1, -1, []float32{1}}); return e }},
		{"no rows", "no rows", func() error { _, e := FromRows(nil); return e }},
		{"ragged", "row 1 has 1 scores", func() error { _, e := FromRows([][]float64{{1, 2}, {1}}); return e }},
		{"too few labels", "1 labels for 2 rows", func() error { _, e := LogLoss(good, []int{0}); return e }},
		{"label out of range", "label 2 of row 1", func() error { _, e := Brier(good, []int{0, 2}); return e }},
		{"negative label", "label -1 of row 0", func() error { _, e := TopK(good, []int{-1, 0}, 1); return e }},
		{"k too large", "top-3 of 2", func() error { _, e := TopK(good, []int{0, 1}, 3); return e }},
		{"logits as probabilities", "Softmax first", func() error { _, e := Reliability(Matrix{1, 2, []float32{3, -2}}, []int{0}, 10); return e }},
		{"sum not 1", "sum to 0.7", func() error { _, e := LogLoss(Matrix{1, 2, []float32{.3, .4}}, []int{0}); return e }},
		{"bins", "0 calibration bins", func() error { _, e := Reliability(good, []int{0, 1}, 0); return e }},
		{"no labels", "no classes", func() error { _, e := NewConfusion(nil, nil, nil); return e }},
		{"lengths", "1 truths and 2", func() error { _, e := NewConfusion([]string{"a"}, []int{0}, []int{0, 0}); return e }},
		{"prediction out of range", "prediction 1", func() error { _, e := NewConfusion([]string{"a"}, []int{0}, []int{1}); return e }},
		{"ragged confusion", "row 0 has 1", func() error { return Confusion{[]string{"a", "b"}, [][]int{{1}, {1, 2}}}.Check() }},
		{"negative count", "is -1", func() error { return Confusion{[]string{"a"}, [][]int{{-1}}}.Check() }},
		{"no values", "no values", func() error { _, e := MeanOf(nil); return e }},
		{"NaN mean", "value 1 is NaN", func() error { _, e := MeanOf([]float64{1, math.NaN()}); return e }},
		{"no pictures", "no pictures", func() error { _, e := Compare(nil, nil, nil); return e }},
		{"unpaired", "same pictures", func() error { _, e := Compare([]int{1}, []int{1}, nil); return e }},
		{"no positive", "at least one positive", func() error { _, e := AveragePrecision([]float32{1}, []bool{false}); return e }},
		{"truths", "1 truths for 1 x 2", func() error { _, _, e := MeanAveragePrecision(Matrix{1, 2, []float32{1, 2}}, []bool{true}); return e }},
	} {
		if err := c.err(); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "metrics: ") {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
}

func TestEdges(t *testing.T) {
	// A confident mistake keeps its size: softmax in float32 would give infinity.
	loss, err := CrossEntropy(Matrix{1, 2, []float32{500, -500}}, []int{1})
	if err != nil || loss != 1000 {
		t.Errorf("cross entropy of a wild mistake: %v, %v", loss, err)
	}
	// Ties: the lower class number wins in both, so top-1 and confusion agree.
	tie := Matrix{2, 3, []float32{1, 1, 1, 0, 2, 2}}
	best, _ := tie.Argmax()
	for i, labels := range [][]int{{0, 1}, {1, 2}} {
		a, _ := TopK(tie, labels, 1)
		if want := []int{2, 0}[i]; a.Correct != want || best[0] != 0 || best[1] != 1 {
			t.Errorf("ties: labels %v: %v correct, want %d (argmax %v)", labels, a.Correct, want, best)
		}
	}
	if i := Wilson(0, 0); i != (Interval{0, 1}) {
		t.Errorf("Wilson(0, 0) = %v", i)
	}
	for _, i := range []Interval{Wilson(-1, 5), Wilson(6, 5), Wilson(0, -1)} {
		if i.Known() {
			t.Errorf("senseless counts gave %v", i)
		}
	}
	if a := (Fraction{145, 153}); a.String() != "94.8 % (145 of 153, 95 % 90.0-97.3)" {
		t.Error(a)
	}
	// The worked example of Fagerland, Lydersen and Laake (2014): 1 against 7 of 21.
	truth, a, b := make([]int, 21), make([]int, 21), make([]int, 21)
	for i := range 21 {
		switch {
		case i < 1:
			b[i] = 1
		case i < 8:
			a[i] = 1
		case i < 20:
			a[i], b[i] = 1, 1
		}
	}
	if c, err := Compare(truth, b, a); err != nil || math.Abs(c.Interval.Low+0.508) > 1e-3 || math.Abs(c.Interval.High+0.013) > 1e-3 {
		t.Error(c, err)
	}
}

func TestIntervalJSON(t *testing.T) {
	one, err := MeanOf([]float64{0.9})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(one)
	if err != nil || string(b) != `{"value":0.9,"sd":0,"n":1,"interval":null}` {
		t.Fatalf("%s, %v", b, err)
	}
	var back Mean
	if err := json.Unmarshal(b, &back); err != nil || back.Interval.Known() {
		t.Fatal(back, err)
	}
	if b, _ = json.Marshal(Interval{0.25, 0.5}); string(b) != "[0.25,0.5]" {
		t.Fatalf("%s", b)
	}
	var i Interval
	if json.Unmarshal([]byte("[1,2,3]"), &i) == nil || json.Unmarshal([]byte(`"x"`), &i) == nil {
		t.Error("a malformed interval was read")
	}
}
