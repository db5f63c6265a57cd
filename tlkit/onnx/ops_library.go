package onnx

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/onnx-gomlx/onnx/parser"
	"google.golang.org/protobuf/proto"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// libraryOps are the operations that onnx-gomlx v0.5.5 builds as ONNX defines them; a test asks it
// for each. Missing are those that it builds differently (cubic Resize, CumSum), those that
// quantise, and those that need a state of their own.
var libraryOps = map[string]bool{
	"And": true, "ArgMax": true, "ArgMin": true, "Ceil": true, "Cos": true, "Einsum": true, "Equal": true, "Expand": true,
	"Floor": true, "Gather": true, "GatherElements": true, "GatherND": true, "Gemm": true, "Greater": true, "GreaterOrEqual": true,
	"IsNaN": true, "LayerNormalization": true, "Less": true, "LessOrEqual": true, "Mod": true, "Not": true, "Or": true, "Pow": true,
	"Range": true, "ReduceL2": true, "ReduceMax": true, "ReduceMin": true, "ReduceProd": true, "ReduceSum": true, "Sign": true,
	"Sin": true, "Slice": true, "Split": true, "Squeeze": true, "Tile": true, "TopK": true, "Trilu": true, "Unsqueeze": true,
	"Where": true, "Xor": true,
}

// runLibrary lets onnx-gomlx build the pending nodes. It never sees the stranger's file, but a
// small one made here: the nodes with their settings, constants, and everything else as an input.
// Weights are inputs too, and so stay parameters of the program.
func (e *walk) runLibrary() {
	nodes := e.pending
	e.pending = nil
	p := e.collect(nodes)
	if len(p.wanted) == 0 {
		return
	}
	raw, err := proto.Marshal(&protos.ModelProto{
		IrVersion: 8, Graph: p.graph, OpsetImport: []*protos.OperatorSetIdProto{{Version: int64(e.opset)}},
	})
	if err != nil {
		panic(err)
	}
	m, err := parser.Parse(raw)
	if err != nil {
		panic(err)
	}
	defer m.Close()
	m.DisableFusion() // the same arithmetic on every backend
	if len(p.inputs) == 0 {
		// The library finds the graph through its inputs.
		first := e.nodes[nodes[0]]
		panic(fmt.Errorf("node %.100q (%s): nothing in it depends on the picture or a weight", first.Name, first.Op))
	}
	for k, node := range m.CallGraph(nil, e.ref.Graph(), p.inputs, p.wanted...) {
		if node == nil {
			panic(fmt.Errorf("onnx-gomlx gave nothing for %.100q", p.wanted[k]))
		}
		e.set(p.wanted[k], value{node: node})
	}
}

// piece is the part of a network that the library builds.
type piece struct {
	graph  *protos.GraphProto
	inputs map[string]*Node
	wanted []string // values that others need
}

// collect makes a piece of some nodes.
func (e *walk) collect(nodes []int) piece {
	p := piece{graph: &protos.GraphProto{Name: "part"}, inputs: map[string]*Node{}}
	made := map[string]bool{} // by the nodes themselves
	for _, i := range nodes {
		for _, out := range e.nodes[i].Outputs {
			made[out] = true
		}
	}
	put := map[string]bool{}
	uses := map[string]int{} // by the nodes themselves
	for _, i := range nodes {
		n := e.nodes[i]
		if n.Op == "Split" && n.Attrs["split"].Ints != nil {
			panic(fmt.Errorf("node %.100q (Split): parts of the sizes of version 12: export it with a newer version", n.Name))
		}
		for _, name := range n.Inputs {
			uses[name]++
			if name == "" || made[name] || put[name] {
				continue
			}
			put[name] = true
			v := e.get(name)
			if v.known != nil && v.known.len() <= maxConstant {
				p.graph.Node = append(p.graph.Node, constantNode(name, *v.known))
				continue
			}
			p.inputs[name] = v.plain(e)
			p.graph.Input = append(p.graph.Input, valueInfo(name, p.inputs[name]))
		}
		p.graph.Node = append(p.graph.Node, nodeProto(n))
	}
	for _, i := range nodes {
		for _, out := range e.nodes[i].Outputs {
			if out != "" && (e.uses[out] > uses[out] || out == e.cut || out == e.logits) {
				p.wanted = append(p.wanted, out)
				p.graph.Output = append(p.graph.Output, &protos.ValueInfoProto{Name: out, Type: tensorType(1, nil)})
			}
		}
	}
	return p
}

