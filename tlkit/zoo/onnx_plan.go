package zoo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// onnxNet is a network that was read from an ONNX file, as an architecture: everything but the numbers of its weights.
type onnxNet struct {
	nodes  []weights.ONNXNode
	maker  map[string]int // output name: node
	ask    map[string]int // name: how often nodes ask for it
	opset  int
	input  string
	last   bool // the input is [N,H,W,3], not [N,3,H,W]
	size   int  // side of the pictures, 0 = any
	single bool // exported for one picture at a time

	cut    string // value that gives the features
	logits string // value before the softmax, "" = none behind the cut
	stages []string

	weights map[string]onnxWeight
	consts  map[string]onnxConst
}

type onnxWeight struct {
	shape  []int
	layout weights.Layout
	fixed  bool // a statistic of a batch norm
}

// onnxConst is a tensor that takes part in the shape of the graph: an axis, a size, a bound.
type onnxConst struct {
	dtype  string // "I64", "F32" ...
	shape  []int
	ints   []int64   // of integers and booleans
	floats []float32 // of everything else
}

func (c onnxConst) len() int { return max(len(c.ints), len(c.floats)) }

const (
	maxONNXConst = 1 << 16 // numbers; more integers than this are quantised weights
	maxONNXValue = 1 << 26 // numbers of one value for one picture: 256 MB
)

// planONNX checks the graph of f from its end to its beginning: everything that is needed is there and made once, no
// value needs itself, all operations are known.
func planONNX(f *weights.File, cut string) (*onnxNet, error) {
	g := f.ONNX()
	a := &onnxNet{nodes: g.Nodes, opset: g.Opset, maker: map[string]int{}, ask: map[string]int{}, weights: map[string]onnxWeight{}, consts: map[string]onnxConst{}}
	if a.opset < 7 || a.opset > 26 {
		return nil, fmt.Errorf("operators of version %d, 7 to 26 are read: convert it, in Python with onnx.version_converter", a.opset)
	}
	numbers := map[string]bool{}
	for _, name := range f.Names() {
		numbers[name] = true
	}
	for i, n := range a.nodes {
		for _, out := range n.Outputs {
			if _, twice := a.maker[out]; out == "" {
				continue
			} else if twice || numbers[out] {
				return nil, fmt.Errorf("value %.100q is made twice", out)
			}
			a.maker[out] = i
		}
	}
	if err := a.findInput(g); err != nil {
		return nil, err
	}
	if len(g.Outputs) == 0 {
		return nil, errors.New("the graph has no output")
	}
	if err := a.findCut(g, cut, numbers); err != nil {
		return nil, err
	}
	order, err := a.order(numbers)
	if err != nil {
		return nil, err
	}
	if err := a.unsupported(order); err != nil {
		return nil, err
	}
	if err := a.readNumbers(f, order); err != nil {
		return nil, err
	}
	return a, a.findStages(order)
}

func (a *onnxNet) findInput(g *weights.ONNX) error {
	if len(g.Inputs) != 1 {
		var names []string
		for _, v := range g.Inputs {
			names = append(names, fmt.Sprintf("%.40q", v.Name))
		}
		return fmt.Errorf("the network has %d inputs (%s), wanted one: pictures", len(g.Inputs), strings.Join(names[:min(5, len(names))], ", "))
	}
	in := g.Inputs[0]
	bad := fmt.Errorf("input %.60q is %s %v, wanted pictures of 32-bit floats, [N,3,H,W] or [N,H,W,3]", in.Name, in.DType, in.Shape)
	if in.DType != "F32" && in.DType != "F16" || len(in.Shape) != 4 {
		return bad
	}
	s := in.Shape
	switch {
	case s[1] == 3 || s[1] == -1 && s[3] != 3:
	case s[3] == 3:
		a.last, s = true, []int{s[0], 3, s[1], s[2]}
	default:
		return bad
	}
	if s[2] != s[3] {
		return fmt.Errorf("input %.60q is %v: only square pictures are supported", in.Name, in.Shape)
	}
	if s[0] != -1 && s[0] != 1 {
		return fmt.Errorf("input %.60q is %v, for exactly %d pictures at a time: export it with an open first axis, or for one picture", in.Name, in.Shape, s[0])
	}
	a.input, a.single = in.Name, s[0] == 1
	if s[2] > 0 {
		a.size = s[2]
	}
	if a.size > 4096 {
		return fmt.Errorf("input %.60q is %v, at most 4096 pixels are supported", in.Name, in.Shape)
	}
	return nil
}

