package metrics

import (
	"fmt"
)

// Ranking is how well scores put the pictures of one class before all others, at every threshold.
type Ranking struct {
	Label    string `json:"label"`
	Positive int    `json:"positive"` // pictures of the class
	Total    int    `json:"total"`    // pictures

	// AUC is the area under the ROC curve: how often a picture of the class gets a higher score than
	// another picture; equal scores count half. AP is the average precision, the area under the steps
	// of precision and recall. Both are 0, and without interval, where all pictures or none are of
	// the class: see Known.
	AUC         float64  `json:"auc"`
	AUCInterval Interval `json:"auc_interval"` // 95 %, see [Matrix.Rankings]
	AP          float64  `json:"ap"`
	APInterval  Interval `json:"ap_interval"` // 95 %

	// ROC has a point (false positive rate, true positive rate) for each different score, from (0,0)
	// to (1,1). PR has (recall, precision), from the highest score to recall 1.
	ROC [][2]float64 `json:"-"`
	PR  [][2]float64 `json:"-"`
}

// Known reports whether there are pictures both of the class and of others.
func (r Ranking) Known() bool { return r.Positive > 0 && r.Positive < r.Total }

// mostResampled is up to how many scores all classes get an interval: more would take minutes.
const mostResampled = 2_000_000

// Rankings ranks the pictures for each class, one against the rest. The scores are probabilities for one
// label a picture, logits for several; positive holds N*K truths in the order of Data.
//
// The intervals are as in [ScoreLabels]; that of an area has as many degrees of freedom as the rarer of
// the class and the others has pictures, less one. They are unknown where N*K is above 2 million.
func (m Matrix) Rankings(labels []string, positive []bool) ([]Ranking, error) {
	return Clusters(nil).Rankings(labels, m, positive)
}

// Rankings is [Matrix.Rankings] of scores m, with intervals by clusters.
func (g Clusters) Rankings(labels []string, m Matrix, positive []bool) ([]Ranking, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	if err := g.check(m.Rows); err != nil {
		return nil, err
	}
	n, k := m.Rows, m.Cols
	if len(labels) != k || len(positive) != n*k {
		return nil, fmt.Errorf("metrics: %d labels and %d truths for %d x %d scores: want a label for each column and a truth for each score", len(labels), len(positive), n, k)
	}
	out, columns := make([]Ranking, k), make([]ranking, k)
	for c := range k {
		columns[c] = rank(m, positive, c)
		out[c] = columns[c].curves()
		out[c].Label = labels[c]
	}
	if n*k > mostResampled {
		return out, nil
	}
	units := blocks(g.units(n))
	for c := range out {
		if !out[c].Known() {
			continue
		}
		without := leaveOut(units, []column{columns[c].auc, columns[c].precision})
		positive := columns[c].support(units)
		fewer := min(positive, out[c].Total-out[c].Positive, len(units))
		out[c].AUCInterval = estimate{value: out[c].AUC, without: without[0], freedom: float64(fewer - 1)}.precise(positive)
		out[c].APInterval = estimate{value: out[c].AP, without: without[1], freedom: float64(positive - 1)}.precise(positive)
	}
	return out, nil
}

// curves returns the ranking of a column without intervals and label.
func (r ranking) curves() Ranking {
	out := Ranking{Total: len(r.order), AUCInterval: unknown, APInterval: unknown, ROC: [][2]float64{{0, 0}}}
	for _, is := range r.truth {
		out.Positive += count(is)
	}
	if !out.Known() {
		out.ROC = nil
		return out
	}
	out.AUC, _ = r.auc(nil)
	out.AP, _ = r.precision(nil)
	hits, positive, negative := 0, float64(out.Positive), float64(out.Total-out.Positive)
	for p := range r.order {
		hits += count(r.truth[p])
		if r.last[p] {
			recall := float64(hits) / positive
			out.ROC = append(out.ROC, [2]float64{float64(p+1-hits) / negative, recall})
			out.PR = append(out.PR, [2]float64{recall, float64(hits) / float64(p+1)})
		}
	}
	return out
}

// auc is the area under the ROC curve when picture i counts weight[i] times (nil: once). ok is false
// if the counted pictures are all of the class, or none is.
func (r ranking) auc(weight []int) (area float64, ok bool) {
	hits, others, before, beforeOthers := 0, 0, 0, 0
	for p, i := range r.order {
		w := 1
		if weight != nil {
			w = weight[i]
		}
		if r.truth[p] {
			hits += w
		} else {
			others += w
		}
		if r.last[p] { // a step up, a step to the right, or a slope where both have this score
			area += float64(others-beforeOthers) * float64(hits+before) / 2
			before, beforeOthers = hits, others
		}
	}
	if hits == 0 || others == 0 {
		return 0, false
	}
	return area / (float64(hits) * float64(others)), true
}
