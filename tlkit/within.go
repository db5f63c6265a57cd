//go:build !tlkit_worker

package tlkit

import (
	"context"
	"fmt"
	"time"

	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/tlkit/budget"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// TrainWithin trains the best that a time allows, such as 10*time.Minute. Without a Backbone in the
// learner, it compares networks on folds of the training pictures, for at most half of the time where
// fine-tuning fits into the rest; it fits the head of the best, and fine-tunes it if the folds say that
// this pays. It shows what it tried and what it skipped. See package budget.
//
// An interrupt keeps the best so far, and the next call continues with the rest of the time. What was
// finished before is not trained again, unless Retrain of the learner is set.
func (l Learner) TrainWithin(most time.Duration) {
	l.verb("TrainWithin", func(ctx context.Context) error {
		began := time.Now()
		s, p, err := l.spec(ctx)
		if err != nil {
			return err
		}
		s.Plan, s.From, s.Rate, s.Batch, s.Mixup, s.Augment, s.LoRA = l.Plan, l.From, l.Rate, l.Batch, l.Mixup, l.Augment, l.LoRA
		if l.Backbone == "" && l.Weights == "" && l.Entry == "" && l.Statistics == "" && l.Preset == "" && l.From == "" {
			s.Model = "" // compare
		}
		p.Resume, p.Keep = !l.Retrain, !l.Retrain
		r, err := budget.Train(ctx, s, budget.Budget{Time: most, Began: began}, p, reporter{})
		if r == nil {
			return err
		}
		if shown := showBudget(r); err == nil {
			err = shown
		}
		return err
	})
}

// showBudget shows what was tried within a time, what was left, and the result.
func showBudget(r *run.Result) error {
	record, err := budget.Of(r)
	if err != nil {
		return err
	}
	show.Default.Clear()
	show.Default.Folder = r.Run
	if len(record.Tried) > 0 {
		table := budget.Table(record.Tried)
		show.Default.Table(show.Table{Header: table[0], Rows: table[1:], Left: 1})
	}
	if len(r.Figures) > 0 {
		if err := show.Default.Live("curves of the result", r.Figures[0]); err != nil {
			return err
		}
	}
	for _, line := range record.Lines() {
		show.Default.Text(invoke.Hints(line))
	}
	show.Default.Text(fmt.Sprintf("trained on %d pictures, scored on %s", r.Train, r.Split))
	show.Default.Text(r.Score.String())
	return nil
}