// behind steps back from a value over operations that change nothing a head could not undo.
func (a *onnxNet) behind(name string, ops ...string) string {
	for range a.nodes { // a ring of them would go on for ever
		i, ok := a.maker[name]
		if !ok || !slices.Contains(ops, a.nodes[i].Op) || len(a.nodes[i].Inputs) == 0 {
			break
		}
		name = a.nodes[i].Inputs[0]
	}
	return name
}

// findCut finds the value that a head is trained on, and the logits of the network's own classifier.
func (a *onnxNet) findCut(g *weights.ONNX, cut string, numbers map[string]bool) error {
	end := a.behind(g.Outputs[0].Name, "Softmax", "LogSoftmax", "Sigmoid", "Identity", "Cast")
	if i, ok := a.maker[end]; ok {
		at := i
		if n := a.nodes[i]; n.Op == "Add" && len(n.Inputs) == 2 { // a bias of its own
			for k, name := range n.Inputs {
				if from, ok := a.maker[name]; ok && numbers[a.behind(n.Inputs[1-k], "Identity")] {
					at = from
				}
			}
		}
		if n := a.nodes[at]; (n.Op == "Gemm" || n.Op == "MatMul") && len(n.Inputs) >= 2 && numbers[a.behind(n.Inputs[1], "Identity")] {
			a.logits, a.cut = end, a.behind(n.Inputs[0], "Dropout", "Identity")
		}
	}
	if cut == "" {
		if a.cut == "" {
			a.cut = end
		}
		return nil
	}
	if _, ok := a.maker[cut]; !ok {
		for _, n := range a.nodes {
			if n.Name == cut && len(n.Outputs) > 0 {
				cut = n.Outputs[0]
			}
		}
	}
	if _, ok := a.maker[cut]; !ok {
		return fmt.Errorf("no value or node %.100q to cut at; the last ones before its end are %s", cut, strings.Join(a.lastValues(end, 8), ", "))
	}
	a.cut = cut
	if cut == a.logits {
		a.logits = ""
	}
	return nil
}

// lastValues are those made just before the value called end, to choose from.
func (a *onnxNet) lastValues(end string, most int) (names []string) {
	for range most {
		i, ok := a.maker[end]
		if !ok || len(a.nodes[i].Inputs) == 0 {
			break
		}
		names = append(names, fmt.Sprintf("%.60q (%.30s)", end, a.nodes[i].Op))
		end = a.nodes[i].Inputs[0]
	}
	return names
}

// order lists the nodes that the cut and the logits need, each behind what it needs.
func (a *onnxNet) order(numbers map[string]bool) (order []int, err error) {
	const (
		open = 1 + iota
		done
	)
	state := make([]byte, len(a.nodes))
	// An own stack: a file may be as deep as it is long.
	type frame struct{ node, next int }
	visit := func(name string) error {
		i, made := a.maker[name]
		if !made || state[i] == done {
			return nil
		}
		stack := []frame{{i, 0}}
		state[i] = open
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			n := a.nodes[top.node]
			if top.next == len(n.Inputs) {
				state[top.node] = done
				order = append(order, top.node)
				stack = stack[:len(stack)-1]
				continue
			}
			name := n.Inputs[top.next]
			top.next++
			a.ask[name]++
			if name == "" || name == a.input || numbers[name] {
				continue
			}
			i, made := a.maker[name]
			switch {
			case !made:
				return fmt.Errorf("node %.60q (%.30s) needs %.100q, which nothing makes", n.Name, n.Op, name)
			case state[i] == open:
				return fmt.Errorf("value %.100q needs itself: the graph goes in circles", name)
			case state[i] == 0:
				state[i] = open
				stack = append(stack, frame{i, 0})
			}
		}
		return nil
	}
	if err := visit(a.cut); err != nil {
		return nil, err
	}
	upToCut := len(order)
	if a.logits != "" {
		if err := visit(a.logits); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(order[upToCut:], func(i int) bool { return slices.Contains(a.nodes[i].Inputs, a.cut) }) && a.behind(a.logits, "Add", "Gemm", "MatMul", "Flatten", "Reshape", "Identity", "Dropout") != a.cut {
			// The classifier does not stand on the cut, for example when that is another branch.
			a.logits, order = "", order[:upToCut]
		}
	}
	return order, nil
}

