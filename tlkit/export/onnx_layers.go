package export

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/heads"
)

// onnxLayers are the layers of a head in a graph.
type onnxLayers struct {
	name   string // of the head
	model  heads.Model
	values map[string][]float32 // of the parameters
}

func newONNXLayers(name string, m heads.Model) *onnxLayers {
	return &onnxLayers{name, m, map[string][]float32{}}
}

// layerPart names an array of layer i of n in a graph.
func layerPart(name string, i, n int, part string) string {
	if n == 1 {
		return name + "." + part
	}
	return fmt.Sprintf("%s.%d.%s", name, i, part)
}

// value returns the numbers of a parameter.
func (l *onnxLayers) value(name string) ([]float32, bool) {
	v, ok := l.values[name]
	return v, ok
}

// logits returns the logits [N, K] of features [N, C].
func (l *onnxLayers) logits(x *graph.Node) *graph.Node {
	mean, ok := l.model.(*heads.Mean)
	if !ok {
		return l.layer(x, l.model, 0, 1)
	}
	var sum *graph.Node
	for i, m := range mean.Of {
		p := graph.Softmax(l.layer(x, m, i, len(mean.Of)), -1)
		if sum == nil {
			sum = p
		} else {
			sum = graph.Add(sum, p)
		}
	}
	return graph.Log(graph.MaxScalar(graph.MulScalar(sum, 1/float64(len(mean.Of))), 1e-12))
}

// layer returns the logits of one layer, the i-th of n.
func (l *onnxLayers) layer(x *graph.Node, m heads.Model, i, n int) *graph.Node {
	parameter := func(part string, values []float32, shape ...int) *graph.Node {
		name := layerPart(l.name, i, n, part)
		l.values[name] = values
		return graph.Parameter(x.Graph(), name, shapes.Make(dtypes.Float32, shape...))
	}
	linear := func(x *graph.Node, h *head.Linear, prefix string) *graph.Node {
		weight := parameter(prefix+"weight", h.Weight, h.Classes, h.Features)
		bias := parameter(prefix+"bias", h.Bias, h.Classes)
		return graph.Add(graph.Einsum("nc,kc->nk", x, weight), graph.Reshape(bias, 1, h.Classes))
	}
	switch m := m.(type) {
	case *head.Linear:
		return linear(x, m, "")
	case *heads.Cosine:
		return linear(ofLength1(x), &m.Linear, "unit_")
	case *heads.Neighbours:
		votes := make([]float32, len(m.Y)*m.Outputs)
		for j, y := range m.Y {
			votes[j*m.Outputs+y] = 1
		}
		references := parameter("references", m.X, len(m.Y), m.Features)
		similar := graph.Einsum("nc,mc->nm", ofLength1(x), references)
		return ballot(m, similar, parameter("classes", votes, len(m.Y), m.Outputs))
	}
	panic(fmt.Sprintf("export: no graph of a head of the type %T", m))
}

// ofLength1 scales each row to length 1; a row of zeros stays one.
func ofLength1(x *graph.Node) *graph.Node {
	length := graph.Sqrt(graph.ReduceAndKeep(graph.Mul(x, x), graph.ReduceSum, -1))
	return graph.Div(x, graph.MaxScalar(length, 1e-30))
}

// ballot counts the votes [M, K] of the most similar of M references, [N, M]. The most similar one is
// taken out again and again, because package write has no operation for the k largest; of equal ones, the
// first goes first, as in heads.Neighbours.
func ballot(m *heads.Neighbours, similar, votes *graph.Node) *graph.Node {
	const taken = -4 // below every cosine
	places := graph.Iota(similar.Graph(), shapes.Make(dtypes.Int32, 1, len(m.Y)), 1)
	var most, weight *graph.Node
	for range m.K {
		top := graph.ReduceAndKeep(similar, graph.ReduceMax, -1)
		if most == nil {
			most = top
		}
		first := graph.ArgMax(similar, -1, dtypes.Int32)
		is := graph.Equal(places, graph.ExpandAxes(first, -1))
		one := graph.Where(is, graph.BroadcastToShape(graph.Exp(graph.DivScalar(graph.Sub(top, most), heads.Temperature)), similar.Shape()), graph.ZerosLike(similar))
		if weight == nil {
			weight = one
		} else {
			weight = graph.Add(weight, one)
		}
		similar = graph.Where(is, graph.MulScalar(graph.OnesLike(similar), taken), similar)
	}
	counted := graph.Einsum("nm,mk->nk", weight, votes)
	shares := graph.Div(counted, graph.ReduceAndKeep(weight, graph.ReduceSum, -1))
	k := float64(m.K)
	smooth := graph.MulScalar(graph.AddScalar(graph.MulScalar(shares, k), 1/float64(m.Outputs)), 1/(k+1))
	return graph.MulScalar(graph.Log(smooth), m.Factor)
}
