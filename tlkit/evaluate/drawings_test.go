package evaluate

import (
	"bytes"
	"fmt"
	"image"
	"math"
	"slices"
	"strings"
	"testing"
)

func blank(string) image.Image { return image.NewGray(image.Rect(0, 0, 8, 8)) }

func names(all []Drawing) (out []string) {
	for _, d := range all {
		out = append(out, d.Name)
	}
	return out
}

// three labels, of which the third is taken for the second every fourth time.
func confusing() ClassesInput {
	in := ClassesInput{Labels: []string{"a", "b", "c"}}
	for i := range 60 {
		row := []float32{0, 0, 0}
		row[i%3] = 1 + float32(math.Mod(float64(i)*0.37, 2))
		if i%3 == 2 && i%4 == 0 {
			row[1] = 4
		}
		in.Truth, in.Logits, in.Files = append(in.Truth, i%3), append(in.Logits, row...), append(in.Files, fmt.Sprint(i))
	}
	return in
}

func TestDrawingsOfClasses(t *testing.T) {
	r, err := NewClasses(confusing())
	if err != nil {
		t.Fatal(err)
	}
	all := r.Drawings(blank)
	if got := names(all); !slices.Equal(got, []string{"confusion", "per-label", "rankings", "confused", "top-losses", "right"}) {
		t.Errorf("%q", got)
	}
	for _, d := range all {
		if err := d.PNG(&bytes.Buffer{}); err != nil {
			t.Errorf("%s: %v", d.Name, err)
		}
		if d.Photos != (d.Name == "confused" || d.Name == "top-losses" || d.Name == "right") {
			t.Errorf("%s: photos %v", d.Name, d.Photos)
		}
	}
	if text := all[3].Text(); !strings.Contains(text, "c taken for b: 5 of 20: 5") {
		t.Error(text)
	}
	if text := all[5].Text(); !strings.Contains(text, "Surest: 6; Least sure: 6") {
		t.Error(text)
	}
	ranked := r.Rankings()
	if ranked[0].AUC != 1 || ranked[1].AUC == 1 || ranked[1].Positive != 20 {
		t.Errorf("%+v", ranked)
	}
}

// Pictures of one label that is taken for two others stand in two rows, the surest mistake first.
func TestConfusedPairs(t *testing.T) {
	r, err := NewClasses(ClassesInput{Labels: []string{"a", "b", "c"}, Truth: []int{0, 0, 0, 1, 2},
		Logits: []float32{0, 1, 0, 0, 0, 1, 0, 5, 0, 0, 1, 0, 0, 0, 1}, Files: []string{"ab", "ac", "ab surer", "b", "c"}})
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, m := range r.Confused(5, 5) {
		files = append(files, m.File+": "+m.Caption)
	}
	if want := []string{"ab surer: a taken for b: 2 of 3", "ab: a taken for b: 2 of 3", "ac: a taken for c: 1 of 3"}; !slices.Equal(files, want) {
		t.Errorf("%q", files)
	}
	if one := r.Confused(1, 1); len(one) != 1 || one[0].File != "ab surer" {
		t.Errorf("%+v", one)
	}
}

// Without a mistake there are right predictions alone, each once; with one label there is no ranking.
func TestDrawingsOfEasyPictures(t *testing.T) {
	in := ClassesInput{Labels: []string{"a", "b"}, Truth: []int{0, 0, 1}, Logits: []float32{3, 0, 2, 0, 0, 1}, Files: []string{"1", "2", "3"}}
	r, err := NewClasses(in)
	if err != nil {
		t.Fatal(err)
	}
	all := r.Drawings(blank)
	if got := names(all); !slices.Equal(got, []string{"confusion", "per-label", "rankings", "right"}) {
		t.Errorf("%q", got)
	}
	if text := all[3].Text(); !strings.HasPrefix(text, "No mistake; right about: 3 pictures") {
		t.Error(text)
	}
	one, err := NewClasses(ClassesInput{Labels: []string{"a", "b"}, Truth: []int{0}, Logits: []float32{3, 0}, Files: []string{"1"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(one.Drawings(func(string) image.Image { return nil })); !slices.Equal(got, []string{"confusion", "per-label", "right"}) {
		t.Errorf("one picture: %q", got)
	}
}

func TestDrawingsOfOtherTasks(t *testing.T) {
	labels, err := NewLabels(LabelsInput{Labels: []string{"x", "y"}, Truth: []bool{true, false, false, true, true, true, false, false}, Logits: []float32{2, -1, -2, 1, 1, -1, -3, -2}, Files: []string{"1", "2", "3", "4"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(labels.Drawings(blank)); !slices.Equal(got, []string{"labels", "rankings", "top-losses", "right"}) {
		t.Errorf("labels: %q", got)
	}
	values, err := NewValues(ValuesInput{Names: []string{"x"}, Truth: []float64{1, 2, 3}, Predicted: []float32{1, 2, 4}, Files: []string{"1", "2", "3"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(values.Drawings(blank)); !slices.Equal(got, []string{"values", "top-losses"}) {
		t.Errorf("values: %q", got)
	}
}
