package results

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
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
	// The labels among which the true one is as often as the head's confidence.Sets promise, the most
	// probable first; for one label a picture.
	Set []string `json:"set,omitempty"`
	// From where to where each value is, as often as confidence.Margins promise.
	Intervals map[string][2]float64 `json:"intervals,omitempty"`
	// Whether the picture is like the training pictures, see confidence.Familiar; nil = not known.
	Familiar    *bool    `json:"familiar,omitempty"`
	Strangeness *float64 `json:"strangeness,omitempty"` // how unlike them; about 0 on average
	// Why there is no prediction; names the picture.
	Error string `json:"error,omitempty"`

	// Order has the names of Probabilities or Values in the head's order; nil where it is not known.
	Order []string `json:"-" show:"-"`
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
	unlike := ""
	if p.Unlike() {
		unlike = "; unlike the training pictures"
	}
	switch {
	case p.Error != "":
		return p.Error
	case p.Values != nil:
		return p.valueWords() + unlike
	case p.Labels != nil:
		return p.labelWords() + unlike
	}
	return fmt.Sprintf("%s %.1f %%", p.Label, 100*p.Probability) + unlike
}

// Unlike reports whether the picture is known to be unlike the training pictures, so that the prediction
// is a guess.
func (p Prediction) Unlike() bool { return p.Familiar != nil && !*p.Familiar }

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
	names := p.Order
	if names == nil { // read from JSON, which does not keep the order
		names = slices.Sorted(maps.Keys(p.Values))
	}
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = n + " " + strconv.FormatFloat(p.Values[n], 'g', 4, 64)
		if within, ok := p.Intervals[n]; ok {
			words[i] += fmt.Sprintf(" (%s to %s)", strconv.FormatFloat(within[0], 'g', 4, 64), strconv.FormatFloat(within[1], 'g', 4, 64))
		}
	}
	return strings.Join(words, ", ")
}
