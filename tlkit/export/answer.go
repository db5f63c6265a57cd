package export

import (
	"fmt"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/results"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// Prediction is the prediction for one picture; see [results.Prediction].
type Prediction = results.Prediction

// answers turns the logits of a task into predictions.
type answers interface {
	// reading returns the number of thresholds and scales of a head with so many outputs.
	reading(outputs int) (thresholds, scales int)
	// answer returns the prediction from the logits of one picture.
	answer(h *Head, logits []float32) Prediction
}

// answersOf returns the answers of a task. A new task adds its case here.
func answersOf(name datasets.Task) (answers, error) {
	t, err := task.Named(name)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	switch t.(type) {
	case task.Classes:
		return classAnswers{}, nil
	case task.Labels:
		return labelAnswers{}, nil
	case task.Values:
		return valueAnswers{}, nil
	}
	return nil, advice.New(fmt.Errorf("export: no predictions for the task %q", name), "use the version of tlkit that knows it")
}

// classAnswers are the answers for one label a picture.
type classAnswers struct{}

func (classAnswers) reading(int) (thresholds, scales int) { return 0, 0 }

func (classAnswers) answer(h *Head, logits []float32) Prediction {
	q := head.Softmax(logits, len(logits))
	best := head.Classes(q, len(q))[0]
	p := Prediction{Order: h.Labels, Label: h.Labels[best], Probability: float64(q[best]), Probabilities: make(map[string]float64, len(q))}
	for k, v := range q {
		p.Probabilities[h.Labels[k]] = float64(v)
	}
	return p
}

// labelAnswers are the answers for several labels a picture.
type labelAnswers struct{}

func (labelAnswers) reading(outputs int) (thresholds, scales int) { return outputs, 0 }

func (labelAnswers) answer(h *Head, logits []float32) Prediction {
	p := Prediction{Order: h.Labels, Labels: []string{}, Probabilities: make(map[string]float64, len(logits))}
	for k, v := range logits {
		// In float64, as in metrics.ScoreLabels, so that both agree on a picture at the threshold.
		q := metrics.Sigmoid(float64(v))
		p.Probabilities[h.Labels[k]] = q
		if q >= h.Thresholds[k] {
			p.Labels = append(p.Labels, h.Labels[k])
		}
	}
	return p
}

// valueAnswers are the answers for real values.
type valueAnswers struct{}

func (valueAnswers) reading(outputs int) (thresholds, scales int) { return 0, outputs }

func (valueAnswers) answer(h *Head, logits []float32) Prediction {
	p := Prediction{Order: h.Labels, Values: make(map[string]float64, len(logits))}
	for k, v := range logits {
		p.Values[h.Labels[k]] = float64(v)
	}
	return p
}
