package onnxruntime

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	onnx "github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"
)

// port describes an input or output; -1 = any length, named n.
func port(name string, kind onnx.TensorProto_DataType, shape ...int64) *onnx.ValueInfoProto {
	s := new(onnx.TensorShapeProto)
	for _, n := range shape {
		d := &onnx.TensorShapeProto_Dimension{Value: &onnx.TensorShapeProto_Dimension_DimValue{DimValue: n}}
		if n < 0 {
			d.Value = &onnx.TensorShapeProto_Dimension_DimParam{DimParam: "n"}
		}
		s.Dim = append(s.Dim, d)
	}
	return &onnx.ValueInfoProto{Name: name, Type: &onnx.TypeProto{Value: &onnx.TypeProto_TensorType{
		TensorType: &onnx.TypeProto_Tensor{ElemType: int32(kind), Shape: s}}}}
}

func constant(name string, values []float32, shape ...int64) *onnx.TensorProto {
	raw := make([]byte, 0, 4*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return &onnx.TensorProto{Name: name, DataType: int32(onnx.TensorProto_FLOAT), Dims: shape, RawData: raw}
}

// operator is a node with attributes that are lists of whole numbers, or one.
func operator(kind string, in []string, out string, attributes map[string][]int64) *onnx.NodeProto {
	n := &onnx.NodeProto{OpType: kind, Input: in, Output: []string{out}}
	for name, v := range attributes {
		a := &onnx.AttributeProto{Name: name, Type: onnx.AttributeProto_INTS, Ints: v}
		if len(v) == 1 && name != "axes" {
			a.Type, a.I, a.Ints = onnx.AttributeProto_INT, v[0], nil
		}
		n.Attribute = append(n.Attribute, a)
	}
	return n
}

func encoded(t testing.TB, g *onnx.GraphProto) []byte {
	t.Helper()
	g.Name = "g"
	data, err := proto.Marshal(&onnx.ModelProto{IrVersion: 8, Graph: g, OpsetImport: []*onnx.OperatorSetIdProto{{Version: 13}}})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// twice is a model with y = 2 x and its sum along the last axis. Its constant is listed as an input
// too, as older files do.
func twice(t testing.TB) []byte {
	return encoded(t, &onnx.GraphProto{
		Input:       []*onnx.ValueInfoProto{port("two", onnx.TensorProto_FLOAT, 1), port("x", onnx.TensorProto_FLOAT, -1, 3)},
		Output:      []*onnx.ValueInfoProto{port("y", onnx.TensorProto_FLOAT, -1, 3), port("sum", onnx.TensorProto_FLOAT, -1, 1)},
		Initializer: []*onnx.TensorProto{constant("two", []float32{2}, 1), {Name: "axis", DataType: int32(onnx.TensorProto_INT64), Dims: []int64{1}, Int64Data: []int64{1}}},
		Node:        []*onnx.NodeProto{operator("Mul", []string{"x", "two"}, "y", nil), operator("ReduceSum", []string{"y", "axis"}, "sum", nil)},
	})
}

// network is a small convolutional network of the kind that extraction runs: pictures in rows of
// pixels, full and depthwise convolutions, a residual sum, the mean over the picture.
func network(t testing.TB, size int64) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	weights := func(name string, shape ...int64) *onnx.TensorProto {
		n, fan := int64(1), int64(1)
		for i, d := range shape {
			n *= d
			if i > 0 {
				fan *= d
			}
		}
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(rng.NormFloat64() * math.Sqrt(2/float64(fan)))
		}
		return constant(name, values, shape...)
	}
	pads := map[string][]int64{"pads": {1, 1, 1, 1}, "strides": {2, 2}}
	g := &onnx.GraphProto{
		Input:  []*onnx.ValueInfoProto{port("pictures", onnx.TensorProto_FLOAT, -1, size, size, 3)},
		Output: []*onnx.ValueInfoProto{port("features", onnx.TensorProto_FLOAT, -1, 96)},
		Initializer: []*onnx.TensorProto{
			weights("stem", 32, 3, 3, 3), weights("depth", 32, 1, 3, 3), weights("wide", 96, 32, 1, 1), weights("full", 96, 96, 3, 3)},
		Node: []*onnx.NodeProto{
			operator("Transpose", []string{"pictures"}, "nchw", map[string][]int64{"perm": {0, 3, 1, 2}}),
			operator("Conv", []string{"nchw", "stem"}, "a", pads), operator("Relu", []string{"a"}, "b", nil),
			operator("Conv", []string{"b", "depth"}, "c", map[string][]int64{"pads": {1, 1, 1, 1}, "group": {32}}), operator("Relu", []string{"c"}, "d", nil),
			operator("Conv", []string{"d", "wide"}, "e", nil), operator("Relu", []string{"e"}, "f", nil),
			operator("Conv", []string{"f", "full"}, "g", map[string][]int64{"pads": {1, 1, 1, 1}}), operator("Add", []string{"g", "f"}, "h", nil), operator("Relu", []string{"h"}, "i", nil),
			operator("GlobalAveragePool", []string{"i"}, "mean", nil), operator("Flatten", []string{"mean"}, "features", map[string][]int64{"axis": {1}}),
		},
	}
	return encoded(t, g)
}

