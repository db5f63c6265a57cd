// Package explain shows which parts of a picture a prediction rests on, by Grad-CAM (Selvaraju et al.,
// 2017): how strongly the last map of a network speaks for an output of the head.
//
//	x, err := explain.Open(net, engine.Backend)
//	heat, err := x.Heat(picture, model, label) // picture prepared by net.Preset
//	overlay := heat.Over(seen)                   // on the picture as the network sees it
//
// A map that looks convincing need not say anything about the network: many are edge detectors. So
// compare with that of the same network with random weights (Adebayo et al., 2018): open net.Random(1)
// too, and see [Heat.Alike].
//
// The values are checked against PyTorch's gradients.
package explain

import (
	"errors"
	"fmt"
	"math"
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
	"github.com/tlkit/transfer-learning/tlkit/heads"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Network computes heat maps of one network. Only one goroutine at a time may use it.
type Network struct {
	net   *zoo.Net
	stage backbone.Border // whose output is looked at
	exec  *model.Exec
	kept  *model.Store
}

// Open compiles a network for one picture at a time, with the gradient of its features on the map that
// it looks at: the last one, or, where the network computes with tokens, the tokens that the last block
// reads. It is an error if the network has neither.
func Open(net *zoo.Net, b compute.Backend) (_ *Network, err error) {
	defer recovered(&err, "compiling", net)
	stage, err := lookedAt(net)
	if err != nil {
		return nil, err
	}
	n := &Network{net: net, stage: stage, kept: model.NewStore()}
	if err := net.Variables(n.kept.RootScope()); err != nil {
		return nil, fmt.Errorf("explain: %w", err)
	}
	n.exec, err = model.NewExec(b, n.kept, func(scope *model.Scope, images, direction *graph.Node) []*graph.Node {
		out := net.Graph(scope, images)
		i := slices.IndexFunc(out.Stages, func(s backbone.Stage) bool { return s.Name == stage.Name })
		seen := out.Stages[i].Node
		towards := graph.ReduceAllSum(graph.Mul(out.Features, direction))
		return []*graph.Node{seen, graph.Gradient(towards, seen)[0], out.Features}
	})
	if err != nil {
		return nil, fmt.Errorf("explain: %s: %w", net.Row.Name, err)
	}
	size := net.Preset.Size
	if _, err := n.exec.Compile(shapes.Make(dtypes.Float32, 1, size, size, net.Channels()), shapes.Make(dtypes.Float32, 1, net.Row.Features)); err != nil {
		n.Close()
		return nil, fmt.Errorf("explain: compiling %s: %w", net.Row.Name, err)
	}
	return n, nil
}

// Close frees the program and the weights on the device.
func (n *Network) Close() {
	if n.exec != nil {
		n.exec.Finalize()
		n.kept.Finalize()
		n.exec = nil
	}
}

// Stage returns the name of the stage whose output is looked at.
func (n *Network) Stage() string { return n.stage.Name }

// lookedAt chooses the output to look at. Behind the last block of a network of tokens, only the class
// token counts, so the patches have a gradient in front of it only.
func lookedAt(net *zoo.Net) (backbone.Border, error) {
	var maps, tokens []backbone.Border
	for _, s := range net.Declaration().Stages {
		switch {
		case len(s.Shape) == 3 && s.Shape[0]*s.Shape[1] > 1:
			maps = append(maps, s)
		case len(s.Shape) == 2 && !strings.HasPrefix(s.Name, "norm"):
			tokens = append(tokens, s)
		}
	}
	switch {
	case len(tokens) > 1:
		s := tokens[len(tokens)-2]
		if h, _ := patches(s.Shape[0]); h < 2 {
			return s, fmt.Errorf("explain: %s has %d tokens behind %s, want a square of patches", net.Row.Name, s.Shape[0], s.Name)
		}
		return s, nil
	case len(maps) > 0:
		return maps[len(maps)-1], nil
	}
	return backbone.Border{}, advice.New(fmt.Errorf("explain: %s has no map and no tokens to look at", net.Row.Name), "use another network: tlkit models")
}

// patches returns the side of the square of patches among so many tokens, and how many tokens are in
// front of it: the class token and registers.
func patches(tokens int) (side, prefix int) {
	side = int(math.Sqrt(float64(tokens)))
	return side, tokens - side*side
}

// Heat returns how strongly each part of a picture, prepared by the network's preset, speaks for an
// output of a head on its features. The error wraps ErrFlat if the output does not change with the
// features, as a vote of neighbours.
func (n *Network) Heat(picture transforms.Tensor, m heads.Model, output int) (*Heat, error) {
	features, outputs := m.Size()
	size := n.net.Preset.Size
	switch {
	case n.exec == nil:
		return nil, errors.New("explain: the network is closed")
	case output < 0 || output >= outputs:
		return nil, fmt.Errorf("explain: output %d, want 0 to %d", output, outputs-1)
	case features != n.net.Row.Features:
		return nil, fmt.Errorf("explain: a head on %d features, and %s has %d", features, n.net.Row.Name, n.net.Row.Features)
	case picture.Height != size || picture.Width != size || len(picture.Data) != size*size*n.net.Channels():
		return nil, advice.New(fmt.Errorf("explain: a picture of %d x %d, want %d x %d", picture.Width, picture.Height, size, size), "prepare it with the network's preset")
	}
	direction, linear := constant(m, output)
	if !linear {
		_, _, x, err := n.run(picture.Data, make([]float32, features))
		if err != nil {
			return nil, err
		}
		if direction, err = gradient(m, x, output); err != nil {
			return nil, err
		}
	}
	seen, grad, _, err := n.run(picture.Data, direction)
	if err != nil {
		return nil, err
	}
	if len(n.stage.Shape) == 2 {
		return ofTokens(seen, grad, n.stage.Shape[1]), nil
	}
	return ofMap(seen, grad, n.stage.Shape), nil
}

// run returns the looked-at output, the gradient of features·direction on it, and the features.
func (n *Network) run(picture, direction []float32) (seen, grad, features []float32, err error) {
	defer recovered(&err, "running", n.net)
	size := n.net.Preset.Size
	image := tensors.FromFlatDataAndDimensions(picture, 1, size, size, n.net.Channels())
	defer image.MustFinalizeAll()
	towards := tensors.FromFlatDataAndDimensions(direction, 1, len(direction))
	defer towards.MustFinalizeAll()
	out, err := n.exec.Call(image, towards)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("explain: running %s: %w", n.net.Row.Name, err)
	}
	numbers := make([][]float32, len(out))
	for i, t := range out {
		if numbers[i], err = tensors.CopyFlatData[float32](t); err != nil {
			return nil, nil, nil, fmt.Errorf("explain: reading what %s computed: %w", n.net.Row.Name, err)
		}
		t.MustFinalizeAll()
	}
	return numbers[0], numbers[1], numbers[2], nil
}

