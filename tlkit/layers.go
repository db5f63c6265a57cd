//go:build !tlkit_worker

package tlkit

import (
	"context"
	"fmt"
	"slices"

	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Layers shows the stages of the learner's network as a table, from the pixels to the head: the shape
// of the output, height x width x channels, the number of parameters, and what FineTune does with
// them by the learner's plan: the learning rate, or frozen. After FineTune it shows how many tensors
// of each stage have changed. The names of the stages are those that From takes.
func (l Learner) Layers() {
	l.verb("Layers", func(ctx context.Context) error {
		s, p, err := l.spec(ctx)
		if err != nil {
			return err
		}
		o := p.Zoo(reporter{})
		o.Weights, o.Entry = s.Weights, s.Entry
		if s.Preset != "" || s.Statistics != "" {
			preset, err := s.Pixels()
			if err != nil {
				return err
			}
			o.Preset = &preset
		}
		net, err := zoo.Load(ctx, s.Model, o)
		if err != nil {
			return err
		}
		set, err := datasets.Open(ctx, s.Data, p.Pictures(s, reporter{}))
		if err != nil {
			return err
		}
		title, moves, err := l.moves(net, set)
		if err != nil {
			return err
		}
		show.Default.Clear()
		t := net.Table()
		t.Header = append(t.Header, title)
		last := len(t.Rows) - 1 // the sum
		for i := range t.Rows[:last] {
			t.Rows[i] = append(t.Rows[i], moves(t.Rows[i][0]))
		}
		t.Rows[last] = append(t.Rows[last], "")
		outputs := len(set.Labels)
		t.Rows = append(t.Rows, []string{finetune.HeadStage, fmt.Sprint(outputs), words.Grouped((net.Row.Features + 1) * outputs), moves(finetune.HeadStage)})
		show.Default.Table(t)
		return nil
	})
}

// moves returns what fine-tuning has done or will do with a stage, and the title of that column.
func (l Learner) moves(net *zoo.Net, set *datasets.Dataset) (title string, of func(stage string) string, err error) {
	if stored, err := run.Find(place(l.Name).Folder, l.Name); err == nil && stored.Result.Finetune != nil {
		h, err := export.Read(stored.Head())
		if err != nil {
			return "", nil, err
		}
		return "changed", changedTensors(net, h), nil
	}
	kind, err := task.Named(set.Task)
	if err != nil {
		return "", nil, err
	}
	d := finetune.Data{Net: net, Task: kind, Train: set.In(datasets.Train), Outputs: len(set.Labels)}
	plan, err := finetune.NewPlan(l.Plan, d, finetune.Options{Epochs: max(1, l.Plan.Epochs()), From: l.From, Seed: max(l.Seed, 1),
		Rate: l.Rate, Batch: l.Batch, Mixup: l.Mixup, ClassWeights: l.ClassWeights, Augment: l.Augment, LoRA: l.LoRA})
	if err != nil {
		return "", nil, err
	}
	return "FineTune", func(stage string) string {
		for _, g := range plan.Groups {
			switch {
			case !slices.Contains(g.Stages, stage):
			case plan.Search != nil && len(plan.Search.Rates) > 1:
				return "moves if that pays"
			case g.After > 0:
				return fmt.Sprintf("rate %.2g after epoch %d", g.Rate, g.After)
			default:
				return fmt.Sprintf("rate %.2g", g.Rate)
			}
		}
		return "frozen"
	}, nil
}

// changedTensors returns how many tensors of a stage differ from the checkpoint's in a head file.
func changedTensors(net *zoo.Net, h *export.Head) func(stage string) string {
	changed, all := map[string]int{}, map[string]int{}
	names := map[string]bool{}
	for _, name := range h.Tuned() {
		names[name] = true
	}
	for _, w := range net.Declaration().Weights {
		all[w.Stage]++
		if names[w.Name] {
			changed[w.Stage]++
		}
	}
	return func(stage string) string {
		switch {
		case stage == finetune.HeadStage:
			return "fitted"
		case changed[stage] == 0:
			return "frozen"
		}
		return fmt.Sprintf("%d of %d tensors", changed[stage], all[stage])
	}
}
