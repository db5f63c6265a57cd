package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Net is a network that was read from an ONNX file, as an architecture: everything but the numbers of its weights.
type Net struct {
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

	weights map[string]weight
	consts  map[string]constant
}

const (
	maxConstant = 1 << 16 // numbers; more integers than this are quantised weights
	maxValue    = 1 << 26 // numbers of one value for one picture: 256 MB
)

// plan checks the graph of f from its end to its beginning: everything that is needed is there and made once, no
// value needs itself, all operations are known.
func plan(f *weights.File, cut string) (*Net, error) {
	g := f.ONNX()
	a := &Net{nodes: g.Nodes, opset: g.Opset, maker: map[string]int{}, ask: map[string]int{}, weights: map[string]weight{}, consts: map[string]constant{}}
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

func (a *Net) findInput(g *weights.ONNX) error {
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

// order lists the nodes that the cut and the logits need, each behind what it needs.
func (a *Net) order(numbers map[string]bool) (order []int, err error) {
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
		if !slices.ContainsFunc(order[upToCut:], func(i int) bool { return slices.Contains(a.nodes[i].Inputs, a.cut) }) && a.skip(a.logits, "Add", "Gemm", "MatMul", "Flatten", "Reshape", "Identity", "Dropout") != a.cut {
			// The classifier does not stand on the cut, for example when that is another branch.
			a.logits, order = "", order[:upToCut]
		}
	}
	return order, nil
}

// unsupported lists what is not known here, by name, before anything runs.
func (a *Net) unsupported(order []int) error {
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

// intAttr gives an integer setting, or what stands for it when the file has none.
func intAttr(n weights.ONNXNode, name string, otherwise int64) int64 {
	if v := n.Attrs[name].Ints; len(v) == 1 {
		return v[0]
	}
	return otherwise
}

func floatAttr(n weights.ONNXNode, name string, otherwise float64) float64 {
	if v := n.Attrs[name].Floats; len(v) == 1 && !math.IsNaN(float64(v[0])) {
		return float64(v[0])
	}
	return otherwise
}

func textAttr(n weights.ONNXNode, name, otherwise string) string {
	if v := n.Attrs[name].Strings; len(v) == 1 {
		return v[0]
	}
	return otherwise
}