// unsupported lists what is not known here, by name, before anything runs.
func (a *onnxNet) unsupported(order []int) error {
	var ops []string
	for _, i := range order {
		n := a.nodes[i]
		name := n.Op
		if n.Domain != "" {
			name = n.Domain + "." + n.Op
		}
		for _, at := range n.Attrs {
			if at.Other != "" {
				name += " (with a " + at.Other + " inside)"
			}
		}
		_, own := ownOps[name]
		_, folded := foldOps[name]
		if !own && !folded && !libraryOps[name] {
			if name = fmt.Sprintf("%.60q", name); !slices.Contains(ops, name[1:len(name)-1]) {
				ops = append(ops, name[1:len(name)-1])
			}
		}
	}
	if ops == nil {
		return nil
	}
	slices.Sort(ops)
	return &UnsupportedError{Ops: ops}
}

// readNumbers sorts the tensors into weights, which are loaded later, and constants, which are read now.
func (a *onnxNet) readNumbers(f *weights.File, order []int) error {
	for _, i := range order {
		n := a.nodes[i]
		if v := n.Attrs["value"].Strings; n.Op == "ConstantOfShape" && len(v) == 1 {
			if t, ok := f.Tensor(v[0]); ok {
				if err := a.readConst(t, strings.HasPrefix(t.DType, "F")); err != nil {
					return err
				}
			}
		}
		for k, name := range n.Inputs {
			// Some writers share one tensor by Identity nodes.
			name = a.behind(name, "Identity")
			t, ok := f.Tensor(name)
			if !ok {
				continue
			}
			float := strings.HasPrefix(t.DType, "F") || t.DType == "BF16"
			if !float || t.Len() <= 1 || staticInput(n.Op, k) {
				if err := a.readConst(t, float); err != nil {
					return err
				}
				continue
			}
			w, seen := a.weights[name]
			kernel := n.Op == "Conv" && k == 1 && len(t.Shape) == 4
			if !seen {
				w = onnxWeight{shape: t.Shape}
				if kernel {
					w.layout = weights.OIHWtoHWIO
				}
			} else if kernel != (w.layout == weights.OIHWtoHWIO) {
				w.layout = weights.Same // kernel here, something else there
			}
			w.fixed = w.fixed || n.Op == "BatchNormalization" && k >= 3
			a.weights[name] = w
		}
	}
	for name := range a.consts {
		delete(a.weights, name)
	}
	keys := map[string]string{}
	for name := range a.weights {
		if other, twice := keys[graphKey(name)]; twice {
			return fmt.Errorf("tensors %.100q and %.100q differ in a slash only", name, other)
		}
		keys[graphKey(name)] = name
	}
	return nil
}

// staticInput says where an operation takes a few floats as settings.
func staticInput(op string, input int) bool {
	switch op {
	case "Resize":
		return input >= 1
	case "Clip", "Pad", "Pow", "Range":
		return input >= 1
	}
	return false
}

func (a *onnxNet) readConst(t weights.Tensor, float bool) error {
	if _, done := a.consts[t.Name]; done {
		return nil
	}
	n := t.Len()
	if n > maxONNXConst {
		return fmt.Errorf("tensor %.100q has %d numbers of type %s: quantised networks are not read, export it with 32-bit floats", t.Name, n, t.DType)
	}
	c := onnxConst{dtype: t.DType, shape: t.Shape}
	if float {
		values, err := t.Float32()
		if err != nil {
			return err
		}
		c.dtype, c.floats = "F32", values
		for _, v := range values {
			// Bounds of a clip may be infinite, nothing is a NaN.
			if v != v {
				return fmt.Errorf("tensor %.100q holds NaN", t.Name)
			}
		}
	} else {
		b, err := t.Bytes()
		if err != nil {
			return err
		}
		c.ints = make([]int64, n)
		for i := range c.ints {
			switch t.DType {
			case "I64", "U64":
				c.ints[i] = int64(binary.LittleEndian.Uint64(b[8*i:]))
			case "I32":
				c.ints[i] = int64(int32(binary.LittleEndian.Uint32(b[4*i:])))
			case "U32":
				c.ints[i] = int64(binary.LittleEndian.Uint32(b[4*i:]))
			case "I16":
				c.ints[i] = int64(int16(binary.LittleEndian.Uint16(b[2*i:])))
			case "U16":
				c.ints[i] = int64(binary.LittleEndian.Uint16(b[2*i:]))
			case "I8":
				c.ints[i] = int64(int8(b[i]))
			case "U8", "BOOL":
				c.ints[i] = int64(b[i])
			default:
				return fmt.Errorf("tensor %.100q has elements of type %s", t.Name, t.DType)
			}
		}
	}
	a.consts[t.Name] = c
	return nil
}

