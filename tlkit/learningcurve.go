//go:build !tlkit_worker

package tlkit

import (
	"context"

	"github.com/tlkit/transfer-learning/tlkit/results"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// LearningCurve says what more pictures would bring. It fits heads on growing parts of the training
// pictures, five draws of each size, and shows their scores on the held-back pictures with what a
// hundred more pictures, and twice as many, would add. The intervals are over draws and pictures.
// Nothing is stored, and the head stays as it is.
func (l Learner) LearningCurve() results.LearningCurve {
	var out results.LearningCurve
	l.verb("LearningCurve", func(ctx context.Context) error {
		s, p, err := l.spec(ctx)
		if err != nil {
			return err
		}
		s.Folds = 0 // each score is of pictures held back
		found, err := s.LearningCurve(ctx, p, reporter{})
		if err != nil {
			return err
		}
		show.Default.Clear()
		if stored, err := run.Find(p.Folder, l.Name); err == nil {
			show.Default.Folder = stored.Folder
		}
		if err := show.Default.Figure("learning curve", found.Figure()); err != nil {
			return err
		}
		show.Default.Text(found.Text())
		out = *found
		return nil
	})
	return out
}
