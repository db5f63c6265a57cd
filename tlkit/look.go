//go:build !tlkit_worker

package tlkit

import (
	"context"
	"fmt"

	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/look"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Why shows why the learner predicts what it does of a picture: the parts of it that speak for the
// prediction (Grad-CAM), next to those that the same network looks at with random weights, and the
// training pictures that are most like it. If both maps look alike, the first one says nothing about
// what was learnt.
func (l Learner) Why(path string) {
	l.verb("Why", func(ctx context.Context) error {
		stored, err := l.stored()
		if err != nil {
			return err
		}
		s, p, err := l.spec(ctx)
		if err != nil {
			return err
		}
		head := run.HeadSpec{Head: stored.Head(), Data: s.Data, Weights: s.Weights, Entry: s.Entry, Columns: s.Columns, LabelFolders: s.LabelFolders, MinPerLabel: s.MinPerLabel, Changes: s.Changes, Group: s.Group}
		return why(ctx, look.Question{Head: head, Picture: inFolder(path)}, p)
	})
}

// why shows the reasons of a prediction.
func why(ctx context.Context, q look.Question, p run.Place) error {
	r, err := look.Why(ctx, q, p, reporter{})
	if err != nil {
		return err
	}
	show.Default.Clear()
	kind := originOf(q.Head.Head, []string{q.Picture})
	if kind == show.Foreign && onlyDrawn() {
		show.Default.Text("(pictures are hidden, because " + drawnVar + "=drawn)")
	} else if err := show.Default.Pictures("why", kind, r.Figure(transforms.DecodeOptions{}.Tile)); err != nil {
		return err
	}
	if r.NoNear != "" {
		show.Default.Text("no training pictures: " + words.Plain(r.NoNear))
	}
	t := show.Table{Left: 2, Header: []string{"training picture", "label", "cosine"}}
	for _, n := range r.Near {
		t.Rows = append(t.Rows, []string{words.Plain(n.Name), n.Truth, fmt.Sprintf("%.3f", n.Cosine)})
	}
	if len(t.Rows) > 0 {
		show.Default.Table(t)
	}
	show.Default.Text(words.Plain(r.Text()))
	return nil
}

// ShowMap draws the learner's pictures as a map, by t-SNE: those that its network finds alike lie
// together. After FitHead, or FineTune, it is through the eyes of that network, and pictures that the
// head is wrong about are ringed; before, through those of the frozen one.
func (l Learner) ShowMap() {
	l.verb("ShowMap", func(ctx context.Context) error {
		s, p, err := l.spec(ctx)
		if err != nil {
			return err
		}
		t := look.Territory{Spec: s}
		if stored, err := run.Find(place(l.Name).Folder, l.Name); err == nil {
			show.Default.Folder = stored.Folder
			t.Head = stored.Head()
		}
		a, err := look.Map(ctx, t, p, reporter{})
		if err != nil {
			return err
		}
		show.Default.Clear()
		if err := show.Default.Figure("map", a.Figure(nil)); err != nil {
			return err
		}
		return pictures(a.Set.Name, "map-pictures", a.Figure(transforms.DecodeOptions{}.Tile))
	})
}
