package evaluate

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func ExampleNewClasses() {
	report, err := NewClasses(ClassesInput{
		Labels: []string{"ants", "bees"},
		Truth:  []int{0, 0, 1, 1, 1},
		Logits: []float32{2, 0, 0, 1, -1, 3, 0, 2, 1, 1.5},
		Files:  []string{"a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Accuracy)
	fmt.Println("worst:", report.TopLosses[0].File, "taken for", report.TopLosses[0].Predicted)
	// Output:
	// 80.0 % (4 of 5, 95 % 37.6-96.4)
	// worst: b.jpg taken for bees
}

func TestReportAddsUp(t *testing.T) {
	in := ClassesInput{Labels: []string{"x", "y", "z"}, Truth: []int{0, 1, 2, 2}, Logits: []float32{3, 0, 0, 0, 2, 1, 0, 4, 1, 0, 0, 1}}
	r, err := NewClasses(in)
	if err != nil {
		t.Fatal(err)
	}
	if r.Accuracy.Correct != 3 || r.Confusion.Counts[2][1] != 1 {
		t.Errorf("%+v", r)
	}
	// By hand: -log softmax of each true logit.
	want := 0.0
	for i, c := range in.Truth {
		row, sum := in.Logits[i*3:i*3+3], 0.0
		for _, v := range row {
			sum += math.Exp(float64(v))
		}
		want += math.Log(sum) - float64(row[c])
	}
	if math.Abs(r.LogLoss-want/4) > 1e-6 {
		t.Errorf("log loss %v, want %v", r.LogLoss, want/4)
	}
	if r.TopLosses[0].Index != 2 || math.Abs(r.TopLosses[0].Probability-math.Exp(-r.TopLosses[0].Loss)) > 1e-9 {
		t.Errorf("top loss %+v, want picture 2", r.TopLosses[0])
	}
	if text := r.Text(); !strings.Contains(text, "z taken for y") {
		t.Errorf("report does not name the mistake:\n%s", text)
	}
}

// A right prediction with a large loss is no mistake: it comes after the wrong ones, also where the
// list of losses is cut before them.
func TestWorstAreWrong(t *testing.T) {
	in := ClassesInput{Labels: []string{"a", "b", "c", "d"}}
	for i := range 20 { // right, with 27 %
		in.Truth, in.Logits, in.Files = append(in.Truth, 0), append(in.Logits, 0.1, 0, 0, 0), append(in.Files, fmt.Sprint("unsure", i))
	}
	in.Truth, in.Logits, in.Files = append(in.Truth, 0), append(in.Logits, 5, 5.1, 0, 0), append(in.Files, "wrong")
	r, err := NewClasses(in)
	if err != nil {
		t.Fatal(err)
	}
	worst := r.Worst()
	if len(worst) != 16 || len(r.TopLosses) != 16 {
		t.Fatalf("%d mistakes, %d losses", len(worst), len(r.TopLosses))
	}
	first, second := worst[0], worst[1]
	if first.File != "wrong" || first.Truth != "a" || first.Predicted != "b" || math.Abs(first.Probability-0.5216) > 1e-3 || math.Abs(first.Loss-0.7508) > 1e-3 {
		t.Errorf("first %+v", first)
	}
	if second.Truth != second.Predicted || math.Abs(second.Probability-math.Exp(-second.Loss)) > 1e-6 {
		t.Errorf("second %+v", second)
	}
}

func TestBadInputIsNamed(t *testing.T) {
	nan := float32(math.NaN())
	for name, in := range map[string]ClassesInput{
		"nothing":       {Labels: []string{"a", "b"}},
		"short logits":  {Labels: []string{"a", "b"}, Truth: []int{0, 1}, Logits: []float32{1, 2, 3}},
		"label too big": {Labels: []string{"a", "b"}, Truth: []int{2}, Logits: []float32{1, 2}},
		"NaN":           {Labels: []string{"a", "b"}, Truth: []int{0}, Logits: []float32{nan, 2}},
		"short files":   {Labels: []string{"a", "b"}, Truth: []int{0, 1}, Logits: []float32{1, 2, 3, 4}, Files: []string{"x"}},
	} {
		if r, err := NewClasses(in); err == nil {
			t.Errorf("%s gives a report: %+v", name, r)
		}
	}
}

func TestMeaning(t *testing.T) {
	outputs := []string{"ant", "bee", "crane", "tiger cat", "tabby"}
	m, err := ParseMeaning("cats=tabby|Tiger_Cat, bees=bee", []string{"bees", "cats"}, outputs)
	if err != nil || fmt.Sprint(m) != "[[1] [4 3]]" {
		t.Fatalf("%v, %v", m, err)
	}
	// Picture 0 is a bee predicted as ant, with bee second; picture 1 a cat with tiger cat on top.
	a, err := m.TopK([]float32{5, 4, 0, 0, 0, 1, 0, 0, 9, 0}, 5, []int{0, 1}, 1)
	if err != nil || a.Correct != 1 {
		t.Errorf("top-1 %v, %v, want 1 of 2", a, err)
	}
	if a, _ := m.TopK([]float32{5, 4, 0, 0, 0, 1, 0, 0, 9, 0}, 5, []int{0, 1}, 2); a.Correct != 2 {
		t.Errorf("top-2 %v, want both", a)
	}
	if m, err := ParseMeaning("", []string{"ANT", "tiger_cat"}, outputs); err != nil || fmt.Sprint(m) != "[[0] [3]]" {
		t.Errorf("by equal names: %v, %v", m, err)
	}
	for text, word := range map[string]string{
		"":                   "no label bees",
		"bees=be":            `near: bee`,
		"wasps=bee":          "want LABEL=NAME",
		"bees=bee":           "no meaning for label cats",
		"bees":               "want LABEL=NAME",
		"bees=bee,cats=lion": `no label "lion"`,
	} {
		if _, err := ParseMeaning(text, []string{"bees", "cats"}, outputs); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%q: %v, want %q in it", text, err, word)
		}
	}
}

func TestHostileNamesStayInert(t *testing.T) {
	name := "a\x1b[31m\u202eevil" + strings.Repeat("x", 10_000)
	r, err := NewClasses(ClassesInput{Labels: []string{name, "b"}, Truth: []int{0, 1}, Logits: []float32{0, 1, 0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	if text := r.Text(); strings.ContainsAny(text, "\x1b\u202e") || len(text) > 2000 {
		t.Errorf("control codes or 10 kB of name in the report: %d bytes", len(text))
	}
}
