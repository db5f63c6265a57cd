package bridge

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Last says what becomes of the pictures that do not fill the last batch of an epoch.
type Last string

const (
	Keep Last = ""     // a smaller batch; GoMLX compiles a second program for it
	Drop Last = "drop" // they are left out of this epoch
	// Pad repeats pictures until the batch is full, and yields a mask, bool [B], as the second label of
	// every batch: true for those that count. The losses and metrics of GoMLX obey it.
	Pad Last = "pad"
)

// Data selects the pictures of a [Dataset] and their order.
type Data struct {
	Set   *datasets.Dataset
	Split datasets.Split // whose pictures; "" = all

	Batch   int // B, pictures in a batch; 0 = 32
	Last    Last
	Shuffle bool   // another order in each epoch
	Seed    uint64 // of the order and of random transforms
	Forever bool   // go on with the next epoch by itself, as loop.RunSteps needs it
}

// Dataset is a train.Dataset of labelled pictures. Each call of Iter begins the next epoch. The same
// seed gives the same batches in the same order, on any number of processors.
//
// Inputs are one tensor, float32 [B,S,S,3] for [Pictures] and the stage's shape behind B for [Maps].
// Labels are int32 [B,1] for one label a picture, as GoMLX's sparse losses want them, and float32 [B,K]
// for several labels (0 or 1) and for real values.
type Dataset struct {
	data  Data
	items []datasets.Item
	shape []int // of one input
	load  func(item, epoch int) ([]float32, error)
	close func()

	mu    sync.Mutex
	epoch int
}

// Pictures returns a data set of pictures prepared by a pipeline: net.Preset.Eval(), net.Preset.Train(seed)
// with random crops and flips, or one of your own. Pictures are decoded on all processors while the
// network computes.
//
// It is an error if the selection is empty, or has a picture without a label. A picture that cannot be
// read ends the iteration with an error that names it.
func Pictures(d Data, p transforms.Pipeline) (*Dataset, error) {
	out, err := newDataset(d)
	if err != nil {
		return nil, err
	}
	prepare := func(item, epoch int) (transforms.Tensor, error) {
		t, err := p.LoadFile(nil, out.items[item].Path, transforms.DecodeOptions{}, transforms.Rand{Seed: d.Seed, Epoch: epoch, Picture: item})
		if err != nil {
			return t, unreadable(out.items[item], err)
		}
		return t, nil
	}
	first, err := prepare(0, 0)
	if err != nil {
		return nil, err
	}
	out.shape = []int{first.Height, first.Width, first.Channels}
	out.load = func(item, epoch int) ([]float32, error) {
		t, err := prepare(item, epoch)
		if err == nil && (t.Height != first.Height || t.Width != first.Width) {
			err = advice.New(fmt.Errorf("bridge: the pipeline makes %dx%d numbers of %s and %dx%d of %s, want one size", t.Width, t.Height, out.items[item].Rel, first.Width, first.Height, out.items[0].Rel), "end it with a crop to one size")
		}
		return t.Data, err
	}
	return out, nil
}

// Maps returns a data set of the outputs of a stage, [h,w,C] or [T,C] for each picture: the input of
// [zoo.Net.GraphBehind]. Pictures are prepared by net.Preset.Eval. The outputs are computed once and kept
// in the cache of package features, which this and later programs read. Close the data set after use.
//
// The weights up to that stage are those of net, not those of your store: keep them frozen.
func Maps(ctx context.Context, d Data, net *zoo.Net, e *engine.Engine, stage string) (*Dataset, error) {
	out, err := newDataset(d)
	if err != nil {
		return nil, err
	}
	for _, s := range net.Declaration().Stages {
		if s.Name == stage {
			out.shape = s.Shape
		}
	}
	if out.shape == nil {
		_, err := net.Stage(stage)
		return nil, err
	}
	rows, err := features.Open(ctx, features.Job{Items: out.items, Preset: net.Preset, Backbone: features.Maps(net, e, []string{stage}, engine.Form{})})
	if err != nil {
		return nil, err
	}
	if len(rows.Bad) > 0 {
		rows.Close()
		return nil, unreadable(out.items[rows.Bad[0].Item], rows.Bad[0].Err)
	}
	out.close = rows.Close
	out.load = func(item, _ int) ([]float32, error) { return rows.Read(item, 0) }
	return out, nil
}

func unreadable(item datasets.Item, err error) error {
	return advice.New(fmt.Errorf("bridge: %s: %w", item.Rel, err), "remove the file, or leave it out: set.Drop(datasets.Bad{Rel: %q})", item.Rel)
}

// newDataset returns a data set without its inputs.
func newDataset(d Data) (*Dataset, error) {
	if d.Set == nil {
		return nil, advice.New(errors.New("bridge: no data set"), "open one with datasets.Open")
	}
	if d.Batch == 0 {
		d.Batch = 32
	}
	out := &Dataset{data: d, items: d.Set.Items, close: func() {}}
	if d.Split != "" {
		out.items = d.Set.In(d.Split)
	}
	switch n := len(out.items); {
	case n == 0:
		return nil, advice.New(fmt.Errorf("bridge: %s has no picture in split %q", d.Set.Name, d.Split), "its splits are %v", d.Set.Splits())
	case d.Batch < 0:
		return nil, fmt.Errorf("bridge: a batch of %d pictures, want 1 or more", d.Batch)
	case d.Last != Keep && d.Last != Drop && d.Last != Pad:
		return nil, advice.New(fmt.Errorf("bridge: unknown Last %q", d.Last), "use bridge.Keep, bridge.Drop or bridge.Pad")
	case d.Last == Drop && n < d.Batch:
		return nil, advice.New(fmt.Errorf("bridge: %d pictures do not fill a batch of %d, and bridge.Drop leaves the rest out", n, d.Batch), "use a smaller batch, or bridge.Pad")
	}
	for _, item := range out.items {
		if item.Targets == nil && (item.Class < 0 || item.Class >= len(d.Set.Labels)) {
			return nil, advice.New(fmt.Errorf("bridge: %s has no label", item.Rel), "select the split of labelled pictures")
		}
	}
	return out, nil
}

