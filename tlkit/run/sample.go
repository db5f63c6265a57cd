package run

import (
	"context"
	"fmt"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/learner"
)

// sample is the features of some pictures with their labels or values.
type sample struct {
	items []datasets.Item // the picture of each row
	s     head.Samples
}

// views are augmented views of each picture; n 0 stands for the picture itself.
type views struct {
	n    int
	seed uint64
}

// sample computes the features of items.
func (o *opened) sample(ctx context.Context, items []datasets.Item, v views, p Progress) (*sample, error) {
	m, err := o.extract(ctx, o.job(items, v), p)
	if err != nil {
		return nil, err
	}
	return o.sampled(items, m, 0, m.Rows()), nil
}

// samples computes the features of the pictures to learn from and of those to report on, which have no
// views: without them for the former, it is one pass.
func (o *opened) samples(ctx context.Context, learnt, reported []datasets.Item, v views, p Progress) (train, eval *sample, err error) {
	if v.n > 0 {
		train, err = o.sample(ctx, learnt, v, p)
		if err == nil {
			eval, err = o.sample(ctx, reported, views{0, v.seed}, p)
		}
		return train, eval, err
	}
	items := slices.Concat(learnt, reported)
	m, err := o.extract(ctx, o.job(items, v), p)
	if err != nil {
		return nil, nil, err
	}
	border, _ := slices.BinarySearch(m.Items, len(learnt))
	return o.sampled(items, m, 0, border), o.sampled(items, m, border, m.Rows()), nil
}

func (o *opened) job(items []datasets.Item, v views) features.Job {
	return features.Job{Items: items, Preset: o.net.Preset, Backbone: o.frozen, Decoded: o.decoded, Views: v.n, Seed: v.seed}
}

// sampled returns some rows of m, which has the features of items.
func (o *opened) sampled(items []datasets.Item, m *features.Matrix, from, to int) *sample {
	out := &sample{}
	for _, i := range m.Items[from:to] {
		out.items = append(out.items, items[i])
	}
	out.s = o.task.Samples(out.items, m.Data[from*m.Features:to*m.Features], len(o.data.Labels))
	out.s.Features = m.Features
	return out
}

// pictures returns the number of distinct files behind the rows; views of a picture count once.
func (s *sample) pictures() int { return len(s.distinct()) }

// distinct returns these files.
func (s *sample) distinct() []datasets.Item {
	items, _ := distinct(s.items)
	return items
}

// files returns the file name of each row's picture.
func (s *sample) files() []string {
	out := make([]string, len(s.items))
	for i, item := range s.items {
		out[i] = item.Rel
	}
	return out
}

// enough reports a sample that is too small to learn from: listed pictures may have turned out to
// be unreadable, and with --folds there is no split for package datasets to check.
func (s *sample) enough(ds *datasets.Dataset) error {
	left := datasets.Dataset{Name: ds.Name, Task: ds.Task, Labels: ds.Labels, Items: slices.Clone(s.distinct())}
	for i, item := range left.Items {
		if item.Class == datasets.Unlabelled && item.Targets == nil {
			return advice.New(fmt.Errorf("run: %s has no label", item.Rel), "put the pictures of each label in a folder of its own")
		}
		left.Items[i].Split = "train"
	}
	return left.CheckLearning()
}

// twoLabels reports fewer than two labels.
func twoLabels(labels []string) error {
	if len(labels) >= 2 {
		return nil
	}
	return advice.New(fmt.Errorf("run: %d label(s) %q, want at least 2", len(labels), labels), "put the pictures of each label in a folder of its own")
}

// folds returns the held-out rows of each fold. Views and duplicates of a picture stay together, and
// so do groups, because datasets.Folds keeps them together.
func (s *sample) folds(k int, seed uint64) [][]int {
	if k < 2 {
		return nil
	}
	return datasets.Folds(s.items, k, seed)
}

// without returns the rows whose pictures are not among others, compared by content, and not in a group of one of them.
func (s *sample) without(others []datasets.Item) *sample {
	out, groups := map[string]bool{}, map[string]bool{"": false}
	for _, item := range others {
		out[item.SHA256] = true
		groups[item.Group] = item.Group != ""
	}
	var rows []int
	part := &sample{}
	for i, item := range s.items {
		if !out[item.SHA256] && !groups[item.Group] {
			rows = append(rows, i)
			part.items = append(part.items, item)
		}
	}
	part.s = s.s.Select(rows)
	return part
}

// crossValidate scores every picture with a head that did not see it: K heads, each with its own
// choice of strength by folds of its own training part. It returns the logits of all eval rows in
// order.
func (o *opened) crossValidate(ctx context.Context, s Spec, train, eval *sample, p Progress) ([]float32, []One, error) {
	held := datasets.Folds(eval.items, s.Folds, s.Seed)
	if len(held) < 2 {
		return nil, nil, advice.New(fmt.Errorf("run: %d pictures cannot be dealt into %d folds", len(eval.items), s.Folds), "ask for fewer")
	}
	k := train.s.Classes
	logits := make([]float32, eval.s.Len()*k)
	var ones []One
	for f, rows := range held {
		p.State("training folds", int64(f), int64(len(held)))
		heldOut := make([]datasets.Item, len(rows))
		for i, r := range rows {
			heldOut[i] = eval.items[r]
		}
		fitted, err := o.fitHead(ctx, train.without(heldOut), s, nil)
		if err != nil {
			return nil, nil, fmt.Errorf("run: fold %d: %w", f+1, err)
		}
		part := eval.s.Select(rows)
		outputs := fitted.Model.Logits(part.X)
		for i, r := range rows {
			copy(logits[r*k:], outputs[i*k:(i+1)*k])
		}
		score, err := o.task.Measure(part, outputs)
		if err != nil {
			return nil, nil, fmt.Errorf("run: fold %d: %w", f+1, err)
		}
		ones = append(ones, One{Seed: s.Seed, Fold: f + 1, Score: score, Strength: fitted.Fit.Strength})
	}
	return logits, ones, nil
}

// fitHead fits a head by the default plan, without a history. p may be nil.
func (o *opened) fitHead(ctx context.Context, train *sample, s Spec, p Progress) (*learner.Result, error) {
	plan, err := o.plan(train, s)
	if err != nil {
		return nil, err
	}
	return learner.FitHead(ctx, learner.Data{Task: o.task, Train: train.s, Towards: o.words, Folds: train.folds(plan.Folds, s.Seed), Progress: fitting(p)}, plan, nil)
}

// fitting reports the fits of a head on folds.
func fitting(p Progress) func(done, total int) {
	if p == nil {
		return nil
	}
	return func(done, total int) { p.State("choosing the head on folds", int64(done), int64(total)) }
}
