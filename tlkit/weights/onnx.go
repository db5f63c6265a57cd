package weights

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/tlkit/transfer-learning/internal/words"
)

// ONNX is the computation in an .onnx file. Its numbers, which are its initializers and the
// values of its Constant nodes, are tensors of the [File], with the names that the nodes use.
type ONNX struct {
	Opset    int    // version of the standard operators
	Producer string // the program that wrote the file: "pytorch"
	Inputs   []ONNXValue
	Outputs  []ONNXValue
	Nodes    []ONNXNode // Constant nodes are tensors of the file instead
}

// ONNXValue is an input or output of an [ONNX] computation.
type ONNXValue struct {
	Name  string
	DType string // as in [Tensor]; "" if the file does not say, or if it is not a tensor
	Shape []int  // -1 for sizes that the file leaves open; nil if the file does not say
}

// ONNXNode is one operation. The name of a missing optional input is "".
type ONNXNode struct {
	Name, Op string
	Domain   string // "" for the standard operators
	Inputs   []string
	Outputs  []string
	Attrs    map[string]ONNXAttr
}

// ONNXAttr is an attribute of a node. A single number is a list of one, with List false.
type ONNXAttr struct {
	List    bool
	Ints    []int64
	Floats  []float32
	Strings []string
	Other   string // the type of any other attribute, which is not read: "graph", "tensor", ...
}

// Limits on the memory for a description. Networks of a thousand layers need far less.
const (
	maxONNXNodes   = 50_000
	maxONNXMemory  = 64 << 20 // bytes of names and settings
	maxONNXNumbers = 1 << 20  // of a tensor of integers that are stored one by one
)

// ONNX returns the computation in an .onnx file, or nil for files with only tensors. The result is
// shared and must not be modified.
func (f *File) ONNX() *ONNX { return f.onnx }

// sniffONNX reports whether a file looks like a ModelProto, which has no magic number. All
// writers begin with the version of the format, 3 to 99, and continue with the producer's name
// or version, the domain, the model's version or text, the graph, or the operator set.
func sniffONNX(head []byte) bool {
	return len(head) > 2 && head[0] == 0x08 && head[1] >= 3 && head[1] < 100 && strings.IndexByte("\x12\x1a\x22\x28\x32\x3a\x42", head[2]) >= 0
}

// readONNX reads the file field by field and leaves the numbers in the file. It does not use
// Unmarshal of the protobuf library, which needs the whole file in memory twice, allocates by
// unchecked lengths, and merges repeated messages.
func (f *File) readONNX() error {
	r := &onnxReader{file: f, window: &protoWindow{src: f.src}, graph: &ONNX{}}
	if err := r.model(protoMessage{r.window, 0, f.src.size}); err != nil {
		return fmt.Errorf("ONNX: %w", err)
	}
	f.onnx = r.graph
	return nil
}

type onnxReader struct {
	file   *File
	window *protoWindow
	graph  *ONNX
	held   int // bytes of names and settings

	beside                  map[string]*source // other files with numbers of this network
	besideBytes, besideUsed int64              // their size, and how much of it tensors use
}

