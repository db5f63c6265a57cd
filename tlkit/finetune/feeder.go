package finetune

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
)

// order returns the order of the training pictures in an epoch. It depends only on seed and epoch,
// so that a resumed training finds it again.
func order(rows []int, seed uint64, epoch int) []int {
	out := append([]int(nil), rows...)
	rng := rand.New(rand.NewPCG(seed, uint64(epoch)))
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// feeder prepares the batches of a training in order, ahead of the step that uses them.
type feeder struct {
	objective objective
	pictures  *pictures
	rows      []int // items to learn from
	width     int   // number of values of an input
	keep      int   // number of features, for dropout
	border    string
	weights   []float64 // of the classes; nil = 1 each
	plan      Plan
}

// newFeeder returns a feeder of some rows for a tuner.
func newFeeder(t *tuner, source *pictures, rows []int) *feeder {
	f := &feeder{objective: t.objective, pictures: source, rows: rows, width: t.width(), border: t.border, plan: t.plan, keep: t.net.Row.Features}
	if t.plan.ClassWeights {
		f.weights = classWeights(source.items, rows, t.objective.k)
	}
	return f
}

// plain returns the feeder without mixup, dropout and class weights.
func (f *feeder) plain() *feeder {
	out := *f
	out.plan.Mixup, out.plan.Dropout, out.weights = 0, 0, nil
	return &out
}

// perEpoch is the number of steps of an epoch.
func (f *feeder) perEpoch() int { return (len(f.rows) + f.plan.Batch - 1) / f.plan.Batch }

// run sends the batches of steps first to last-1. It stops when ctx is done.
func (f *feeder) run(ctx context.Context, first, last int) <-chan *batch {
	out := make(chan *batch, 1)
	go func() {
		defer close(out)
		var epochOrder []int
		known := -1
		for step := first; step < last; step++ {
			epoch, index := step/f.perEpoch(), step%f.perEpoch()
			if epoch != known {
				epochOrder, known = order(f.rows, f.plan.Seed, epoch), epoch
			}
			items := epochOrder[index*f.plan.Batch : min((index+1)*f.plan.Batch, len(epochOrder))]
			b := f.batch(items, epoch, index)
			select {
			case out <- b:
			case <-ctx.Done():
				return
			}
			if b.err != nil {
				return
			}
		}
	}()
	return out
}

// batch prepares some items. Unused places stay zero and have no weight. Epoch -1 stands for the
// pictures themselves, as for evaluation.
func (f *feeder) batch(items []int, epoch, index int) *batch {
	n, k := f.plan.Batch, f.objective.k
	b := &batch{x: make([]float32, n*f.width), targets: make([]float32, n*k), rows: make([]float32, n), items: items, epoch: epoch, index: index}
	b.err = f.fill(b)
	if b.err != nil {
		return b
	}
	for i, item := range items {
		it := f.pictures.items[item]
		f.objective.loss.target(it, f.plan.Smoothing, b.targets[i*k:(i+1)*k])
		b.rows[i] = 1
		if f.weights != nil {
			b.rows[i] = float32(f.weights[it.Class])
		}
	}
	if f.plan.Mixup > 0 && epoch >= 0 {
		f.mix(b, len(items))
	}
	if f.plan.Dropout > 0 {
		b.keep = f.dropout(epoch, index)
	}
	return b
}

// fill reads the inputs of a batch on all processors.
func (f *feeder) fill(b *batch) error {
	var wait sync.WaitGroup
	gate := make(chan struct{}, runtime.GOMAXPROCS(0))
	errs := make([]error, len(b.items))
	for i, item := range b.items {
		wait.Add(1)
		gate <- struct{}{}
		go func() {
			defer func() {
				if r := recover(); r != nil {
					errs[i] = fmt.Errorf("finetune: preparing %s: %v", f.pictures.items[item].Rel, r)
				}
				<-gate
				wait.Done()
			}()
			row, err := f.pictures.row(item, b.epoch, f.border)
			if err == nil && len(row) != f.width {
				err = fmt.Errorf("finetune: %s gives %d values, the network takes %d", f.pictures.items[item].Rel, len(row), f.width)
			}
			copy(b.x[i*f.width:], row)
			errs[i] = err
		}()
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// dropout returns the factor of each feature of a batch, [B, C]: 0 for dropped features, and for
// the others a factor that keeps the expected value.
func (f *feeder) dropout(epoch, index int) []float32 {
	rng := rand.New(rand.NewPCG(f.plan.Seed^0x64726f70, uint64(epoch)<<32|uint64(index)))
	keep := make([]float32, f.plan.Batch*f.keep)
	for i := range keep {
		if rng.Float64() >= f.plan.Dropout {
			keep[i] = float32(1 / (1 - f.plan.Dropout))
		}
	}
	return keep
}

// classWeights returns N/(K n) for each class, where n of the N pictures have that class.
func classWeights(items []datasets.Item, rows []int, classes int) []float64 {
	count := make([]float64, classes)
	for _, r := range rows {
		count[items[r].Class]++
	}
	out := make([]float64, classes)
	for c, n := range count {
		out[c] = float64(len(rows)) / (float64(classes) * max(n, 1))
	}
	return out
}

// logitsOf runs the network over items as for evaluation, and returns logits [len(rows), K].
func (f *feeder) logitsOf(ctx context.Context, t *tuner, rows []int) ([]float32, error) {
	k := f.objective.k
	out := make([]float32, 0, len(rows)*k)
	plain := f.plain()
	ahead := make(chan *batch, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(ahead)
		for start := 0; start < len(rows); start += f.plan.Batch {
			select {
			case ahead <- plain.batch(rows[start:min(start+f.plan.Batch, len(rows))], -1, 0):
			case <-ctx.Done():
				return
			}
		}
	}()
	for b := range ahead {
		if b.err != nil {
			return nil, b.err
		}
		logits, err := t.predict(b.x)
		if err != nil {
			return nil, err
		}
		out = append(out, logits[:len(b.items)*k]...)
	}
	if len(out) != len(rows)*k {
		return nil, ctx.Err()
	}
	return out, nil
}
