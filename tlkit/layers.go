//go:build !tlkit_worker

package tlkit

import (
	"context"
	"fmt"
	"slices"
	"strings"

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
// them by the learner's plan: the learning rate, or frozen; and of its batch norms, how many there are and
// whether their statistics are frozen. After FineTune it shows how many tensors of each stage have
// changed. The names of the stages are those that From takes.
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
		fate, err := l.fate(net, set)
		if err != nil {
			return err
		}
		show.Default.Clear()
		t := net.Table()
		t.Header = append(t.Header, fate.title, "batch norms")
		last := len(t.Rows) - 1 // the sum
		for i := range t.Rows[:last] {
			t.Rows[i] = append(t.Rows[i], fate.of(t.Rows[i][0]), fate.norms(t.Rows[i][0]))
		}
		t.Rows[last] = append(t.Rows[last], "", "")
		outputs := len(set.Labels)
		t.Rows = append(t.Rows, []string{finetune.HeadStage, fmt.Sprint(outputs), words.Grouped((net.Row.Features + 1) * outputs), fate.of(finetune.HeadStage), ""})
		show.Default.Table(t)
		return nil
	})
}

// fate is what fine-tuning has done or will do with a stage.
type fate struct {
	title     string                    // of the column of
	of, norms func(stage string) string // with its tensors, and with its batch norms
}

// fate returns what fine-tuning has done or will do.
func (l Learner) fate(net *zoo.Net, set *datasets.Dataset) (fate, error) {
	if stored, err := run.Find(place(l.Name).Folder, l.Name); err == nil && stored.Result.Finetune != nil {
		h, err := export.Read(stored.Head())
		if err != nil {
			return fate{}, err
		}
		return fate{"changed", changedTensors(net, h), normsOf(net, movedNorms(net, h))}, nil
	}
	kind, err := task.Named(set.Task)
	if err != nil {
		return fate{}, err
	}
	d := finetune.Data{Net: net, Task: kind, Train: set.In(datasets.Train), Outputs: len(set.Labels)}
	plan, err := finetune.NewPlan(l.Plan, d, finetune.Options{Epochs: max(1, l.Plan.Epochs()), From: l.From, Seed: max(l.Seed, 1),
		Rate: l.Rate, Batch: l.Batch, Mixup: l.Mixup, ClassWeights: l.ClassWeights, Augment: l.Augment, LoRA: l.LoRA})
	if err != nil {
		return fate{}, err
	}
	return fate{"FineTune", func(stage string) string { return planned(plan, stage) }, normsOf(net, func(stage string) bool {
		return plan.Norms == finetune.DriftNorms || plan.Norms != finetune.FrozenNorms && planned(plan, stage) != frozenStage
	})}, nil
}

const frozenStage = "frozen"

// planned says what a plan does with a stage.
func planned(plan finetune.Plan, stage string) string {
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
	return frozenStage
}

// statistics reports whether a tensor is the running mean of a batch norm, as PyTorch and Keras call it.
func statistics(name string) bool {
	return strings.HasSuffix(name, "running_mean") || strings.HasSuffix(name, "moving_mean")
}

// normsOf says of the batch norms of a stage how many there are, and whether their statistics move.
func normsOf(net *zoo.Net, moves func(stage string) bool) func(stage string) string {
	count := map[string]int{}
	for _, w := range net.Declaration().Weights {
		if statistics(w.Name) {
			count[w.Stage]++
		}
	}
	return func(stage string) string {
		switch {
		case count[stage] == 0:
			return ""
		case moves(stage):
			return fmt.Sprintf("%d, statistics move", count[stage])
		}
		return fmt.Sprintf("%d, frozen", count[stage])
	}
}

// movedNorms reports whether a head file has other statistics of batch norms than the checkpoint.
func movedNorms(net *zoo.Net, h *export.Head) func(stage string) bool {
	names, moved := map[string]bool{}, map[string]bool{}
	for _, name := range h.Tuned() {
		names[name] = true
	}
	for _, w := range net.Declaration().Weights {
		moved[w.Stage] = moved[w.Stage] || statistics(w.Name) && names[w.Name]
	}
	return func(stage string) bool { return moved[stage] }
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
			return frozenStage
		}
		return fmt.Sprintf("%d of %d tensors", changed[stage], all[stage])
	}
}
