package finetune

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// classLoss is the cross-entropy of one label a picture, in nats.
type classLoss struct {
	plainUnits
	k int
}

func newClassLoss(d Data) (loss, error) {
	for _, items := range [][]datasets.Item{d.Train, d.Valid} {
		for _, it := range items {
			if it.Class < 0 || it.Class >= d.Outputs {
				return nil, fmt.Errorf("finetune: %s has class %d, want 0 to %d", it.Rel, it.Class, d.Outputs-1)
			}
		}
	}
	first := d.Train[0].Class
	for _, it := range d.Train {
		if it.Class != first {
			return classLoss{k: d.Outputs}, nil
		}
	}
	return nil, advice.New(fmt.Errorf("finetune: all %d training pictures have class %d, want at least two classes", len(d.Train), first), "add pictures of another class")
}

func (classLoss) suits(Plan) error { return nil }

func (l classLoss) target(it datasets.Item, smoothing float64, out []float32) {
	smooth := float32(smoothing)
	for c := range out {
		out[c] = smooth / float32(l.k)
	}
	out[it.Class] += 1 - smooth
}

func (classLoss) graph(logits, targets *graph.Node) *graph.Node {
	return graph.Neg(graph.ReduceSum(graph.Mul(targets, graph.LogSoftmax(logits, -1)), -1))
}

func (l classLoss) row(s head.Samples, i int, logits []float32) float64 {
	return head.LogLoss(logits, s.Y[i:i+1], l.k)
}

func (l classLoss) known(items []datasets.Item) head.Samples {
	return task.Classes{}.Samples(items, nil, l.k)
}

func (classLoss) epochScore(_, right float64, seen int) (float64, bool) {
	return right / float64(seen), true
}
