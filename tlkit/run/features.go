package run

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Features returns the features of pictures, given by their paths, by the frozen network of the
// spec: the rows that [Train] learns from, cached as they are there. Items and Bad of the matrix
// are indices into pictures. Of the spec, Model, Weights, Entry, Statistics, Preset, Size and Form count.
// p may be nil.
//
// A picture that cannot be read gets no row, whatever their number; Bad says why.
func (s Spec) Features(ctx context.Context, pictures []string, place Place, p Progress) (*features.Matrix, error) {
	return s.rows(ctx, pictures, pooled, place, p)
}

func (s Spec) rows(ctx context.Context, pictures []string, stage string, place Place, p Progress) (*features.Matrix, error) {
	p, shown := place.Shown(p)
	defer shown()
	if err := s.checkNetwork(); err != nil {
		return nil, err
	}
	p.State("opening data", 0, 0)
	items, at, bad, err := inspected(ctx, pictures)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 { // no network is needed for that
		return &features.Matrix{Bad: bad}, nil
	}
	m, err := s.featuresOf(ctx, items, stage, place, p)
	if err != nil {
		return nil, err
	}
	for k, i := range m.Items {
		m.Items[k] = at[i]
	}
	for _, b := range m.Bad {
		bad = append(bad, features.Bad{Item: at[b.Item], Err: b.Err})
	}
	slices.SortFunc(bad, func(a, b features.Bad) int { return a.Item - b.Item })
	m.Bad = bad
	return m, nil
}

// Maps is Features with the map behind a stage of the network in place of the pooled features: where in
// a picture something is, see [features.FromStage] and package keypoint. Pictures are seen whole, so
// that places in a picture are places in its map; Map of the matrix has the shape of a row. It is an
// error if the network has no map of that name; the error names those it has.
func (s Spec) Maps(ctx context.Context, stage string, pictures []string, place Place, p Progress) (*features.Matrix, error) {
	if stage == "" {
		return nil, advice.New(errors.New("run: the map of no stage"), `name one such as "features.13"; Layers of a tlkit.Learner lists them`)
	}
	return s.rows(ctx, pictures, stage, place, p)
}

// pooled stands for the features that a head learns from, in place of a stage.
const pooled = ""

// inspected returns an item for each path that is a picture, with its index, and what is wrong with the
// others.
func inspected(ctx context.Context, paths []string) (items []datasets.Item, at []int, bad []features.Bad, err error) {
	all, why := make([]datasets.Item, len(paths)), make([]error, len(paths))
	var g errgroup.Group
	g.SetLimit(2 * runtime.GOMAXPROCS(0)) // reading waits
	for i, path := range paths {
		g.Go(func() error {
			all[i] = datasets.Item{Path: path, Rel: path, Class: datasets.Unlabelled}
			why[i] = all[i].Inspect()
			return nil
		})
		if ctx.Err() != nil {
			break
		}
	}
	g.Wait() // no error
	if err := ctx.Err(); err != nil {
		return nil, nil, nil, fmt.Errorf("run: reading pictures: %w", err)
	}
	for i, item := range all {
		if why[i] != nil {
			bad = append(bad, features.Bad{Item: i, Err: why[i]})
			continue
		}
		items, at = append(items, item), append(at, i)
	}
	return items, at, bad, nil
}

// openStage loads the network; for a map, with a preset that sees whole pictures.
func (s Spec) openStage(ctx context.Context, stage string, place Place, p Progress) (*zoo.Net, error) {
	if stage == pooled {
		return openNet(ctx, s, place, p)
	}
	preset, err := s.Pixels()
	if err != nil {
		return nil, err
	}
	preset = preset.Whole(preset.Size)
	p.State("loading weights", 0, 0)
	return zoo.Load(ctx, s.Model, place.zoo(s, &preset, p))
}

// featuresOf opens network and engine, and computes or reads the rows.
func (s Spec) featuresOf(ctx context.Context, items []datasets.Item, stage string, place Place, p Progress) (*features.Matrix, error) {
	net, err := s.openStage(ctx, stage, place, p)
	if err != nil {
		return nil, err
	}
	place.PlainGo = place.PlainGo || len(items) <= fewPictures
	eng, err := openEngine(ctx, s.Form, place, p)
	if err != nil {
		return nil, err
	}
	defer eng.Close()
	p.Say(fmt.Sprintf("with %s (licence %s), %s", net.Row.Name, net.Row.Licence, eng.Name))
	sayNotes(net, p)
	o := &opened{net: net, eng: eng, frozen: features.FromNet(net, eng)}
	if stage != pooled {
		if o.frozen, err = features.FromStage(net, eng, stage); err != nil {
			return nil, err
		}
	}
	return o.extract(ctx, o.job(items, views{}), p)
}
