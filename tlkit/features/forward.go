package features

import (
	"context"
	"fmt"
	"sync"

	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Forward runs n prepared pictures through a backbone, nothing cached: decoders, network
// and receiver work at the same time, each batch handed on when it is full, two batches
// in flight, so memory does not depend on n.
//
// prepare is called from several goroutines. use gets the pictures of a batch, in order,
// with their features [len(rows)+, C]; bad gets a picture that could not be prepared.
// Neither is called from two goroutines at once. An error of use or of the network stops
// everything and is returned.
func Forward(ctx context.Context, b Backbone, size, n, workers int,
	prepare func(i int) (transforms.Tensor, error), use func(rows []int, values []float32) error, bad func(i int, err error)) error {
	type batch struct {
		pixels []float32
		rows   []int
	}
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	picture := size * size * 3
	free := make(chan *batch, 2)
	for range cap(free) {
		free <- &batch{pixels: make([]float32, b.Batch*picture)}
	}
	full := make(chan *batch, 1)
	failed := make(chan error, 1)
	var mu sync.Mutex // use and bad run on two goroutines, one at a time
	go func() {
		// The network is opened beside the decoders: compiling takes about as long as the first batch.
		run, err := b.Open(ctx, size)
		for f := range full {
			if err == nil {
				clear(f.pixels[len(f.rows)*picture:])
				var out []float32
				if out, err = run(f.pixels); err == nil && len(out) < len(f.rows)*b.Features {
					err = fmt.Errorf("features: the backbone gave %d values for %d pictures, want %d each", len(out), len(f.rows), b.Features)
				}
				if err == nil {
					mu.Lock()
					err = use(f.rows, out)
					mu.Unlock()
				}
			}
			if err != nil {
				cancel() // stops the decoders; what is queued is drained
			}
			f.rows = f.rows[:0]
			free <- f
		}
		failed <- err
	}()

	var current *batch
	err := transforms.Each(ctx, n, workers, prepare, func(i int, t transforms.Tensor, err error) error {
		if err == nil && len(t.Data) != picture {
			err = fmt.Errorf("features: prepared picture has %d values, want %d for side %d", len(t.Data), picture, size)
		}
		if err != nil {
			mu.Lock()
			bad(i, err)
			mu.Unlock()
			return nil
		}
		if current == nil {
			current = <-free
		}
		copy(current.pixels[len(current.rows)*picture:], t.Data)
		current.rows = append(current.rows, i)
		if len(current.rows) == b.Batch {
			full <- current
			current = nil
		}
		return nil
	})
	if err == nil && current != nil && len(current.rows) > 0 {
		full <- current
	}
	close(full)
	if failure := <-failed; failure != nil && outer.Err() == nil {
		return failure
	}
	if outer.Err() != nil {
		return outer.Err()
	}
	return err
}
