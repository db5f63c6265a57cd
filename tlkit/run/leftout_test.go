package run

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
)

// states collects what a run does.
type states struct {
	heard
	what []string
}

func (s *states) State(what string, _, _ int64) {
	if len(s.what) == 0 || s.what[len(s.what)-1] != what {
		s.what = append(s.what, what)
	}
}

// truncate cuts pictures off after their headers, so that only decoding notices.
func truncate(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		testpictures.Write(t, name, b[:len(b)/2])
	}
}

// Everything that is left out is named once, and kept in the folder of the run.
func TestLeftOutIsNamedOnce(t *testing.T) {
	folder := testpictures.Shapes(t, []string{"discs", "bars"}, 24)
	in := func(rel string) string { return filepath.Join(folder, filepath.FromSlash(rel)) }
	truncate(t, in("discs/00.png"), in("discs/07.png"), in("bars/01.png"), in("bars/13.png"))
	testpictures.Write(t, in("bars/text.jpg"), []byte("no picture"))
	testpictures.Write(t, in("bars/Thumbs.db"), []byte("x"))
	bad := []string{"discs/00.png", "discs/07.png", "bars/01.png", "bars/13.png"}
	spec := Spec{Data: folder, Model: "mobilenetv2", Seed: 1}

	said := &heard{}
	_, err := Train(context.Background(), spec, Place{Folder: t.TempDir()}, said)
	if !errors.Is(err, datasets.ErrTooManyBad) || !strings.Contains(err.Error(), "--bad-limit") {
		t.Fatalf("5 of 49 bad: %v", err)
	}
	for _, rel := range bad {
		if n := strings.Count(err.Error()+strings.Join(said.lines, "\n"), rel); n != 1 {
			t.Errorf("%s is named %d times in %v and\n%v", rel, n, said.lines, err)
		}
	}

	said = &heard{}
	r, err := Train(context.Background(), spec, Place{Folder: t.TempDir(), BadLimit: 0.2}, said)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(said.lines, "\n")
	for _, rel := range append(bad, "bars/text.jpg", "bars/Thumbs.db") {
		if n := strings.Count(all, rel); n != 1 {
			t.Errorf("%s is named %d times in\n%s", rel, n, all)
		}
	}
	f, err := os.Open(filepath.Join(r.Run, leftOutFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) != 7 {
		t.Errorf("%v, %d rows of the list, want a header and 6: %v", err, len(rows), rows)
	}
	if !said.has(f.Name()) {
		t.Errorf("the list is not named in\n%s", all)
	}
}

// Options and data are judged before weights are loaded and the engine is opened.
func TestWrongIsSaidFirst(t *testing.T) {
	folder := testpictures.Shapes(t, []string{"discs", "bars"}, 8)
	lonely := testpictures.Shapes(t, []string{"discs", "bars"}, 8)
	disc, err := os.ReadFile(filepath.Join(lonely, "discs", "00.png"))
	if err != nil {
		t.Fatal(err)
	}
	testpictures.Write(t, filepath.Join(lonely, "rings", "0.png"), append(disc, 0))
	reach := filepath.Join(folder, "reach.csv")
	table := "path,reach_mm\n"
	for i := range 8 {
		table += fmt.Sprintf("discs/%02d.png,%d.5\n", i, 10*i)
	}
	testpictures.Write(t, reach, []byte(table))
	for word, s := range map[string]Spec{
		`did you mean fastai`:            {Data: folder, Finetune: 1, Plan: "fast-ai"},
		"-1 epochs":                      {Data: folder, Finetune: -1},
		"-3 epochs":                      {Data: folder, Epochs: -3},
		"-2 seeds":                       {Data: folder, Seeds: -2},
		"1 folds":                        {Data: folder, Folds: 1},
		`head "svm"`:                     {Data: folder, Head: "svm"},
		"did you mean features.18":       {Data: folder, Finetune: 1, From: "features18"},
		"did you mean valid":             {Data: folder, Split: "vaild"},
		"no statistics are called":       {Data: folder, Statistics: "imagnet"},
		"weights file":                   {Data: folder, Weights: filepath.Join(folder, "none.pth")},
		`"rings" has 1 picture(s)`:       {Data: lonely},
		"want at least 2":                {Data: lonely, Folds: 3},
		"--min-per-label 2":              {Data: lonely},
		"no data set \"no-such-folder\"": {Data: "no-such-folder"},
		"cannot be dealt into 99 folds":  {Data: folder, Folds: 99},
		"cannot predict values":          {Data: reach, Head: "lda"},
	} {
		s.Model, s.Seed = "mobilenetv2", 1
		p := &states{}
		_, err := Train(context.Background(), s, Place{Folder: t.TempDir()}, p)
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("want an error with %q, got %v", word, err)
		}
		for _, what := range p.what {
			if what != "opening data" {
				t.Errorf("%s is said after %q", word, p.what)
			}
		}
	}
	r := train(t, Spec{Data: lonely, Model: "mobilenetv2", Seed: 1, MinPerLabel: 2}, Place{Folder: t.TempDir()})
	if fmt.Sprint(r.Labels) != "[bars discs]" {
		t.Errorf("labels %v", r.Labels)
	}
	same := train(t, Spec{Data: folder, Model: "mobilenetv2", Seed: 1}, Place{Folder: t.TempDir()})
	if same.Value != r.Value || same.LogLoss != r.LogLoss {
		t.Errorf("without the lonely label %s, log loss %v; it was never there: %s, %v", r.Line(), r.LogLoss, same.Line(), same.LogLoss)
	}
}
