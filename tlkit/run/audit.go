package run

import (
	"context"
	"regexp"

	"github.com/tlkit/transfer-learning/tlkit/audit"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
)

// Audit looks for leaks, wrong labels and poor pictures in the data of the spec, with the features of its
// network; see package audit. Files that cannot be read are findings, whatever their number. group finds the
// group of a picture in its path; nil = no groups. p may be nil.
func (s Spec) Audit(ctx context.Context, group *regexp.Regexp, place Place, p Progress) (*audit.Report, error) {
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
	return audit.Run(ctx, audit.Input{Set: set, Features: m, Group: group, Seed: s.Seed,
		Progress: func(what string, done, total int) { p.State(what, int64(done), int64(total)) }})
}
