// Package optim updates weights: gradient descent with momentum or AdamW, in the graph of a training step that is
// compiled once. Rates and momentum enter each step as numbers, so that no schedule ever compiles anything again.
//
//	rule := optim.Rule{Name: optim.AdamW, Clip: 1}
//	err := rule.Reset(store, params)                                        // clean state: after every unfreezing
//	norm, finite := rule.Update(scope, params, loss, now)                   // inside the graph; now is a parameter
//	exec.Call(batch, labels, rule.Now(steps, rates, rule.Momentum))         // steps 0, 1, ... of each group
//
// A step whose loss or gradient is not finite changes nothing: the weights stay those of the step before.
package optim

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// The rules.
const (
	SGD   = "sgd"   // v ← μ v + g, w ← w - rate v, as PyTorch counts it; decay is added to g
	AdamW = "adamw" // Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101: decay is taken off w itself
)

// Rule is how gradients become steps: plain data.
type Rule struct {
	Name     string  `json:"name"`               // SGD or AdamW
	Momentum float64 `json:"momentum"`           // of SGD, in [0, 1); of AdamW its first beta, 0 = 0.9
	Nesterov bool    `json:"nesterov,omitempty"` // SGD: look ahead along the momentum
	Beta2    float64 `json:"beta2,omitempty"`    // of AdamW, 0 = 0.999
	Epsilon  float64 `json:"epsilon,omitempty"`  // of AdamW, 0 = 1e-8
	Clip     float64 `json:"clip,omitempty"`     // largest norm of all gradients together; 0 = no limit
}

// Param is one variable that the rule moves.
type Param struct {
	Key   string  // its name in the scope
	Group int     // which of the rates is its
	Decay float64 // weight decay; 0 for biases and the gains of norms
}

// Check says what is wrong with a rule.
func (r Rule) Check() error {
	switch {
	case r.Name != SGD && r.Name != AdamW:
		return fmt.Errorf("optim: rule %q, want %q or %q", r.Name, SGD, AdamW)
	case !(r.Momentum >= 0 && r.Momentum < 1) || !(r.Beta2 >= 0 && r.Beta2 < 1):
		return fmt.Errorf("optim: momentum %v, beta2 %v, want numbers from 0 to below 1", r.Momentum, r.Beta2)
	case !(r.Epsilon >= 0) || !(r.Clip >= 0) || math.IsInf(r.Epsilon+r.Clip, 0):
		return fmt.Errorf("optim: epsilon %v, clip %v, want 0 or more", r.Epsilon, r.Clip)
	case r.Nesterov && (r.Name != SGD || r.Momentum == 0):
		return fmt.Errorf("optim: Nesterov's momentum is for %s with a momentum above 0", SGD)
	}
	return nil
}

func orElse(v, standard float64) float64 {
	if v == 0 {
		return standard
	}
	return v
}

// slots are the tensors that the rule remembers for each variable.
func (r Rule) slots() []string {
	switch {
	case r.Name == AdamW:
		return []string{"m", "v"}
	case r.Momentum > 0:
		return []string{"velocity"}
	}
	return nil
}

// Scope is where the rule's memory lives in a store: /optim/SLOT/KEY.
const Scope = "optim"

func slot(scope *model.Scope, name, key string) *model.Variable {
	return scope.Store().RootScope().At(Scope).At("%s", name).GetVariable(key)
}

// Reset gives each variable of params, which must be in the root of store, a memory of zeros. Programs that were compiled
// for the same rule and params go on working.
func (r Rule) Reset(store *model.Store, params []Param) error {
	if err := r.Check(); err != nil {
		return err
	}
	for _, p := range params {
		v := store.RootScope().GetVariable(p.Key)
		if v == nil {
			return fmt.Errorf("optim: no variable %q to optimise", p.Key)
		}
		for _, name := range r.slots() {
			zeros := tensors.FromShape(v.Shape())
			if s := slot(store.RootScope(), name, p.Key); s != nil {
				if err := s.SetValue(zeros); err != nil {
					return fmt.Errorf("optim: %w", err)
				}
				continue
			}
			s, err := store.RootScope().At(Scope).At("%s", name).CreateVariable(p.Key, zeros)
			if err != nil {
				return fmt.Errorf("optim: %w", err)
			}
			s.SetTrainable(false)
		}
	}
	return nil
}

// Memory lists what the rule remembers for params, by name, for whoever keeps it on disk.
func (r Rule) Memory(store *model.Store, params []Param) map[string]*model.Variable {
	out := map[string]*model.Variable{}
	for _, p := range params {
		for _, name := range r.slots() {
			if v := slot(store.RootScope(), name, p.Key); v != nil {
				out[Scope+"."+name+"."+p.Key] = v
			}
		}
	}
	return out
}

// The numbers of a step: the momentum, and then of each group its rate and AdamW's two bias corrections.
const (
	nowRate = iota
	nowFirst
	nowSecond
	perGroup
)

// NowShape is the shape of what Update takes for so many groups.
func NowShape(groups int) shapes.Shape { return shapes.Make(dtypes.Float32, 1+groups*perGroup) }

