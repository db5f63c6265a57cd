package run

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// filmed makes a table of discs and bars, four pictures in a row being of one film, and a film for both labels.
func filmed(t *testing.T, n int) string {
	t.Helper()
	dir := testpictures.Shapes(t, []string{"discs", "bars"}, n)
	table := "path,label,film\n"
	for i := range n {
		for _, label := range []string{"discs", "bars"} {
			table += fmt.Sprintf("%s/%02d.png,%s,f%d\n", label, i, label, i/4)
		}
	}
	file := filepath.Join(dir, "list.csv")
	testpictures.Write(t, file, []byte(table))
	return file
}

// Groups decide split, folds and interval of a run, and its record says so.
func TestTrainInGroups(t *testing.T) {
	ctx, work, file := context.Background(), t.TempDir(), filmed(t, 40)
	out := filepath.Join(work, "h.head.safetensors")
	said := &heard{}
	spec := Spec{Data: file, Group: "column:film", Model: "mobilenetv2", Seed: 1}
	r, err := Train(ctx, spec, Place{Folder: work, Out: out}, said)
	if err != nil {
		t.Fatal(err)
	}
	if !said.has("in 10 groups (valid chosen by seed, whole groups)") || !said.has("folds of whole groups") {
		t.Errorf("%q", said.lines)
	}
	if r.Clusters != 2 || r.Total != 16 || !strings.Contains(r.Score.String(), "cluster") {
		t.Errorf("%d pictures in %d clusters: %s", r.Total, r.Clusters, r.Score)
	}
	for name, want := range map[string]string{"spec.json": `"group": "column:film"`, "result.json": fmt.Sprintf(`"clusters": %d`, r.Clusters), dataFile: `"groups": 10`} {
		if b, err := os.ReadFile(filepath.Join(r.Run, name)); err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s: %s, %v, want %s", name, b, err, want)
		}
	}
	facts, err := learnt(out, Place{Folder: work})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := json.Marshal(facts.card()); err != nil || !strings.Contains(string(b), "are in one split and one fold") {
		t.Errorf("the card does not say so: %s, %v", b, err)
	}
	e, err := EvaluateHead(ctx, HeadSpec{Head: out, Data: file, Group: "column:film"}, Place{}, nil)
	if err != nil || e.Warning != "" || e.Total != r.Total || e.Score != r.Score {
		t.Errorf("the very split of the run: %+v, %v", e, err)
	}
	if e, err := EvaluateHead(ctx, HeadSpec{Head: out, Data: file, Columns: "film=ignore"}, Place{}, nil); err != nil || !strings.Contains(e.Warning, "too good") {
		t.Errorf("without the groups, the split is another, and nothing is said: %+v, %v", e, err)
	}
	spec.Folds = 3
	if r, err = Train(ctx, spec, Place{Folder: work}, nil); err != nil || r.Split != "3 folds of 80 pictures in 10 groups" {
		t.Errorf("%+v, %v", r, err)
	}
	spec.Folds = 11
	if _, err = Train(ctx, spec, Place{Folder: work}, nil); err == nil || !strings.Contains(err.Error(), "in 10 groups cannot be dealt into 11 folds; ask for at most 10") {
		t.Errorf("%v", err)
	}
}

// Rows of a group stay together in the folds of a head and are left out with its held-out pictures; a label of one
// group cannot be cross-validated.
func TestFoldsInGroups(t *testing.T) {
	set := &datasets.Dataset{Name: "x", Task: datasets.Classes, Labels: []string{"a", "b"}, Dealt: true}
	for i := range 24 {
		set.Items = append(set.Items, datasets.Item{Rel: fmt.Sprint(i), SHA256: fmt.Sprint(i), Class: i % 2, Group: fmt.Sprint("g", i/4), Split: datasets.Train})
	}
	s := &sample{items: set.Items, s: task.Classes{}.Samples(set.Items, make([]float32, 24), 2)}
	for _, rows := range s.folds(3, 1) {
		if len(rows) != 8 {
			t.Errorf("a fold of %d pictures, want 8: %v", len(rows), rows)
		}
		if rest := s.without([]datasets.Item{set.Items[rows[0]]}); len(rest.items) != 20 {
			t.Errorf("%d pictures without a group of four", len(rest.items))
		}
	}
	if _, _, split, err := divide(set, Spec{Folds: 3}); err != nil || split != "3 folds of 24 pictures in 6 groups" {
		t.Error(split, err)
	}
	for i := range set.Items {
		set.Items[i].Class = 0
		if i/4 == 2 {
			set.Items[i].Class = 1
		}
	}
	if _, _, _, err := divide(set, Spec{Folds: 3}); err == nil || !strings.Contains(err.Error(), `all pictures of "b" are in groups of one fold`) {
		t.Error(err)
	}
}