func TestSignature(t *testing.T) {
	m, err := readSignature(twice(t))
	if err != nil {
		t.Fatal(err)
	}
	in, out := m.inputs, m.outputs
	wantIn := []Value{{"x", Float32, []int{-1, 3}}}
	wantOut := []Value{{"y", Float32, []int{-1, 3}}, {"sum", Float32, []int{-1, 1}}}
	if !reflect.DeepEqual(in, wantIn) || !reflect.DeepEqual(out, wantOut) {
		t.Errorf("inputs %v, outputs %v; want %v, %v", in, out, wantIn, wantOut)
	}
	if got, want := fmt.Sprint(in), "[x float32[?,3]]"; got != want {
		t.Errorf("inputs print as %s, want %s", got, want)
	}
}

// Whatever is not a model is an error that says so, also where it is cut.
func TestSignatureOfNonsense(t *testing.T) {
	model := twice(t)
	for n := range model {
		if m, err := readSignature(model[:n]); err == nil && (len(m.inputs) == 0 || len(m.outputs) == 0) {
			t.Errorf("cut to %d bytes: %+v, no error", n, m)
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		changed := append([]byte(nil), model...)
		changed[rng.IntN(len(changed))] ^= byte(1 + rng.IntN(255))
		_, _ = readSignature(changed) // must not panic
	}
	for name, text := range map[string]string{"empty": "", "text": "no model at all", "HTML": "<!doctype html><html></html>"} {
		if _, err := readSignature([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	only := encoded(t, &onnx.GraphProto{Output: []*onnx.ValueInfoProto{port("y", onnx.TensorProto_FLOAT, 1)}})
	if _, err := readSignature(only); err == nil || !strings.Contains(err.Error(), "no input") {
		t.Errorf("without an input: %v", err)
	}
}

// check.onnx is what this says.
func TestCheckModel(t *testing.T) {
	weights := operator("ConstantOfShape", []string{"shape"}, "weights", nil)
	weights.Attribute = []*onnx.AttributeProto{{Name: "value", Type: onnx.AttributeProto_TENSOR, T: constant("half", []float32{0.5}, 1)}}
	model := encoded(t, &onnx.GraphProto{
		Input:       []*onnx.ValueInfoProto{port("x", onnx.TensorProto_FLOAT, 1, 16, 8, 8)},
		Output:      []*onnx.ValueInfoProto{port("y", onnx.TensorProto_FLOAT, 1, 32, 8, 8)},
		Initializer: []*onnx.TensorProto{{Name: "shape", DataType: int32(onnx.TensorProto_INT64), Dims: []int64{4}, Int64Data: []int64{32, 16, 3, 3}}},
		Node: []*onnx.NodeProto{weights, operator("Conv", []string{"x", "weights"}, "c", map[string][]int64{"pads": {1, 1, 1, 1}}),
			operator("Relu", []string{"c"}, "y", nil)},
	})
	want, got := new(onnx.ModelProto), new(onnx.ModelProto)
	if err := proto.Unmarshal(model, want); err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(checkModel, got); err != nil || !proto.Equal(got, want) {
		t.Errorf("check.onnx holds another model (%v)", err)
	}
}
