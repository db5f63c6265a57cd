package backbone

import (
	"errors"
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Declaration lists the tensors, stages and outputs of an architecture, without weights.
type Declaration struct {
	Weights  []Weight // in the order in which the network asks for them
	Stages   []Border
	Map      []int // [h,w,C]; tokens are put back into their places
	Features int
	Classes  int // 0 without a classifier
	// Products are the multiplications in convolutions and matrix products that a picture takes; depthwise
	// convolutions, which are a few percent, do not count.
	Products float64
}

// Weight is one tensor that an architecture wants from a checkpoint.
type Weight struct {
	weights.Want
	GraphShape []int  // after Want.Layout; Want.Shape is that of the file
	Stage      string // the stage it belongs to; Classifier behind the last one
	Trainable  bool   // false for the statistics of a batch norm
	kind       kind
}

// Border is the end of a stage.
type Border struct {
	Name  string
	Shape []int // of its output: [h,w,C], [T,C] where a network computes with tokens, [C] after pooling
}

// Places is the number of pixels or tokens of the output, 1 after pooling.
func (b Border) Places() int { return b.Size() / b.Shape[len(b.Shape)-1] }

// Size is the number of values of the output.
func (b Border) Size() int { return sizeOf(b.Shape) }

// Classifier is the Stage of the weights behind the last stage.
const Classifier = "classifier"

// Declare walks arch without weights, for pictures of size x size pixels, and lists what it asks
// for. It returns an error if the architecture does not fit that size, or asks for two tensors
// under one name.
func Declare(arch Arch, size int) (*Declaration, error) {
	d, err := declare(arch, nil, size, size, 3)
	if err != nil {
		return nil, fmt.Errorf("backbone: declaring at %d pixels: %w", size, err)
	}
	return d, nil
}

// AsksFor is Declare for who wants to know only whether arch asks for one of the tensors that are
// looked for. It stops at the first one, which takes a fraction of the time.
func AsksFor(arch Arch, size int, looked func(weights.Want) bool) (bool, error) {
	_, err := declare(arch, looked, size, size, 3)
	if errors.Is(err, errAsked) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("backbone: declaring at %d pixels: %w", size, err)
	}
	return false, nil
}

var errAsked = errors.New("the architecture asks for the tensor that was looked for")

// DeclareInput is Declare for an input [N,shape...] of another kind, such as tokens [N,tokens,width] or
// pictures of another number of channels, [N,size,size,channels].
func DeclareInput(arch Arch, shape ...int) (*Declaration, error) {
	d, err := declare(arch, nil, shape...)
	if err != nil {
		return nil, fmt.Errorf("backbone: declaring for an input of %v: %w", shape, err)
	}
	return d, nil
}

// declare walks arch for one input of this shape. It stops with errAsked at a tensor that is looked
// for; nil = none is.
func declare(arch Arch, looked func(weights.Want) bool, shape ...int) (d *Declaration, err error) {
	defer func() {
		switch r := recover(); {
		case r == nil:
		case r == any(errAsked):
			d, err = nil, errAsked
		default:
			d, err = nil, fmt.Errorf("%v", r)
		}
	}()
	// Building a graph needs a backend to infer shapes. The one in pure Go is always there; nothing
	// is compiled or run on it.
	backend, err := gobackend.New("ops_sequential")
	if err != nil {
		return nil, fmt.Errorf("opening the pure Go backend to infer shapes: %w", err)
	}
	defer backend.Finalize()
	g := graph.NewGraph(backend, "declare")
	defer g.Finalize()
	g.AttachState(declaring{}, true)

	list := &listWeights{seen: map[string]bool{}, looked: looked}
	out := build(arch, &walk{weights: list}, graph.Parameter(g, "input", shapes.Make(dtypes.Float32, append([]int{1}, shape...)...)))
	list.border(Classifier)

	d = &Declaration{Weights: list.weights, Map: out.Map.Shape().Dimensions[1:], Features: out.Features.Shape().Dim(-1)}
	if out.Logits != nil {
		d.Classes = out.Logits.Shape().Dim(-1)
	}
	for _, n := range g.Nodes() {
		d.Products += products(n)
	}
	for _, s := range out.Stages {
		d.Stages = append(d.Stages, Border{s.Name, s.Node.Shape().Dimensions[1:]})
	}
	return d, nil
}

// products returns the multiplications of a node of a graph.
func products(n *graph.Node) float64 {
	size := func(n *graph.Node) float64 { return float64(n.Shape().Size()) }
	in := n.Inputs()
	switch n.Type() {
	case graph.NodeTypeConvGeneral: // the kernel is [H,W,in,out]
		return size(n) * size(in[1]) / float64(in[1].Shape().Dim(-1))
	case graph.NodeTypeDotGeneral: // [batch...,rows,k] times [batch...,k,columns], in some order of axes
		batch := 1.0
		if a, b := in[0].Shape().Dimensions, in[1].Shape().Dimensions; len(a) == len(b) && len(a) > 2 {
			batch = float64(sizeOf(a[:len(a)-2]))
		}
		return math.Sqrt(size(n) * size(in[0]) * size(in[1]) / batch)
	}
	return 0
}

// declaring marks graphs that are built for their shapes alone.
type declaring struct{}

// Constant returns numbers that an architecture computes for itself, such as which pixels lie next to
// each other, as a node of these dimensions. [Declare], which wants only shapes, does not ask for the
// values.
func Constant[T float32 | int32](g *graph.Graph, values func() []T, dimensions ...int) *graph.Node {
	if g.State(declaring{}) != nil {
		return graph.Parameter(g, g.UniqueName("constant"), shapes.Make(dtypes.FromGenericsType[T](), dimensions...))
	}
	return graph.Const(g, tensors.FromFlatDataAndDimensions(values(), dimensions...))
}

// Wants lists the tensors as package weights matches them against a file.
func (d *Declaration) Wants() []weights.Want {
	wants := make([]weights.Want, len(d.Weights))
	for i, w := range d.Weights {
		wants[i] = w.Want
	}
	return wants
}

// Params is the number of parameters as torchvision and timm count them: what training could
// change, without the statistics of batch norms.
func (d *Declaration) Params() int {
	total := 0
	for _, w := range d.Weights {
		if w.Trainable {
			total += w.Size()
		}
	}
	return total
}

// Size is the number of values in the tensor.
func (w Weight) Size() int { return sizeOf(w.GraphShape) }

func sizeOf(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// listWeights lists what is asked for.
type listWeights struct {
	weights []Weight
	seen    map[string]bool
	marked  int // weights before this one belong to a stage already
	looked  func(weights.Want) bool
}

func (l *listWeights) weight(g *graph.Graph, want weights.Want, shape []int, k kind) *graph.Node {
	if l.seen[want.Name] {
		panic(fmt.Errorf("the architecture asks twice for %q", want.Name))
	}
	if l.looked != nil && l.looked(want) {
		panic(errAsked)
	}
	l.seen[want.Name] = true
	l.weights = append(l.weights, Weight{Want: want, GraphShape: shape, Trainable: k != untrainable, kind: k})
	return graph.Parameter(g, want.Name, shapes.Make(dtypes.Float32, shape...))
}

func (l *listWeights) update(string, *graph.Node) {}

func (l *listWeights) border(name string) {
	for ; l.marked < len(l.weights); l.marked++ {
		l.weights[l.marked].Stage = name
	}
}
