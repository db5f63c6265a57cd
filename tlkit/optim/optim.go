// Package optim updates weights inside the graph of a training step: gradient descent with momentum
// (SGD), or AdamW. The step is compiled once. Learning rates and momentum enter it as numbers, so a
// schedule never compiles anything again.
//
//	rule := optim.Rule{Name: optim.AdamW, Clip: 1}
//	err := rule.Reset(store, params)                       // before the first step: zeroes the state
//	norm, finite := rule.Update(scope, params, loss, now)  // in the graph; now is a parameter
//	now := rule.Now(steps, rates, rule.Momentum)           // its value, in every step
//
// Variables belong to groups, each with a learning rate of its own: the layers near the pixels,
// say, move more slowly than the head. A [Schedule] multiplies all rates by a factor that changes
// from step to step.
//
// A step whose loss or gradient is not finite changes nothing: the weights stay as they were.
package optim

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// Method is the name of an optimiser.
type Method string

const (
	// SGD is gradient descent as PyTorch computes it: v ← μ v + g, w ← w - rate v. Weight decay is
	// added to g.
	SGD Method = "sgd"
	// AdamW is the method of Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101. Weight
	// decay is taken off w itself.
	AdamW Method = "adamw"
)

// Rule says how gradients become steps. It is plain data.
type Rule struct {
	Name     Method  `json:"name"`
	Momentum float64 `json:"momentum"`           // for SGD, in [0, 1); for AdamW its first beta, 0 = 0.9
	Nesterov bool    `json:"nesterov,omitempty"` // for SGD: look ahead along the momentum
	Beta2    float64 `json:"beta2,omitempty"`    // for AdamW, 0 = 0.999
	Epsilon  float64 `json:"epsilon,omitempty"`  // for AdamW, 0 = 1e-8
	Clip     float64 `json:"clip,omitempty"`     // largest norm of all gradients together; 0 = no limit
}

// Param is one variable that the rule moves.
type Param struct {
	Key   string  // its name in the scope
	Group int     // index of its learning rate
	Decay float64 // weight decay; 0 for biases and the gains of norms
}

// Check returns an error if the rule is invalid.
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

// slots returns the names of the tensors that the rule keeps for each variable.
func (r Rule) slots() []string {
	switch {
	case r.Name == AdamW:
		return []string{"m", "v"}
	case r.Momentum > 0:
		return []string{"velocity"}
	}
	return nil
}

// memoryScope is the scope of a rule's memory in a store: /optim/SLOT/KEY.
const memoryScope = "optim"

func slot(scope *model.Scope, name, key string) *model.Variable {
	return scope.Store().RootScope().At(memoryScope).At("%s", name).GetVariable(key)
}

// Reset sets the optimiser's state of each variable of params to zeros. The variables must be in
// the root of store. Programs compiled for the same rule and params go on working.
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
				s.SetTrainable(false) // one that a GoMLX checkpoint made is trainable
				if err := s.SetValue(zeros); err != nil {
					return fmt.Errorf("optim: %w", err)
				}
				continue
			}
			s, err := store.RootScope().At(memoryScope).At("%s", name).CreateVariable(p.Key, zeros)
			if err != nil {
				return fmt.Errorf("optim: %w", err)
			}
			s.SetTrainable(false)
		}
	}
	return nil
}

// Memory returns the optimiser's state for params, such as velocities and moments, by name, to be
// stored with a checkpoint.
func (r Rule) Memory(store *model.Store, params []Param) map[string]*model.Variable {
	out := map[string]*model.Variable{}
	for _, p := range params {
		for _, name := range r.slots() {
			if v := slot(store.RootScope(), name, p.Key); v != nil {
				out[memoryScope+"."+name+"."+p.Key] = v
			}
		}
	}
	return out
}

// The numbers of a step: the momentum, and then for each group its rate and AdamW's two bias
// corrections.
const (
	nowRate = iota
	nowFirst
	nowSecond
	perGroup
)

// NowShape returns the shape of the parameter now of Update, for that number of groups.
func NowShape(groups int) shapes.Shape { return shapes.Make(dtypes.Float32, 1+groups*perGroup) }

// Now returns the numbers of a step, the parameter now of Update. Each group has the number of
// steps that it has taken before, and its rate. momentum is the rule's, or that of a schedule that
// moves it.
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

// Update takes one step down the gradient of loss, a scalar, within the graph: the variables of
// params get new values. now is a parameter of NowShape, filled by Now. norm is the norm of all
// gradients together, before clipping. finite is false if norm or the loss is not a finite number;
// then nothing changes.
func (r Rule) Update(scope *model.Scope, params []Param, loss, now *graph.Node) (norm, finite *graph.Node) {
	return r.Apply(scope, params, Gradients(scope, params, loss), loss, now)
}

