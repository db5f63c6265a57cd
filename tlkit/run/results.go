package run

import (
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/results"
)

// Result is the result of a training run. It is also the content of result.json and the JSON of
// tlkit train; see [results.Result].
type Result = results.Result

// Baseline is the score of another way on the same features, such as k-NN without training.
type Baseline = results.Baseline

// Phase is a part of a run's time.
type Phase = results.Phase

// One is the result of one seed or one fold.
type One = results.One

// Probe is the score of the head alone, on the backbone as published; see [results.Probe].
type Probe = results.Probe

// Finetuning is how the backbone was trained; see [results.Finetuning].
type Finetuning = results.Finetuning

// alone returns the result of the head before fine-tuning.
func alone(r *Result) *Result {
	if r.Probe == nil {
		return r
	}
	out := *r
	out.Score, out.LogLoss = r.Probe.Score, r.Probe.LogLoss
	out.Probe, out.Finetune, out.PerLabel, out.PerValue = nil, nil, nil, nil
	return &out
}

// upgrade fills in the fields that a result.json written before 0.1.0 lacks.
func upgrade(r *Result) {
	r.Score.Upgrade()
	if r.Baseline != nil {
		r.Baseline.Score.Upgrade()
	}
	for i := range r.Words {
		r.Words[i].Score.Upgrade()
	}
	if r.Probe != nil {
		r.Probe.Score.Upgrade()
	}
	for _, ones := range [][]One{r.Runs, r.Folds} {
		for i := range ones {
			ones[i].Score.Upgrade()
			if ones[i].Probe != nil {
				ones[i].Probe.Score.Upgrade()
			}
		}
	}
	if r.Task == "" {
		r.Task = datasets.Classes
	}
}

// probeOver returns the probe of several seeds.
func probeOver(runs []One) (*Probe, error) {
	out := *runs[0].Probe
	scores, gains := make([]metrics.Score, len(runs)), make([]float64, len(runs))
	for i, r := range runs {
		scores[i], gains[i] = r.Probe.Score, r.Probe.Gain
	}
	var err error
	out.Score, err = metrics.OverSeeds(scores)
	if err != nil {
		return nil, err
	}
	mean, err := metrics.MeanOf(gains)
	if err != nil {
		return nil, err
	}
	out.Gain = mean.Value
	if mean.SD > 0 { // otherwise the uncertainty of the pictures remains, as in the first run
		out.GainInterval = mean.Interval
	}
	return &out, nil
}

// scores returns the scores of several runs.
func scores(runs []One) []metrics.Score {
	out := make([]metrics.Score, len(runs))
	for i, r := range runs {
		out[i] = r.Score
	}
	return out
}