// Name returns the name of the data set and its split.
func (d *Dataset) Name() string {
	if d.data.Split == "" {
		return d.data.Set.Name
	}
	return d.data.Set.Name + " " + string(d.data.Split)
}

// ShortName returns the split, for GoMLX's tables of metrics.
func (d *Dataset) ShortName() string {
	if d.data.Split == "" {
		return "all"
	}
	return string(d.data.Split)
}

// Len returns the number of pictures.
func (d *Dataset) Len() int { return len(d.items) }

// Steps returns the number of batches in an epoch.
func (d *Dataset) Steps() int {
	if d.data.Last == Drop {
		return len(d.items) / d.data.Batch
	}
	return (len(d.items) + d.data.Batch - 1) / d.data.Batch
}

// Begin makes epoch the next one, counted from 0: a resumed program calls it to go on with the order and
// the random transforms of an uninterrupted one.
func (d *Dataset) Begin(epoch int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.epoch = epoch
}

// Close frees what Maps has opened. It does nothing for Pictures.
func (d *Dataset) Close() { d.close() }

// Iter yields the batches of the next epoch, or of all that follow with Data.Forever. The tensors
// belong to the caller, as train.Batch says.
func (d *Dataset) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for {
			d.mu.Lock()
			epoch := d.epoch
			d.epoch++
			d.mu.Unlock()
			if !d.run(epoch, yield) || !d.data.Forever {
				return
			}
		}
	}
}

// run yields one epoch, and reports whether the caller wants more. Pictures are prepared ahead while the
// caller uses a batch.
func (d *Dataset) run(epoch int, yield func(train.Batch, error) bool) bool {
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan train.Batch), make(chan error, 1)
	go func() { done <- d.prepare(ctx, epoch, ready) }()
	for {
		select {
		case b := <-ready:
			if !yield(b, nil) {
				cancel()
				<-done
				return false
			}
		case err := <-done:
			cancel()
			if err != nil {
				yield(train.Batch{}, err)
				return false
			}
			return true
		}
	}
}

// prepare sends the batches of an epoch.
func (d *Dataset) prepare(ctx context.Context, epoch int, ready chan<- train.Batch) error {
	order := d.order(epoch)
	var inputs []float32
	return transforms.Each(ctx, len(order), 0, func(i int) ([]float32, error) {
		return d.load(order[i], epoch)
	}, func(i int, row []float32, err error) error {
		if err != nil {
			return err
		}
		inputs = append(inputs, row...)
		first := i - i%d.data.Batch
		if i+1 < len(order) && i+1-first < d.data.Batch {
			return nil
		}
		batch := d.batch(inputs, order[first:i+1])
		if d.data.Last == Pad {
			batch.Labels = append(batch.Labels, mask(i+1-first, len(d.items)-first))
		}
		inputs = inputs[:0] // the tensor has a copy
		select {
		case ready <- batch:
			return nil
		case <-ctx.Done():
			_ = batch.Finalize()
			return ctx.Err()
		}
	})
}

// order returns the pictures of an epoch. With Pad, pictures stand in it again at the end.
func (d *Dataset) order(epoch int) []int {
	n := len(d.items)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	if d.data.Shuffle {
		r := rand.New(rand.NewPCG(d.data.Seed, uint64(epoch)))
		r.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	switch d.data.Last {
	case Drop:
		order = order[:d.Steps()*d.data.Batch]
	case Pad:
		for i := 0; len(order) < d.Steps()*d.data.Batch; i++ {
			order = append(order, order[i])
		}
	}
	return order
}

// batch makes the tensors of pictures whose inputs are one behind the other.
func (d *Dataset) batch(inputs []float32, items []int) train.Batch {
	return train.Batch{
		Inputs: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(inputs, append([]int{len(items)}, d.shape...)...)},
		Labels: []*tensors.Tensor{d.labels(items)},
	}
}

// mask is true for the first real of n pictures.
func mask(n, real int) *tensors.Tensor {
	values := make([]bool, n)
	for i := range values {
		values[i] = i < real
	}
	return tensors.FromFlatDataAndDimensions(values, n)
}

func (d *Dataset) labels(items []int) *tensors.Tensor {
	if d.items[items[0]].Targets == nil {
		classes := make([]int32, len(items))
		for i, item := range items {
			classes[i] = int32(d.items[item].Class)
		}
		return tensors.FromFlatDataAndDimensions(classes, len(items), 1)
	}
	var targets []float32
	for _, item := range items {
		for _, v := range d.items[item].Targets {
			targets = append(targets, float32(v))
		}
	}
	return tensors.FromFlatDataAndDimensions(targets, len(items), len(targets)/len(items))
}
