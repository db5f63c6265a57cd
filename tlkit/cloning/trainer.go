package cloning

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/optim"
	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// The variables.
const (
	pointsKey = "points"   // [2C,K], of standardised channels
	sharpKey  = "sharp"    // [K], the logarithm of what scores are multiplied by
	averaged  = "average." // prefix: the moving average of a variable, which is what acts
)

// trainer is the network, compiled once for all folds.
type trainer struct {
	*lesson
	engine *engine.Engine
	store  *model.Store
	rule   optim.Rule
	params []optim.Param
	shapes map[string][]int
	step   *model.Exec
	judge  *model.Exec

	done, total int
}

// layerKeys are the variables of layer i.
func layerKeys(i int) (weight, bias string) {
	return fmt.Sprintf("layer%d.weight", i), fmt.Sprintf("layer%d.bias", i)
}

const layers = 3

func newTrainer(e *engine.Engine, l *lesson) (t *trainer, err error) {
	t = &trainer{lesson: l, engine: e, store: model.NewStore(), rule: optim.Rule{Name: optim.AdamW, Clip: 1}, shapes: map[string][]int{}}
	in := l.width() + len(l.felt)
	if l.places() {
		in = 2*l.options.Points + len(l.felt)
		t.shapes[pointsKey], t.shapes[sharpKey] = []int{2 * l.Map[2], l.options.Points}, []int{l.options.Points}
		t.params = append(t.params, optim.Param{Key: pointsKey, Decay: decay}, optim.Param{Key: sharpKey})
	}
	out := l.outputs() + 2*len(horizons)
	for i, n := range [][2]int{{in, hidden}, {hidden, hidden}, {hidden, out}} {
		w, b := layerKeys(i)
		t.shapes[w], t.shapes[b] = []int{n[0], n[1]}, []int{n[1]}
		t.params = append(t.params, optim.Param{Key: w, Decay: decay}, optim.Param{Key: b})
	}
	if err := t.reset(); err != nil {
		return nil, err
	}
	if t.step, err = model.NewExec(e.Backend, t.store, t.descend); err != nil {
		return nil, fmt.Errorf("cloning: %w", err)
	}
	if t.judge, err = model.NewExec(e.Backend, t.store, t.judged); err != nil {
		return nil, fmt.Errorf("cloning: %w", err)
	}
	return t, nil
}

// reset draws the initial weights.
func (t *trainer) reset() error {
	r := rand.New(rand.NewPCG(t.options.Seed, 1))
	last, _ := layerKeys(layers - 1)
	for _, p := range t.params {
		shape := t.shapes[p.Key]
		values := make([]float32, product(shape))
		spread := 0.0 // biases and logarithms
		switch {
		case p.Key == last:
			spread = 0.01
		case p.Key == pointsKey:
			spread = math.Sqrt(1 / float64(shape[0]))
		case len(shape) == 2:
			spread = math.Sqrt(2 / float64(shape[0]))
		}
		for i := range values {
			values[i] = float32(spread * r.NormFloat64())
		}
		for _, key := range []string{p.Key, averaged + p.Key} {
			if err := t.set(key, values, shape); err != nil {
				return err
			}
		}
	}
	return t.rule.Reset(t.store, t.params)
}

