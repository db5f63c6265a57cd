//go:build !tlkit_worker

package tlkit

import (
	"context"
	"image"
	"path/filepath"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// ShowErrors shows all about the errors on the held-back pictures, more than Evaluate: the confusion
// matrix; precision, recall and F1 of each label, with intervals; ROC curves and those of precision
// against recall; pictures of the labels most often taken for one another; the worst mistakes; and right
// predictions, the surest and the least sure.
func (l Learner) ShowErrors() {
	l.verb("ShowErrors", func(ctx context.Context) error {
		stored, err := l.stored()
		if err != nil {
			return err
		}
		s, p, err := l.spec(ctx)
		if err != nil {
			return err
		}
		e, err := run.EvaluateHead(ctx, run.HeadSpec{Head: stored.Head(), Data: s.Data, Weights: s.Weights, Entry: s.Entry}, p, reporter{})
		if err != nil {
			return err
		}
		show.Default.Clear()
		set, err := datasets.Open(ctx, s.Data, p.Pictures(s, nil))
		if err != nil {
			return err
		}
		if err := drawn(e.Report, set); err != nil {
			return err
		}
		show.Default.Text(e.Score.String())
		return nil
	})
}

// drawn shows the figures of a report about pictures of a data set.
func drawn(r evaluate.Report, set *datasets.Dataset) error {
	picture := func(file string) image.Image {
		return transforms.DecodeOptions{}.Tile(filepath.Join(set.Root, filepath.FromSlash(file)))
	}
	for _, d := range r.Drawings(picture) {
		var err error
		if d.Photos {
			err = pictures(set.Name, d.Name, d.Figure)
		} else {
			err = show.Default.Figure(d.Name, d.Figure)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
