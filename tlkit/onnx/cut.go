package onnx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// skip steps back from a value over nodes of these operations and returns the value in front of
// them.
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

// findCut finds the value that a head is trained on, and the logits of the network's own
// classifier.
func (a *Net) findCut(g *weights.ONNX, cut string, tensors map[string]bool) error {
	end := a.skip(g.Outputs[0].Name, "Softmax", "LogSoftmax", "Sigmoid", "Identity", "Cast")
	a.findClassifier(end, tensors)
	if cut == "" {
		if a.cut == "" {
			a.cut = end
		}
		return nil
	}
	if _, ok := a.maker[cut]; !ok { // the name of a node stands for its first value
		for _, n := range a.nodes {
			if n.Name == cut && len(n.Outputs) > 0 {
				cut = n.Outputs[0]
			}
		}
	}
	if _, ok := a.maker[cut]; !ok {
		return advice.New(fmt.Errorf("no value or node %.100q to cut at", cut), "the last ones before its end are %s", strings.Join(a.lastValues(end, 8), ", "))
	}
	a.cut = cut
	if cut == a.logits {
		a.logits = ""
	}
	return nil
}

// findClassifier sets logits and cut if the value called end is made by a matrix: the last layer of
// a classifier.
func (a *Net) findClassifier(end string, tensors map[string]bool) {
	i, ok := a.maker[a.skip(end, "QuantizeLinear", "DequantizeLinear")]
	if !ok {
		return
	}
	if n := a.nodes[i]; n.Op == "Add" && len(n.Inputs) == 2 { // the bias has a node of its own
		for k, name := range n.Inputs {
			if product, ok := a.maker[name]; ok && tensors[a.skip(n.Inputs[1-k], "Identity")] {
				i = product
			}
		}
	}
	n := a.nodes[i]
	if (n.Op == "Gemm" || n.Op == "MatMul") && len(n.Inputs) >= 2 && tensors[a.skip(n.Inputs[1], "Identity")] {
		a.logits, a.cut = end, a.skip(n.Inputs[0], "Dropout", "Identity")
	}
}

// lastValues returns the names of the values just before the one called end, to choose from.
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
