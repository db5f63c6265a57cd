package finetune

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/optim"
)

// A training step is one program, or it is taken in micro-batches: the gradients of some pictures at a time are added up,
// then the step is taken once. With frozen norms no picture knows of the others, so both give the same up to rounding;
// the second needs memory for the micro-batch only, and on a processor it is faster, because what one layer writes is
// still near when the next one reads it.

const (
	// nearest is how many pictures of 224 by 224 pixels stay near a processor. On two cores of an AMD EPYC a step of
	// ResNet-18 makes 7.8 pictures a second in batches of 32 and 10.8 in batches of 8; of MobileNetV2 10.3 and 12.7.
	nearest = 8
	// Where less comes in, the cached maps behind most of a network, the batch is small enough as it is.
	largeInput = 1 << 16 // numbers of one picture
)

// microbatch is how many pictures the gradients are taken of at once: the plan's word, or what suits the engine.
func (t *tuner) microbatch() int {
	n := t.plan.Batch
	switch {
	case len(t.statistics) > 0:
		return n // the norms want to see the whole batch
	case t.plan.Microbatch > 0:
		return min(t.plan.Microbatch, n)
	case t.engine != "xla:cpu" || t.width() < largeInput:
		return n
	}
	pieces := (n + nearest - 1) / nearest
	return (n + pieces - 1) / pieces
}

// width is the numbers of one picture's input.
func (t *tuner) width() int { return t.in[0] * t.in[1] * t.in[2] }

// forward is the loss of each picture, [B], and the logits before the step.
func (t *tuner) forward(scope *model.Scope, x, targets *graph.Node, n backbone.Norms, keep []*graph.Node) (each, logits *graph.Node) {
	features := t.features(scope, x, n)
	if t.plan.Dropout > 0 {
		features = graph.Mul(features, keep[0])
	}
	logits = t.logits(scope, features)
	return t.objective.loss.graph(logits, targets), logits
}

// step is the graph of a whole training step. targets [B,K] are what the network should say, rows [B] the weights of the
// pictures, 0 for one that only fills the batch up, now the numbers of the step, and the last [B,C] the features that
// dropout leaves, scaled.
func (t *tuner) step(scope *model.Scope, in []*graph.Node) []*graph.Node {
	x, targets, rows, now := in[0], in[1], in[2], in[3]
	g := x.Graph()
	before := map[string]*graph.Node{}
	for _, key := range t.statistics {
		before[key] = scope.GetVariable(key).NodeValue(g)
	}
	here := graph.ConvertDType(graph.GreaterThan(rows, graph.ScalarZero(g, rows.DType())), rows.DType())
	each, logits := t.forward(scope, x, targets, t.norms(here), in[4:])
	loss := graph.Div(graph.ReduceAllSum(graph.Mul(each, rows)), graph.ReduceAllSum(rows))
	norm, finite := t.plan.Rule.Update(scope, t.params, loss, now)
	for _, key := range t.statistics {
		v := scope.GetVariable(key)
		v.SetNodeValue(graph.Where(finite, v.NodeValue(g), before[key]))
	}
	t.average(scope, g)
	return []*graph.Node{loss, norm, finite, logits}
}

// add is the graph that adds the gradients of a micro-batch to those of the step. first is true for its first
// micro-batch, all the sum of rows over the batch.
func (t *tuner) add(scope *model.Scope, in []*graph.Node) []*graph.Node {
	x, targets, rows, first, all := in[0], in[1], in[2], in[3], in[4]
	g := x.Graph()
	each, logits := t.forward(scope, x, targets, backbone.Norms{}, in[5:])
	loss := graph.Div(graph.ReduceAllSum(graph.Mul(each, rows)), all)
	for i, d := range optim.Gradients(scope, t.params, loss) {
		sum := scope.At(gradients).GetVariable(t.params[i].Key)
		sum.SetNodeValue(graph.Where(first, d, graph.Add(sum.NodeValue(g), d)))
	}
	return []*graph.Node{loss, logits}
}

// descend is the graph that takes the step with the gradients that were added up.
func (t *tuner) descend(scope *model.Scope, loss, now *graph.Node) []*graph.Node {
	g := loss.Graph()
	sums := make([]*graph.Node, len(t.params))
	for i, p := range t.params {
		sums[i] = scope.At(gradients).GetVariable(p.Key).NodeValue(g)
	}
	norm, finite := t.plan.Rule.Apply(scope, t.params, sums, loss, now)
	t.average(scope, g)
	return []*graph.Node{norm, finite}
}

// average lets the moving averages of the weights follow.
func (t *tuner) average(scope *model.Scope, g *graph.Graph) {
	d := t.plan.Average
	if d == 0 {
		return
	}
	for _, p := range t.params {
		v := scope.At(averages).GetVariable(p.Key)
		v.SetNodeValue(graph.Add(graph.MulScalar(v.NodeValue(g), d), graph.MulScalar(scope.GetVariable(p.Key).NodeValue(g), 1-d)))
	}
}