// findStages marks the borders at which the network can be frozen: values through which everything flows, where the
// path branches or a pool follows, and the last one that is still a map.
func (a *onnxNet) findStages(order []int) error {
	at := map[string]int{} // position in order of who makes a value
	for p, i := range order {
		for _, out := range a.nodes[i].Outputs {
			at[out] = p
		}
	}
	end, ok := at[a.cut]
	if !ok {
		return fmt.Errorf("the cut %.100q is no value that is computed", a.cut)
	}
	order = order[:end+1]
	needed := make([]int, len(order)) // last position that asks for what is made here
	static := map[string]bool{}
	for p, i := range order {
		n := a.nodes[i]
		// What is computed from shapes and constants alone flows beside the pictures.
		still := n.Op == "Shape" || n.Op == "Size"
		if !still {
			still = true
			for _, in := range n.Inputs {
				_, number := a.consts[a.behind(in, "Identity")]
				still = still && (in == "" || number || static[in])
			}
		}
		for _, out := range n.Outputs {
			static[out] = still
		}
		for _, in := range n.Inputs {
			if q, made := at[in]; made && !still {
				needed[q] = max(needed[q], p)
			}
		}
		needed[p] = max(needed[p], p)
	}
	// A way around some layers, not a gate that a value has on itself (squeeze-and-excitation, x times sigmoid of x).
	branches := map[string]int{}
	for _, i := range order {
		if !slices.Contains([]string{"Mul", "Div", "Sigmoid", "HardSigmoid", "Tanh", "Softplus", "Erf", "GlobalAveragePool", "ReduceMean"}, a.nodes[i].Op) {
			for _, in := range a.nodes[i].Inputs {
				branches[in]++
			}
		}
	}
	// Maps, as far as that can be told from the operations.
	maps := map[string]bool{a.input: true}
	reach := 0
	for p, i := range order {
		if slices.Contains(a.nodes[i].Inputs, a.input) && !static[a.nodes[i].Outputs[0]] {
			reach = p
		}
	}
	last := ""
	for p, i := range order {
		n := a.nodes[i]
		_, picture := ownOps[n.Op]
		isMap := false
		for _, in := range n.Inputs {
			isMap = isMap || maps[in]
		}
		isMap = isMap && picture && !slices.Contains([]string{"Reshape", "Flatten", "MatMul", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean"}, n.Op) && len(n.Outputs) == 1
		if isMap {
			maps[n.Outputs[0]] = true
		}
		narrow := reach <= p // nothing made earlier is still needed behind this node
		reach = max(reach, needed[p])
		if !isMap || !narrow || n.Op == "Transpose" || n.Op == "AveragePool" && n.Outputs[0] == a.cut {
			continue
		}
		last = n.Outputs[0]
		if next := p + 1; next < len(order) && a.pools(order[next], last) || branches[last] > 1 {
			a.stages = append(a.stages, last)
		}
	}
	if last != "" && !slices.Contains(a.stages, last) {
		a.stages = append(a.stages, last)
	}
	return nil
}

// pools says whether the node pools value.
func (a *onnxNet) pools(node int, value string) bool {
	n := a.nodes[node]
	return (n.Op == "MaxPool" || n.Op == "AveragePool") && slices.Contains(n.Inputs, value)
}

// onnxInt gives an integer setting, or what stands for it when the file has none.
func onnxInt(n weights.ONNXNode, name string, otherwise int64) int64 {
	if v := n.Attrs[name].Ints; len(v) == 1 {
		return v[0]
	}
	return otherwise
}

func onnxFloat(n weights.ONNXNode, name string, otherwise float64) float64 {
	if v := n.Attrs[name].Floats; len(v) == 1 && !math.IsNaN(float64(v[0])) {
		return float64(v[0])
	}
	return otherwise
}

func onnxText(n weights.ONNXNode, name, otherwise string) string {
	if v := n.Attrs[name].Strings; len(v) == 1 {
		return v[0]
	}
	return otherwise
}
