package learner

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// viewSeed draws the cached views. It is no part of a run's seed: runs with other seeds see the same views in another
// order, and share their cost.
const viewSeed = 1

// pictures gives the network's moving part what it learns from: pictures, or their maps behind the frozen part.
type pictures struct {
	items []datasets.Item
	plan  TunePlan

	eval, train transforms.Pipeline
	// With a frozen part: rows hold the maps of all borders, one after the other.
	plain, views *features.Rows
	offset       map[string][2]int // of each border in a row
}

// openPictures readies pictures for the plan. With borders, the maps behind those stages are computed, or found.
func openPictures(ctx context.Context, net *zoo.Net, e *engine.Engine, items []datasets.Item, p TunePlan, borders []string, views bool, report func(string, int, int)) (*pictures, error) {
	out := &pictures{items: items, plan: p, eval: net.Preset.Eval(), train: net.Preset.Train(p.Seed), offset: map[string][2]int{}}
	if len(borders) == 0 {
		return out, nil
	}
	width := 0
	for _, b := range borders {
		for _, s := range net.Declaration().Stages {
			if s.Name == b {
				n := s.Shape[0] * s.Shape[1] * s.Shape[2]
				out.offset[b] = [2]int{width, width + n}
				width += n
			}
		}
	}
	job := features.Job{
		Items: items, Preset: net.Preset, Backbone: mapsOf(net, e, borders, width),
		Progress: func(done, _, total int) { report("computing the frozen part", done, total) },
	}
	var err error
	if out.plain, err = features.Open(ctx, job); err != nil {
		return nil, err
	}
	if views && p.Augment && p.Views > 0 {
		job.Views, job.Seed = p.Views, viewSeed
		if out.views, err = features.Open(ctx, job); err != nil {
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

// mapsOf is the frozen part of net as a backbone whose features are the maps behind some stages.
func mapsOf(net *zoo.Net, e *engine.Engine, borders []string, width int) features.Backbone {
	b := features.FromNet(net, e)
	b.Identity = "maps behind " + strings.Join(borders, ", ") + " for " + b.Identity
	b.Features = width
	b.Open = func(_ context.Context, size int) (run func([]float32) ([]float32, error), err error) {
		defer caught(&err, "compiling the frozen part")
		store := model.NewStore()
		for _, w := range net.Declaration().Weights {
			values, shape, _ := net.Tensor(w.Name)
			v, err := store.RootScope().CreateVariable(w.Name, tensors.FromFlatDataAndDimensions(values, shape...))
			if err != nil {
				return nil, fmt.Errorf("learner: %w", err)
			}
			v.SetTrainable(false)
		}
		deepest := deepestOf(net, borders)
		exec, err := model.NewExec(e.Backend, store, func(scope *model.Scope, x *graph.Node) *graph.Node {
			out := backbone.Part{To: deepest}.Graph(net.Row.Arch(), scope, x)
			var flat []*graph.Node
			for _, border := range borders {
				for _, s := range out.Stages {
					if s.Name == border {
						flat = append(flat, graph.Reshape(s.Node, x.Shape().Dim(0), -1))
					}
				}
			}
			return graph.Concatenate(flat, -1)
		})
		if err != nil {
			return nil, err
		}
		exec.WithName("maps:" + net.Row.Name)
		if _, err := exec.Compile(shapes.Make(dtypes.Float32, b.Batch, size, size, 3)); err != nil {
			return nil, err
		}
		return func(batch []float32) (values []float32, err error) {
			defer caught(&err, "running the frozen part")
			in := tensors.FromFlatDataAndDimensions(batch, b.Batch, size, size, 3)
			defer in.MustFinalizeAll()
			out, err := exec.Call1(in)
			if err != nil {
				return nil, err
			}
			defer out.MustFinalizeAll()
			return tensors.CopyFlatData[float32](out)
		}, nil
	}
	return b
}

func deepestOf(net *zoo.Net, borders []string) string {
	deepest := ""
	for _, s := range stages(net) {
		for _, b := range borders {
			if s == b {
				deepest = b
			}
		}
	}
	return deepest
}

// row is what the network behind border sees of an item in an epoch of training; epoch < 0 is the picture itself, as
// for evaluation.
func (s *pictures) row(item, epoch int, border string) ([]float32, error) {
	if s.plain == nil {
		pipeline, r := s.eval, transforms.Rand{}
		if epoch >= 0 && s.plan.Augment {
			pipeline, r = s.train, transforms.Rand{Seed: s.plan.Seed, Epoch: epoch, Picture: int(s.name(item) >> 1)}
		}
		raw, err := os.ReadFile(s.items[item].Path)
		if err != nil {
			return nil, fmt.Errorf("learner: %w", err)
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
		row, err = s.plain.Read(item, 0) // the picture itself is one of the views
	} else {
		row, err = s.views.Read(item, v)
	}
	if err != nil {
		return nil, err
	}
	at := s.offset[border]
	return row[at[0]:at[1]], nil
}

// name is a number of an item's content, the same in whatever data set it is, moved by the seed.
func (s *pictures) name(item int) uint64 {
	h := fnv.New64a()
	raw, _ := hex.DecodeString(s.items[item].SHA256)
	h.Write(raw)
	fmt.Fprint(h, s.plan.Seed)
	return h.Sum64()
}

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
	objective
	pictures *pictures
	rows     []int // items to learn from
	width    int   // numbers of an input
	keep     int   // features, with dropout
	border   string
	weights  []float64 // of the classes; nil = 1 each
	plan     TunePlan
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

// batch prepares some items; the places that are left stay zero and weigh nothing.
func (f *feeder) batch(items []int, epoch, index int) *batch {
	n, k := f.plan.Batch, f.k
	b := &batch{x: make([]float32, n*f.width), targets: make([]float32, n*k), rows: make([]float32, n), items: items, epoch: epoch, index: index}
	var wait sync.WaitGroup
	gate := make(chan struct{}, runtime.GOMAXPROCS(0))
	errs := make([]error, len(items))
	for i, item := range items {
		wait.Add(1)
		gate <- struct{}{}
		go func() {
			defer func() {
				if r := recover(); r != nil {
					errs[i] = fmt.Errorf("learner: preparing %s: %v", f.pictures.items[item].Rel, r)
				}
				<-gate
				wait.Done()
			}()
			row, err := f.pictures.row(item, epoch, f.border)
			if err == nil && len(row) != f.width {
				err = fmt.Errorf("learner: %s gives %d numbers, the network takes %d", f.pictures.items[item].Rel, len(row), f.width)
			}
			copy(b.x[i*f.width:], row)
			errs[i] = err
		}()
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			b.err = err
			return b
		}
	}
	for i, item := range items {
		it := f.pictures.items[item]
		f.target(it, f.plan.Smoothing, b.targets[i*k:(i+1)*k])
		if b.rows[i] = 1; f.weights != nil {
			b.rows[i] = float32(f.weights[it.Class])
		}
	}
	if f.plan.Mixup > 0 && epoch >= 0 {
		f.mix(b, len(items))
	}
	if f.plan.Dropout > 0 {
		rng := rand.New(rand.NewPCG(f.plan.Seed^0x64726f70, uint64(epoch)<<32|uint64(index)))
		b.keep = make([]float32, n*f.keep)
		for i := range b.keep {
			if rng.Float64() >= f.plan.Dropout {
				b.keep[i] = float32(1 / (1 - f.plan.Dropout))
			}
		}
	}
	return b
}

// mix adds to each picture of the batch a share of another one, and of its targets: Zhang et al. 2017,
// https://arxiv.org/abs/1710.09412. One share for the batch, the other picture is the next one in it.
func (f *feeder) mix(b *batch, n int) {
	rng := rand.New(rand.NewPCG(f.plan.Seed^0x6d6978, uint64(b.epoch)<<32|uint64(b.index)))
	share := float32(beta(rng, f.plan.Mixup))
	x, targets := append([]float32(nil), b.x...), append([]float32(nil), b.targets...)
	blend := func(to, from []float32, width int) {
		for i := range n {
			other := from[(i+1)%n*width:]
			for j := range width {
				to[i*width+j] = share*from[i*width+j] + (1-share)*other[j]
			}
		}
	}
	blend(b.x, x, f.width)
	blend(b.targets, targets, f.k)
}

// beta draws from Beta(a, a) as the ratio of two gamma variates.
func beta(rng *rand.Rand, a float64) float64 {
	x, y := gamma(rng, a), gamma(rng, a)
	if x+y == 0 {
		return 0.5
	}
	return x / (x + y)
}

// gamma is the method of Marsaglia and Tsang 2000 for shapes of 1 and more; below, the shape one higher times a power of
// a uniform number.
func gamma(rng *rand.Rand, a float64) float64 {
	if a < 1 {
		return gamma(rng, a+1) * math.Pow(rng.Float64(), 1/a)
	}
	d := a - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		z := rng.NormFloat64()
		v := math.Pow(1+c*z, 3)
		if v > 0 && math.Log(1-rng.Float64()) < z*z/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
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
	out := make([]float32, 0, len(rows)*f.k)
	plain := *f
	plain.plan.Mixup, plain.plan.Dropout, plain.weights = 0, 0, nil
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
		out = append(out, logits[:len(b.items)*f.k]...)
	}
	if len(out) != len(rows)*f.k {
		return nil, ctx.Err()
	}
	return out, nil
}