// Gradients returns the gradients of loss, a scalar: one for each of params, with its shape.
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

// Apply is Update for gradients that were computed before, see [Gradients].
func (r Rule) Apply(scope *model.Scope, params []Param, grads []*graph.Node, loss, now *graph.Node) (norm, finite *graph.Node) {
	if err := r.Check(); err != nil {
		panic(err)
	}
	if len(grads) != len(params) {
		panic(fmt.Errorf("optim: %d gradients for %d variables", len(grads), len(params)))
	}
	weights := nodes(scope, params, loss.Graph())
	norm = normOf(grads)
	finite = graph.LogicalAnd(graph.IsFinite(loss), graph.IsFinite(norm))
	grads = r.clipped(grads, norm)
	for i, p := range params {
		m := move{scope: scope, param: p, weight: weights[i], grad: grads[i], now: now, finite: finite}
		var next *graph.Node
		if r.Name == AdamW {
			next = r.adamw(m)
		} else {
			next = r.sgd(m)
		}
		m.set(scope.GetVariable(p.Key), next)
	}
	return norm, finite
}

// normOf is the norm of all gradients together.
func normOf(grads []*graph.Node) *graph.Node {
	var square *graph.Node
	for _, d := range grads {
		s := graph.ReduceAllSum(graph.Mul(d, d))
		if square == nil {
			square = s
		} else {
			square = graph.Add(square, s)
		}
	}
	return graph.Sqrt(square)
}

// clipped scales the gradients down where their norm is larger than r.Clip.
func (r Rule) clipped(grads []*graph.Node, norm *graph.Node) []*graph.Node {
	if r.Clip == 0 {
		return grads
	}
	limit := graph.Scalar(norm.Graph(), norm.DType(), r.Clip)
	share := graph.MinScalar(graph.Div(limit, graph.AddScalar(norm, 1e-6)), 1) // 1e-6 as in PyTorch
	out := make([]*graph.Node, len(grads))
	for i := range grads {
		out[i] = graph.Mul(grads[i], share)
	}
	return out
}

// move is the step of one variable.
type move struct {
	scope        *model.Scope
	param        Param
	weight, grad *graph.Node
	now, finite  *graph.Node
}

// number is one of the numbers in now.
func (m move) number(i int) *graph.Node { return graph.Reshape(graph.Slice(m.now, graph.AxisElem(i))) }

func (m move) momentum() *graph.Node { return m.number(0) }

// own is a number of the variable's group.
func (m move) own(which int) *graph.Node { return m.number(1 + m.param.Group*perGroup + which) }

// slot is a tensor of the rule's memory.
func (m move) slot(name string) *model.Variable { return slot(m.scope, name, m.param.Key) }

// set gives v its value after the step, unless the step is not finite.
func (m move) set(v *model.Variable, value *graph.Node) {
	v.SetNodeValue(graph.Where(m.finite, value, v.NodeValue(m.weight.Graph())))
}

// sgd returns the variable's value after a step.
func (r Rule) sgd(m move) *graph.Node {
	rate, w, d := m.own(nowRate), m.weight, m.grad
	if m.param.Decay != 0 {
		d = graph.Add(d, graph.MulScalar(w, m.param.Decay))
	}
	if r.Momentum > 0 {
		v, momentum := m.slot("velocity"), m.momentum()
		velocity := graph.Add(graph.Mul(v.NodeValue(w.Graph()), momentum), d)
		m.set(v, velocity)
		if r.Nesterov {
			d = graph.Add(d, graph.Mul(velocity, momentum))
		} else {
			d = velocity
		}
	}
	return graph.Sub(w, graph.Mul(d, rate))
}

// adamw returns the variable's value after a step.
func (r Rule) adamw(m move) *graph.Node {
	g, w, d := m.weight.Graph(), m.weight, m.grad
	beta1, beta2 := m.momentum(), orElse(r.Beta2, 0.999)
	rate, first, second := m.own(nowRate), m.slot("m"), m.slot("v")
	mean := graph.Add(graph.Mul(first.NodeValue(g), beta1), graph.Mul(d, graph.OneMinus(beta1)))
	square := graph.Add(graph.MulScalar(second.NodeValue(g), beta2), graph.MulScalar(graph.Mul(d, d), 1-beta2))
	m.set(first, mean)
	m.set(second, square)
	root := graph.AddScalar(graph.Div(graph.Sqrt(square), graph.Sqrt(m.own(nowSecond))), orElse(r.Epsilon, 1e-8))
	if m.param.Decay != 0 {
		w = graph.Mul(w, graph.OneMinus(graph.MulScalar(rate, m.param.Decay)))
	}
	return graph.Sub(w, graph.Mul(graph.Div(mean, root), graph.Div(rate, m.own(nowFirst))))
}
