package run

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// forResize is the most pictures on which a file that resizes is compared.
const forResize = 256

// resizePlan fills in the pictures on which a file that resizes is compared: those that the head is
// measured on. Without the run's pictures, they are built-in ones.
func (s HeadSpec) resizePlan(ctx context.Context, o *export.ONNXOptions, place Place, p Progress) error {
	given := s.Data != ""
	s, err := s.withData(place)
	if err != nil {
		p.Say("the pictures of the run are not here, so built-in patterns show what resizing changes; --data DIR takes pictures")
		return nil
	}
	h, err := readHead(place, s.Head)
	if err != nil {
		return err
	}
	if h.Result.Folds > 0 && s.Split == "" {
		s.Split = "all"
	}
	m, err := measuring(ctx, h, s, place, silent{})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && given:
		return err
	case err != nil:
		p.Say(fmt.Sprintf("the pictures of the run cannot be used, so built-in patterns show what resizing changes: %v", err))
		return nil
	}
	items := slices.Clone(m.items)
	rng := rand.New(rand.NewPCG(h.Seed, forResize))
	rng.Shuffle(len(items), func(i, k int) { items[i], items[k] = items[k], items[i] })
	items = items[:min(len(items), forResize)]
	o.ResizeOn, o.ResizeOnWords = readable(items, p), fmt.Sprintf("%s of %s", m.split, m.set.Name)
	return nil
}

// readable yields the pictures of items, but for those that cannot be read.
func readable(items []datasets.Item, p Progress) func(yield func(*transforms.Picture, error) bool) {
	return func(yield func(*transforms.Picture, error) bool) {
		for i, item := range items {
			p.State("comparing resized pictures", int64(i), int64(len(items)))
			pic, err := transforms.DecodeFile(item.Path, transforms.DecodeOptions{})
			if err == nil && !yield(pic, nil) {
				return
			}
		}
	}
}