func (t *trainer) set(key string, values []float32, shape []int) error {
	v, value := t.store.RootScope().GetVariable(key), tensors.FromFlatDataAndDimensions(values, shape...)
	var err error
	if v == nil {
		v, err = t.store.RootScope().CreateVariable(key, value)
	} else {
		err = v.SetValue(value)
	}
	if err != nil {
		return fmt.Errorf("cloning: %w", err)
	}
	v.SetTrainable(false) // gradients are requested by name
	return nil
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// forward is the outputs of the network, [B, outputs]. prefix names the variables.
func (t *trainer) forward(scope *model.Scope, prefix string, in []*graph.Node) *graph.Node {
	seen, tip, felt, noise, keep := in[0], in[1], in[2], in[3], in[4]
	g := seen.Graph()
	get := func(key string) *graph.Node { return scope.GetVariable(prefix + key).NodeValue(g) }
	var x *graph.Node
	if t.places() {
		places := t.keypoints(seen, get(pointsKey), get(sharpKey)) // [B,K,2]
		places = graph.MulScalar(graph.Sub(places, graph.InsertAxes(tip, 1)), zoom)
		x = graph.Add(graph.Reshape(places, batch, -1), noise)
	} else {
		x = graph.Mul(graph.Sub(seen, row(g, t.seen.mean, 1)), row(g, t.seen.deviation, -1))
	}
	if len(t.felt) > 0 {
		x = graph.Concatenate([]*graph.Node{x, felt}, 1)
	}
	for i := range layers {
		w, b := layerKeys(i)
		x = graph.Add(graph.Einsum("bi,io->bo", x, get(w)), graph.InsertAxes(get(b), 0))
		if i < layers-1 {
			x = graph.MaxScalar(x, 0)
		}
		if i == 0 {
			x = graph.Mul(x, keep)
		}
	}
	return x
}

// keypoints is the expected place of each keypoint, [B,K,2].
func (t *trainer) keypoints(seen, points, sharp *graph.Node) *graph.Node {
	g, c := seen.Graph(), t.Map[2]
	seen = graph.Mul(graph.Reshape(seen, batch, t.cells(), c), graph.InsertAxes(row(g, t.seen.deviation, -1), 0))
	own := graph.Einsum("bpc,ck->bpk", seen, graph.Slice(points, graph.AxisRange(0, c)))
	near := graph.Einsum("bpc,ck->bpk", seen, graph.Slice(points, graph.AxisRange(c, 2*c)))
	near = graph.Einsum("qp,bpk->bqk", graph.Const(g, t.neighbours()), near)
	scores := graph.Mul(graph.Add(own, near), graph.InsertAxes(graph.Exp(sharp), 0, 0))
	share := graph.Softmax(scores, 1)
	return graph.Einsum("bpk,pd->bkd", share, graph.Const(g, t.middles()))
}

// row is numbers, or their inverses for power -1, as [1,n].
func row(g *graph.Graph, values []float64, power float64) *graph.Node {
	out := make([]float32, len(values))
	for i, v := range values {
		out[i] = float32(math.Pow(v, power))
	}
	return graph.InsertAxes(graph.Const(g, out), 0)
}

// middles are the middles of the cells, [P,2].
func (l *lesson) middles() (all [][]float32) {
	for i := range l.cells() {
		all = append(all, []float32{(float32(i%l.Map[1]) + 0.5) / float32(l.Map[1]), (float32(i/l.Map[1]) + 0.5) / float32(l.Map[0])})
	}
	return all
}

// neighbours is the mean over the up to eight neighbours of each cell, [P,P].
func (l *lesson) neighbours() [][]float32 {
	all := make([][]float32, l.cells())
	for i := range all {
		all[i] = make([]float32, l.cells())
		y, x := i/l.Map[1], i%l.Map[1]
		var others []int
		for v := max(y-1, 0); v <= min(y+1, l.Map[0]-1); v++ {
			for u := max(x-1, 0); u <= min(x+1, l.Map[1]-1); u++ {
				if v != y || u != x {
					others = append(others, v*l.Map[1]+u)
				}
			}
		}
		for _, j := range others {
			all[i][j] = 1 / float32(len(others))
		}
	}
	return all
}

// loss is that of the actions, and that of the foretold places. The actions are those of a mixture: one of
// some modes is right, so that two ways to do something are not averaged into one that does nothing.
func (t *trainer) loss(out *graph.Node, in []*graph.Node) (acted, foretold *graph.Node) {
	want, weight, future := in[5], in[6], in[7]
	g, ahead, n := out.Graph(), t.options.Ahead, t.actions()
	size := modes * ahead * n
	part := func(from, to int) *graph.Node { return graph.Slice(out, graph.AxisRange(), graph.AxisRange(from, to)) }
	done := graph.Reshape(part(0, size), batch, modes, ahead, n)
	want = graph.Reshape(want, batch, 1, ahead, n)
	gripper := make([]float32, n)
	for i, d := range t.Spec.Action {
		if d.Role() == sim.Gripper {
			gripper[i] = 1
		}
	}
	shuts := graph.InsertAxes(graph.Const(g, gripper), 0, 0, 0)
	// Logistic loss of ±1 for the gripper, Huber's for the rest.
	logistic := graph.MulScalar(graph.Log1p(graph.Exp(graph.MinScalar(graph.Neg(graph.Mul(done, graph.Sign(want))), 30))), 0.5)
	each := graph.Add(graph.Mul(logistic, shuts), graph.Mul(huber(graph.Sub(done, want), 0.1), graph.OneMinus(shuts)))
	each = graph.ReduceSum(graph.Mul(graph.ReduceSum(each, -1), graph.InsertAxes(weight, 1)), -1) // [B,modes]
	likely := graph.Sub(graph.LogSoftmax(part(size, size+modes), -1), each)
	most := graph.StopGradient(graph.ReduceAndKeep(likely, graph.ReduceMax, -1))
	likely = graph.Add(graph.Log(graph.ReduceSum(graph.Exp(graph.Sub(likely, most)), -1)), graph.Squeeze(most, -1))
	acted = graph.MulScalar(graph.ReduceAllMean(likely), -1/float64(ahead))
	foretold = graph.MulScalar(graph.ReduceAllMean(huber(graph.Sub(part(size+modes, size+modes+2*len(horizons)), future), 0.1)), 2)
	return acted, foretold
}

// huber is quadratic up to a limit, then linear with slope 1.
func huber(d *graph.Node, limit float64) *graph.Node {
	d = graph.Abs(d)
	near := graph.MulScalar(graph.Square(graph.MinScalar(d, limit)), 0.5/limit)
	return graph.Add(near, graph.MaxScalar(graph.AddScalar(d, -limit), 0))
}

// descend is the graph of a step.
func (t *trainer) descend(scope *model.Scope, in []*graph.Node) []*graph.Node {
	acted, foretold := t.loss(t.forward(scope, "", in), in)
	loss := graph.Add(acted, foretold)
	_, finite := t.rule.Update(scope, t.params, loss, in[8])
	for _, p := range t.params {
		v := scope.GetVariable(averaged + p.Key)
		g := loss.Graph()
		v.SetNodeValue(graph.Add(graph.Mul(v.NodeValue(g), in[9]), graph.Mul(scope.GetVariable(p.Key).NodeValue(g), graph.OneMinus(in[9]))))
	}
	return []*graph.Node{acted, finite}
}

// judged is the graph of the loss of the averaged weights.
func (t *trainer) judged(scope *model.Scope, in []*graph.Node) *graph.Node {
	acted, _ := t.loss(t.forward(scope, averaged, in), in)
	return acted
}

// arguments are the inputs of the graphs.
func (t *trainer) arguments(in *inputs) []any {
	of := func(values []float32) *tensors.Tensor {
		return tensors.FromFlatDataAndDimensions(values, batch, len(values)/batch)
	}
	felt := in.felt
	if len(felt) == 0 {
		felt = make([]float32, batch) // not used
	}
	return []any{of(in.seen), of(in.tip), of(felt), of(in.noise), of(in.keep), of(in.want), of(in.weight), of(in.future)}
}

// train takes steps on all demonstrations but those of a fold (-1 = on all), from the initial weights, and
// returns the loss on the fold after each number of steps.
func (t *trainer) train(ctx context.Context, fold int, steps []int) (losses []float64, err error) {
	if err := t.reset(); err != nil {
		return nil, err
	}
	frames, in := t.of(fold, false), t.newInputs()
	r := rand.New(rand.NewPCG(t.options.Seed, uint64(fold+10)))
	for i := range steps[len(steps)-1] {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for b := range batch {
			t.fill(in, b, frames[r.IntN(len(frames))], r)
		}
		warm := min(1, float64(i+1)/100)
		now := t.rule.Now([]int{i}, []float64{rate * warm}, t.rule.Momentum)
		if err := t.take(in, now, min(memory, float32(i+1)/float32(i+10))); err != nil {
			return nil, err
		}
		if t.done++; t.options.Progress != nil && t.done%50 == 0 {
			t.options.Progress(t.done, t.total)
		}
		if fold >= 0 && i+1 == steps[len(losses)] {
			loss, err := t.held(fold)
			if err != nil {
				return nil, err
			}
			losses = append(losses, loss)
		}
	}
	return losses, nil
}

// take takes one step. old is the weight of the old average in the new one.
func (t *trainer) take(in *inputs, now []float32, old float32) error {
	args := append(t.arguments(in), tensors.FromFlatDataAndDimensions(now, len(now)), tensors.FromScalar(old))
	var out []*tensors.Tensor
	err := t.engine.Compile(engine.Form{}, func() (err error) {
		out, err = t.step.Call(args...)
		return err
	})
	free(args)
	if err != nil {
		return fmt.Errorf("cloning: a step: %w", err)
	}
	defer finalize(out)
	if !tensors.ToScalar[bool](out[1]) {
		return fmt.Errorf("cloning: the loss is %v after %d steps: are the features finite?", tensors.ToScalar[float32](out[0]), t.done)
	}
	return nil
}

// held is the loss on the demonstrations of a fold.
func (t *trainer) held(fold int) (float64, error) {
	frames, in := t.of(fold, true), t.newInputs()
	sum, n := 0.0, max(min(len(frames), evalFrames)/batch, 1)
	for k := range n {
		for b := range batch {
			t.fill(in, b, frames[(k*batch+b)*len(frames)/(n*batch)], nil)
		}
		args := t.arguments(in)
		out, err := t.judge.Call(args...)
		free(args)
		if err != nil {
			return 0, fmt.Errorf("cloning: %w", err)
		}
		sum += float64(tensors.ToScalar[float32](out[0])) / float64(n)
		finalize(out)
	}
	return sum, nil
}

func free(args []any) {
	for _, a := range args {
		a.(*tensors.Tensor).MustFinalizeAll()
	}
}

func finalize(all []*tensors.Tensor) {
	for _, v := range all {
		v.MustFinalizeAll()
	}
}

// value is the average of a variable.
func (t *trainer) value(key string) ([]float32, error) {
	v, err := t.store.RootScope().GetVariable(averaged + key).Value()
	if err != nil {
		return nil, fmt.Errorf("cloning: %w", err)
	}
	return tensors.CopyFlatData[float32](v)
}

// policy is the network that was fitted, for features and states as they come.
func (t *trainer) policy() (*policy.Chunk, error) {
	o := t.options
	c := &policy.Chunk{Robot: t.Spec, Map: t.Map, Modes: modes, Ahead: o.Ahead, Used: o.Used}
	for i := range layers {
		w, b := layerKeys(i)
		weight, err := t.value(w)
		if err != nil {
			return nil, err
		}
		bias, err := t.value(b)
		if err != nil {
			return nil, err
		}
		c.Layers = append(c.Layers, [2][]float32{weight, bias})
	}
	t.raw(c.Layers[0])
	last := &c.Layers[layers-1]
	last[0], last[1] = firstColumns(last[0], len(last[1]), t.outputs()), last[1][:t.outputs()]
	if !t.places() {
		return c, nil
	}
	points, err := t.value(pointsKey)
	if err != nil {
		return nil, err
	}
	sharp, err := t.value(sharpKey)
	if err != nil {
		return nil, err
	}
	for k := range o.Points {
		w := make([]float32, 2*t.Map[2])
		for i := range w {
			w[i] = float32(float64(points[i*o.Points+k]) * math.Exp(float64(sharp[k])) / t.seen.deviation[i%t.Map[2]])
		}
		c.Points = append(c.Points, w)
	}
	return c, nil
}

// raw turns the first layer into one of inputs that are not standardised.
func (t *trainer) raw(layer [2][]float32) {
	weight, bias := layer[0], layer[1]
	var inputs norm // of which the network sees (v - mean) / deviation
	switch {
	case !t.places():
		inputs.mean, inputs.deviation = append(inputs.mean, t.seen.mean...), append(inputs.deviation, t.seen.deviation...)
	default:
		for range 2 * t.options.Points {
			mean := 0.0
			if t.x < 0 { // seen from the middle of the picture
				mean = 0.5
			}
			inputs.mean, inputs.deviation = append(inputs.mean, mean), append(inputs.deviation, 1.0/zoom)
		}
	}
	inputs.mean, inputs.deviation = append(inputs.mean, t.state.mean...), append(inputs.deviation, t.state.deviation...)
	for i := range inputs.mean {
		for o := range bias {
			w := float64(weight[i*len(bias)+o]) / inputs.deviation[i]
			weight[i*len(bias)+o] = float32(w)
			bias[o] -= float32(w * inputs.mean[i])
		}
	}
}

// firstColumns returns the first n columns of rows of some width.
func firstColumns(values []float32, width, n int) (out []float32) {
	for i := 0; i < len(values); i += width {
		out = append(out, values[i:i+n]...)
	}
	return out
}
