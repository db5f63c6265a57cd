package onnx

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// windowOf reads the settings that convolutions and pools share. size is that of the kernel, zero
// for a pool.
func windowOf(e *walk, n weights.ONNXNode, x *Node, size [2]int) backbone.Window {
	w := backbone.Window{Size: size, Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}}
	pair := func(name string, field *[2]int) {
		v := n.Attrs[name].Ints
		if v == nil {
			return
		}
		if len(v) != 2 {
			panic(advice.New(fmt.Errorf("%s is %v", name, v), "only operations on pictures are supported"))
		}
		for i := range field {
			if v[i] < 1 || v[i] > 4096 {
				panic(fmt.Errorf("%s is %v", name, v))
			}
			field[i] = int(v[i])
		}
	}
	pair("kernel_shape", &w.Size)
	pair("strides", &w.Stride)
	pair("dilations", &w.Dilation)
	if size != [2]int{} && w.Size != size {
		panic(fmt.Errorf("kernel_shape is %v, the kernel %v", w.Size, size))
	}
	switch pad := textAttr(n, "auto_pad", "NOTSET"); pad {
	case "NOTSET", "":
		if v := n.Attrs["pads"].Ints; v != nil {
			if len(v) != 4 {
				panic(fmt.Errorf("pads are %v", v))
			}
			for i, p := range v {
				if p < 0 || p > 4095 {
					panic(fmt.Errorf("pads are %v", v))
				}
				w.Pads[i%2][i/2] = int(p)
			}
		}
	case "VALID":
	case "SAME_UPPER", "SAME_LOWER":
		for i := range 2 {
			d := x.Shape().Dimensions[1+i]
			total := max(((d+w.Stride[i]-1)/w.Stride[i]-1)*w.Stride[i]+(w.Size[i]-1)*w.Dilation[i]+1-d, 0)
			w.Pads[i] = [2]int{total / 2, total - total/2}
			if pad == "SAME_LOWER" {
				w.Pads[i] = [2]int{total - total/2, total / 2}
			}
		}
	default:
		panic(fmt.Errorf("auto_pad %.20q", pad))
	}
	return w
}

// conv builds a convolution.
func conv(e *walk, n weights.ONNXNode, in []value) value {
	if len(in) < 2 || !in[1].there() || in[1].known != nil || len(in[1].dims()) != 4 {
		panic(advice.New(errors.New("its kernel is no [O,I,H,W]"), "only convolutions of pictures are supported"))
	}
	kernel := in[1].node
	if !in[1].kernel {
		kernel = TransposeAllDims(in[1].plain(e), 2, 3, 1, 0)
	}
	x := e.toLast(in[0])
	d := kernel.Shape().Dimensions
	groups := intAttr(n, "group", 1)
	if groups < 1 || groups > 1<<20 {
		panic(fmt.Errorf("%d groups", groups))
	}
	y := e.b.Convolution(x, kernel, int(groups), windowOf(e, n, x, [2]int{d[0], d[1]}))
	if len(in) > 2 && in[2].there() {
		y = Add(y, Reshape(in[2].plain(e), 1, 1, 1, d[3]))
	}
	return value{node: y, last: true}
}

func batchNorm(e *walk, n weights.ONNXNode, in []value) value {
	if len(in) != 5 || !evaluates(n) {
		panic(errors.New("it is in training mode: export the network in evaluation mode"))
	}
	v := in[0]
	rank := len(v.dims())
	channel := 1
	if rank == 4 {
		v = value{node: e.toLast(v), last: true}
		channel = 3
	}
	x := v.plain(e)
	if v.last {
		x = v.node
	}
	shape := slices.Repeat([]int{1}, rank)
	shape[channel] = -1
	vector := func(k int) *Node { return Reshape(in[k].plain(e), shape...) }
	scale := Div(vector(1), Sqrt(AddScalar(vector(4), normEps(n))))
	return v.same(Add(Mul(x, scale), Sub(vector(2), Mul(vector(3), scale))))
}

// ownNorm reports whether a node is a batch norm with PyTorch's names, and returns their prefix:
// "layer1.bn" for a norm of layer1.bn.weight, .bias, .running_mean and .running_var. Such a norm is
// built by package backbone, so that it can follow its batches in training.
func (e *walk) ownNorm(n weights.ONNXNode) (prefix string, ok bool) {
	if n.Op != "BatchNormalization" || len(n.Inputs) != 5 || !evaluates(n) || len(n.Outputs) == 0 || n.Outputs[0] == "" {
		return "", false
	}
	prefix, ok = strings.CutSuffix(n.Inputs[1], ".weight")
	if !ok {
		return "", false
	}
	var channels []int
	for i, leaf := range []string{".weight", ".bias", ".running_mean", ".running_var"} {
		name := n.Inputs[1+i]
		w, known := e.weights[name]
		if !known || name != prefix+leaf || len(w.shape) != 1 || e.uses[name] != 1 || w.fixed != (i >= 2) {
			return "", false
		}
		channels = append(channels, w.shape[0])
	}
	x := e.get(n.Inputs[0])
	if !x.there() || x.known != nil || len(x.dims()) != 4 {
		return "", false
	}
	return prefix, slices.Equal(channels, slices.Repeat([]int{x.dims()[1]}, 4))
}

// norm builds an own norm.
func (e *walk) norm(prefix string, n weights.ONNXNode) value {
	x := e.toLast(e.get(n.Inputs[0]))
	return value{node: e.b.BatchNorm(graphKey(prefix), x, normEps(n)), last: true}
}

// evaluates reports whether a batch norm uses its statistics, one for each channel.
func evaluates(n weights.ONNXNode) bool {
	return intAttr(n, "training_mode", 0) == 0 && intAttr(n, "spatial", 1) == 1
}

func normEps(n weights.ONNXNode) float64 { return floatAttr(n, "epsilon", 1e-5) }

func pool(e *walk, n weights.ONNXNode, in []value) value {
	x := e.toLast(in[0])
	if n.Attrs["kernel_shape"].Ints == nil || intAttr(n, "storage_order", 0) != 0 || len(n.Outputs) > 1 && n.Outputs[1] != "" {
		panic(errors.New("a pool without kernel_shape, or one that gives indices"))
	}
	w := windowOf(e, n, x, [2]int{})
	mean := n.Op == "AveragePool"
	padded := intAttr(n, "count_include_pad", 0) != 0
	if intAttr(n, "ceil_mode", 0) != 0 {
		for i := range 2 {
			d := x.Shape().Dim(1 + i)
			rest := (d + w.Pads[i][0] + w.Pads[i][1] - w.Size[i]) % w.Stride[i]
			// A last window that would begin in the padding behind the picture is left out.
			if extra := w.Stride[i] - rest; rest > 0 && d+w.Pads[i][0]+w.Pads[i][1]+extra-w.Size[i] < d+w.Pads[i][0] {
				if mean && padded {
					panic(errors.New("ceil_mode together with count_include_pad"))
				}
				w.Pads[i][1] += extra
			}
		}
	}
	if mean {
		return value{node: w.MeanPool(x, padded), last: true}
	}
	return value{node: w.MaxPool(x), last: true}
}

func globalPool(reduce func(x *Node, axes ...int) *Node) operation {
	return func(e *walk, _ weights.ONNXNode, in []value) value {
		return value{node: ReduceAndKeep(e.toLast(in[0]), reduce, 1, 2), last: true}
	}
}
