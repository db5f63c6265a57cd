package onnx

import (
	"fmt"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// value is a value of the file in the graph that is being built. Maps are kept as [N,H,W,C] while
// the file means [N,C,H,W]. So convolutions and their gradients run in the fast layout, and nothing
// is transposed between them.
type value struct {
	node   *Node
	last   bool      // the file's [N,C,H,W] is [N,H,W,C] here
	kernel bool      // the file's [O,I,H,W] is [H,W,I,O] here
	known  *constant // a number that is known when the graph is built; node is nil then
}

// dims returns the dimensions that the file means.
func (v value) dims() []int {
	if v.known != nil {
		return v.known.shape
	}
	d := v.node.Shape().Dimensions
	switch {
	case v.last:
		return []int{d[0], d[3], d[1], d[2]}
	case v.kernel:
		return []int{d[3], d[2], d[0], d[1]}
	}
	return slices.Clone(d)
}

// walk builds the network once.
type walk struct {
	*Net
	b      *backbone.Builder
	ref    *Node // a node of the graph that is being built: stages may change graphs
	count  int   // pictures
	values map[string]value
	loaded map[loadedWeight]*Node // each weight is asked for once in a graph
	survey *survey
	params params // of the current node
}

// loadedWeight is a weight in a graph.
type loadedWeight struct {
	name string
	g    *Graph
}

// Build adds the network to the graph of x, pictures [N,S,S,3]; see [backbone.Arch]. It panics on
// errors, as graph code does.
func (a *Net) Build(b *backbone.Builder, x *Node) backbone.Output {
	if d := x.Shape().Dimensions; d[1] != d[2] || a.size != 0 && d[1] != a.size {
		panic(fmt.Errorf("the file was exported for pictures of %d pixels, these have %d: take another preset, or export it with open height and width", a.size, d[1]))
	}
	survey, err := a.survey(x.Shape().Dim(1))
	if err != nil {
		panic(err)
	}
	e := &walk{Net: a, b: b, ref: x, count: x.Shape().Dim(0), values: map[string]value{}, loaded: map[loadedWeight]*Node{}, survey: survey}
	if a.kind == "U8" { // the network may rely on whole numbers
		x = ClipScalar(Round(x), 0, 255)
	}
	e.values[a.input] = value{node: x, last: !a.last}

	var out backbone.Output
	stages := a.stages
	for _, i := range a.sequence {
		e.convert(i, 0)
		outputs := a.nodes[i].Outputs
		if len(stages) > 0 && slices.Contains(outputs, stages[0]) {
			out.Map = e.stage(stages[0])
			stages = stages[1:]
		}
		if slices.Contains(outputs, a.cut) {
			if len(stages) > 0 {
				panic(fmt.Errorf("the stage %s lies behind the cut", stages[0]))
			}
			e.cutHere(&out)
			if a.logits == "" {
				return out
			}
		}
	}
	// A result other than one row per picture is not a classifier's.
	if f := survey.fact(a.logits); f.batch == 0 && f.places() == 1 && len(f.shape) == 2 && f.shape[0] == survey.batch {
		out.Logits = e.get(a.logits).plain(e)
	}
	return out
}

// enter goes on with x, which may be in another graph.
func (e *walk) enter(x *Node) { e.ref, e.count = x, x.Shape().Dim(0) }

// stage marks a value as the end of a stage.
func (e *walk) stage(name string) *Node {
	x := e.b.Stage(graphKey(name), e.toLast(e.get(name)))
	e.values[name] = value{node: x, last: true}
	e.enter(x)
	return x
}

// cutHere takes the features.
func (e *walk) cutHere(out *backbone.Output) {
	out.Features = e.features(e.get(e.cut))
	if out.Map != nil && !e.weightsAfterLastStage() {
		return
	}
	// Weights between the last map and the features need a stage of their own, so that they can be
	// trained.
	c := out.Features.Shape().Dim(-1)
	f := e.b.Stage("features", Reshape(out.Features, -1, 1, 1, c))
	out.Features = Reshape(f, -1, c)
	e.enter(f)
	if out.Map == nil {
		out.Map = f
	}
	e.values[e.cut] = value{node: out.Features}
}

// features returns the cut as [N,C]. Maps are averaged over the picture.
func (e *walk) features(v value) *Node {
	d := v.dims()
	if len(d) == 2 {
		return v.plain(e)
	}
	x := e.toLast(v)
	if d[2]*d[3] == 1 {
		return Reshape(x, d[0], d[1])
	}
	return backbone.GlobalAverage(x)
}

// dims returns the shape of a value for the number of pictures in this graph.
func (e *walk) dims(f fact) []int {
	d := slices.Clone(f.shape)
	if f.batch >= 0 {
		d[f.batch] = d[f.batch] / e.survey.batch * e.count
	}
	return d
}

// maxDepth is the largest number of nodes that are rebuilt for a node beyond a stage.
const maxDepth = 1000

// convert builds one node. depth is the number of nodes waiting for it.
func (e *walk) convert(i, depth int) {
	n := e.nodes[i]
	defer func() {
		if r := recover(); r != nil {
			panic(fmt.Errorf("node %.100q (%.40s): %w", n.Name, n.Op, own(r)))
		}
	}()
	if n.Op == "Identity" {
		if end := e.behindIdentity(n.Inputs[0]); e.values[end] == (value{}) {
			return // get looks behind it
		}
	}
	known := true
	for _, name := range n.Outputs {
		if f, ok := e.survey.facts[name]; ok {
			known = known && f.known != nil
		}
	}
	if known {
		for _, name := range n.Outputs {
			if f, ok := e.survey.facts[name]; ok {
				e.values[name] = value{known: f.known}
			}
		}
		return
	}
	if prefix, ok := e.ownNorm(n); ok {
		e.set(n.Outputs[0], e.norm(prefix, n))
		return
	}
	in := make([]value, len(n.Inputs))
	for k, name := range n.Inputs {
		if name != "" {
			in[k] = e.find(name, depth+1)
		}
	}
	e.params = e.survey.params[i]
	for k, v := range ops[n.Op](e, n, in) {
		if k < len(n.Outputs) && n.Outputs[k] != "" {
			e.set(n.Outputs[k], v)
		}
	}
}

// there reports whether v is a value at all: an input of a node may be left out.
func (v value) there() bool { return v.node != nil || v.known != nil }

// set stores a value, whose shape must be the one that the survey found.
func (e *walk) set(name string, v value) {
	if f := e.survey.facts[name]; v.node != nil && !slices.Equal(v.dims(), e.dims(f)) {
		panic(fmt.Errorf("its result is %v, want %v according to the standard", v.dims(), e.dims(f)))
	}
	e.values[name] = v
}

// get returns a value that was computed, a weight or a constant.
func (e *walk) get(name string) value { return e.find(name, 0) }

func (e *walk) find(name string, depth int) value {
	v, ok := e.values[name]
	if !ok {
		name = e.behindIdentity(name)
		v, ok = e.values[name]
	}
	if ok && v.node != nil && v.node.Graph() != e.ref.Graph() && e.survey.facts[name].batch == none && depth < maxDepth {
		// It was made from weights before a stage, in another graph.
		if i, made := e.maker[name]; made {
			e.convert(i, depth)
			v = e.values[name]
		}
	}
	if ok {
		return v
	}
	if c, ok := e.consts[name]; ok {
		return value{known: &c}
	}
	if w, ok := e.weights[name]; ok {
		key := loadedWeight{name, e.ref.Graph()}
		node := e.loaded[key]
		if node == nil {
			node = e.b.Weight(e.ref, weights.Want{Name: graphKey(name), Shape: w.shape, Layout: w.layout}, !w.fixed)
			if w.same {
				node = SliceAxis(node, 0, AxisRange(0, 1))
			}
			e.loaded[key] = node
		}
		return value{node: node, kernel: w.layout == weights.OIHWtoHWIO}
	}
	panic(fmt.Errorf("value %.100q is not there", name))
}

// weightsAfterLastStage reports whether a weight is used between the last stage and the cut.
func (e *walk) weightsAfterLastStage() bool {
	passed := len(e.stages) == 0
	for _, i := range e.sequence {
		n := e.nodes[i]
		for _, in := range n.Inputs {
			if _, ok := e.weights[e.behindIdentity(in)]; ok && passed {
				return true
			}
		}
		passed = passed || slices.Contains(n.Outputs, e.stages[len(e.stages)-1])
		if slices.Contains(n.Outputs, e.cut) {
			return false
		}
	}
	return false
}

// toLast returns a map as [N,H,W,C].
func (e *walk) toLast(v value) *Node {
	if v.last {
		return v.node
	}
	x := v.plain(e)
	if x.Rank() != 4 {
		panic(fmt.Errorf("%s, want a map [N,C,H,W]", x.Shape()))
	}
	return TransposeAllDims(x, 0, 2, 3, 1)
}

// plain returns a value with its axes as the file has them.
func (v value) plain(e *walk) *Node {
	switch {
	case v.known != nil:
		return v.known.node(e.ref.Graph())
	case v.last:
		return TransposeAllDims(v.node, 0, 3, 1, 2)
	case v.kernel:
		return TransposeAllDims(v.node, 3, 2, 0, 1)
	}
	return v.node
}
