package finetune

import (
	"errors"
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// labelLoss is the binary cross-entropy of several labels a picture, in nats, averaged over the
// labels.
type labelLoss struct {
	plainUnits
	k int
}

func newLabelLoss(d Data) (loss, error) {
	return labelLoss{k: d.Outputs}, checkTargets(d, func(v float64) error {
		if v != 0 && v != 1 {
			return errors.New("0 or 1")
		}
		return nil
	})
}

func (labelLoss) suits(p Plan) error { return noClassWeights(p, datasets.Labels) }

// noClassWeights reports class weights, which need one class a picture.
func noClassWeights(p Plan, t datasets.Task) error {
	if p.ClassWeights {
		return advice.New(fmt.Errorf("finetune: plan %s: class weights need one class a picture, and these pictures have %s", p.Name, t), "leave them out")
	}
	return nil
}

func (labelLoss) target(it datasets.Item, smoothing float64, out []float32) {
	smooth := float32(smoothing)
	for c, v := range it.Targets {
		out[c] = smooth/2 + float32(v)*(1-smooth)
	}
}

func (labelLoss) graph(logits, targets *graph.Node) *graph.Node {
	// As metrics.BinaryLoss, without large exponentials.
	rest := graph.Log1P(graph.Exp(graph.Neg(graph.Abs(logits))))
	return graph.ReduceMean(graph.Add(graph.Sub(graph.MaxScalar(logits, 0), graph.Mul(logits, targets)), rest), -1)
}

func (l labelLoss) row(s head.Samples, i int, logits []float32) float64 {
	sum := 0.0
	for c, z := range logits {
		sum += metrics.BinaryLoss(float64(z), s.Targets[i*l.k+c]) / float64(l.k)
	}
	return sum
}

func (l labelLoss) known(items []datasets.Item) head.Samples {
	return task.Labels{}.Samples(items, nil, l.k)
}

// epochScore returns ok false: mean average precision needs the logits of the whole epoch.
func (labelLoss) epochScore(float64, float64, int) (float64, bool) { return 0, false }