// Now are the numbers of a step: how many steps each group has moved before, and its rate. Momentum is the rule's, or
// another one when a schedule moves it.
func (r Rule) Now(steps []int, rates []float64, momentum float64) []float32 {
	if r.Name == AdamW {
		momentum = orElse(momentum, 0.9)
	}
	out := []float32{float32(momentum)}
	for i, rate := range rates {
		first := 1 - math.Pow(momentum, float64(steps[i]+1))
		second := 1 - math.Pow(orElse(r.Beta2, 0.999), float64(steps[i]+1))
		out = append(out, float32(rate), float32(first), float32(second))
	}
	return out
}

// Update takes one step down the gradient of loss, a scalar, within the graph: the variables of params get new values.
// now is a parameter of NowShape filled by Now. norm is that of all gradients together, before clipping; finite is false
// when it or the loss is not a number, and then nothing changes.
func (r Rule) Update(scope *model.Scope, params []Param, loss, now *graph.Node) (norm, finite *graph.Node) {
	return r.Apply(scope, params, Gradients(scope, params, loss), loss, now)
}

// Gradients are those of loss, a scalar, one for each of params and of its shape.
func Gradients(scope *model.Scope, params []Param, loss *graph.Node) []*graph.Node {
	return graph.Gradient(loss, nodes(scope, params, loss.Graph())...)
}

func nodes(scope *model.Scope, params []Param, g *graph.Graph) []*graph.Node {
	out := make([]*graph.Node, len(params))
	for i, p := range params {
		v := scope.GetVariable(p.Key)
		if v == nil {
			panic(fmt.Errorf("optim: no variable %q to optimise", p.Key))
		}
		out[i] = v.NodeValue(g)
	}
	return out
}

// Apply is Update with gradients that were computed before, see [Gradients].
func (r Rule) Apply(scope *model.Scope, params []Param, grads []*graph.Node, loss, now *graph.Node) (norm, finite *graph.Node) {
	if err := r.Check(); err != nil {
		panic(err)
	}
	if len(grads) != len(params) {
		panic(fmt.Errorf("optim: %d gradients for %d variables", len(grads), len(params)))
	}
	g := loss.Graph()
	weights, grads := nodes(scope, params, g), slices.Clone(grads)
	var square *graph.Node
	for _, d := range grads {
		if s := graph.ReduceAllSum(graph.Mul(d, d)); square == nil {
			square = s
		} else {
			square = graph.Add(square, s)
		}
	}
	norm = graph.Sqrt(square)
	finite = graph.LogicalAnd(graph.IsFinite(loss), graph.IsFinite(norm))
	if r.Clip > 0 {
		share := graph.MinScalar(graph.Div(graph.Scalar(g, norm.DType(), r.Clip), graph.AddScalar(norm, 1e-6)), 1) // 1e-6 as in PyTorch
		for i := range grads {
			grads[i] = graph.Mul(grads[i], share)
		}
	}
	at := func(i int) *graph.Node { return graph.Reshape(graph.Slice(now, graph.AxisElem(i))) }
	for i, p := range params {
		number := func(which int) *graph.Node { return at(1 + p.Group*perGroup + which) }
		rate := number(nowRate)
		set := func(v *model.Variable, value *graph.Node) {
			v.SetNodeValue(graph.Where(finite, value, v.NodeValue(g)))
		}
		var next *graph.Node
		if r.Name == AdamW {
			next = r.adamw(scope, p, weights[i], grads[i], at(0), number, set)
		} else {
			next = r.sgd(scope, p, weights[i], grads[i], rate, at(0), set)
		}
		set(scope.GetVariable(p.Key), next)
	}
	return norm, finite
}

func (r Rule) sgd(scope *model.Scope, p Param, w, d, rate, momentum *graph.Node, set func(*model.Variable, *graph.Node)) *graph.Node {
	if p.Decay != 0 {
		d = graph.Add(d, graph.MulScalar(w, p.Decay))
	}
	if r.Momentum > 0 {
		v := slot(scope, "velocity", p.Key)
		velocity := graph.Add(graph.Mul(v.NodeValue(w.Graph()), momentum), d)
		set(v, velocity)
		if r.Nesterov {
			d = graph.Add(d, graph.Mul(velocity, momentum))
		} else {
			d = velocity
		}
	}
	return graph.Sub(w, graph.Mul(d, rate))
}

func (r Rule) adamw(scope *model.Scope, p Param, w, d, beta1 *graph.Node, number func(int) *graph.Node, set func(*model.Variable, *graph.Node)) *graph.Node {
	g := w.Graph()
	rate, beta2 := number(nowRate), orElse(r.Beta2, 0.999)
	first, second := slot(scope, "m", p.Key), slot(scope, "v", p.Key)
	m := graph.Add(graph.Mul(first.NodeValue(g), beta1), graph.Mul(d, graph.OneMinus(beta1)))
	v := graph.Add(graph.MulScalar(second.NodeValue(g), beta2), graph.MulScalar(graph.Mul(d, d), 1-beta2))
	set(first, m)
	set(second, v)
	root := graph.AddScalar(graph.Div(graph.Sqrt(v), graph.Sqrt(number(nowSecond))), orElse(r.Epsilon, 1e-8))
	if p.Decay != 0 {
		w = graph.Mul(w, graph.OneMinus(graph.MulScalar(rate, p.Decay)))
	}
	return graph.Sub(w, graph.Mul(graph.Div(m, root), graph.Div(rate, number(nowFirst))))
}
