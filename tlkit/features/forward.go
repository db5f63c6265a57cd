package features

import (
	"context"
	"fmt"
	"sync"

	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Pass is what Forward needs besides the backbone.
type Pass struct {
	Size     int // side of the prepared pictures in pixels
	Pictures int
	Workers  int // goroutines that prepare; 0 = one for each processor
	// Prepare returns picture i, [Size,Size,3]. It is called from several goroutines.
	Prepare func(i int) (transforms.Tensor, error)
	// Use gets the pictures of a batch, in order, with features [Batch,C]: a row for each picture,
	// then rows of padding if the batch is not full. Batches come in any order. An error stops the
	// pass.
	Use func(pictures []int, features []float32) error
	// Look gets some pictures as they reach the network: up to 48, evenly spread. It may be nil.
	Look func(i int, t transforms.Tensor)
	// Bad gets a picture that could not be prepared.
	Bad func(i int, err error)
}

// batch is pictures on their way through the network.
type batch struct {
	pixels   []float32
	pictures []int
}

// Forward runs prepared pictures through a backbone, without a cache. Preparing, network and Use
// work at the same time. One batch more is in flight than calls run side by side, so memory does
// not depend on the number of pictures. Use and Bad are never called at the same time. An error of
// Use, of the network or of ctx stops the pass and is returned.
func Forward(ctx context.Context, b Backbone, p Pass) error {
	c, err := b.Choose(ctx, p.Pictures)
	if err != nil {
		return err
	}
	b = c.Backbone
	side := max(b.Side, 1)
	f := &forward{b: b, p: p, free: make(chan *batch, side+1), full: make(chan *batch, 1)}
	for range cap(f.free) {
		f.free <- &batch{pixels: make([]float32, b.Batch*f.numbers())}
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	go func() { failed <- f.network(inner, cancel, side) }()
	err = f.pictures(inner)
	close(f.full)
	failure := <-failed
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case failure != nil:
		return failure
	}
	return err
}

// forward is the state of a pass: two goroutines that hand batches to each other.
type forward struct {
	b          Backbone
	p          Pass
	free, full chan *batch
	mu         sync.Mutex // Use and Bad run on two goroutines, one at a time
}

// numbers is the number of values of a picture.
func (f *forward) numbers() int { return f.p.Size * f.p.Size * 3 }

// network opens the backbone and runs the full batches through it, so many side by side.
func (f *forward) network(ctx context.Context, cancel func(), side int) error {
	// Compiling takes about as long as preparing the first batch, and happens at the same time.
	run, err := f.b.Open(ctx, f.p.Size)
	if err != nil {
		cancel()
	}
	errs := make(chan error, side)
	for range side {
		go func() { errs <- f.batches(run, err, cancel) }()
	}
	var first error
	for range side {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// batches runs full batches until there are no more. It goes on taking them after an error, so that
// the goroutine that fills them can end.
func (f *forward) batches(run func([]float32) ([]float32, error), err error, cancel func()) error {
	for batch := range f.full {
		if err == nil {
			err = f.run(run, batch)
		}
		if err != nil {
			cancel()
		}
		batch.pictures = batch.pictures[:0]
		f.free <- batch
	}
	return err
}

func (f *forward) run(run func([]float32) ([]float32, error), batch *batch) error {
	n := len(batch.pictures)
	pixels := batch.pixels
	if f.b.AnyBatch {
		pixels = pixels[:n*f.numbers()]
	} else {
		clear(pixels[n*f.numbers():])
	}
	out, err := run(pixels)
	if err != nil {
		return err
	}
	if len(out) < n*f.b.Features {
		return fmt.Errorf("features: the backbone gave %d values for %d pictures, want %d each", len(out), n, f.b.Features)
	}
	if f.b.Half {
		for i := range n {
			roundHalf(out[i*f.b.Features : (i+1)*f.b.Features])
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.p.Use(batch.pictures, out)
}

// pictures prepares the pictures, in order, and fills batches with them.
func (f *forward) pictures(ctx context.Context) error {
	var current *batch
	err := transforms.Each(ctx, f.p.Pictures, f.p.Workers, f.p.Prepare, func(i int, t transforms.Tensor, err error) error {
		if err == nil && len(t.Data) != f.numbers() {
			err = fmt.Errorf("features: prepared picture has %d values, want %d for side %d", len(t.Data), f.numbers(), f.p.Size)
		}
		if err != nil {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.p.Bad(i, err)
			return nil
		}
		if f.p.Look != nil && looksAt(i, f.p.Pictures) {
			f.p.Look(i, t)
		}
		if current == nil {
			current = <-f.free
		}
		copy(current.pixels[len(current.pictures)*f.numbers():], t.Data)
		current.pictures = append(current.pictures, i)
		if len(current.pictures) == f.b.Batch {
			f.full <- current
			current = nil
		}
		return nil
	})
	if err == nil && current != nil {
		f.full <- current
	}
	return err
}

// looksAt reports whether picture i is one of up to 48 that are evenly spread over n.
func looksAt(i, n int) bool {
	const most = 48
	return i*most/n != (i-1)*most/n || i == 0 || n <= most
}
