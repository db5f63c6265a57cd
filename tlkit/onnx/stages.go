package onnx

import (
	"fmt"
	"slices"
)

// findStages finds the values at which the network can be frozen: maps through which everything
// flows, where the path branches or a pool follows, and the last value that is still a map.
func (a *Net) findStages() error {
	f := &stageFinder{Net: a, maps: map[string]bool{a.input: true}, still: map[string]bool{}}
	f.order = a.sequence
	if end := f.position(a.cut); end >= 0 {
		f.order = f.order[:end+1]
	} else {
		return fmt.Errorf("the cut %.100q is no value that is computed", a.cut)
	}
	f.followPictures()
	branches := a.branches(f.order)

	last := ""
	reach := f.inputNeeded() // the last position that still needs something made so far
	for p, i := range f.order {
		n := a.nodes[i]
		narrow := reach <= p // nothing made earlier is needed behind this node
		reach = max(reach, f.needed[p])
		if !f.isMap(n.Op, n.Inputs, n.Outputs) {
			continue
		}
		f.maps[n.Outputs[0]] = true
		if !narrow || n.Op == "Transpose" || n.Op == "AveragePool" && n.Outputs[0] == a.cut {
			continue
		}
		last = n.Outputs[0]
		if p+1 < len(f.order) && a.pools(f.order[p+1], last) || branches[last] > 1 {
			a.stages = append(a.stages, last)
		}
	}
	if last != "" && !slices.Contains(a.stages, last) {
		a.stages = append(a.stages, last)
	}
	return nil
}

// beside are operations whose result does not count as a feature map at which a network could be
// frozen: they index, compare, or belong to transformers.
var beside = map[string]bool{
	"And": true, "ArgMax": true, "ArgMin": true, "Ceil": true, "Cos": true, "Einsum": true, "Equal": true, "Expand": true,
	"Floor": true, "Gather": true, "GatherElements": true, "GatherND": true, "Gemm": true, "Greater": true, "GreaterOrEqual": true,
	"IsNaN": true, "LayerNormalization": true, "Less": true, "LessOrEqual": true, "Mod": true, "Not": true, "Or": true, "Pow": true,
	"Range": true, "ReduceL2": true, "ReduceMax": true, "ReduceMin": true, "ReduceProd": true, "ReduceSum": true, "Sign": true,
	"Sin": true, "Slice": true, "Split": true, "Squeeze": true, "Tile": true, "TopK": true, "Trilu": true, "Unsqueeze": true,
	"Where": true, "Xor": true, "Shape": true, "Size": true, "ConstantOfShape": true,
	"Reshape": true, "Flatten": true, "MatMul": true, "GlobalAveragePool": true, "GlobalMaxPool": true, "ReduceMean": true,
}

// stageFinder is the state of findStages.
type stageFinder struct {
	*Net
	order  []int           // the sequence up to the cut
	needed []int           // by position: the last position that needs what is made there
	still  map[string]bool // values that are computed from shapes and constants alone
	maps   map[string]bool // values that are maps, as far as the operations tell
}

// position returns the place in order of the node that makes a value, -1 if there is none.
func (f *stageFinder) position(value string) int {
	return slices.IndexFunc(f.order, func(i int) bool { return slices.Contains(f.nodes[i].Outputs, value) })
}

// followPictures finds out how long each value is needed. Values that do not depend on the picture
// flow beside it and do not count.
func (f *stageFinder) followPictures() {
	positions := map[string]int{}
	for p, i := range f.order {
		for _, out := range f.nodes[i].Outputs {
			positions[out] = p
		}
	}
	f.needed = make([]int, len(f.order))
	for p, i := range f.order {
		n := f.nodes[i]
		still := n.Op == "Shape" || n.Op == "Size" || !slices.ContainsFunc(n.Inputs, f.dependsOnPicture)
		for _, out := range n.Outputs {
			f.still[out] = still
		}
		for _, in := range n.Inputs {
			if q, made := positions[in]; made && !still {
				f.needed[q] = max(f.needed[q], p)
			}
		}
		f.needed[p] = max(f.needed[p], p)
	}
}

func (f *stageFinder) dependsOnPicture(value string) bool {
	_, constant := f.consts[f.behindIdentity(value)]
	return value != "" && !constant && !f.still[value]
}

// inputNeeded returns the last position that needs the pictures themselves.
func (f *stageFinder) inputNeeded() int {
	last := 0
	for p, i := range f.order {
		if slices.Contains(f.nodes[i].Inputs, f.input) && !f.still[f.nodes[i].Outputs[0]] {
			last = p
		}
	}
	return last
}

// isMap reports whether a node makes a map out of a map.
func (f *stageFinder) isMap(op string, inputs, outputs []string) bool {
	return !beside[op] && len(outputs) == 1 && slices.ContainsFunc(inputs, func(in string) bool { return f.maps[in] })
}

// branches counts how many ways lead on from each value. A gate that a value has on itself is not a
// way around some layers (squeeze-and-excitation, x times sigmoid of x) and does not count.
func (a *Net) branches(order []int) map[string]int {
	count := map[string]int{}
	for _, i := range order {
		switch a.nodes[i].Op {
		case "Mul", "Div", "Sigmoid", "HardSigmoid", "Tanh", "Softplus", "Erf", "GlobalAveragePool", "ReduceMean":
			continue
		}
		for _, in := range a.nodes[i].Inputs {
			count[in]++
		}
	}
	return count
}

// pools reports whether a node pools a value.
func (a *Net) pools(node int, value string) bool {
	n := a.nodes[node]
	return (n.Op == "MaxPool" || n.Op == "AveragePool") && slices.Contains(n.Inputs, value)
}
