package run

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
)

// Features returns the features of pictures, given by their paths, by the frozen network of the
// spec: the rows that [Train] learns from, cached as they are there. Items and Bad of the matrix
// are indices into pictures. Of the spec, Model, Weights, Entry, Statistics, Preset and Form count.
// p may be nil.
//
// A picture that cannot be read gets no row, whatever their number; Bad says why.
func (s Spec) Features(ctx context.Context, pictures []string, place Place, p Progress) (*features.Matrix, error) {
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
	m, err := s.featuresOf(ctx, items, place, p)
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

// featuresOf opens network and engine, and computes or reads the rows.
func (s Spec) featuresOf(ctx context.Context, items []datasets.Item, place Place, p Progress) (*features.Matrix, error) {
	net, err := openNet(ctx, s, place, p)
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
	return o.extract(ctx, o.job(items, views{}), p)
}
