package finetune

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/optim"
)

// A training step is one program, or it is taken in micro-batches: the gradients of some pictures
// at a time are summed, and then the step is taken once. With frozen norms, pictures do not depend
// on each other, so both give the same result up to rounding. Micro-batches need less memory, and
// on a CPU they are faster, because the output of a layer is still in the cache when the next one
// reads it.

const (
	// cachedPictures is how many pictures of 224 by 224 pixels fit into a CPU's cache. On two cores
	// of an AMD EPYC, a step of ResNet-18 takes 7.8 pictures a second in batches of 32 and 10.8 in
	// batches of 8; MobileNetV2, 10.3 and 12.7.
	cachedPictures = 8
	// eigenPictures is the same for steps on Eigen's convolutions, which pass through the cache in
	// blocks of their own: on two cores of an Intel Xeon, a step of ResNet-18 takes 18.1 pictures a
	// second in batches of 32 (1.4 GB), 16.7 in batches of 8 (0.9 GB).
	eigenPictures = 32
	// Smaller inputs, such as cached maps late in a network, do not need micro-batches.
	largeInput = 1 << 16 // number of values of one picture
)

// microbatch returns how many pictures' gradients are computed at once: the plan's number, or what
// suits the engine.
func (t *tuner) microbatch() int {
	n := t.plan.Batch
	switch {
	case len(t.statistics) > 0:
		return n // norms need the whole batch
	case t.plan.Microbatch > 0:
		return min(t.plan.Microbatch, n)
	case t.engine.Name != "xla:cpu" || t.width() < largeInput:
		return n
	}
	most := cachedPictures
	if t.form.Convolutions == engine.Eigen {
		most = eigenPictures
	}
	pieces := (n + most - 1) / most
	return (n + pieces - 1) / pieces
}

// width returns the number of values of one picture's input.
func (t *tuner) width() int {
	n := 1
	for _, d := range t.input { // [h,w,C], or [T,C] behind a stage of tokens
		n *= d
	}
	return n
}

// forward returns the loss of each picture, [B], and the logits before the step.
func (t *tuner) forward(scope *model.Scope, x, targets *graph.Node, n backbone.Norms, keep []*graph.Node) (each, logits *graph.Node) {
	features := t.features(scope, x, n)
	if t.plan.Dropout > 0 {
		features = graph.Mul(features, keep[0])
	}
	logits = t.logits(scope, features)
	return t.objective.loss.graph(logits, targets), logits
}

// step is the graph of a complete training step. Its inputs are the pictures; targets [B, K]; rows
// [B], the weights of the pictures, 0 for padding; now, the numbers of the step; and, with dropout,
// the factors of the features [B, C].
func (t *tuner) step(scope *model.Scope, inputs []*graph.Node) []*graph.Node {
	x, targets, rows, now := inputs[0], inputs[1], inputs[2], inputs[3]
	g := x.Graph()
	before := map[string]*graph.Node{}
	for _, key := range t.statistics {
		before[key] = scope.GetVariable(key).NodeValue(g)
	}
	counts := graph.ConvertDType(graph.GreaterThan(rows, graph.ScalarZero(g, rows.DType())), rows.DType())
	each, logits := t.forward(scope, x, targets, t.norms(counts), inputs[4:])
	loss := graph.Div(graph.ReduceAllSum(graph.Mul(each, rows)), graph.ReduceAllSum(rows))
	norm, finite := t.plan.Rule.Update(scope, t.params, loss, now)
	for _, key := range t.statistics {
		v := scope.GetVariable(key)
		v.SetNodeValue(graph.Where(finite, v.NodeValue(g), before[key]))
	}
	t.average(scope, g)
	return []*graph.Node{loss, norm, finite, logits}
}