// model reads a ModelProto. The field numbers are those of onnx.proto:
// https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
func (r *onnxReader) model(m protoMessage) error {
	graphs, versions := 0, 0
	err := m.each(func(field protoField) (err error) {
		switch field.num {
		case 2:
			r.graph.Producer, err = r.text(field)
		case 7:
			var g protoMessage
			g, err = field.message()
			if err != nil {
				break
			}
			if graphs++; graphs > 1 {
				return errors.New("two graphs in one file")
			}
			err = r.graphProto(g)
		case 8:
			err = r.operatorSet(field, &versions)
		case 20: // training_info
			return errors.New("the file describes how to train its network, which is not read: export it for inference")
		case 25:
			return errors.New("the file defines functions of its own: have them inlined, in Python with onnx.inliner.inline_local_functions")
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case graphs == 0:
		return errors.New("it has no graph: it is not an ONNX network, or only the beginning of one")
	case versions == 0:
		return errors.New("it does not say which version of the operators it uses")
	case len(r.file.tensors) == 0:
		return errors.New("no weights in it")
	}
	return r.dequantise()
}

func (r *onnxReader) operatorSet(field protoField, versions *int) error {
	domain, version := "", uint64(0)
	err := field.each(func(field protoField) (err error) {
		switch field.num {
		case 1:
			domain, err = r.text(field)
		case 2:
			version, err = field.integer()
		}
		return err
	})
	if err != nil || domain != "" && domain != "ai.onnx" {
		return err
	}
	if version < 1 || version > 1000 {
		return fmt.Errorf("version %d of the operators", version)
	}
	if *versions++; *versions > 1 && r.graph.Opset != int(version) {
		return errors.New("two versions of the operators in one file")
	}
	r.graph.Opset = int(version)
	return nil
}

func (r *onnxReader) graphProto(m protoMessage) error {
	err := m.each(func(field protoField) (err error) {
		switch field.num {
		case 1:
			err = r.node(field)
		case 5:
			var t protoMessage
			t, err = field.message()
			if err == nil {
				err = r.tensor(t, "")
			}
		case 11, 12:
			var v ONNXValue
			v, err = r.value(field)
			if field.num == 11 {
				r.graph.Inputs = append(r.graph.Inputs, v)
			} else {
				r.graph.Outputs = append(r.graph.Outputs, v)
			}
		case 15:
			err = errors.New("sparse tensors are not read: save the network with dense ones")
		}
		return err
	})
	if err != nil {
		return err
	}
	// Old files list their initializers among the inputs.
	numbers := make(map[string]bool, len(r.file.tensors))
	for _, t := range r.file.tensors {
		numbers[t.Name] = true
	}
	var inputs []ONNXValue
	for _, v := range r.graph.Inputs {
		if !numbers[v.Name] {
			inputs = append(inputs, v)
		}
	}
	r.graph.Inputs = inputs
	return nil
}

func (r *onnxReader) node(field protoField) error {
	n := ONNXNode{Attrs: map[string]ONNXAttr{}}
	var value *protoMessage // of a Constant
	err := field.each(func(field protoField) (err error) {
		var text string
		switch field.num {
		case 1:
			text, err = r.text(field)
			n.Inputs = append(n.Inputs, text)
		case 2:
			text, err = r.text(field)
			n.Outputs = append(n.Outputs, text)
		case 3:
			n.Name, err = r.text(field)
		case 4:
			n.Op, err = r.text(field)
		case 5:
			err = r.attribute(field, &n, &value)
		case 7:
			n.Domain, err = r.text(field)
		}
		return err
	})
	if err != nil {
		return err
	}
	if n.Domain == "ai.onnx" {
		n.Domain = ""
	}
	if n.Op == "Constant" && n.Domain == "" {
		return r.constant(n, value)
	}
	if value != nil && n.Op == "ConstantOfShape" && len(n.Outputs) == 1 {
		// The number that is repeated becomes a tensor of the file.
		name := n.Outputs[0] + ".value"
		if err := r.tensor(*value, name); err != nil {
			return err
		}
		n.Attrs["value"] = ONNXAttr{Strings: []string{name}}
	}
	if len(r.graph.Nodes) == maxONNXNodes {
		return fmt.Errorf("more than %d nodes", maxONNXNodes)
	}
	r.held += 256
	if r.held > maxONNXMemory {
		return r.tooMuch()
	}
	r.graph.Nodes = append(r.graph.Nodes, n)
	return nil
}

// constant makes a tensor of a Constant node.
func (r *onnxReader) constant(n ONNXNode, value *protoMessage) error {
	if len(n.Outputs) != 1 || n.Outputs[0] == "" {
		return fmt.Errorf("constant node %s has no single output", words.Quote(n.Name))
	}
	name := n.Outputs[0]
	if value != nil {
		return r.tensor(*value, name)
	}
	for key, a := range n.Attrs {
		switch {
		case key == "value_int" && len(a.Ints) == 1:
			return r.add(wholeNumbers(name, []int{}, a.Ints))
		case key == "value_ints":
			return r.add(wholeNumbers(name, []int{len(a.Ints)}, a.Ints))
		case key == "value_float" && len(a.Floats) == 1:
			return r.add(FromFloat32(name, []int{}, a.Floats))
		case key == "value_floats":
			return r.add(FromFloat32(name, []int{len(a.Floats)}, a.Floats))
		}
	}
	return fmt.Errorf("constant node %s holds no tensor of numbers", words.Quote(n.Name))
}

// attribute reads one attribute. Of a tensor it keeps only the place.
func (r *onnxReader) attribute(field protoField, n *ONNXNode, value **protoMessage) error {
	var name string
	var a ONNXAttr
	var tensor *protoMessage
	kind := uint64(0)
	err := field.each(func(field protoField) (err error) {
		switch field.num {
		case 1:
			name, err = r.text(field)
		case 20:
			kind, err = field.integer()
		case 2, 7:
			a.List = a.List || field.num == 7
			held := len(a.Floats)
			a.Floats, err = field.floats(a.Floats)
			r.held += 4 * (len(a.Floats) - held)
		case 3, 8:
			a.List = a.List || field.num == 8
			held := len(a.Ints)
			a.Ints, err = field.integers(a.Ints, maxONNXNumbers)
			r.held += 8 * (len(a.Ints) - held)
		case 4, 9:
			var text string
			a.List = a.List || field.num == 9
			text, err = r.text(field)
			a.Strings = append(a.Strings, text)
		case 5:
			var t protoMessage
			t, err = field.message()
			tensor, a.Other = &t, "tensor"
		case 6, 11:
			a.Other = "graph"
		case 10, 14, 15, 22, 23:
			a.Other = "value"
		}
		if err == nil && r.held > maxONNXMemory {
			return r.tooMuch()
		}
		return err
	})
	if err != nil {
		return err
	}
	a.settle(kind)
	if _, twice := n.Attrs[name]; twice {
		return fmt.Errorf("node %s has attribute %s twice", words.Quote(n.Name), words.Quote(name))
	}
	r.held += 64
	n.Attrs[name] = a
	if name == "value" && tensor != nil {
		*value = tensor
	}
	return nil
}

// settle checks an attribute against its declared type. Some writers leave out zeros and empty
// lists.
func (a *ONNXAttr) settle(kind uint64) {
	if a.Other != "" || kind == 0 {
		return
	}
	list, zeros := kind >= 6 && kind <= 8, 1
	if list {
		zeros = 0
	}
	held := len(a.Floats) + len(a.Ints) + len(a.Strings)
	fits := held == 0 || a.List == list
	switch kind {
	case 1, 6:
		fits = fits && a.Ints == nil && a.Strings == nil
		if held == 0 {
			a.Floats = make([]float32, zeros)
		}
	case 2, 7:
		fits = fits && a.Floats == nil && a.Strings == nil
		if held == 0 {
			a.Ints = make([]int64, zeros)
		}
	case 3, 8:
		fits = fits && a.Floats == nil && a.Ints == nil
		if held == 0 {
			a.Strings = make([]string, zeros)
		}
	default:
		fits = false
	}
	a.List = list
	if !fits {
		a.Other = "value of another type"
	}
}

// text reads a name or a word. Long texts, such as documentation, are not read.
func (r *onnxReader) text(field protoField) (string, error) {
	b, err := field.bytes(maxName)
	r.held += len(b) + 16
	if r.held > maxONNXMemory {
		return "", r.tooMuch()
	}
	return string(b), err
}

func (r *onnxReader) tooMuch() error {
	return fmt.Errorf("the description of its graph takes more than %d MB", maxONNXMemory>>20)
}

func (r *onnxReader) value(field protoField) (ONNXValue, error) {
	v := ONNXValue{}
	r.held += 64
	if r.held > maxONNXMemory {
		return v, r.tooMuch()
	}
	err := field.each(func(field protoField) (err error) {
		switch field.num {
		case 1:
			v.Name, err = r.text(field)
		case 2: // TypeProto
			err = field.each(func(field protoField) error {
				if field.num != 1 {
					return nil // a sequence or a map, not a tensor
				}
				return field.each(func(field protoField) error {
					switch field.num {
					case 1:
						n, err := field.integer()
						v.DType = onnxTypes[n]
						return err
					case 2:
						v.Shape = []int{}
						return field.each(func(field protoField) error { return r.axis(field, &v) })
					}
					return nil
				})
			})
		}
		return err
	})
	return v, err
}

// axis reads a TensorShapeProto.Dimension.
func (r *onnxReader) axis(field protoField, v *ONNXValue) error {
	if field.num != 1 {
		return nil
	}
	if len(v.Shape) == maxRank {
		return fmt.Errorf("%s has more than %d axes", words.Quote(v.Name), maxRank)
	}
	size := -1
	err := field.each(func(field protoField) error {
		if field.num != 1 {
			return nil // a name: the size is open
		}
		n, err := field.integer()
		if n > math.MaxInt32 && n != math.MaxUint64 {
			return fmt.Errorf("%s has an axis of %d", words.Quote(v.Name), int64(n))
		}
		size = int(int64(n))
		if size == 0 {
			size = -1 // some writers use it, or -1, for an open size
		}
		return err
	})
	v.Shape = append(v.Shape, size)
	return err
}
