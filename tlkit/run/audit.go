package run

import (
	"context"
	"fmt"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/audit"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
)

// Audit looks for leaks, wrong labels and poor pictures in the data of the spec, with the features of its
// network; see package audit. Files that cannot be read are findings, whatever their number. p may be nil.
func (s Spec) Audit(ctx context.Context, place Place, p Progress) (*audit.Report, error) {
	p, shown := place.Shown(p)
	defer shown()
	place.BadLimit = 1
	set, err := datasets.Open(ctx, s.Data, place.Pictures(s, p))
	if err != nil {
		return nil, err
	}
	paths := make([]string, len(set.Items))
	for i, item := range set.Items {
		paths[i] = item.Path
	}
	m, err := s.Features(ctx, paths, place, p)
	if err != nil {
		return nil, err
	}
	return audit.Run(ctx, audit.Input{Set: set, Features: m, Seed: s.Seed,
		Progress: func(what string, done, total int) { p.State(what, int64(done), int64(total)) }})
}

// notice looks for what would make the score wrong, in the features that are there, and says it. It stops nothing:
// a person decides.
func (t *training) notice(ctx context.Context) error {
	all := t.opened.data
	in := audit.Input{
		Set:      &datasets.Dataset{Name: all.Name, Root: all.Root, Task: all.Task, Labels: all.Labels, Report: all.Report},
		Features: &features.Matrix{Features: t.train.s.Features}, Seed: t.spec.Seed,
	}
	parts := []*sample{t.train}
	if t.eval != t.train && t.spec.Folds == 0 {
		parts = append(parts, t.eval)
	}
	for _, part := range parts {
		for row, item := range part.items {
			if n := len(in.Set.Items); n > 0 && in.Set.Items[n-1].Rel == item.Rel {
				continue // another view of it
			}
			in.Features.Items = append(in.Features.Items, len(in.Set.Items))
			in.Features.Data = append(in.Features.Data, part.s.Row(row)...)
			in.Set.Items = append(in.Set.Items, item)
		}
	}
	var err error
	t.noticed, err = in.Quick(ctx)
	switch {
	case ctx.Err() != nil:
		return err
	case err != nil:
		t.progress.Say(fmt.Sprintf("the data could not be looked at: %v", err))
		return nil
	}
	for _, line := range t.noticed.Lines {
		t.progress.Say("warning: " + words.Plain(line) + advice.Join("tlkit audit "+invoke.Quote(t.spec.Data)+" shows them"))
	}
	return nil
}
