package backbone

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Part is a stretch of a network between two stages. What lies before a frozen stage need not be
// computed again in each step of training; a step costs only what lies behind it.
//
//	// frozen: once for each picture
//	x = backbone.Part{To: "layer3"}.Graph(arch, scope, pictures).Map
//	// the rest: in every step
//	out := backbone.Part{From: "layer3", Size: 224}.Graph(arch, scope, x)
//
// Both together compute what [Graph] computes, up to rounding: parts are built for fast gradients.
// The scope needs the weights of the part only.
type Part struct {
	From  string // the part begins behind this stage, with its output; "" = with pictures
	To    string // the part ends with this stage; "" = at the end of the network
	Size  int    // side of the network's pictures in pixels; needed with From
	Norms Norms  // the zero value keeps all statistics frozen
	// LoRA adapts the matrices beside which the scope has A and B, see [LoRANames].
	LoRA LoRA
}

// Graph adds the part to the graph of x: pictures [N,S,S,3], or the output of stage From. With To, the Map is that stage's output, and there are neither Features nor Logits. It panics on
// errors, as graph code does.
func (p Part) Graph(arch Arch, scope *model.Scope, x *graph.Node) Output {
	w := &walk{weights: &scopeWeights{scope: scope}, norms: p.Norms, training: true}
	if p.LoRA.Rank > 0 {
		w.adaptation = &adaptation{scope: scope, factor: p.LoRA.Factor()}
	}
	if p.From == "" && p.To == "" {
		return build(arch, w, x)
	}
	// The architecture can only build itself from pictures to the end. What lies outside the part
	// is built in a graph of its own, which is never compiled; at its borders the walk changes
	// graphs.
	backend, err := gobackend.New("ops_sequential")
	if err != nil {
		panic(fmt.Errorf("backbone: opening the pure Go backend to infer shapes: %w", err))
	}
	defer backend.Finalize()
	scratch := graph.NewGraph(backend, "outside")
	defer scratch.Finalize()
	c := &cut{part: p, scratch: scratch, x: x, active: p.From == ""}
	w.cut = c
	start := x
	if p.From != "" {
		if p.Size < 1 {
			panic(fmt.Errorf("backbone: the part from %q needs the side of the pictures, got %d", p.From, p.Size))
		}
		start = c.unknown("pictures", x.DType(), 1, p.Size, p.Size, 3)
	}
	out := build(arch, w, start)
	switch {
	case !c.began && p.From != "", c.out == nil && p.To != "":
		panic(fmt.Errorf("backbone: no part from %q to %q: the stages are, in this order, %s", p.From, p.To, strings.Join(c.seen, ", ")))
	case p.To != "":
		out = Output{Stages: out.Stages, Map: c.out}
	}
	return out
}

// cut is the state of a walk over a part.
type cut struct {
	part     Part
	scratch  *graph.Graph // what lies outside the part; never compiled
	x        *graph.Node  // enters behind From
	out      *graph.Node  // leaves at To
	active   bool         // the walk is inside the part
	began    bool         // From has been seen
	seen     []string     // all stages so far, for messages
	unknowns int          // parameters of scratch, to number them
}

// unknown makes a value of scratch.
func (c *cut) unknown(name string, dtype dtypes.DType, dims ...int) *graph.Node {
	c.unknowns++
	return graph.Parameter(c.scratch, fmt.Sprintf("%s.%d", name, c.unknowns), shapes.Make(dtype, dims...))
}

// stage is Builder.Stage for a part: it changes graphs at the borders.
func (c *cut) stage(w *walk, name string, x *graph.Node) *graph.Node {
	c.seen = append(c.seen, name)
	if c.active {
		w.stages = append(w.stages, Stage{Name: name, Node: x})
		w.weights.border(name)
	}
	switch name {
	case c.part.From:
		want, got := x.Shape().Dimensions, c.x.Shape().Dimensions
		if len(got) != len(want) || !slices.Equal(got[1:], want[1:]) {
			panic(fmt.Errorf("backbone: stage %q gives [N,%v] for pictures of %d pixels, the part got %v", name, want[1:], c.part.Size, got))
		}
		c.active, c.began = true, true
		return c.x
	case c.part.To:
		if !c.active {
			panic(fmt.Errorf("backbone: a part from %q to %q, which is not behind it", c.part.From, c.part.To))
		}
		c.active, c.out = false, x
		return c.unknown(name, x.DType(), x.Shape().Dimensions...)
	}
	return x
}

// uncomputed reports whether x is in the graph that is never compiled.
func (w *walk) uncomputed(x *graph.Node) bool { return w.cut != nil && x.Graph() == w.cut.scratch }

// source returns where the weights for x come from.
func (w *walk) source(x *graph.Node) weightSource {
	if w.uncomputed(x) {
		return scratchWeights{w.cut}
	}
	return w.weights
}

// scratchWeights stands in for the weights outside the part.
type scratchWeights struct{ cut *cut }

func (s scratchWeights) weight(_ *graph.Graph, want weights.Want, shape []int, _ kind) *graph.Node {
	return s.cut.unknown(want.Name, dtypes.Float32, shape...)
}
func (scratchWeights) update(string, *graph.Node) {}
func (scratchWeights) border(string)              {}