// add is the graph that adds the gradients of a micro-batch to those of the step. first is true for
// the first micro-batch; all is the sum of rows over the batch.
func (t *tuner) add(scope *model.Scope, inputs []*graph.Node) []*graph.Node {
	x, targets, rows, first, all := inputs[0], inputs[1], inputs[2], inputs[3], inputs[4]
	g := x.Graph()
	each, logits := t.forward(scope, x, targets, backbone.Norms{}, inputs[5:])
	loss := graph.Div(graph.ReduceAllSum(graph.Mul(each, rows)), all)
	for i, d := range optim.Gradients(scope, t.params, loss) {
		sum := scope.At(gradients).GetVariable(t.params[i].Key)
		sum.SetNodeValue(graph.Where(first, d, graph.Add(sum.NodeValue(g), d)))
	}
	return []*graph.Node{loss, logits}
}

// descend is the graph that takes the step with the summed gradients.
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

// average updates the moving averages of the weights.
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

// batch is the input of one step.
type batch struct {
	x, targets, rows, keep []float32
	items                  []int // of the rows that are not padding
	epoch, index           int
	err                    error
}

// outcome is the result of one step.
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
	o.logits, err = tensors.CopyFlatData[float32](out[3])
	if err != nil {
		return o, fmt.Errorf("finetune: %w", err)
	}
	free(out)
	return o, nil
}

// runPieces is run in micro-batches. The last one is padded; those of padding only are skipped.
func (t *tuner) runPieces(b *batch, now []float32) (o outcome, err error) {
	n, m := t.plan.Batch, t.micro
	var all float32
	last := 0 // last row that is not padding
	for i, r := range b.rows {
		if all += r; r > 0 {
			last = i
		}
	}
	o.logits = make([]float32, n*t.objective.k)
	for start := 0; start <= last; start += m {
		args := append(t.inputs(b, start), tensors.FromScalar(start == 0), tensors.FromScalar(all))
		if t.plan.Dropout > 0 {
			c := len(b.keep) / n
			args = append(args, piece(b.keep, start, m, c))
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
		copy(o.logits[start*t.objective.k:], logits)
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

// inputs returns the pictures, targets and weights of the micro-batch that begins at a row.
func (t *tuner) inputs(b *batch, start int) []any {
	return []any{piece(b.x, start, t.micro, t.input...), piece(b.targets, start, t.micro, t.objective.k), piece(b.rows, start, t.micro)}
}

// piece returns rows start to start+n of values as a tensor, padded with zeros.
func piece(values []float32, start, n int, row ...int) *tensors.Tensor {
	width := 1
	for _, d := range row {
		width *= d
	}
	part := values[start*width : min((start+n)*width, len(values))]
	if len(part) < n*width {
		part = append(make([]float32, 0, n*width), part...)[:n*width]
	}
	return tensors.FromFlatDataAndDimensions(part, append([]int{n}, row...)...)
}

// called runs one of the programs over so many pictures and frees its arguments.
func (t *tuner) called(program *model.Exec, pictures int, args []any) ([]*tensors.Tensor, error) {
	out, err := t.call(program, args...)
	finalize(args)
	if m, ok := outOfMemory(err, pictures, freeMemory(t.engine.Name)); ok {
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
	inputs := []shapes.Shape{f(append([]int{t.micro}, t.input...)...), f(t.micro, t.objective.k), f(t.micro)}
	now := optim.NowShape(len(t.plan.Groups))
	program := t.train
	if program == nil {
		program = t.gather
		inputs = append(inputs, shapes.Make(dtypes.Bool), f())
		err := t.engine.Compile(t.form, func() error {
			_, err := t.apply.Compile(f(), now)
			return err
		})
		if err != nil {
			return err
		}
	} else {
		inputs = append(inputs, now)
	}
	if t.plan.Dropout > 0 {
		inputs = append(inputs, f(t.micro, t.net.Row.Features))
	}
	return t.engine.Compile(t.form, func() error {
		_, err := program.Compile(inputs...)
		return err
	})
}
