// Package backbone turns an architecture into a GoMLX graph. It has the few operations that
// pretrained picture networks are made of, and a Builder that ties each of them to a tensor of a
// checkpoint by the checkpoint's own name.
//
// An architecture is a value with one method:
//
//	func (net) Build(b *backbone.Builder, x *graph.Node) backbone.Output {
//		x = b.Conv("conv1", x, backbone.Conv{Out: 64, Kernel: 7, Stride: 2, Pad: 3}) // [N,H/2,W/2,64]
//		x = b.Stage("stem", backbone.ReLU(b.BatchNorm("bn1", x, 1e-5)))
//		features := backbone.GlobalAverage(x)
//		return backbone.Output{Map: x, Features: features, Logits: b.Linear("fc", features, 1000)}
//	}
//
// It can be walked in two ways:
//
//	d, err := backbone.Declare(arch, 224)       // without weights: tensors, shapes, stages
//	out := backbone.Graph(arch, scope, images)  // in a graph function: the network itself
//
// Axes are [N,H,W,C] throughout, convolution kernels [H,W,in,out], matrices [in,out]. Weights are
// variables of a model.Scope, and so parameters of the compiled program. As constants they would be
// folded by XLA, and compiling would take 20 seconds instead of 0.2.
//
// Graph code panics on a wrong shape, as all of GoMLX does. Declare, and GoMLX's Exec, turn the
// panic into an error. Gradients flow through every operation.
package backbone

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Arch is an architecture: what the checkpoints of a family have in common.
type Arch interface {
	// Build adds the network to the graph of x, pictures [N,H,W,3] prepared as the checkpoint wants
	// them. It asks b for every weight, so that the same code also lists them. It returns Map,
	// Features and Logits; Stages are filled in from the calls of b.Stage.
	Build(b *Builder, x *graph.Node) Output
}

// Output is what a backbone computes for a batch of pictures.
type Output struct {
	Stages   []Stage     // in the order of computation; the last one is what pooling sees, or its result
	Map      *graph.Node // feature map [N,h,w,C], what pooling sees
	Features *graph.Node // [N,C], what a head is trained on
	Logits   *graph.Node // [N,classes] of the checkpoint's own classifier, nil without one
}

// Stage is a place where a network can be cut or frozen.
type Stage struct {
	Name string      // prefix that its weights share ("layer1", "features.4"); "stem" for the first ones
	Node *graph.Node // its output: [N,h,w,C], [N,T,C] where a network computes with tokens, [N,C] after pooling
}

// Graph adds the network to the graph of images [N,H,W,3], or of tokens [N,T,C] for an architecture
// that reads those. Its weights are the variables of scope, named as in the checkpoint. Graph panics with the name of a weight that is missing or has another
// shape.
func Graph(arch Arch, scope *model.Scope, images *graph.Node) Output {
	return build(arch, &walk{weights: &scopeWeights{scope: scope}}, images)
}

// Unloaded adds the network to the graph of images [N,H,W,3] with weights that are parameters of the
// graph, each named by its key and in the layout of the graph. It is for what reads a graph rather
// than running it, such as package write.
func Unloaded(arch Arch, images *graph.Node) Output {
	return build(arch, &walk{weights: &listWeights{seen: map[string]bool{}}}, images)
}

func build(arch Arch, w *walk, images *graph.Node) Output {
	// The first convolution says which channels it wants.
	if s := images.Shape(); s.Rank() != 3 && s.Rank() != 4 {
		panic(fmt.Errorf("backbone: pictures are %s, want [N,H,W,3]", s))
	}
	out := arch.Build(&Builder{form: &torchForm, walk: w}, images)
	out.Stages = w.stages
	return out
}
