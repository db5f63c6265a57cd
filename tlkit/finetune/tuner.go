package finetune

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

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

// Keys of variables that no checkpoint has.
const (
	headWeight = "tlkit.head.weight" // [K, C]
	headBias   = "tlkit.head.bias"   // [K]
	averages   = "average"           // scope of the moving averages
	gradients  = "gradient"          // scope of the summed gradients of micro-batches
)

// tuner is the moving part of a network with its head, compiled once: a training step and a forward
// pass. The frozen part before it is not included.
type tuner struct {
	objective objective
	plan      Plan
	net       *zoo.Net
	// Shape of one picture's input: [S, S, 3], or the output map of the last frozen stage.
	input  []int
	border string // the last frozen stage; "" = none
	engine *engine.Engine
	form   engine.Form // of the programs

	store      *model.Store
	params     []optim.Param
	statistics []string // running statistics that move
	start      map[string][]float32
	micro      int         // pictures whose gradients are computed at once
	train      *model.Exec // a complete step; nil with micro-batches, which use the next two
	gather     *model.Exec // sums the gradients of some pictures
	apply      *model.Exec // takes the step with the summed gradients
	eval       *model.Exec
	estimate   *model.Exec // updates the running statistics; nil unless the plan re-estimates them
}

// stages returns the names of the net's stages in order.
func stages(net *zoo.Net) []string {
	var names []string
	for _, s := range net.Declaration().Stages {
		names = append(names, s.Name)
	}
	return names
}

