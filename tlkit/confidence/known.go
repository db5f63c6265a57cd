package confidence

import (
	"errors"

	"github.com/tlkit/transfer-learning/tlkit/head"
)

// Known is what a head file holds about how sure the head may be. A field is nil where it was not learnt.
type Known struct {
	// Temperature has been applied to the head already: its logits are divided by it.
	Temperature *Temperature `json:"temperature,omitempty"`
	Sets        *Sets        `json:"sets,omitempty"`
	Margins     *Margins     `json:"margins,omitempty"`
	Familiar    *Familiar    `json:"familiar,omitempty"`
}

// Margins are how far real values may be off.
type Margins struct {
	Coverage float64   `json:"coverage"` // that is promised
	Each     []float64 `json:"each"`     // of each value, in its own units
	Pictures int       `json:"pictures"` // that they were fitted on
}

// Training is what [Learn] learns from.
type Training struct {
	head.Samples           // without features, nothing is learnt of what pictures look like
	OutOfFold    []float32 // [N, K] by heads that did not see the picture; nil = none
	Folds        [][]int
	Values       bool // the targets are real values, not several labels
	// Calibrated says that the logits have been divided by a temperature already, or cannot be.
	Calibrated bool
}

// Learn learns all that the training pictures are enough for.
func Learn(t Training) (Known, error) {
	var out Known
	if t.OutOfFold == nil {
		return out, nil
	}
	logits := t.OutOfFold
	if !t.Values && !t.Calibrated {
		temperature, err := FitTemperature(t.Samples, logits, t.Folds)
		if err != nil {
			return out, err
		}
		out.Temperature, logits = &temperature, temperature.Logits(logits)
	}
	switch {
	case t.Values:
		each, err := FitMargins(t.Samples, logits, Coverage)
		if err == nil {
			out.Margins = &Margins{Coverage, each, t.Len()}
		} else if !errors.Is(err, ErrFew) {
			return out, err
		}
		logits = nil
	case t.Targets == nil:
		sets, err := FitSets(t.Samples, logits, Coverage)
		if err == nil {
			out.Sets = &sets
		} else if !errors.Is(err, ErrFew) {
			return out, err
		}
	}
	if t.Features == 0 {
		return out, nil
	}
	familiar, err := FitFamiliar(t.Samples, logits, t.Folds, FalseAlarms)
	if err != nil && !errors.Is(err, ErrFew) {
		return out, err
	}
	out.Familiar = familiar
	return out, nil
}

// Check reports what does not suit a head on so many features with so many outputs.
func (k *Known) Check(features, outputs int) error {
	if k == nil {
		return nil
	}
	if t := k.Temperature; t != nil && !(t.Value > 0 && t.Value < 1e3) {
		return errors.New("confidence: a temperature that is not a positive number")
	}
	if k.Sets != nil {
		if err := k.Sets.Check(); err != nil {
			return err
		}
	}
	if m := k.Margins; m != nil {
		if len(m.Each) != outputs || !(m.Coverage > 0 && m.Coverage < 1) {
			return errors.New("confidence: margins that do not suit the values, want one for each and a coverage between 0 and 1")
		}
		for _, v := range m.Each {
			if !(v >= 0 && v < 1e300) {
				return errors.New("confidence: a margin that is not a number, want one from 0")
			}
		}
	}
	if k.Familiar != nil {
		return k.Familiar.Check(features)
	}
	return nil
}
