package run

import (
	"github.com/tlkit/transfer-learning/tlkit/confidence"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
)

// learnConfidence learns how sure the head may be, and calibrates a head on frozen features.
func (t *training) learnConfidence(outOfFold []float32) error {
	c := confidence.Training{
		Samples: t.train.s, OutOfFold: outOfFold, Folds: t.train.folds(t.plan.Folds, t.spec.Seed),
		Values: t.opened.data.Task == datasets.Values, Calibrated: t.tuned != nil, // fine-tuning has its own temperature
	}
	if _, ok := (confidence.Temperature{Value: 1}).Model(t.fitted.Model); !ok {
		c.Calibrated = true
	}
	if t.tuned != nil && t.tuned.result.Pays { // the features of the tuned network are others
		c.X, c.Features = nil, 0
	}
	var err error
	t.known, err = confidence.Learn(c)
	if err != nil || t.known.Temperature == nil || t.known.Temperature.Value == 1 {
		return err
	}
	calibrated, fit := *t.fitted, *t.fitted.Fit
	calibrated.Model, _ = t.known.Temperature.Model(t.fitted.Model)
	fit.OutOfFold = t.known.Temperature.Logits(fit.OutOfFold)
	fit.Head, _ = calibrated.Model.(*head.Linear)
	calibrated.Fit = &fit
	t.fitted = &calibrated
	return nil
}