// recovered turns a panic of graph code into an error.
func recovered(err *error, doing string, net *zoo.Net) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("explain: %s %s: %v", doing, net.Row.Name, r)
	}
}

// ofMap is Grad-CAM: channels are weighted by the mean of their gradients, and what speaks against the
// output counts as nothing.
func ofMap(seen, grad []float32, shape []int) *Heat {
	h, w, channels := shape[0], shape[1], shape[2]
	weight := make([]float64, channels)
	for i, g := range grad {
		weight[i%channels] += float64(g) / float64(h*w)
	}
	out := &Heat{Width: w, Height: h, Values: make([]float64, h*w)}
	for i, v := range seen {
		out.Values[i/channels] += weight[i%channels] * float64(v)
	}
	out.rectify()
	return out
}

// ofTokens weights each patch's difference from the mean patch by its own gradient: about how much the
// output would fall if this patch were like the others. The patch in place of the difference would give
// next to nothing: the next block begins with a norm, so that the length of a token does not matter, and
// its gradient is at right angles to it.
func ofTokens(seen, grad []float32, channels int) *Heat {
	side, prefix := patches(len(seen) / channels)
	cells := side * side
	seen, grad = seen[prefix*channels:], grad[prefix*channels:]
	mean := make([]float64, channels)
	for i, v := range seen {
		mean[i%channels] += float64(v) / float64(cells)
	}
	out := &Heat{Width: side, Height: side, Values: make([]float64, cells)}
	for i, v := range seen {
		out.Values[i/channels] += float64(grad[i]) * (float64(v) - mean[i%channels])
	}
	out.rectify()
	return out
}
