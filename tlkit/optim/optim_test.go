package optim

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/internal/golden"
)

// torchRun is what torch.optim did, see internal/golden/referee/finetune.py.
type torchRun struct {
	Name                  string
	Rule                  Method
	Rates                 []float64
	Momentum, Decay, Clip float64
	Nesterov              bool
	Losses, Norms         []float64
	A, B, C               []float64
}

type torchFile struct {
	Rules     []torchRun
	Schedules map[string][]float64
}

func referee(t *testing.T) (f torchFile) {
	t.Helper()
	raw, err := os.ReadFile("testdata/optim.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// trainer is the referee's problem: sum((tanh(x a) b + c - t)²).
type trainer struct {
	rule   Rule
	store  *model.Store
	exec   *model.Exec
	params []Param
}

func newTrainer(t *testing.T, rule Rule, decay float64) *trainer {
	t.Helper()
	b, err := gobackend.New("ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	p := &trainer{rule: rule, store: model.NewStore(), params: []Param{{"a", 0, decay}, {"b", 1, decay}, {"c", 1, 0}}}
	for name, dims := range map[string][]int{"a": {3, 4}, "b": {4, 2}, "c": {2}} {
		n := 1
		for _, d := range dims {
			n *= d
		}
		if _, err := p.store.RootScope().CreateVariable(name, tensors.FromFlatDataAndDimensions(golden.Numbers("optim."+name, n), dims...)); err != nil {
			t.Fatal(err)
		}
	}
	if err := rule.Reset(p.store, p.params); err != nil {
		t.Fatal(err)
	}
	x, target := tensors.FromFlatDataAndDimensions(golden.Numbers("optim.x", 15), 5, 3), tensors.FromFlatDataAndDimensions(golden.Numbers("optim.t", 10), 5, 2)
	p.exec, err = model.NewExec(b, p.store, func(scope *model.Scope, now, spoil *graph.Node) []*graph.Node {
		g := now.Graph()
		variable := func(name string) *graph.Node { return scope.GetVariable(name).NodeValue(g) }
		y := graph.Add(graph.MatMul(graph.Tanh(graph.MatMul(graph.ConstTensor(g, x), variable("a"))), variable("b")), graph.Reshape(variable("c"), 1, 2))
		d := graph.Sub(y, graph.ConstTensor(g, target))
		loss := graph.Mul(graph.ReduceAllSum(graph.Mul(d, d)), spoil)
		norm, finite := p.rule.Update(scope, p.params, loss, now)
		return []*graph.Node{loss, norm, finite}
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *trainer) step(t *testing.T, i int, rates []float64, spoil float32) (loss, norm float64, finite bool) {
	t.Helper()
	out, err := p.exec.Call(p.rule.Now([]int{i, i}, rates, p.rule.Momentum), spoil)
	if err != nil {
		t.Fatal(err)
	}
	return float64(tensors.ToScalar[float32](out[0])), float64(tensors.ToScalar[float32](out[1])), tensors.ToScalar[bool](out[2])
}

func (p *trainer) value(name string) []float32 {
	return tensors.MustCopyFlatData[float32](p.store.RootScope().GetVariable(name).MustValue())
}

// Six steps with a rate that changes each time. The referee computes in float64; six steps of
// float32 on numbers of size one stay within 1e-5 of it.
func TestRulesAgainstTorch(t *testing.T) {
	for _, c := range referee(t).Rules {
		t.Run(c.Name, func(t *testing.T) {
			p := newTrainer(t, Rule{Name: c.Rule, Momentum: c.Momentum, Nesterov: c.Nesterov, Clip: c.Clip}, c.Decay)
			for i := range c.Losses {
				share := 1 - float64(i)/10
				loss, norm, finite := p.step(t, i, []float64{c.Rates[0] * share, c.Rates[1] * share}, 1)
				if math.Abs(loss-c.Losses[i]) > 1e-5*c.Losses[0] || math.Abs(norm-c.Norms[i]) > 1e-5*c.Norms[0] || !finite {
					t.Fatalf("step %d: loss %v, norm %v, finite %v, PyTorch says %v, %v", i, loss, norm, finite, c.Losses[i], c.Norms[i])
				}
			}
			for name, want := range map[string][]float64{"a": c.A, "b": c.B, "c": c.C} {
				for i, v := range p.value(name) {
					if math.Abs(float64(v)-want[i]) > 1e-5 {
						t.Fatalf("%s[%d] is %v, PyTorch says %v", name, i, v, want[i])
					}
				}
			}
		})
	}
}

// A loss that is not finite must leave weights and memory as they were, and the next good step must
// go on from there.
func TestStepThatIsNotFiniteChangesNothing(t *testing.T) {
	for _, rule := range []Rule{{Name: SGD, Momentum: 0.9}, {Name: AdamW, Clip: 1}} {
		good, bad := newTrainer(t, rule, 0.1), newTrainer(t, rule, 0.1)
		rates := []float64{0.01, 0.01}
		good.step(t, 0, rates, 1)
		bad.step(t, 0, rates, 1)
		for _, spoil := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
			if _, _, finite := bad.step(t, 1, rates, spoil); finite {
				t.Errorf("%s: a loss times %v passes for finite", rule.Name, spoil)
			}
		}
		good.step(t, 1, rates, 1)
		bad.step(t, 1, rates, 1)
		for _, name := range []string{"a", "b", "c"} {
			g, b := good.value(name), bad.value(name)
			for i := range g {
				if g[i] != b[i] {
					t.Fatalf("%s: %s[%d] is %v after a bad step in between, %v without", rule.Name, name, i, b[i], g[i])
				}
			}
		}
	}
}

func TestResetForgets(t *testing.T) {
	p := newTrainer(t, Rule{Name: SGD, Momentum: 0.9}, 0)
	p.step(t, 0, []float64{0.01, 0.01}, 1)
	moved := p.value("a")
	if err := p.rule.Reset(p.store, p.params); err != nil {
		t.Fatal(err)
	}
	// The compiled program goes on with the new memory: no gradient, no momentum, no move.
	p.step(t, 0, []float64{0, 0}, 0)
	if got := p.value("a"); got[0] != moved[0] || len(p.rule.Memory(p.store, p.params)) != 3 {
		t.Errorf("a moved from %v to %v", moved[0], got[0])
	}
	for _, v := range tensors.MustCopyFlatData[float32](slot(p.store.RootScope(), "velocity", "a").MustValue()) {
		if v != 0 {
			t.Fatal("momentum is left over")
		}
	}
	if err := p.rule.Reset(p.store, []Param{{Key: "nobody"}}); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("a parameter that is not there: %v", err)
	}
}

func TestSchedulesAgainstTorch(t *testing.T) {
	want := referee(t).Schedules
	for name, s := range map[string]Schedule{
		"one_cycle": {Kind: OneCycle, Warmup: 0.25},
		"cosine":    {Kind: Cosine, Warmup: 0.2, Start: 0.2},
		"step":      {Kind: Step, Every: 7, Drop: 0.1},
	} {
		if err := s.Check(); err != nil {
			t.Error(err)
		}
		for i, w := range want[name] {
			if got := s.Factor(i, len(want[name]), 1); math.Abs(got-w) > 1e-9 {
				t.Errorf("%s, step %d: %v, PyTorch says %v", name, i, got, w)
			}
		}
	}
	s, w, factor := Schedule{Kind: Plateau, Drop: 0.5, Patience: 1}, Watch{}, 1.0
	for i, loss := range want["plateau_metrics"] {
		if factor != want["plateau"][i] {
			t.Errorf("plateau, epoch %d: %v, PyTorch says %v", i, factor, want["plateau"][i])
		}
		factor = w.Hear(s, loss)
	}
	moves := Schedule{Kind: OneCycle, Warmup: 0.25, Momenta: [2]float64{0.95, 0.85}}
	if a, b, c := moves.Momentum(0, 20, 0.9), moves.Momentum(4, 20, 0.9), moves.Momentum(19, 20, 0.9); a != 0.95 || b != 0.85 || math.Abs(c-0.95) > 1e-9 {
		t.Errorf("momentum goes %v, %v, %v", a, b, c)
	}
	for steps := 1; steps < 9; steps++ { // short runs neither divide by zero nor leave [0, 1]
		for _, s := range []Schedule{{Kind: OneCycle, Warmup: 0.25}, {Kind: Cosine, Warmup: 0.1}} {
			for i := range steps {
				if f := s.Factor(i, steps, 1); !(f >= 0 && f <= 1) {
					t.Errorf("%s, step %d of %d: factor %v", s.Kind, i, steps, f)
				}
			}
		}
	}
}

func TestWrongRulesAreRefused(t *testing.T) {
	for _, r := range []Rule{{}, {Name: "lamb"}, {Name: SGD, Momentum: 1}, {Name: SGD, Nesterov: true}, {Name: AdamW, Clip: math.NaN()}, {Name: AdamW, Epsilon: -1}} {
		if r.Check() == nil {
			t.Errorf("%+v is accepted", r)
		}
	}
	for _, s := range []Schedule{{}, {Kind: Step, Drop: 0.1}, {Kind: Plateau}, {Kind: OneCycle, Warmup: 1}, {Kind: Cosine, Start: -1}} {
		if s.Check() == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
}
