package export

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// Prediction is what a classifier says about one picture.
type Prediction struct {
	Path          string             `json:"path"`
	Label         string             `json:"label,omitempty"`         // of one label a picture
	Probability   float64            `json:"probability"`             // of Label
	Labels        []string           `json:"labels,omitzero"`         // of several: those said, in the head's order; [] = none of them
	Probabilities map[string]float64 `json:"probabilities,omitempty"` // by label; of one label a picture they add up to 1
	Values        map[string]float64 `json:"values,omitempty"`        // by name, in the units of the training data
	Error         string             `json:"error,omitempty"`         // why there is no answer; the picture is named in it

	names []string // in the head's order
}

// MarshalJSON leaves out what belongs to another task.
func (p Prediction) MarshalJSON() ([]byte, error) {
	type plain Prediction
	if p.Labels == nil && p.Values == nil {
		return json.Marshal(plain(p))
	}
	return json.Marshal(struct {
		plain
		Probability any `json:"probability,omitempty"`
	}{plain: plain(p)})
}

// Words is the answer in one line: "ants 97.1 %", "ant 99.0 %, wings 71.3 %", "none of the
// labels; the nearest: wings 21.0 %", "x 31.2, y 80.1". Of a picture that could not be read it is
// the reason.
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
	if names == nil { // read from JSON: their order is lost
		names = slices.Sorted(maps.Keys(p.Values))
	}
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = n + " " + strconv.FormatFloat(p.Values[n], 'g', 4, 64)
	}
	return strings.Join(words, ", ")
}

// answers is how a task's logits become predictions.
type answers interface {
	// reading is how many thresholds and scales a head with so many outputs has.
	reading(outputs int) (thresholds, scales int)
	// answer says what the logits of one picture mean.
	answer(h *Head, logits []float32) Prediction
}

// answersOf are those of a task. A further task has its case here.
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
	return nil, fmt.Errorf("export: heads of the task %q cannot answer yet", name)
}

// classAnswers are those of one label a picture.
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

// labelAnswers are those of several labels a picture.
type labelAnswers struct{}

func (labelAnswers) reading(outputs int) (thresholds, scales int) { return outputs, 0 }

func (labelAnswers) answer(h *Head, logits []float32) Prediction {
	p := Prediction{names: h.Labels, Labels: []string{}, Probabilities: make(map[string]float64, len(logits))}
	for k, v := range logits {
		// In float64, as metrics.ScoreLabels does: a picture on the threshold must not be said here and not there.
		q := metrics.Sigmoid(float64(v))
		p.Probabilities[h.Labels[k]] = q
		if q >= h.Thresholds[k] {
			p.Labels = append(p.Labels, h.Labels[k])
		}
	}
	return p
}

// valueAnswers are those of real values.
type valueAnswers struct{}

func (valueAnswers) reading(outputs int) (thresholds, scales int) { return 0, outputs }

func (valueAnswers) answer(h *Head, logits []float32) Prediction {
	p := Prediction{names: h.Labels, Values: make(map[string]float64, len(logits))}
	for k, v := range logits {
		p.Values[h.Labels[k]] = float64(v)
	}
	return p
}
