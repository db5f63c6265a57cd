package heads

import (
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/head"
)

// Layer describes a model in a file, without its numbers: a file has one, or those of which it takes the
// mean.
type Layer struct {
	Kind       head.Kind `json:"kind"` // head.LogisticKind for any linear layer, CosineKind or KNNKind
	Neighbours int       `json:"neighbours,omitempty"`
	References int       `json:"references,omitempty"` // training pictures that are kept
	Factor     float64   `json:"factor,omitempty"`
}

// Part is an array of a layer.
type Part struct {
	Name   string // weight and bias, unit_weight and unit_bias, or references and classes
	Shape  []int
	Values []float32
}

// unitPrefix keeps the arrays of a cosine head from being taken for those of a linear one, by programs
// that do not know it.
const unitPrefix = "unit_"

// Layers describes a model. It is nil for a linear layer alone.
func Layers(m Model) []Layer {
	switch m := m.(type) {
	case *Cosine:
		return []Layer{{Kind: CosineKind}}
	case *Neighbours:
		return []Layer{{Kind: KNNKind, Neighbours: m.K, References: len(m.Y), Factor: m.Factor}}
	case *Mean:
		var out []Layer
		for _, one := range m.Of {
			layers := Layers(one)
			if layers == nil {
				layers = []Layer{{Kind: head.LogisticKind}}
			}
			out = append(out, layers...)
		}
		return out
	}
	return nil
}

// Parts returns the arrays of each layer of [Layers], or of the linear layer.
func Parts(m Model) [][]Part {
	ofLinear := func(h *head.Linear, prefix string) [][]Part {
		return [][]Part{{{prefix + "weight", []int{h.Classes, h.Features}, h.Weight}, {prefix + "bias", []int{h.Classes}, h.Bias}}}
	}
	switch m := m.(type) {
	case *head.Linear:
		return ofLinear(m, "")
	case *Cosine:
		return ofLinear(&m.Linear, unitPrefix)
	case *Neighbours:
		classes := make([]float32, len(m.Y)) // exact: there are fewer than 2^24
		for i, y := range m.Y {
			classes[i] = float32(y)
		}
		return [][]Part{{{"references", []int{len(m.Y), m.Features}, m.X}, {"classes", []int{len(m.Y)}, classes}}}
	case *Mean:
		var out [][]Part
		for _, one := range m.Of {
			out = append(out, Parts(one)...)
		}
		return out
	}
	return nil
}

// Read makes the model that layers describe. array returns the values of an array of layer i, after
// checking its shape.
func Read(layers []Layer, features, outputs int, array func(i int, name string, shape ...int) ([]float32, error)) (Model, error) {
	mean := &Mean{}
	for i, l := range layers {
		one, err := l.read(features, outputs, func(name string, shape ...int) ([]float32, error) { return array(i, name, shape...) })
		if err != nil {
			return nil, err
		}
		mean.Of = append(mean.Of, one)
	}
	if len(mean.Of) == 1 {
		return mean.Of[0], mean.Of[0].Check()
	}
	return mean, mean.Check()
}

func (l Layer) read(features, outputs int, array func(name string, shape ...int) ([]float32, error)) (Model, error) {
	switch l.Kind {
	case head.LogisticKind, CosineKind:
		h := head.Linear{Features: features, Classes: outputs}
		prefix, err := "", error(nil)
		if l.Kind == CosineKind {
			prefix = unitPrefix
		}
		if h.Weight, err = array(prefix+"weight", outputs, features); err == nil {
			h.Bias, err = array(prefix+"bias", outputs)
		}
		if l.Kind == CosineKind {
			return &Cosine{h}, err
		}
		return &h, err
	case KNNKind:
		n := &Neighbours{K: l.Neighbours, Features: features, Outputs: outputs, Factor: l.Factor}
		x, err := array("references", l.References, features)
		if err != nil {
			return nil, err
		}
		classes, err := array("classes", l.References)
		if err != nil {
			return nil, err
		}
		for _, v := range classes {
			if v != float32(int(v)) {
				return nil, fmt.Errorf("heads: a neighbour of the class %v, want a whole number", v)
			}
			n.Y = append(n.Y, int(v))
		}
		n.X = x
		return n, nil
	}
	return nil, fmt.Errorf("heads: a layer of the kind %q, want %q, %q or %q", l.Kind, head.LogisticKind, CosineKind, KNNKind)
}
