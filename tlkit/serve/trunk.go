package serve

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// largestBatch is the largest number of pictures of a call where the runtime takes any. More gain
// nothing on a processor, and the first one waits for the last.
const largestBatch = 8

// trunk is an opened network with its queue. Heads on the same frozen backbone share it.
type trunk struct {
	first    *export.Classifier // the head that it was opened with
	pipeline transforms.Pipeline
	size     int // of the prepared pictures
	width    int // features
	batch    int // pictures a call
	side     int // calls side by side
	run      func(pixels []float32) ([]float32, error)
	metrics  *meters
	onlooker *onlooker

	jobs    chan *job
	quit    chan struct{}
	workers sync.WaitGroup

	users     sync.WaitGroup // requests that use it
	preparing atomic.Int64   // pictures that are being decoded for it
	took      average        // seconds of a call
	free      sync.Pool      // of []float32, for one picture
}

// job is one prepared picture on its way through the network.
type job struct {
	pixels []float32
	row    []float32 // its features, when done is closed
	err    error
	done   chan struct{}
}

// newTrunk starts the queue of a classifier's network.
func newTrunk(ctx context.Context, c *export.Classifier, e *engine.Engine, m *meters) (*trunk, error) {
	chosen, err := c.Backbone().Choose(ctx, 1)
	if err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	b := chosen.Backbone
	size := c.Head.Preset.Size
	t := &trunk{first: c, pipeline: c.Head.Preset.Eval(), size: size, width: b.Features, batch: b.Batch, side: max(b.Side, 1), metrics: m, quit: make(chan struct{})}
	if b.AnyBatch {
		t.batch = max(min(largestBatch, b.Batch), 1)
	}
	if t.run, err = b.Open(ctx, size); err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	if !b.AnyBatch {
		if t.run, err = padded(ctx, c, e, b); err != nil {
			return nil, fmt.Errorf("serve: %w", err)
		}
	}
	t.free.New = func() any { p := make([]float32, t.numbers()); return &p }
	// A queue as long as a batch keeps decoding from running ahead.
	t.jobs = make(chan *job, t.batch)
	for range t.side {
		t.workers.Go(t.work)
	}
	return t, nil
}

// padded returns a function for any number of pictures, on programs for a fixed number: one for a
// single picture, which is what an idle server gets, and the usual one. It measures which of them
// takes n pictures sooner.
func padded(ctx context.Context, c *export.Classifier, e *engine.Engine, usual features.Backbone) (func([]float32) ([]float32, error), error) {
	size := c.Head.Preset.Size
	each := size * size * 3
	many, err := usual.Open(ctx, size)
	if err != nil {
		return nil, err
	}
	form := usual.Form
	form.Batch = 1
	choice, err := features.FromNet(c.Net(), e).Prefer(form).Choose(ctx, 1)
	if err != nil {
		return nil, err
	}
	if choice.Backbone.Batch != 1 {
		return filled(usual, each, many), nil
	}
	single, err := choice.Backbone.Open(ctx, size)
	if err != nil {
		return nil, err
	}
	ratio, err := costRatio(single, many, each, usual.Batch)
	if err != nil {
		return nil, err
	}
	full := filled(usual, each, many)
	return func(pixels []float32) ([]float32, error) {
		n := len(pixels) / each
		if float64(n) > ratio {
			return full(pixels)
		}
		var out []float32
		for i := range n {
			row, err := single(pixels[i*each : (i+1)*each])
			if err != nil {
				return nil, err
			}
			out = append(out, row[:usual.Features]...)
		}
		return out, nil
	}, nil
}

// filled fills a batch up with zeros.
func filled(b features.Backbone, each int, run func([]float32) ([]float32, error)) func([]float32) ([]float32, error) {
	return func(pixels []float32) ([]float32, error) {
		full := make([]float32, b.Batch*each)
		copy(full, pixels)
		return run(full)
	}
}

