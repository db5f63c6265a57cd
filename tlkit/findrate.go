//go:build !tlkit_worker

package tlkit

import (
	"context"
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// FindRate looks for a learning rate for FineTune: it trains from the fitted head, at a rate that
// grows from 1e-6 to 1 over 80 steps, until the loss diverges. It draws loss against rate, and
// returns both with the rate at which the loss falls fastest. If the loss never falls by more than its
// noise, as with a head that has little left to learn, it says that no rate is usable, and Suggested
// is 0. Plan, From, Batch, Mixup, ClassWeights, Augment and LoRA count as in FineTune.
//
// Nothing is stored, and the head stays as it is. A head that was not fitted before is fitted first.
func (l Learner) FindRate() finetune.RateFind {
	var out finetune.RateFind
	l.verb("FindRate", func(ctx context.Context) error {
		s, p, err := l.spec(ctx)
		if err != nil {
			return err
		}
		s.Folds = 0 // FineTune has its own
		d, err := run.Prepare(ctx, s, p, reporter{})
		if err != nil {
			return err
		}
		defer d.Engine.Close()
		plan, err := finetune.NewPlan(l.Plan, d, finetune.Options{
			Epochs: 1, From: l.From, Seed: s.Seed,
			Batch: l.Batch, Mixup: l.Mixup, ClassWeights: l.ClassWeights, Augment: l.Augment, LoRA: l.LoRA,
		})
		if err != nil {
			return err
		}
		found, err := finetune.FindRate(ctx, d, plan)
		if err != nil {
			return err
		}
		show.Default.Clear()
		if stored, err := run.Find(p.Folder, l.Name); err == nil {
			show.Default.Folder = stored.Folder
		}
		if len(found.Rates) > 0 {
			if err := showOn(show.Default, found); err != nil {
				return err
			}
		}
		show.Default.Text(found.Why)
		if found.Suggested > 0 {
			show.Default.Text(fmt.Sprintf("to use it: Rate: %.1g in the learner", found.Suggested))
		}
		out = *found
		return nil
	})
	return out
}
