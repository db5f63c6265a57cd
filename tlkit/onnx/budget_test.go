package onnx

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute-onnx/support/protos"

	"github.com/tlkit/transfer-learning/internal/machine"
)

// What opening a file may cost, at most: processor time, which does not depend on what else the
// machine does, and bytes allocated altogether. A small file may cost much less, see allowance.
const (
	mostTime  = 2 * time.Second
	mostBytes = 200 << 20
)

// chain is a network of n nodes of one kind, each behind the other.
func chain(n int, node func(in, out names) *protos.NodeProto) *protos.ModelProto {
	var nodes []*protos.NodeProto
	last := names("a")
	for i := range n {
		next := names(fmt.Sprintf("v%d", i))
		nodes = append(nodes, node(last, next))
		last = next
	}
	nodes[len(nodes)-1].Output[0] = "b"
	return model4(append(nodes, pooled())...)
}

func attr(name string, v int64) *protos.AttributeProto {
	return &protos.AttributeProto{Name: name, Type: protos.AttributeProto_INT, I: v}
}

// with adds tensors to a network.
func with(m *protos.ModelProto, t ...*protos.TensorProto) *protos.ModelProto {
	m.Graph.Initializer = append(m.Graph.Initializer, t...)
	return m
}

// expensive are networks that would cost much, each in another way, with what is said about them;
// "" for those that are opened.
func expensive() map[string]struct {
	model *protos.ModelProto
	want  string
} {
	type row = struct {
		model *protos.ModelProto
		want  string
	}
	sized := func(m *protos.ModelProto, side int) *protos.ModelProto {
		m.Graph.Input[0].Type = tensorType(1, []int{1, 3, side, side})
		return m
	}
	same := func(op string, attrs ...*protos.AttributeProto) func(in, out names) *protos.NodeProto {
		return func(in, out names) *protos.NodeProto { return node(op, in, out, attrs...) }
	}
	relu := func(more ...*protos.NodeProto) *protos.ModelProto {
		return model4(append(more, node("Relu", "a", "b"), pooled())...)
	}
	kernel := func(name string, dims ...int64) *protos.TensorProto {
		n := int64(1)
		for _, d := range dims {
			n *= d
		}
		return &protos.TensorProto{Name: name, DataType: 1, Dims: dims, RawData: make([]byte, 4*n)}
	}
	ring := make([]*protos.NodeProto, 0, 49_000)
	for i := range 49_000 {
		ring = append(ring, node("Identity", names(fmt.Sprint("r", i)), names(fmt.Sprint("r", (i+1)%49_000))))
	}
	// What is added up is known beforehand: 4,000 steps over a large constant.
	folds := chain(4000, func(in, out names) *protos.NodeProto { return node("Add", in+" large", out) })
	folds.Graph.Node[1].Input[0] = "large"
	folds.Graph.Node[len(folds.Graph.Node)-1] = node("Reshape", "a b", "z")
	// Each of these may be read in two ways; none of them lets pictures apart in the end.
	doubtful := chain(400, func(in, out names) *protos.NodeProto { return node("Reshape", in+" one", out) })
	doubtful.Graph.Node[len(doubtful.Graph.Node)-1] = node("ReduceMax", "b", "z")
	many := make([]string, 100_000)
	for i := range many {
		many[i] = "a"
	}
	wide := relu()
	wide.Graph.Node[1] = &protos.NodeProto{OpType: "Sum", Input: many, Output: []string{"b"}}
	joined := relu()
	joined.Graph.Node[1] = &protos.NodeProto{OpType: "Concat", Input: many, Output: []string{"b"}, Attribute: []*protos.AttributeProto{attr("axis", 1)}}
	enlarged := relu()
	enlarged.Graph.Node[1] = &protos.NodeProto{OpType: "Resize", Input: []string{"a", "", "", "k"}, Output: []string{"b"}}
	return map[string]row{
		"20,000 sigmoids":      {chain(20_000, same("Sigmoid")), "operations for a file"},
		"49,000 identities":    {chain(49_000, same("Identity")), ""},
		"a ring of identities": {model4(append(ring, node("Add", "a r7", "b"), pooled())...), "circles"},
		"3,000 convolutions":   {with(chain(3000, func(in, out names) *protos.NodeProto { return node("Conv", in+" square", out) }), kernel("square", 4, 4, 1, 1)), "operations for a file"},
		"pads":                 {with(chain(2000, func(in, out names) *protos.NodeProto { return node("Pad", in+" k", out) }), numbersOf("k", 0, 0, 99, 99, 0, 0, 99, 99)), "numbers for a picture"},
		"folding":              {with(folds, numbersOf("large", make([]int64, 1<<16)...)), "numbers to compute"},
		"folding upwards":      {with(chain(12, func(in, out names) *protos.NodeProto { return node("Concat", in+" "+in, out, attr("axis", 0)) }), numbersOf("k", 1)), "counts pictures"},
		"doubtful shapes":      {with(doubtful, numbersOf("one", 1, 1, 1, 1, 4, 64)), "pictures"},
		"100,000 inputs":       {wide, "operations for a file"},
		"joining 100,000":      {joined, "numbers for a picture"},
		"4096 pixels":          {sized(relu(), 4096), "numbers for a picture"},
		"1500 pixels": {sized(with(chain(3, func(in, out names) *protos.NodeProto {
			return node("Conv", in+" big", out, ints("pads", 15, 15, 15, 15))
		}), kernel("big", 4, 4, 31, 31)), 1500), "multiply-adds"},
		"a pool of thousands": {sized(model4(node("AveragePool", "a", "b", ints("kernel_shape", 900, 900)), pooled()), 1800), "multiply-adds"},
		"a maximum of many":   {sized(model4(node("MaxPool", "a", "b", ints("kernel_shape", 999, 999), ints("pads", 499, 499, 499, 499)), pooled()), 999), "multiply-adds"},
		"many features":       {with(model4(node("Relu", "a", "b"), node("Flatten", "b", "c"), node("Expand", "c k", "z")), numbersOf("k", 1, 1<<26)), "do not fit together"},
		"2^26 features":       {with(sized(model4(node("Relu", "a", "b"), node("Reshape", "b k", "z")), 1024), numbersOf("k", 1, -1)), "features"},
		"wide kernels": {with(chain(20, func(in, out names) *protos.NodeProto {
			return node("Conv", in+" wide", out, attr("group", 4), ints("pads", 32, 32, 32, 32))
		}), kernel("wide", 4, 1, 65, 65)), "operations for a file"},
		"enlarging":             {with(enlarged, numbersOf("k", 1, 4, 1<<20, 1<<20)), "at most 4096"},
		"tiles":                 {with(model4(node("Tile", "a k", "b"), pooled()), numbersOf("k", 1, 1<<20, 1<<6, 1)), "numbers for a picture"},
		"a range without end":   {with(model4(node("Range", "s l s", "k"), node("Reshape", "a k", "b"), pooled()), numbersOf("s", 1), numbersOf("l", 1<<62)), "numbers of a shape"},
		"a constant of shapes":  {with(model4(node("ConstantOfShape", "k", "c"), node("Add", "a c", "b"), pooled()), numbersOf("k", 1<<31, 1<<31, 1<<31)), "numbers of a shape"},
		"one operation, easily": {relu(), ""},
	}
}

// Whatever a file asks for, the answer comes at once and takes little memory.
func TestExpensive(t *testing.T) {
	for what, c := range expensive() {
		t.Run(what, func(t *testing.T) {
			path := write(t, c.model)
			began, before := machine.ProcessorTime(), heapTotal()
			_, err := declared(path, "", max(8, int(c.model.Graph.Input[0].Type.GetTensorType().Shape.Dim[2].GetDimValue())))
			took, used := machine.ProcessorTime()-began, heapTotal()-before
			switch {
			case err == nil && c.want != "":
				t.Error("it was opened")
			case err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
			if took > mostTime || used > mostBytes {
				t.Errorf("%v and %d MB", took, used>>20)
			}
			t.Logf("%v, %d MB: %.200v", took.Round(time.Millisecond), used>>20, err)
		})
	}
}
