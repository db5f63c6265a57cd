package finetune

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/optim"
	"github.com/tlkit/transfer-learning/tlkit/weights"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Keys of the head's variables; no checkpoint has such names.
const (
	headWeight = "tlkit.head.weight" // [K, C]
	headBias   = "tlkit.head.bias"   // [K]
	averages   = "average"           // scope of the moving averages
	gradients  = "gradient"          // scope of the gradients of a step that is taken in micro-batches
)

// tuner is the moving part of a network with its head, compiled once: a training step and a forward pass. What does not
// move lies before it and is not part of it.
type tuner struct {
	objective objective
	plan      Plan
	net       *zoo.Net
	in        []int  // shape of one picture's input: [S,S,3], or the map behind the last frozen stage
	from      string // the last frozen stage; "" = none
	engine    string

	store      *model.Store
	params     []optim.Param
	statistics []string // running statistics that move
	start      map[string][]float32
	micro      int         // pictures whose gradients are taken at once
	train      *model.Exec // a whole step; nil where it is taken in micro-batches, by the next two
	gather     *model.Exec // adds up the gradients of some pictures
	apply      *model.Exec // takes the step with them
	eval       *model.Exec
	estimate   *model.Exec // feeds the running statistics; nil unless the plan wants it
}

// stages are the names of the net's stages in order.
func stages(net *zoo.Net) []string {
	var names []string
	for _, s := range net.Declaration().Stages {
		names = append(names, s.Name)
	}
	return names
}

// newTuner readies net and head, which is in the units of training, for the groups of the plan.
// Programs are compiled when they are first called.
func newTuner(net *zoo.Net, e *engine.Engine, o objective, h *head.Linear, p Plan) (t *tuner, err error) {
	defer caught(&err, "building the training step")
	t = &tuner{objective: o, plan: p, net: net, engine: e.Name, store: model.NewStore(), start: map[string][]float32{}}
	t.from = p.border(net)
	t.in = t.inputShape()
	if err := t.createBackbone(); err != nil {
		return nil, err
	}
	if err := t.createHead(h); err != nil {
		return nil, err
	}
	if err := t.createAverages(); err != nil {
		return nil, err
	}
	if err := p.Rule.Reset(t.store, t.params); err != nil {
		return nil, err
	}
	if err := t.createGradients(); err != nil {
		return nil, err
	}
	return t, t.compile(e)
}

// inputShape is the shape of the pictures, or of the map behind the last frozen stage.
func (t *tuner) inputShape() []int {
	for _, s := range t.net.Declaration().Stages {
		if s.Name == t.from {
			return s.Shape
		}
	}
	return []int{t.net.Preset.Size, t.net.Preset.Size, 3}
}

// createBackbone makes the variables of what lies behind the last frozen stage.
func (t *tuner) createBackbone() error {
	behind := t.from == ""
	inside := map[string]bool{backbone.Classifier: true} // its weights are asked for, though nothing comes of them
	for _, s := range t.net.Declaration().Stages {
		if behind {
			inside[s.Name] = true
		}
		behind = behind || s.Name == t.from
	}
	group := t.plan.groupOf()
	for _, w := range t.net.Declaration().Weights {
		if !inside[w.Stage] {
			continue
		}
		values, shape, _ := t.net.Tensor(w.Name)
		if err := t.create(t.store.RootScope(), w.Name, values, shape); err != nil {
			return err
		}
		g, moves := group[w.Stage]
		switch {
		case moves && w.Trainable:
			t.params = append(t.params, optim.Param{Key: w.Name, Group: g, Decay: decayOf(t.plan.Groups[g].Decay, shape)})
		case !w.Trainable && t.plan.batchNorm(w.Stage, moves):
			t.statistics = append(t.statistics, w.Name)
		default:
			continue
		}
		t.start[w.Name] = values
	}
	return nil
}

// createHead makes the head's variables.
func (t *tuner) createHead(h *head.Linear) error {
	root := t.store.RootScope()
	if err := t.create(root, headWeight, slices.Clone(h.Weight), []int{h.Classes, h.Features}); err != nil {
		return err
	}
	if err := t.create(root, headBias, slices.Clone(h.Bias), []int{h.Classes}); err != nil {
		return err
	}
	t.start[headWeight], t.start[headBias] = slices.Clone(h.Weight), slices.Clone(h.Bias)
	if g, moves := t.plan.groupOf()[HeadStage]; moves {
		t.params = append(t.params, optim.Param{Key: headWeight, Group: g, Decay: t.plan.Groups[g].Decay}, optim.Param{Key: headBias, Group: g})
	}
	return nil
}

// createAverages makes the moving averages, where the plan keeps them.
func (t *tuner) createAverages() error {
	if t.plan.Average == 0 {
		return nil
	}
	root := t.store.RootScope()
	for _, p := range t.params {
		if err := t.create(root.At(averages), p.Key, slices.Clone(t.start[p.Key]), root.GetVariable(p.Key).Shape().Dimensions); err != nil {
			return err
		}
	}
	return nil
}

