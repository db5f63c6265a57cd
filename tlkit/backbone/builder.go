package backbone

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Builder gives an architecture its weights. It keeps a prefix of the checkpoint's names:
// b.In("layer1.0") asks for "layer1.0.conv1.weight" when b would ask for "conv1.weight".
type Builder struct {
	prefix    string
	form      *form
	walk      *walk
	attention bool // what is asked for belongs to attention
}

// walk is what all builders of one walk share.
type walk struct {
	weights weightSource
	stages  []Stage
	norms   Norms
	cut     *cut // nil = the whole network

	// training chooses forms whose gradients are fast. They add up the same terms in another order,
	// so graphs that only look at pictures do without and keep their numbers to the bit.
	training   bool
	adaptation *adaptation             // nil = nothing is adapted
	products   map[*graph.Node]product // convolutions of this walk, by their output
	shifted    map[*graph.Node]bool    // depthwise convolutions made of shifted pictures, by their output
}

// shift remembers that y is made of shifted pictures.
func (w *walk) shift(y *graph.Node) {
	if w.shifted == nil {
		w.shifted = map[*graph.Node]bool{}
	}
	w.shifted[y] = true
}

// product is a convolution that can be built again with other weights [...,out].
type product struct {
	weight *graph.Node
	bias   *graph.Node // [out], added to what build returns; nil = none
	build  func(weight *graph.Node) *graph.Node
}

// remember builds a convolution and, for training, keeps how to build it.
func (w *walk) remember(weight *graph.Node, build func(*graph.Node) *graph.Node) *graph.Node {
	y := build(weight)
	if w.training {
		if w.products == nil {
			w.products = map[*graph.Node]product{}
		}
		w.products[y] = product{weight: weight, build: build}
	}
	return y
}

// weightSource hands out the tensors of a checkpoint, in the layout of the graph.
type weightSource interface {
	weight(g *graph.Graph, want weights.Want, shape []int, k kind) *graph.Node
	update(key string, value *graph.Node) // the tensor has this value after the step
	border(name string)                   // the end of a stage
}

// In returns a builder with a longer prefix: b.In("features", 3, "conv") asks for names that begin
// with "features.3.conv.".
func (b *Builder) In(levels ...any) *Builder {
	prefix := b.prefix
	for _, level := range levels {
		prefix += fmt.Sprint(level) + "."
	}
	return &Builder{prefix: prefix, form: b.form, walk: b.walk, attention: b.attention}
}

func (b *Builder) key(name string) string { return b.prefix + name }

// Stage marks x as the output of the stage called name and returns it. The weights asked for since
// the last mark belong to this stage.
func (b *Builder) Stage(name string, x *graph.Node) *graph.Node {
	if b.walk.cut != nil {
		return b.walk.cut.stage(b.walk, name, x)
	}
	b.walk.stages = append(b.walk.stages, Stage{Name: name, Node: x})
	b.walk.weights.border(name)
	return x
}

// Weight returns one tensor of the checkpoint as a node in the graph of x and with the dtype of x,
// for architectures that are read from a file. want.Name is taken below the prefix of b, want.Shape
// is the shape in the file, and the node has want.Layout: for kernels [H,W,in/groups,out]. A tensor
// that is not trainable stays as it is in training, as statistics do.
func (b *Builder) Weight(x *graph.Node, want weights.Want, trainable bool) *graph.Node {
	if trainable {
		return b.weight(x, want, otherTrainable)
	}
	return b.weight(x, want, untrainable)
}

// kind is what a tensor is, as far as training cares.
type kind uint8

const (
	untrainable     kind = iota // the statistics of a norm, for example
	otherTrainable              // such as a kernel, a bias, positions
	ofNorm                      // the gain or the bias of a norm
	linearMatrix                // of a linear layer
	attentionMatrix             // of a linear layer in attention
)

func (b *Builder) weight(x *graph.Node, want weights.Want, k kind) *graph.Node {
	want.Name = b.key(want.Name)
	w := b.walk.source(x).weight(x.Graph(), want, relaid(want.Layout, want.Shape), k)
	if w.DType() != x.DType() {
		w = graph.ConvertDType(w, x.DType())
	}
	return w
}

// vector asks for a trainable tensor [n].
func (b *Builder) vector(x *graph.Node, name string, n int) *graph.Node {
	return b.Weight(x, weights.Want{Name: name, Shape: []int{n}}, true)
}

// ofNorm asks for the gain or the bias [n] of a norm.
func (b *Builder) ofNorm(x *graph.Node, name string, n int) *graph.Node {
	return b.weight(x, weights.Want{Name: name, Shape: []int{n}}, ofNorm)
}

// attending returns a builder whose matrices belong to attention.
func (b *Builder) attending() *Builder {
	out := *b
	out.attention = true
	return &out
}

// relaid is the shape that a tensor of the file has in the graph.
func relaid(layout weights.Layout, s []int) []int {
	switch layout {
	case weights.OIHWtoHWIO:
		return []int{s[2], s[3], s[1], s[0]}
	case weights.OItoIO:
		return []int{s[1], s[0]}
	}
	return s
}

// scopeWeights takes the weights from the variables of a scope.
type scopeWeights struct{ scope *model.Scope }

func (s *scopeWeights) weight(g *graph.Graph, want weights.Want, shape []int, _ kind) *graph.Node {
	v := s.scope.GetVariable(want.Name)
	if v == nil {
		panic(advice.New(fmt.Errorf("backbone: scope %q has no weight %q", s.scope.Scope(), want.Name), "put the checkpoint's tensors there first"))
	}
	if got := v.Shape().Dimensions; !slices.Equal(got, shape) {
		panic(fmt.Errorf("backbone: weight %q is %v, the architecture wants %v", want.Name, got, shape))
	}
	return v.NodeValue(g)
}

func (s *scopeWeights) update(key string, value *graph.Node) {
	s.scope.GetVariable(key).SetNodeValue(value)
}

func (s *scopeWeights) border(string) {}