// batch is what one step sees.
type batch struct {
	x, targets, rows, keep []float32
	items                  []int // of the rows that count
	epoch, index           int
	err                    error
}

// outcome is what one step found.
type outcome struct {
	loss, norm float64
	finite     bool
	logits     []float32 // [B, K], before the step
}

func (t *tuner) run(b *batch, now []float32) (o outcome, err error) {
	defer caught(&err, "running a training step")
	if t.train == nil {
		return t.runPieces(b, now)
	}
	n := t.plan.Batch
	args := append(t.inputs(b, 0), tensors.FromFlatDataAndDimensions(now, len(now)))
	if t.plan.Dropout > 0 {
		args = append(args, tensors.FromFlatDataAndDimensions(b.keep, n, len(b.keep)/n))
	}
	out, err := t.called(t.train, n, args)
	if err != nil {
		return o, err
	}
	o.loss, o.norm = float64(tensors.ToScalar[float32](out[0])), float64(tensors.ToScalar[float32](out[1]))
	o.finite = tensors.ToScalar[bool](out[2])
	if o.logits, err = tensors.CopyFlatData[float32](out[3]); err != nil {
		return o, fmt.Errorf("finetune: %w", err)
	}
	free(out)
	return o, nil
}

// runPieces is run in micro-batches. A last one is filled up; those that nothing but filling would be in are left out.
func (t *tuner) runPieces(b *batch, now []float32) (o outcome, err error) {
	n, m := t.plan.Batch, t.micro
	var all float32
	last := 0 // row that counts
	for i, r := range b.rows {
		if all += r; r > 0 {
			last = i
		}
	}
	o.logits = make([]float32, n*t.objective.k)
	for at := 0; at <= last; at += m {
		args := append(t.inputs(b, at), tensors.FromScalar(at == 0), tensors.FromScalar(all))
		if t.plan.Dropout > 0 {
			c := len(b.keep) / n
			args = append(args, piece(b.keep, at, m, c))
		}
		out, err := t.called(t.gather, m, args)
		if err != nil {
			return o, err
		}
		o.loss += float64(tensors.ToScalar[float32](out[0]))
		logits, err := tensors.CopyFlatData[float32](out[1])
		if err != nil {
			return o, fmt.Errorf("finetune: %w", err)
		}
		copy(o.logits[at*t.objective.k:], logits)
		free(out)
	}
	out, err := t.called(t.apply, m, []any{tensors.FromScalar(float32(o.loss)), tensors.FromFlatDataAndDimensions(now, len(now))})
	if err != nil {
		return o, err
	}
	o.norm, o.finite = float64(tensors.ToScalar[float32](out[0])), tensors.ToScalar[bool](out[1])
	free(out)
	return o, nil
}

// inputs are the pictures, targets and weights of a micro-batch that begins at a row.
func (t *tuner) inputs(b *batch, at int) []any {
	return []any{piece(b.x, at, t.micro, t.in...), piece(b.targets, at, t.micro, t.objective.k), piece(b.rows, at, t.micro)}
}

// piece is rows at to at+n of values as a tensor, with zeros behind the last one.
func piece(values []float32, at, n int, row ...int) *tensors.Tensor {
	width := 1
	for _, d := range row {
		width *= d
	}
	part := values[at*width : min((at+n)*width, len(values))]
	if len(part) < n*width {
		part = append(make([]float32, 0, n*width), part...)[:n*width]
	}
	return tensors.FromFlatDataAndDimensions(part, append([]int{n}, row...)...)
}

// called runs one of the programs over so many pictures and lets go of what it was given.
func (t *tuner) called(program *model.Exec, pictures int, args []any) ([]*tensors.Tensor, error) {
	out, err := program.Call(args...)
	finalize(args)
	if m, ok := outOfMemory(err, pictures, freeMemory(t.engine)); ok {
		m.Whole = len(t.statistics) > 0
		return nil, m
	}
	if err != nil {
		return nil, fmt.Errorf("finetune: a training step of %d pictures: %w", pictures, err)
	}
	return out, nil
}

func free(out []*tensors.Tensor) {
	for _, v := range out {
		v.MustFinalizeAll()
	}
}

// compiled compiles the training step without running it.
func (t *tuner) compiled() (err error) {
	defer caught(&err, "compiling the training step")
	f := func(dims ...int) shapes.Shape { return shapes.Make(dtypes.Float32, dims...) }
	in := []shapes.Shape{f(append([]int{t.micro}, t.in...)...), f(t.micro, t.objective.k), f(t.micro)}
	now := optim.NowShape(len(t.plan.Groups))
	program := t.train
	if program == nil {
		program = t.gather
		in = append(in, shapes.Make(dtypes.Bool), f())
		if _, err := t.apply.Compile(f(), now); err != nil {
			return err
		}
	} else {
		in = append(in, now)
	}
	if t.plan.Dropout > 0 {
		in = append(in, f(t.micro, t.net.Row.Features))
	}
	_, err = program.Compile(in...)
	return err
}
