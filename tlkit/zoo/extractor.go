package zoo

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
)

// Extractor is a network compiled for a fixed number of pictures, with its weights on the device.
// Only one goroutine at a time may use it.
type Extractor struct {
	Batch    int // pictures per call
	Size     int // side of a picture in pixels
	Features int // numbers per picture
	Classes  int // logits per picture, 0 without a classifier

	net  *Net
	exec *model.Exec
	kept *model.Store
}

// NewExtractor compiles the network on b for batch pictures of n.Preset.Size pixels. This takes a
// second or two, or a fiftieth of that from the compile cache of package engine.
func (n *Net) NewExtractor(b compute.Backend, batch int) (x *Extractor, err error) {
	x = &Extractor{Features: n.declared.Features, Classes: n.declared.Classes}
	return n.compile(x, b, batch, func(scope *model.Scope, images *graph.Node) []*graph.Node {
		out := backbone.Graph(n.Row.arch, scope, images)
		if out.Logits == nil {
			return []*graph.Node{out.Features}
		}
		return []*graph.Node{out.Features, out.Logits}
	})
}

// NewMapExtractor is NewExtractor for the network up to some stages: the features of a picture are the
// outputs of these stages, one after the other, [h,w,C] row by row or [T,C] for tokens, and there are no
// logits. It is an error if there is no such stage.
func (n *Net) NewMapExtractor(b compute.Backend, stages []string, batch int) (*Extractor, error) {
	x, deepest, found := &Extractor{}, "", 0
	for _, s := range n.declared.Stages {
		if slices.Contains(stages, s.Name) {
			x.Features += s.Size()
			deepest = s.Name
			found++
		}
	}
	if found == 0 || found != len(stages) {
		return nil, fmt.Errorf("zoo: %s does not have the stages %s, each once", n.Row.Name, strings.Join(stages, ", "))
	}
	return n.compile(x, b, batch, func(scope *model.Scope, images *graph.Node) []*graph.Node {
		out := backbone.Part{To: deepest}.Graph(n.Row.arch, scope, images)
		var flat []*graph.Node
		for _, name := range stages {
			for _, s := range out.Stages {
				if s.Name == name {
					flat = append(flat, graph.Reshape(s.Node, images.Shape().Dim(0), -1))
				}
			}
		}
		return []*graph.Node{graph.Concatenate(flat, -1)}
	})
}

// Stage returns the stage of that name. The error names the stages that there are.
func (n *Net) Stage(name string) (backbone.Border, error) {
	var names []string
	for _, s := range n.declared.Stages {
		if s.Name == name && len(s.Shape) == 3 {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return backbone.Border{}, advice.New(fmt.Errorf("zoo: %s has no map called %q", n.Row.Name, name), "its stages are %s", strings.Join(names, ", "))
}

// compile completes x, which runs a graph.
func (n *Net) compile(x *Extractor, b compute.Backend, batch int, build func(*model.Scope, *graph.Node) []*graph.Node) (_ *Extractor, err error) {
	defer recovered(&err, "compiling", n.Row.Name)
	if batch < 1 {
		return nil, fmt.Errorf("zoo: %s: an extractor for %d pictures at a time, want 1 or more", n.Row.Name, batch)
	}
	x.Batch, x.Size, x.net, x.kept = batch, n.Preset.Size, n, model.NewStore()
	if err := n.Variables(x.kept.RootScope()); err != nil {
		return nil, err
	}
	for v := range x.kept.IterVariables() {
		value, err := v.Value()
		if err == nil {
			err = value.ToDevice(b, 0)
		}
		if err != nil {
			x.kept.Finalize()
			return nil, fmt.Errorf("zoo: %s: %s to the device: %w", n.Row.Name, v.Name(), err)
		}
	}
	x.exec, err = model.NewExec(b, x.kept, build)
	if err != nil {
		return nil, fmt.Errorf("zoo: %s: %w", n.Row.Name, err)
	}
	x.exec.WithName("features:" + n.Row.Name)
	if _, err := x.exec.Compile(shapes.Make(dtypes.Float32, batch, x.Size, x.Size, n.Channels())); err != nil {
		x.Close()
		return nil, fmt.Errorf("zoo: compiling %s for %d pictures of %d pixels: %w", n.Row.Name, batch, x.Size, err)
	}
	return x, nil
}

// Run takes pictures [Batch,Size,Size,3], prepared by the net's Preset, and returns features
// [Batch,Features] and logits [Batch,Classes], row by row. Logits are nil for a checkpoint without
// a classifier. A batch that is not full must be padded, with anything: the numbers of a picture
// depend on that picture alone.
func (x *Extractor) Run(pictures []float32) (features, logits []float32, err error) {
	defer recovered(&err, "running", x.net.Row.Name)
	if x.exec == nil {
		return nil, nil, fmt.Errorf("zoo: %s: the extractor is closed", x.net.Row.Name)
	}
	if want := x.Batch * x.Size * x.Size * x.net.Channels(); len(pictures) != want {
		return nil, nil, advice.New(fmt.Errorf("zoo: %s takes %d pictures of %dx%dx%d, that is %d numbers", x.net.Row.Name, x.Batch, x.Size, x.Size, x.net.Channels(), want), "got %d", len(pictures))
	}
	input := tensors.FromFlatDataAndDimensions(pictures, x.Batch, x.Size, x.Size, x.net.Channels())
	defer input.MustFinalizeAll()
	out, err := x.exec.Call(input)
	if err != nil {
		return nil, nil, fmt.Errorf("zoo: running %s: %w", x.net.Row.Name, err)
	}
	numbers := make([][]float32, 2)
	for i, t := range out {
		numbers[i], err = tensors.CopyFlatData[float32](t)
		if err != nil {
			return nil, nil, fmt.Errorf("zoo: reading what %s computed: %w", x.net.Row.Name, err)
		}
		t.MustFinalizeAll()
	}
	return numbers[0], numbers[1], nil
}

// Close frees the program and the weights on the device. A closed extractor returns errors.
func (x *Extractor) Close() {
	if x.exec != nil {
		x.exec.Finalize()
		x.kept.Finalize()
		x.exec, x.kept = nil, nil
	}
}

// recovered turns a panic of graph code into an error.
func recovered(err *error, doing, name string) {
	switch r := recover().(type) {
	case nil:
	case error:
		*err = fmt.Errorf("zoo: %s %s: %w", doing, name, r)
	default:
		*err = fmt.Errorf("zoo: %s %s: %v", doing, name, r)
	}
}
