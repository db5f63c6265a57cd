package export

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// Prediction is the prediction for one picture. Which fields are set depends on the task.
type Prediction struct {
	Path        string  `json:"path"`
	Label       string  `json:"label,omitempty"` // for one label a picture
	Probability float64 `json:"probability"`     // of Label
	// For several labels: those the picture gets, in the head's order; [] = none.
	Labels []string `json:"labels,omitzero"`
	// By label; for one label a picture they sum to 1.
	Probabilities map[string]float64 `json:"probabilities,omitempty"`
	// For real values: by name, in the units of the training data.
	Values map[string]float64 `json:"values,omitempty"`
	// Why there is no prediction; names the picture.
	Error string `json:"error,omitempty"`

	names []string // in the head's order
}

// MarshalJSON omits the fields of other tasks.
func (p Prediction) MarshalJSON() ([]byte, error) {
	type plain Prediction
	switch {
	case p.Label == "" && p.Labels == nil && p.Probabilities != nil: // too improbable for a label
		return json.Marshal(struct {
			plain
			Label string `json:"label"`
		}{plain: plain(p)})
	case p.Labels == nil && p.Values == nil:
		return json.Marshal(plain(p))
	}
	return json.Marshal(struct {
		plain
		Probability any `json:"probability,omitempty"`
	}{plain: plain(p)})
}

// Words formats the prediction in one line: "ants 97.1 %", "ant 99.0 %, wings 71.3 %", "none of the
// labels; the nearest: wings 21.0 %", "x 31.2, y 80.1". For a picture that could not be read, it
// returns the reason.
func (p Prediction) Words() string {
	switch {
	case p.Error != "":
		return p.Error
	case p.Values != nil:
		return p.valueWords()
	case p.Labels != nil:
		return p.labelWords()
	}
	return fmt.Sprintf("%s %.1f %%", p.Label, 100*p.Probability)
}

func (p Prediction) percent(label string) string {
	return fmt.Sprintf("%s %.1f %%", label, 100*p.Probabilities[label])
}

func (p Prediction) labelWords() string {
	if len(p.Labels) == 0 {
		nearest := ""
		for _, l := range slices.Sorted(maps.Keys(p.Probabilities)) {
			if nearest == "" || p.Probabilities[l] > p.Probabilities[nearest] {
				nearest = l
			}
		}
		return "none of the labels; the nearest: " + p.percent(nearest)
	}
	words := make([]string, len(p.Labels))
	for i, l := range p.Labels {
		words[i] = p.percent(l)
	}
	return strings.Join(words, ", ")
}

func (p Prediction) valueWords() string {
	names := p.names
	if names == nil { // read from JSON, which does not keep the order
		names = slices.Sorted(maps.Keys(p.Values))
	}
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = n + " " + strconv.FormatFloat(p.Values[n], 'g', 4, 64)
	}
	return strings.Join(words, ", ")
}

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
	p := Prediction{names: h.Labels, Label: h.Labels[best], Probability: float64(q[best]), Probabilities: make(map[string]float64, len(q))}
	for k, v := range q {
		p.Probabilities[h.Labels[k]] = float64(v)
	}
	return p
}

// labelAnswers are the answers for several labels a picture.
type labelAnswers struct{}

func (labelAnswers) reading(outputs int) (thresholds, scales int) { return outputs, 0 }

func (labelAnswers) answer(h *Head, logits []float32) Prediction {
	p := Prediction{names: h.Labels, Labels: []string{}, Probabilities: make(map[string]float64, len(logits))}
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
	p := Prediction{names: h.Labels, Values: make(map[string]float64, len(logits))}
	for k, v := range logits {
		p.Values[h.Labels[k]] = float64(v)
	}
	return p
}
