package finetune

import (
	"math"
	"slices"
	"testing"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/optim"
)

// A step in micro-batches equals the step of the whole batch: losses, norms, logits, weights,
// memory of the rule and moving averages agree, even if the last micro-batch or the last batch is
// incomplete. Only the order of sums differs, on every processor, because no ReLU is near its kink.
func TestMicrobatchesGiveTheSame(t *testing.T) {
	e := xla(t)
	net := clearNet(t)
	const n, steps, width = 10, 4, 32 * 32 * 3
	x := golden.Numbers("x", n*width)
	checkClear(t, net, e, x, n)
	everything := append(stages(net), HeadStage)
	train := func(micro int) (outs []outcome, values map[string][]float32) {
		p := Plan{Name: "micro", Epochs: 1, Batch: n, Microbatch: micro, Norms: FrozenNorms, Mix: 1, Dropout: 0.2, Average: 0.9,
			Rule: optim.Rule{Name: optim.AdamW, Clip: 0.5, Epsilon: 1e-3}, Schedule: optim.Schedule{Kind: optim.Constant},
			Groups: []Group{{Name: "everything", Stages: everything, Rate: 1e-3, Decay: 0.1}}}
		if err := p.Check(net); err != nil {
			t.Fatal(err)
		}
		tu, err := newTuner(net, e, classes(3), freshHead(3, net.Row.Features, 1), p)
		if err != nil {
			t.Fatal(err)
		}
		defer tu.close()
		if tu.micro != min(micro, n) || (tu.train == nil) != (micro < n) {
			t.Fatalf("micro-batches of %d, want %d", tu.micro, micro)
		}
		if err := tu.compiled(); err != nil {
			t.Fatal(err)
		}
		for s := range steps {
			full := n
			if s%2 == 1 {
				full = 5 // the last batch: the other places are padding
			}
			b := &batch{x: make([]float32, n*width), targets: make([]float32, n*3), rows: make([]float32, n), keep: make([]float32, n*net.Row.Features)}
			copy(b.x, x[:full*width])
			for i := range b.keep {
				b.keep[i] = float32(i%5) / 4
			}
			for i := range full {
				b.items = append(b.items, i)
				b.targets[i*3+i%3], b.rows[i] = 1, 1+float32(i%2)/2
			}
			o, err := tu.run(b, p.Rule.Now([]int{s}, []float64{1e-3}, 0))
			if err != nil {
				t.Fatal(err)
			}
			o.logits = o.logits[:full*3]
			outs = append(outs, o)
		}
		values = map[string][]float32{}
		for name, v := range tu.variables() {
			if values[name], err = value(v); err != nil {
				t.Fatal(err)
			}
		}
		return outs, values
	}
	want, weights := train(n)
	off := func(a, b []float32) float64 {
		big, worst := 1e-12, 0.0
		for i := range a {
			big, worst = max(big, math.Abs(float64(a[i]))), max(worst, math.Abs(float64(a[i])-float64(b[i])))
		}
		return worst / big
	}
	for _, micro := range []int{1, 4, 5} {
		got, moved := train(micro)
		for s, w := range want {
			g := got[s]
			if math.Abs(g.loss-w.loss) > 1e-5*w.loss || math.Abs(g.norm-w.norm) > 1e-4*w.norm || !g.finite || off(w.logits, g.logits) > 1e-4 {
				t.Errorf("micro-batches of %d, step %d: loss %v, norm %v, logits off by %.1g; whole %v, %v", micro, s, g.loss, g.norm, off(w.logits, g.logits), w.loss, w.norm)
			}
		}
		if len(moved) != len(weights) {
			t.Errorf("%d tensors, whole %d", len(moved), len(weights))
		}
		worst, largest := "", 0.0
		for name, w := range weights {
			if d := off(w, moved[name]); d > largest {
				largest, worst = d, name
			}
		}
		if largest > 1e-4 {
			t.Errorf("micro-batches of %d: %s is off by %.1g", micro, worst, largest)
		}
		t.Logf("micro-batches of %d: at most %.1g off, in %s", micro, largest, worst)
	}

	// NaN anywhere in the batch leaves the weights unchanged.
	p := small("plain")
	p.Batch, p.Microbatch = 4, 2
	p.Groups = []Group{{Name: "everything", Stages: everything, Rate: 1e-3}}
	tu, err := newTuner(net, e, classes(2), freshHead(2, net.Row.Features, 1), p)
	if err != nil {
		t.Fatal(err)
	}
	defer tu.close()
	b := &batch{x: make([]float32, 4*width), targets: []float32{1, 0, 0, 1, 1, 0, 0, 1}, rows: []float32{1, 1, 1, 1}, items: []int{0, 1, 2, 3}}
	copy(b.x, x)
	b.x[width] = float32(math.NaN())
	before, err := tu.tuned()
	if err != nil {
		t.Fatal(err)
	}
	now := p.Rule.Now([]int{0}, []float64{1e-3}, 0)
	if o, err := tu.run(b, now); err != nil || o.finite {
		t.Errorf("a picture that is no number: %+v, %v", o, err)
	}
	after, err := tu.tuned()
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range before {
		if !slices.Equal(v, after[name]) {
			t.Errorf("%s changed", name)
		}
	}
	b.x[width] = 0
	if o, err := tu.run(b, now); err != nil || !o.finite {
		t.Errorf("the step after it: %+v, %v", o, err)
	}
}

func TestMicrobatchIsChosen(t *testing.T) {
	for _, c := range []struct {
		engine      string
		in          []int
		batch, asks int
		statistics  []string
		want        int
	}{
		{"xla:cpu", []int{224, 224, 3}, 32, 0, nil, 8},
		{"xla:cpu", []int{224, 224, 3}, 20, 0, nil, 7},
		{"xla:cpu", []int{224, 224, 3}, 8, 0, nil, 8},
		{"xla:cpu", []int{224, 224, 3}, 4, 0, nil, 4},
		{"xla:cpu", []int{7, 7, 160}, 32, 0, nil, 32}, // cached maps
		// A graphics card gets the whole batch.
		{"xla:cuda", []int{224, 224, 3}, 32, 0, nil, 32},
		{"xla:cuda", []int{224, 224, 3}, 32, 6, nil, 6},            // unless the plan sets it
		{"xla:cpu", []int{224, 224, 3}, 32, 0, []string{"bn"}, 32}, // norms follow the batch
	} {
		tu := &tuner{plan: Plan{Batch: c.batch, Microbatch: c.asks}, engine: &engine.Engine{Name: c.engine}, input: c.in, statistics: c.statistics}
		if got := tu.microbatch(); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
	for batch, want := range map[int]int{32: 32, 48: 24} {
		tu := &tuner{plan: Plan{Batch: batch}, engine: &engine.Engine{Name: "xla:cpu"}, form: engine.Form{Convolutions: engine.Eigen}, input: []int{224, 224, 3}}
		if got := tu.microbatch(); got != want {
			t.Errorf("batch %d on Eigen's convolutions: %d, want %d", batch, got, want)
		}
	}
}
