package onnx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// skip steps back from a value over operations that change nothing a head could not undo.
func (a *Net) skip(name string, ops ...string) string {
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
func (a *Net) findCut(g *weights.ONNX, cut string, numbers map[string]bool) error {
	end := a.skip(g.Outputs[0].Name, "Softmax", "LogSoftmax", "Sigmoid", "Identity", "Cast")
	if i, ok := a.maker[end]; ok {
		at := i
		if n := a.nodes[i]; n.Op == "Add" && len(n.Inputs) == 2 { // a bias of its own
			for k, name := range n.Inputs {
				if from, ok := a.maker[name]; ok && numbers[a.skip(n.Inputs[1-k], "Identity")] {
					at = from
				}
			}
		}
		if n := a.nodes[at]; (n.Op == "Gemm" || n.Op == "MatMul") && len(n.Inputs) >= 2 && numbers[a.skip(n.Inputs[1], "Identity")] {
			a.logits, a.cut = end, a.skip(n.Inputs[0], "Dropout", "Identity")
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
func (a *Net) lastValues(end string, most int) (names []string) {
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

// findStages marks the borders at which the network can be frozen: values through which everything flows, where the
// path branches or a pool follows, and the last one that is still a map.
func (a *Net) findStages(order []int) error {
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
				_, number := a.consts[a.skip(in, "Identity")]
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
func (a *Net) pools(node int, value string) bool {
	n := a.nodes[node]
	return (n.Op == "MaxPool" || n.Op == "AveragePool") && slices.Contains(n.Inputs, value)
}