// costRatio measures how many single pictures take as long as a full batch.
func costRatio(single, many func([]float32) ([]float32, error), each, batch int) (float64, error) {
	fastest := func(run func([]float32) ([]float32, error), pixels []float32) (float64, error) {
		best := math.Inf(1)
		for range 3 { // the first allocates
			start := time.Now()
			if _, err := run(pixels); err != nil {
				return 0, err
			}
			best = min(best, time.Since(start).Seconds())
		}
		return best, nil
	}
	one, err := fastest(single, make([]float32, each))
	if err != nil {
		return 0, err
	}
	all, err := fastest(many, make([]float32, batch*each))
	return all / one, err
}

// numbers is the number of values of a prepared picture.
func (t *trunk) numbers() int { return t.size * t.size * 3 }

// features runs one prepared picture through the network, together with others that are there.
func (t *trunk) features(ctx context.Context, pixels []float32) (*job, error) {
	j := &job{pixels: pixels, done: make(chan struct{})}
	select {
	case t.jobs <- j:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return j, nil
}

// work runs batches until the trunk is retired and its queue is empty.
func (t *trunk) work() {
	pixels := make([]float32, 0, t.batch*t.numbers())
	for {
		select {
		case j := <-t.jobs:
			batch := t.gather(j)
			pixels = pixels[:0]
			for _, j := range batch {
				pixels = append(pixels, j.pixels...)
			}
			t.answer(batch, pixels)
		case <-t.quit:
			return
		}
	}
}

// gather returns a batch that begins with a job. It takes what is there, and waits for pictures that
// are being decoded, as long as a batch takes at most: the processors are busy with those anyway.
func (t *trunk) gather(first *job) []*job {
	batch := append(make([]*job, 0, t.batch), first)
	var window <-chan time.Time
	for len(batch) < t.batch {
		select {
		case j := <-t.jobs:
			batch = append(batch, j)
			continue
		default:
		}
		if t.preparing.Load() == 0 {
			break
		}
		if window == nil {
			timer := time.NewTimer(time.Duration(t.took.value() * float64(time.Second)))
			defer timer.Stop()
			window = timer.C
		}
		select {
		case j := <-t.jobs:
			batch = append(batch, j)
		case <-window:
			return batch
		case <-time.After(recheck): // what was being decoded may have failed
		}
	}
	return batch
}

const recheck = 2 * time.Millisecond

// answer runs a batch and hands each job its row.
func (t *trunk) answer(batch []*job, pixels []float32) {
	start := time.Now()
	out, err := t.guarded(pixels)
	if err == nil && len(out) < len(batch)*t.width {
		err = fmt.Errorf("serve: the network gave %d values for %d pictures, want %d each", len(out), len(batch), t.width)
	}
	seconds := time.Since(start).Seconds()
	t.took.add(seconds)
	t.metrics.batch.Observe(float64(len(batch)))
	t.metrics.stage.WithLabelValues("network").Observe(seconds)
	for i, j := range batch {
		if j.err = err; err == nil {
			j.row = append([]float32(nil), out[i*t.width:(i+1)*t.width]...)
			for _, v := range j.row {
				if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
					j.err = fmt.Errorf("serve: the network gave %v for a picture", v)
					break
				}
			}
		}
		close(j.done)
	}
}

// guarded runs the network; a panic becomes an error.
func (t *trunk) guarded(pixels []float32) (out []float32, err error) {
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("serve: the network gave up: %v", e)
		}
	}()
	return t.run(pixels)
}

// retire ends the trunk when its last request is answered.
func (t *trunk) retire() {
	t.users.Wait()
	close(t.quit)
	t.workers.Wait()
}

// average is a moving average that forgets after some twenty values.
type average struct{ bits atomic.Uint64 }

func (a *average) value() float64 { return math.Float64frombits(a.bits.Load()) }

func (a *average) add(v float64) {
	for {
		old := a.bits.Load()
		next := v
		if old != 0 {
			next = 0.9*math.Float64frombits(old) + 0.1*v
		}
		if a.bits.CompareAndSwap(old, math.Float64bits(next)) {
			return
		}
	}
}
