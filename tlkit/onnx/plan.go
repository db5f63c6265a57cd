package onnx

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Net is a network from an ONNX file as an architecture: everything but the numbers of its weights.
// It is read only and may be used from several goroutines.
type Net struct {
	nodes    []weights.ONNXNode
	maker    map[string]int // value: the node that makes it
	sequence []int          // the nodes that are needed, each behind what it needs
	uses     map[string]int // value or tensor: how many inputs of sequence it is
	opset    int
	input    string
	last     bool   // the input is [N,H,W,3], not [N,3,H,W]
	size     int    // side of the pictures in pixels, 0 = any
	fixed    int    // pictures at a time that the file was exported for, 0 = any number
	kind     string // type of the input's numbers: F32, F16 or U8
	bytes    int64  // of the file and those beside it
	limits   limits
	aliases  map[string]string // a value made by Identity: the value or tensor that it is

	cut    string   // value that gives the features
	logits string   // value before the softmax, "" = no classifier behind the cut
	stages []string // values at which the network can be frozen

	weights map[string]weight
	consts  map[string]constant
}

const (
	oldestOpset = 7
	newestOpset = 26
	maxFixed    = 1024 // pictures at a time
)

// plan checks the graph of f from its end to its beginning: everything that is needed is there and
// made once, no value needs itself, all operations are known.
func plan(f *weights.File, cut string) (*Net, error) {
	g := f.ONNX()
	a := &Net{nodes: g.Nodes, opset: g.Opset, maker: map[string]int{}, weights: map[string]weight{}, consts: map[string]constant{}, bytes: f.Size()}
	a.limits = limitsFor(a.bytes)
	if a.opset < oldestOpset || a.opset > newestOpset {
		return nil, fmt.Errorf("operators of version %d, %d to %d are read: convert it, in Python with onnx.version_converter", a.opset, oldestOpset, newestOpset)
	}
	tensors := map[string]bool{}
	for _, name := range f.Names() {
		tensors[name] = true
	}
	if err := a.findInput(g); err != nil {
		return nil, err
	}
	if err := a.findMakers(tensors); err != nil {
		return nil, err
	}
	if err := a.checkOutputs(g, tensors); err != nil {
		return nil, err
	}
	a.findAliases()
	if err := a.findCut(g, cut, tensors); err != nil {
		return nil, err
	}
	if err := a.findSequence(tensors); err != nil {
		return nil, err
	}
	if err := a.checkOperations(); err != nil {
		return nil, err
	}
	if err := a.readTensors(f); err != nil {
		return nil, err
	}
	return a, a.findStages()
}

// findMakers notes which node makes which value.
func (a *Net) findMakers(tensors map[string]bool) error {
	for i, n := range a.nodes {
		for _, out := range n.Outputs {
			if out == "" {
				continue
			}
			if _, twice := a.maker[out]; twice || tensors[out] || out == a.input {
				return fmt.Errorf("value %.100q is made twice", out)
			}
			a.maker[out] = i
		}
	}
	return nil
}

// checkOutputs checks that each result exists and occurs once.
func (a *Net) checkOutputs(g *weights.ONNX, tensors map[string]bool) error {
	if len(g.Outputs) == 0 {
		return errors.New("the graph has no output")
	}
	seen := map[string]bool{}
	for _, v := range g.Outputs {
		if seen[v.Name] {
			return fmt.Errorf("the graph gives %.100q twice", v.Name)
		}
		seen[v.Name] = true
		if _, made := a.maker[v.Name]; !made && !tensors[v.Name] && v.Name != a.input {
			return fmt.Errorf("the graph gives %.100q, which no node computes", v.Name)
		}
	}
	return nil
}

// findAliases resolves the results of Identity nodes: some writers share a tensor that way, and a
// file may have long chains of them.
func (a *Net) findAliases() {
	a.aliases = map[string]string{}
	for _, n := range a.nodes {
		if n.Op != "Identity" || n.Domain != "" || len(n.Inputs) != 1 || len(n.Outputs) != 1 {
			continue
		}
		a.aliases[n.Outputs[0]] = n.Inputs[0]
	}
	for name := range a.aliases {
		var chain []string
		end := name
		for range len(a.aliases) { // a ring of them would go on for ever
			next, ok := a.aliases[end]
			if !ok || next == end {
				break
			}
			chain = append(chain, end)
			end = next
		}
		for _, link := range chain {
			a.aliases[link] = end
		}
	}
}

// behindIdentity returns the value behind any number of Identity nodes.
func (a *Net) behindIdentity(name string) string {
	if end, ok := a.aliases[name]; ok {
		return end
	}
	return name
}

