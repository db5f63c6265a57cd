package onnx

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"
)

// nonsense are networks that break the standard, each in one place. ONNX Runtime 1.32.0 refuses
// every one of them.
func nonsense() map[string]*protos.ModelProto {
	plain := func(nodes ...*protos.NodeProto) *protos.ModelProto {
		return model4(append(nodes, node("Relu", "a", "b"), pooled())...)
	}
	changed := func(change func(m *protos.ModelProto)) *protos.ModelProto {
		m := plain()
		change(m)
		return m
	}
	through := func(n *protos.NodeProto, t ...*protos.TensorProto) *protos.ModelProto {
		return with(model4(n, pooled()), t...)
	}
	folded := func(op string, in names, t ...*protos.TensorProto) *protos.ModelProto {
		return with(model4(node(op, in, "k"), node("Reshape", "a k", "b"), pooled()), t...)
	}
	k := func(v ...int64) *protos.TensorProto { return numbersOf("c", v...) }
	word := func(name, v string) *protos.AttributeProto {
		return &protos.AttributeProto{Name: name, Type: protos.AttributeProto_STRING, S: []byte(v)}
	}
	return map[string]*protos.ModelProto{
		"an axis of 2^63":             through(node("Concat", "a a", "b", attr("axis", -1<<63))),
		"an axis of 4":                through(node("Softmax", "a", "b", attr("axis", 4))),
		"an axis of -5":               through(node("Softmax", "a", "b", attr("axis", -5))),
		"flattening at 5":             through(node("Flatten", "a", "b", attr("axis", 5))),
		"an axis twice":               through(node("Unsqueeze", "a c", "b"), k(0, 0)),
		"squeezing 4 channels":        through(node("Squeeze", "a c", "b"), k(1)),
		"element 4 of 4":              through(node("Gather", "a c", "b", attr("axis", 1)), k(4)),
		"element -5 of 4":             through(node("Gather", "a c", "b", attr("axis", 1)), k(-5)),
		"element 2^63 of 4":           folded("Gather", "c d", k(1, 4, 8, 8), numbersOf("d", -1<<63)),
		"a division by zero":          folded("Div", "c d", k(1, 4, 8, 8), numbersOf("d", 0)),
		"a negative size":             through(node("Reshape", "a c", "b"), k(1, -4, 8, 8)),
		"two open sizes":              through(node("Reshape", "a c", "b"), k(1, -1, -1, 8)),
		"too many numbers":            through(node("Reshape", "a c", "b"), k(1, 5, 8, 8)),
		"a zero behind the shape":     through(node("Reshape", "a c", "b"), k(1, 4, 8, 8, 0)),
		"parts that do not add up":    with(model4(node("Split", "a c", "b d", attr("axis", 1)), pooled()), k(1, 2)),
		"a step of 0":                 through(node("Slice", "a c d e f", "b"), k(0), numbersOf("d", 4), numbersOf("e", 1), numbersOf("f", 0)),
		"a slice of axis 9":           through(node("Slice", "a c d e", "b"), k(0), numbersOf("d", 4), numbersOf("e", 9)),
		"a stride of -1":              through(node("MaxPool", "a", "b", ints("kernel_shape", 2, 2), ints("strides", -1, 1))),
		"three strides":               through(node("MaxPool", "a", "b", ints("kernel_shape", 2, 2), ints("strides", 1, 1, 1))),
		"pads as wide as the window":  through(node("MaxPool", "a", "b", ints("kernel_shape", 2, 2), ints("pads", 2, 2, 2, 2))),
		"three groups":                through(node("Conv", "a kernel", "b", attr("group", 3))),
		"a kernel for others":         through(node("Conv", "a kernel", "b")),
		"a perm with holes":           through(node("Transpose", "a", "b", ints("perm", 0, 1, 2, 4))),
		"shapes that do not fit":      through(node("Add", "a c", "b"), &protos.TensorProto{Name: "c", DataType: 1, Dims: []int64{3, 1, 1}, FloatData: []float32{1, 2, 3}}),
		"floats and integers":         through(node("Add", "a c", "b"), k(1)),
		"a setting of another type":   through(node("Softmax", "a", "b", word("axis", "1"))),
		"a setting of nowhere":        through(node("Relu", "a", "b", attr("axis", 1))),
		"a setting of the future":     through(node("Reshape", "a c", "b", attr("allowzero", 1)), k(1, 4, 0, 64)),
		"an operation of the future":  through(node("Gelu", "a", "b")),
		"too few inputs":              through(node("Add", "a", "b")),
		"too many inputs":             through(node("Relu", "a a", "b")),
		"too many outputs":            through(node("Relu", "a", "b c")),
		"a result that is the input":  plain(node("Relu", "a", "x")),
		"a result that is a weight":   plain(node("Relu", "a", "kernel")),
		"a result twice":              plain(node("Tanh", "a", "b")),
		"an output twice":             changed(func(m *protos.ModelProto) { m.Graph.Output = append(m.Graph.Output, m.Graph.Output[0]) }),
		"an output of nowhere":        changed(func(m *protos.ModelProto) { m.Graph.Output[0].Name = "nowhere" }),
		"a circle":                    model4(node("Add", "a c", "b"), node("Relu", "b", "c"), pooled()),
		"no number of operators":      changed(func(m *protos.ModelProto) { m.OpsetImport = nil }),
		"a mean of no matrix":         through(node("MatMul", "a kernel", "b")),
		"a range without steps":       folded("Range", "c c d", numbersOf("c", 1), numbersOf("d", 0)),
		"a shape of a negative size":  folded("ConstantOfShape", "c", k(-4)),
		"a norm of other channels":    through(node("BatchNormalization", "a c c c c", "b"), &protos.TensorProto{Name: "c", DataType: 1, Dims: []int64{3}, FloatData: []float32{1, 2, 3}}),
		"a layer norm of 3 numbers":   through(node("LayerNormalization", "a c", "b"), &protos.TensorProto{Name: "c", DataType: 1, Dims: []int64{3}, FloatData: []float32{1, 2, 3}}),
		"as many as never":            through(node("TopK", "a c", "b d", attr("axis", 1)), k(5)),
		"an equation for other axes":  through(&protos.NodeProto{OpType: "Einsum", Input: []string{"a", "a"}, Output: []string{"b"}, Attribute: []*protos.AttributeProto{word("equation", "ij,jk->ik")}}),
		"padding by a word":           through(node("Pad", "a c", "b", word("mode", "softly")), k(0, 0, 1, 1, 0, 0, 1, 1)),
		"six pads for four axes":      through(node("Pad", "a c", "b"), k(0, 0, 1, 0, 0, 1)),
		"a type of another world":     through(node("Cast", "a", "b", attr("to", 99))),
		"tiles for two axes":          through(node("Tile", "a c", "b"), k(1, 2)),
		"an expansion that needs two": through(node("Expand", "a c", "b"), k(1, 3, 8, 8)),
	}
}

// Nonsense is refused with the name of the node, if it is one node's, before anything is built.
func TestNonsense(t *testing.T) {
	all := nonsense()
	for _, what := range slices.Sorted(maps.Keys(all)) {
		t.Run(what, func(t *testing.T) {
			_, err := declared(write(t, all[what]), "", 8)
			if err == nil {
				t.Fatal("it was opened")
			}
			checkWords(t, err.Error())
			t.Log(err)
		})
	}
	// The smallest integer divided by -1 does not fit; in C++ anything may happen then.
	m := with(model4(node("Div", "c d", "k"), node("Reshape", "a k", "b"), pooled()), numbersOf("c", -1<<63), numbersOf("d", -1))
	if _, err := declared(write(t, m), "", 8); err == nil || !strings.Contains(err.Error(), "smallest integer") {
		t.Errorf("the smallest integer by -1: %v", err)
	}
	if folder := os.Getenv("TLKIT_NONSENSE"); folder != "" { // for ONNX Runtime to look at
		for what, m := range all {
			b, err := proto.Marshal(m)
			if err == nil {
				err = os.WriteFile(filepath.Join(folder, what+".onnx"), b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
