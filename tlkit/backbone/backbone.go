// Package backbone turns an architecture into a GoMLX graph: the few operations that pretrained picture networks are
// made of, and the Builder that ties each of them to a tensor of a checkpoint by the checkpoint's own name.
//
// An architecture is a value with one method, Build. Two walks are made over it:
//
//	d, err := backbone.Declare(arch, 224)            // without weights: which tensors, of which shapes; all stages
//	out := backbone.Graph(arch, scope, images)        // inside a graph function: the network itself
//
// Axes are [N,H,W,C] throughout, convolution kernels [H,W,in,out], matrices [in,out]. Weights are variables of a
// model.Scope and thus parameters of the compiled program, never constants: XLA would fold constants at compile time,
// which costs 20 seconds instead of 0.2.
//
// Graph code panics on a wrong shape, as GoMLX does everywhere; Declare and whoever compiles a graph turn that into an
// error. Gradients flow through every operation here.
package backbone

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Arch is an architecture: what a family of checkpoints has in common.
type Arch interface {
	// Build adds the network to the graph of x, pictures [N,H,W,3] prepared as the checkpoint wants them. Every weight
	// is asked of b, so that the same walk also serves to list them. It returns Map, Features and Logits; the stages are
	// those that were marked with b.Stage.
	Build(b *Builder, x *graph.Node) Output
}

// Output is what a backbone says about a batch of pictures.
type Output struct {
	Stages   []Stage     // in the order of computation; the last one is the feature map
	Map      *graph.Node // feature map [N,h,w,C]: what pooling sees
	Features *graph.Node // [N,C]: what a head is trained on
	Logits   *graph.Node // [N,classes] of the checkpoint's own classifier, nil if it has none
}

// Stage is a border in the network at which it can be cut or frozen.
type Stage struct {
	Name string      // the prefix that its weights share ("layer1", "features.4"), "stem" for what comes before
	Node *graph.Node // its output [N,h,w,C]
}

// Graph adds the network to the graph of images [N,H,W,3]. The weights are the variables of scope, named as in the
// checkpoint; a missing one, or one of another shape, panics with its name.
func Graph(arch Arch, scope *model.Scope, images *graph.Node) Output {
	return build(arch, &walk{weights: &scopeWeights{scope: scope}}, images)
}

func build(arch Arch, w *walk, images *graph.Node) Output {
	if s := images.Shape(); s.Rank() != 4 || s.Dimensions[3] != 3 {
		panic(fmt.Errorf("backbone: pictures are %s, wanted [N,H,W,3]", s))
	}
	out := arch.Build(&Builder{walk: w}, images)
	out.Stages = w.stages
	return out
}