// findInput checks that the network takes pictures, and nothing else.
func (a *Net) findInput(g *weights.ONNX) error {
	if len(g.Inputs) != 1 {
		var names []string
		for _, v := range g.Inputs {
			names = append(names, fmt.Sprintf("%.40q", v.Name))
		}
		return fmt.Errorf("the network has %d inputs (%s), want one: pictures", len(g.Inputs), strings.Join(names[:min(5, len(names))], ", "))
	}
	in := g.Inputs[0]
	bad := fmt.Errorf("input %.60q is %s %v, want pictures of 32-bit floats or bytes, [N,3,H,W] or [N,H,W,3]", in.Name, in.DType, in.Shape)
	if in.DType != "F32" && in.DType != "F16" && in.DType != "U8" || len(in.Shape) != 4 {
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
	if s[0] > maxFixed {
		return fmt.Errorf("input %.60q is %v, for %d pictures at a time, at most %d are supported", in.Name, in.Shape, s[0], maxFixed)
	}
	a.input, a.kind, a.fixed = in.Name, in.DType, max(0, s[0])
	if s[2] > 0 {
		a.size = s[2]
	}
	if a.size > 4096 {
		return fmt.Errorf("input %.60q is %v, at most 4096 pixels are supported", in.Name, in.Shape)
	}
	return nil
}

// findSequence lists the nodes that the cut and the logits need, each behind what it needs.
func (a *Net) findSequence(tensors map[string]bool) error {
	w := &sorter{Net: a, tensors: tensors, state: make([]nodeState, len(a.nodes))}
	if err := w.visit(a.cut); err != nil {
		return err
	}
	upToCut := len(w.sequence)
	if a.logits != "" {
		if err := w.visit(a.logits); err != nil {
			return err
		}
		if !a.classifies(w.sequence[upToCut:]) {
			a.logits, w.sequence = "", w.sequence[:upToCut]
		}
	}
	a.sequence, a.uses = w.sequence, map[string]int{}
	for _, i := range a.sequence {
		for _, name := range a.nodes[i].Inputs {
			a.uses[name]++
		}
	}
	return nil
}

// classifies reports whether the classifier, which these nodes compute, takes the cut. It does not
// if the cut is in another branch, for example.
func (a *Net) classifies(nodes []int) bool {
	takesCut := func(i int) bool { return slices.Contains(a.nodes[i].Inputs, a.cut) }
	return slices.ContainsFunc(nodes, takesCut) ||
		a.skip(a.logits, "Add", "Gemm", "MatMul", "Flatten", "Reshape", "Identity", "Dropout", "QuantizeLinear", "DequantizeLinear") == a.cut
}

type nodeState byte

const (
	unseen nodeState = iota
	open             // some of what it needs is still to be visited
	done             // in the sequence
)

// sorter puts nodes in an order in which they can be computed.
type sorter struct {
	*Net
	tensors  map[string]bool
	state    []nodeState
	sequence []int
}

// visit appends the nodes that the value called name needs. It has a stack of its own, because a
// file may be as deep as it is long.
func (w *sorter) visit(name string) error {
	i, made := w.maker[name]
	if !made || w.state[i] == done {
		return nil
	}
	type frame struct{ node, next int }
	stack := []frame{{i, 0}}
	w.state[i] = open
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		n := w.nodes[top.node]
		if top.next == len(n.Inputs) {
			w.state[top.node] = done
			w.sequence = append(w.sequence, top.node)
			stack = stack[:len(stack)-1]
			continue
		}
		name := n.Inputs[top.next]
		top.next++
		if name == "" || name == w.input || w.tensors[name] {
			continue
		}
		i, made := w.maker[name]
		switch {
		case !made:
			return fmt.Errorf("node %.60q (%.30s) needs %.100q, which no node computes", n.Name, n.Op, name)
		case w.state[i] == open:
			return fmt.Errorf("value %.100q needs itself: the graph goes in circles", name)
		case w.state[i] == unseen:
			w.state[i] = open
			stack = append(stack, frame{i, 0})
		}
	}
	return nil
}

// checkOperations returns an *UnsupportedError with the operations that are not known here.
func (a *Net) checkOperations() error {
	var ops []string
	for _, i := range a.sequence {
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
		if _, known := rules[name]; known {
			continue
		}
		name = strings.Trim(fmt.Sprintf("%.60q", name), `"`)
		if !slices.Contains(ops, name) {
			ops = append(ops, name)
		}
	}
	if ops == nil {
		return nil
	}
	slices.Sort(ops)
	return &UnsupportedError{Ops: ops}
}