// createGradients makes the sums of the gradients, where a step is taken in micro-batches.
func (t *tuner) createGradients() error {
	if t.micro = t.microbatch(); t.micro == t.plan.Batch {
		return nil
	}
	root := t.store.RootScope()
	for _, p := range t.params {
		shape := root.GetVariable(p.Key).Shape()
		if err := t.create(root.At(gradients), p.Key, make([]float32, shape.Size()), shape.Dimensions); err != nil {
			return err
		}
	}
	return nil
}

// decayOf is the weight decay of a tensor: matrices and kernels have one, biases and the gains of norms have none.
func decayOf(decay float64, shape []int) float64 {
	if len(shape) < 2 {
		return 0
	}
	return decay
}

func (t *tuner) create(scope *model.Scope, key string, values []float32, shape []int) error {
	v, err := scope.CreateVariable(key, tensors.FromFlatDataAndDimensions(values, shape...))
	if err != nil {
		return fmt.Errorf("finetune: %w", err)
	}
	v.SetTrainable(false) // gradients are asked for by name
	return nil
}

func (t *tuner) compile(e *engine.Engine) (err error) {
	p := t.plan
	if t.micro == p.Batch {
		if t.train, err = model.NewExec(e.Backend, t.store, t.step); err != nil {
			return err
		}
		t.train.WithName("train:" + t.net.Row.Name)
	} else {
		if t.gather, err = model.NewExec(e.Backend, t.store, t.add); err != nil {
			return err
		}
		if t.apply, err = model.NewExec(e.Backend, t.store, t.descend); err != nil {
			return err
		}
		t.gather.WithName("gradients:" + t.net.Row.Name)
		t.apply.WithName("apply:" + t.net.Row.Name)
	}
	if t.eval, err = model.NewExec(e.Backend, t.store, func(scope *model.Scope, x *graph.Node) *graph.Node {
		return t.logits(scope, t.features(scope, x, backbone.Norms{}))
	}); err != nil {
		return err
	}
	t.eval.WithName("eval:" + t.net.Row.Name)
	if p.Norms == Reestimated {
		t.estimate, err = model.NewExec(e.Backend, t.store, func(scope *model.Scope, x, rows, momentum *graph.Node) *graph.Node {
			n := t.norms(graph.ConvertDType(graph.GreaterThan(rows, graph.ScalarZero(rows.Graph(), rows.DType())), rows.DType()))
			n.Momentum = momentum
			return graph.ReduceAllSum(t.features(scope, x, n))
		})
		if err != nil {
			return err
		}
		t.estimate.WithName("statistics:" + t.net.Row.Name)
	}
	return nil
}

// norms lets the norms follow the batch that the plan says.
func (t *tuner) norms(rows *graph.Node) backbone.Norms {
	if len(t.statistics) == 0 {
		return backbone.Norms{}
	}
	moving := map[string]bool{}
	for _, key := range t.statistics {
		moving[key] = true
	}
	return backbone.Norms{Batch: func(key string) bool { return moving[key+".running_mean"] }, Rows: rows}
}

func (t *tuner) features(scope *model.Scope, x *graph.Node, n backbone.Norms) *graph.Node {
	return backbone.Part{From: t.from, Size: t.net.Preset.Size, Norms: n}.Graph(t.net.Row.Arch(), scope, x).Features
}

func (t *tuner) logits(scope *model.Scope, features *graph.Node) *graph.Node {
	g := features.Graph()
	w, b := scope.GetVariable(headWeight).NodeValue(g), scope.GetVariable(headBias).NodeValue(g)
	return graph.Add(graph.Einsum("nc,kc->nk", features, w), graph.Reshape(b, 1, -1))
}

func finalize(args []any) {
	for _, a := range args {
		a.(*tensors.Tensor).MustFinalizeAll()
	}
}

// predict gives the logits of a batch of inputs, [B, K].
func (t *tuner) predict(x []float32) (logits []float32, err error) {
	defer caught(&err, "running the network")
	in := tensors.FromFlatDataAndDimensions(x, append([]int{t.plan.Batch}, t.in...)...)
	out, err := t.eval.Call1(in)
	in.MustFinalizeAll()
	if err != nil {
		return nil, fmt.Errorf("finetune: %w", err)
	}
	defer out.MustFinalizeAll()
	return tensors.CopyFlatData[float32](out)
}

// follow lets the running statistics follow a batch with this momentum.
func (t *tuner) follow(b *batch, momentum float32) (err error) {
	defer caught(&err, "estimating statistics")
	n := t.plan.Batch
	args := []any{tensors.FromFlatDataAndDimensions(b.x, append([]int{n}, t.in...)...), tensors.FromFlatDataAndDimensions(b.rows, n), tensors.FromScalar(momentum)}
	out, err := t.estimate.Call1(args...)
	finalize(args)
	if err != nil {
		return fmt.Errorf("finetune: %w", err)
	}
	out.MustFinalizeAll()
	return nil
}

