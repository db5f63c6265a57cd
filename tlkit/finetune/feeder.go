package finetune

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
)

// order is the order of the training pictures in an epoch: a pure function of seed and epoch, so that whoever goes on in
// the middle finds it again.
func order(rows []int, seed uint64, epoch int) []int {
	out := append([]int(nil), rows...)
	rng := rand.New(rand.NewPCG(seed, uint64(epoch)))
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// feeder makes the batches of a training in order, some ahead of the step that uses them.
type feeder struct {
	objective objective
	pictures  *pictures
	rows      []int // items to learn from
	width     int   // numbers of an input
	keep      int   // features, with dropout
	border    string
	weights   []float64 // of the classes; nil = 1 each
	plan      Plan
}

// newFeeder gives a tuner its batches of some rows.
func newFeeder(t *tuner, from *pictures, rows []int) *feeder {
	f := &feeder{objective: t.objective, pictures: from, rows: rows, width: t.width(), border: t.from, plan: t.plan, keep: t.net.Row.Features}
	if t.plan.ClassWeights {
		f.weights = classWeights(from.items, rows, t.objective.k)
	}
	return f
}

// plain is the feeder without mixup, dropout and weights.
func (f *feeder) plain() *feeder {
	out := *f
	out.plan.Mixup, out.plan.Dropout, out.weights = 0, 0, nil
	return &out
}

// perEpoch is the number of steps of an epoch.
func (f *feeder) perEpoch() int { return (len(f.rows) + f.plan.Batch - 1) / f.plan.Batch }

// run sends the batches from step first to the end. It stops when ctx does.
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

// batch prepares some items; the places that are left stay zero and weigh nothing. epoch -1 is the
// pictures themselves, as for evaluation.
func (f *feeder) batch(items []int, epoch, index int) *batch {
	n, k := f.plan.Batch, f.objective.k
	b := &batch{x: make([]float32, n*f.width), targets: make([]float32, n*k), rows: make([]float32, n), items: items, epoch: epoch, index: index}
	if b.err = f.fill(b); b.err != nil {
		return b
	}
	for i, item := range items {
		it := f.pictures.items[item]
		f.objective.loss.target(it, f.plan.Smoothing, b.targets[i*k:(i+1)*k])
		if b.rows[i] = 1; f.weights != nil {
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
				err = fmt.Errorf("finetune: %s gives %d numbers, the network takes %d", f.pictures.items[item].Rel, len(row), f.width)
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

// dropout is the factor of each feature of a batch, [B, C]: 0, or what makes up for those.
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

// classWeights are N/(K n) for classes of n of the N pictures.
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

// logitsOf runs the network over items as they are for evaluation, [len(rows), K].
func (f *feeder) logitsOf(ctx context.Context, t *tuner, rows []int) ([]float32, error) {
	k := f.objective.k
	out := make([]float32, 0, len(rows)*k)
	plain := f.plain()
	ahead := make(chan *batch, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(ahead)
		for at := 0; at < len(rows); at += f.plan.Batch {
			select {
			case ahead <- plain.batch(rows[at:min(at+f.plan.Batch, len(rows))], -1, 0):
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
