package finetune

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"os"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// viewSeed seeds the cached views. It does not depend on a run's seed: runs with different seeds
// use the same views, in another order, and share their cost.
const viewSeed = 1

// pictures supplies the inputs of the network's moving part: pictures, or the cached feature maps
// of the frozen part.
type pictures struct {
	items []datasets.Item
	plan  Plan

	eval, train transforms.Pipeline
	// With a frozen part, rows hold the maps at all borders, one after the other.
	plain, views *features.Rows
	offset       map[string][2]int // of each border in a row
}

// view selects the pictures of a training, and their form.
type view struct {
	items     []datasets.Item
	plan      Plan
	borders   []string // stages whose output maps are cached; nil = use the pictures themselves
	augmented bool     // also cache maps of augmented views, if the plan has any
}

// openPictures opens pictures of d. With borders, it computes the maps at those stages, or finds
// them in the cache.
func openPictures(ctx context.Context, d Data, v view) (*pictures, error) {
	net, p := d.Net, v.plan
	out := &pictures{items: v.items, plan: p, eval: net.Preset.Eval(), train: net.Preset.Train(p.Seed), offset: map[string][2]int{}}
	if p.MinArea > 0 {
		out.train = net.Preset.Train(p.Seed, transforms.Scale(p.MinArea, 1))
	}
	if len(v.borders) == 0 {
		return out, nil
	}
	width := 0
	for _, b := range v.borders {
		for _, s := range net.Declaration().Stages {
			if s.Name == b {
				n := s.Size()
				out.offset[b] = [2]int{width, width + n}
				width += n
			}
		}
	}
	job := features.Job{
		Items: v.items, Preset: net.Preset, Backbone: features.Maps(net, d.Engine, v.borders, d.Form),
		Progress: func(done, _, total int) { d.state("computing the frozen part", done, total) },
		Note:     func(sentence string) { d.say("%s", sentence) },
	}
	var err error
	out.plain, err = features.Open(ctx, job)
	if err != nil {
		return nil, err
	}
	if v.augmented && p.Augment && p.Views > 0 {
		job.Views, job.Seed, job.MinArea = p.Views, viewSeed, p.MinArea
		out.views, err = features.Open(ctx, job)
		if err != nil {
			out.close()
			return nil, err
		}
	}
	return out, nil
}

func (s *pictures) close() {
	for _, r := range []*features.Rows{s.plain, s.views} {
		if r != nil {
			r.Close()
		}
	}
}

// row returns the input of the network after border for an item in an epoch of training; epoch < 0
// stands for the picture itself, as for evaluation.
func (s *pictures) row(item, epoch int, border string) ([]float32, error) {
	if s.plain == nil {
		pipeline, r := s.eval, transforms.Rand{}
		if epoch >= 0 && s.plan.Augment {
			pipeline, r = s.train, transforms.Rand{Seed: s.plan.Seed, Epoch: epoch, Picture: int(s.name(item) >> 1)}
		}
		raw, err := os.ReadFile(s.items[item].Path)
		if err != nil {
			return nil, fmt.Errorf("finetune: %w", err)
		}
		t, err := pipeline.Load(nil, raw, transforms.DecodeOptions{}, r)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.items[item].Rel, err)
		}
		return t.Data, nil
	}
	var row []float32
	var err error
	if epoch < 0 || s.views == nil {
		row, err = s.plain.Read(item, 0)
	} else if v := int((s.name(item)%uint64(s.plan.Views+1) + uint64(epoch)) % uint64(s.plan.Views+1)); v == s.plan.Views {
		row, err = s.plain.Read(item, 0) // the picture itself counts as a view
	} else {
		row, err = s.views.Read(item, v)
	}
	if err != nil {
		return nil, err
	}
	span := s.offset[border]
	return row[span[0]:span[1]], nil
}

// name returns a number for an item's content and the seed, the same in any data set.
func (s *pictures) name(item int) uint64 {
	h := fnv.New64a()
	raw, _ := hex.DecodeString(s.items[item].SHA256)
	h.Write(raw)
	fmt.Fprint(h, s.plan.Seed)
	return h.Sum64()
}