// variables are all tensors that training changes, with the rule's memory and the averages, by name.
func (t *tuner) variables() map[string]*model.Variable {
	out := t.plan.Rule.Memory(t.store, t.params)
	for _, p := range t.params {
		out[p.Key] = t.store.RootScope().GetVariable(p.Key)
		if t.plan.Average > 0 {
			out[averages+"."+p.Key] = t.store.RootScope().At(averages).GetVariable(p.Key)
		}
	}
	for _, key := range t.statistics {
		out[key] = t.store.RootScope().GetVariable(key)
	}
	return out
}

// values reads the tensors of some keys.
func (t *tuner) values(keys []string) (map[string][]float32, error) {
	out := make(map[string][]float32, len(keys))
	for _, key := range keys {
		v, err := value(t.store.RootScope().GetVariable(key))
		if err != nil {
			return nil, fmt.Errorf("finetune: %s: %w", key, err)
		}
		out[key] = v
	}
	return out, nil
}

func value(v *model.Variable) ([]float32, error) {
	t, err := v.Value()
	if err != nil {
		return nil, err
	}
	return tensors.CopyFlatData[float32](t)
}

// put sets tensors by key; the programs go on with them.
func (t *tuner) put(values map[string][]float32) error {
	for key, data := range values {
		if err := put(t.store.RootScope().GetVariable(key), data); err != nil {
			return fmt.Errorf("finetune: %s: %w", key, err)
		}
	}
	return nil
}

func put(v *model.Variable, data []float32) error {
	if v == nil || v.Shape().Size() != len(data) {
		return fmt.Errorf("%d values do not fit the variable", len(data))
	}
	return v.SetValue(tensors.FromFlatDataAndDimensions(slices.Clone(data), v.Shape().Dimensions...))
}

// restart puts everything back to the beginning, with another head, nothing left in the rule's memory.
func (t *tuner) restart(h *head.Linear) error {
	t.start[headWeight], t.start[headBias] = h.Weight, h.Bias
	if err := t.put(t.start); err != nil {
		return err
	}
	if t.plan.Average > 0 {
		for _, p := range t.params {
			if err := put(t.store.RootScope().At(averages).GetVariable(p.Key), t.start[p.Key]); err != nil {
				return err
			}
		}
	}
	return t.plan.Rule.Reset(t.store, t.params)
}

// tuned are the values that training arrived at: the averages where the plan keeps them.
func (t *tuner) tuned() (map[string][]float32, error) {
	out, err := t.values(t.keys())
	if err != nil || t.plan.Average == 0 {
		return out, err
	}
	for _, p := range t.params {
		if out[p.Key], err = value(t.store.RootScope().At(averages).GetVariable(p.Key)); err != nil {
			return nil, fmt.Errorf("finetune: %s: %w", p.Key, err)
		}
	}
	return out, nil
}

// keys are the weights and statistics that move, in order, head included.
func (t *tuner) keys() []string {
	keys := slices.Clone(t.statistics)
	for _, p := range t.params {
		keys = append(keys, p.Key)
	}
	for _, key := range []string{headWeight, headBias} {
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// mixed is the way from the start to the tuned values, share 0 to 1 of it; 0 and 1 give them to the bit.
func (t *tuner) mixed(tuned map[string][]float32, share float64) map[string][]float32 {
	out := make(map[string][]float32, len(tuned))
	for key, to := range tuned {
		from, at := t.start[key], make([]float32, len(to))
		for i := range to {
			switch share {
			case 0:
				at[i] = from[i]
			case 1:
				at[i] = to[i]
			default:
				at[i] = float32(float64(from[i]) + share*(float64(to[i])-float64(from[i])))
			}
		}
		out[key] = at
	}
	return out
}

// result is a head, in the units of the pictures, and a net of these values.
func (t *tuner) result(values map[string][]float32) (*head.Linear, *zoo.Net, error) {
	h := t.objective.loss.written(&head.Linear{Classes: t.objective.k, Features: t.net.Row.Features, Weight: values[headWeight], Bias: values[headBias]})
	if err := h.Check(); err != nil {
		return nil, nil, err
	}
	var changes []weights.Tensor
	for _, w := range t.net.Declaration().Weights {
		v, ok := values[w.Name]
		if !ok || slices.Equal(v, t.start[w.Name]) {
			continue
		}
		raw, err := w.Layout.Undo(w.Shape, v)
		if err != nil {
			return nil, nil, fmt.Errorf("finetune: %s: %w", w.Name, err)
		}
		changes = append(changes, weights.FromFloat32(w.Name, w.Shape, raw))
	}
	net, err := t.net.With(changes)
	return h, net, err
}

func (t *tuner) close() {
	for _, e := range []*model.Exec{t.train, t.gather, t.apply, t.eval, t.estimate} {
		if e != nil {
			e.Finalize()
		}
	}
	t.store.Finalize()
}

// caught turns a panic of graph code into an error: nothing panics across the border of this package.
func caught(err *error, doing string) {
	switch r := recover().(type) {
	case nil:
	case error:
		*err = fmt.Errorf("finetune: %s: %w", doing, r)
	default:
		*err = fmt.Errorf("finetune: %s: %v", doing, r)
	}
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