func nodeProto(n weights.ONNXNode) *protos.NodeProto {
	out := &protos.NodeProto{Name: n.Name, OpType: n.Op, Input: n.Inputs, Output: n.Outputs}
	names := make([]string, 0, len(n.Attrs))
	for name := range n.Attrs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		a := n.Attrs[name]
		p := &protos.AttributeProto{Name: name}
		switch {
		case a.Strings != nil && !a.List:
			p.Type, p.S = protos.AttributeProto_STRING, []byte(a.Strings[0])
		case a.Strings != nil:
			p.Type = protos.AttributeProto_STRINGS
			for _, s := range a.Strings {
				p.Strings = append(p.Strings, []byte(s))
			}
		case a.Floats != nil && !a.List:
			p.Type, p.F = protos.AttributeProto_FLOAT, a.Floats[0]
		case a.Floats != nil:
			p.Type, p.Floats = protos.AttributeProto_FLOATS, a.Floats
		case a.Ints != nil && !a.List:
			p.Type, p.I = protos.AttributeProto_INT, a.Ints[0]
		default:
			p.Type, p.Ints = protos.AttributeProto_INTS, a.Ints
		}
		out.Attribute = append(out.Attribute, p)
	}
	return out
}

func constantNode(name string, c constant) *protos.NodeProto {
	t := &protos.TensorProto{Name: name}
	for _, d := range c.shape {
		t.Dims = append(t.Dims, int64(d))
	}
	switch {
	case c.floats != nil:
		t.DataType, t.FloatData = int32(protos.TensorProto_FLOAT), c.floats
	case c.dtype == "BOOL" || c.dtype == "I32":
		t.DataType = int32(protos.TensorProto_INT32)
		if c.dtype == "BOOL" {
			t.DataType = int32(protos.TensorProto_BOOL)
			t.RawData = make([]byte, len(c.ints))
			for i, v := range c.ints {
				if v != 0 {
					t.RawData[i] = 1
				}
			}
			break
		}
		t.Int32Data = make([]int32, len(c.ints))
		for i, v := range c.ints {
			t.Int32Data[i] = int32(v)
		}
	default:
		t.DataType, t.Int64Data = int32(protos.TensorProto_INT64), c.ints
	}
	return &protos.NodeProto{OpType: "Constant", Output: []string{name}, Attribute: []*protos.AttributeProto{
		{Name: "value", Type: protos.AttributeProto_TENSOR, T: t},
	}}
}

func valueInfo(name string, x *Node) *protos.ValueInfoProto {
	kind, ok := map[dtypes.DType]int32{dtypes.Float32: 1, dtypes.Int32: 6, dtypes.Int64: 7, dtypes.Bool: 9}[x.DType()]
	if !ok {
		panic(fmt.Errorf("%.100q is of type %s", name, x.DType()))
	}
	return &protos.ValueInfoProto{Name: name, Type: tensorType(kind, x.Shape().Dimensions)}
}

func tensorType(kind int32, dims []int) *protos.TypeProto {
	shape := &protos.TensorShapeProto{}
	for _, d := range dims {
		shape.Dim = append(shape.Dim, &protos.TensorShapeProto_Dimension{Value: &protos.TensorShapeProto_Dimension_DimValue{DimValue: int64(d)}})
	}
	return &protos.TypeProto{Value: &protos.TypeProto_TensorType{TensorType: &protos.TypeProto_Tensor{ElemType: kind, Shape: shape}}}
}