// newTuner prepares net and head, which is in the units of training, for the groups of the plan.
// Programs are compiled when first called.
func newTuner(net *zoo.Net, e *engine.Engine, o objective, h *head.Linear, p Plan) (t *tuner, err error) {
	defer caught(&err, "building the training step")
	t = &tuner{objective: o, plan: p, net: net, engine: e, store: model.NewStore(), start: map[string][]float32{}}
	t.border = p.border(net)
	t.form.Convolutions = convolutions(net, t.border, e.Name)
	t.input = t.inputShape()
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

// inputShape returns the shape of the pictures, or of the output map of the last frozen stage.
func (t *tuner) inputShape() []int {
	for _, s := range t.net.Declaration().Stages {
		if s.Name == t.border {
			return s.Shape
		}
	}
	return []int{t.net.Preset.Size, t.net.Preset.Size, 3}
}

// createBackbone creates the variables of the stages after the last frozen one.
func (t *tuner) createBackbone() error {
	moving := t.border == ""
	// The graph asks for its weights, although they are not used.
	inside := map[string]bool{backbone.Classifier: true}
	for _, s := range t.net.Declaration().Stages {
		if moving {
			inside[s.Name] = true
		}
		moving = moving || s.Name == t.border
	}
	group := t.plan.moving(t.net)
	for _, w := range t.net.Declaration().Weights {
		if !inside[w.Stage] {
			continue
		}
		values, shape, _ := t.net.Tensor(w.Name)
		if err := t.create(t.store.RootScope(), w.Name, values, shape); err != nil {
			return err
		}
		g, moves := group[w.Stage]
		if moves && t.plan.LoRA != nil && w.AdaptedBy(*t.plan.LoRA) {
			if err := t.createPair(w, g); err != nil {
				return err
			}
		}
		switch {
		case moves && t.plan.trains(w):
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

// createHead creates the head's variables.
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

// createAverages creates the moving averages, if the plan keeps them.
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

// createGradients creates the sums of the gradients, if a step is taken in micro-batches.
func (t *tuner) createGradients() error {
	t.micro = t.microbatch()
	if t.micro == t.plan.Batch {
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

// decayOf returns the weight decay of a tensor: that of the group for matrices and kernels, 0 for
// biases and the gains of norms.
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
	v.SetTrainable(false) // gradients are requested by name
	return nil
}

func (t *tuner) compile(e *engine.Engine) (err error) {
	p := t.plan
	if t.micro == p.Batch {
		t.train, err = model.NewExec(e.Backend, t.store, t.step)
		if err != nil {
			return err
		}
		t.train.WithName("train:" + t.net.Row.Name)
	} else {
		t.gather, err = model.NewExec(e.Backend, t.store, t.add)
		if err != nil {
			return err
		}
		t.apply, err = model.NewExec(e.Backend, t.store, t.descend)
		if err != nil {
			return err
		}
		t.gather.WithName("gradients:" + t.net.Row.Name)
		t.apply.WithName("apply:" + t.net.Row.Name)
	}
	t.eval, err = model.NewExec(e.Backend, t.store, func(scope *model.Scope, x *graph.Node) *graph.Node {
		return t.logits(scope, t.features(scope, x, backbone.Norms{}))
	})
	if err != nil {
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

// norms returns the norms that follow the batch, as the plan says.
func (t *tuner) norms(rows *graph.Node) backbone.Norms {
	if len(t.statistics) == 0 {
		return backbone.Norms{}
	}
	moving := map[string]bool{}
	for _, key := range t.statistics { // NAME.running_mean, in Keras' form NAME.moving_mean
		moving[strings.TrimSuffix(key, path.Ext(key))] = true
	}
	return backbone.Norms{Batch: func(key string) bool { return moving[key] }, Rows: rows}
}

func (t *tuner) features(scope *model.Scope, x *graph.Node, n backbone.Norms) *graph.Node {
	part := backbone.Part{From: t.border, Size: t.net.Preset.Size, Norms: n}
	if t.plan.LoRA != nil {
		part.LoRA = *t.plan.LoRA
	}
	return part.Graph(t.net.Row.Arch(), scope, x).Features
}

func (t *tuner) logits(scope *model.Scope, features *graph.Node) *graph.Node {
	g := features.Graph()
	w, b := scope.GetVariable(headWeight).NodeValue(g), scope.GetVariable(headBias).NodeValue(g)
	return graph.Add(graph.Einsum("nc,kc->nk", features, w), graph.Reshape(b, 1, -1))
}

// call runs one of the programs, which is compiled in the form of the tuner when it is first called.
func (t *tuner) call(program *model.Exec, args ...any) (out []*tensors.Tensor, err error) {
	err = t.engine.Compile(t.form, func() error {
		out, err = program.Call(args...)
		return err
	})
	return out, err
}

func finalize(args []any) {
	for _, a := range args {
		a.(*tensors.Tensor).MustFinalizeAll()
	}
}

// predict returns the logits of a batch of inputs, [B, K].
func (t *tuner) predict(x []float32) (logits []float32, err error) {
	defer caught(&err, "running the network")
	input := tensors.FromFlatDataAndDimensions(x, append([]int{t.plan.Batch}, t.input...)...)
	out, err := t.call(t.eval, input)
	input.MustFinalizeAll()
	if err != nil {
		return nil, fmt.Errorf("finetune: %w", err)
	}
	defer free(out)
	return tensors.CopyFlatData[float32](out[0])
}

// follow updates the running statistics from a batch with this momentum.
func (t *tuner) follow(b *batch, momentum float32) (err error) {
	defer caught(&err, "estimating statistics")
	n := t.plan.Batch
	args := []any{tensors.FromFlatDataAndDimensions(b.x, append([]int{n}, t.input...)...), tensors.FromFlatDataAndDimensions(b.rows, n), tensors.FromScalar(momentum)}
	out, err := t.call(t.estimate, args...)
	finalize(args)
	if err != nil {
		return fmt.Errorf("finetune: %w", err)
	}
	free(out)
	return nil
}

// variables returns all tensors that training changes, including the rule's memory and the
// averages, by name.
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

// values returns the tensors of some keys.
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

// put sets tensors by key; the programs continue with them.
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

// restart sets everything to the initial values, with another head, and clears the rule's memory.
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

// tuned returns the trained values: the averages if the plan keeps them.
func (t *tuner) tuned() (map[string][]float32, error) {
	out, err := t.values(t.keys())
	if err != nil || t.plan.Average == 0 {
		return out, err
	}
	for _, p := range t.params {
		out[p.Key], err = value(t.store.RootScope().At(averages).GetVariable(p.Key))
		if err != nil {
			return nil, fmt.Errorf("finetune: %s: %w", p.Key, err)
		}
	}
	return out, nil
}

// keys returns the keys of the weights and statistics that move, sorted, including the head's.
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

// mixed interpolates between initial and tuned values; share is 0 to 1. Shares of 0 and 1 give
// either one bit for bit.
func (t *tuner) mixed(tuned map[string][]float32, share float64) map[string][]float32 {
	out := make(map[string][]float32, len(tuned))
	for key, end := range tuned {
		if isA(key) {
			out[key] = end
			continue
		}
		start, mix := t.start[key], make([]float32, len(end))
		for i := range end {
			switch share {
			case 0:
				mix[i] = start[i]
			case 1:
				mix[i] = end[i]
			default:
				mix[i] = float32(float64(start[i]) + share*(float64(end[i])-float64(start[i])))
			}
		}
		out[key] = mix
	}
	return out
}

// result returns the head, in the units of the pictures, and the net with these values.
func (t *tuner) result(values map[string][]float32) (*head.Linear, *zoo.Net, error) {
	h := t.objective.loss.written(&head.Linear{Classes: t.objective.k, Features: t.net.Row.Features, Weight: values[headWeight], Bias: values[headBias]})
	if err := h.Check(); err != nil {
		return nil, nil, err
	}
	var changes []weights.Tensor
	for _, w := range t.net.Declaration().Weights {
		if t.plan.LoRA != nil {
			pair, err := t.pairOf(w, values)
			if err != nil {
				return nil, nil, err
			}
			changes = append(changes, pair...)
		}
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

// caught turns a panic of graph code into an error, so that no panic leaves this package.
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
