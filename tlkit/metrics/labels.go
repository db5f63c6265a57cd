package metrics

import (
	"fmt"
	"math"
	"slices"
)

// LabelScore is how well one of several labels is predicted. A fraction of 0 out of 0 is 0; Support
// and Predicted tell it from a real 0.
type LabelScore struct {
	Label   string `json:"label"`
	Support int    `json:"support"` // pictures with the label
	Total   int    `json:"total"`   // pictures

	AP       float64  `json:"ap"`       // average precision; random scores give about Support/Total
	Interval Interval `json:"interval"` // 95 % of AP, see [ScoreLabels]; unknown without support

	// At the threshold: a picture gets the label if its probability is at least Threshold.
	Threshold float64 `json:"threshold"`
	Predicted int     `json:"predicted"` // pictures that get the label
	Correct   int     `json:"correct"`   // of these, pictures with the label
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
}

// LabelScores is how well several labels a picture are predicted.
type LabelScores struct {
	// Mean average precision over the labels that have support.
	MAP      float64  `json:"map"`
	Interval Interval `json:"interval"` // 95 % of MAP
	Counted  int      `json:"counted"`  // labels in the mean
	MacroF1  float64  `json:"macro_f1"` // unweighted mean of F1 over the same labels
	// Mean binary cross-entropy over pictures and labels, nats.
	LogLoss float64      `json:"log_loss"`
	Labels  []LabelScore `json:"labels"`
}

// ScoreLabels scores logits [N, K] of several labels a picture against truth: N*K entries in the
// order of logits.Data. thresholds has a probability for each label; nil stands for 0.5. Choose
// them on other pictures than these, see [BestThreshold].
//
// The intervals are Student's t on the scale of log odds, with the standard error by the jackknife, which
// leaves out one picture at a time, and as many degrees of freedom as pictures have the label, less one.
// A label of one picture has no interval. That of a flawless score would have no width; its low end is
// that of Wilson's interval for as many correct pictures as the labels have support.
func ScoreLabels(labels []string, logits Matrix, truth []bool, thresholds []float64) (LabelScores, error) {
	return Clusters(nil).ScoreLabels(labels, logits, truth, thresholds)
}

// ScoreLabels is the function [ScoreLabels], with intervals by clusters.
func (g Clusters) ScoreLabels(labels []string, logits Matrix, truth []bool, thresholds []float64) (LabelScores, error) {
	loss, err := BinaryCrossEntropy(logits, truth)
	if err != nil {
		return LabelScores{}, err
	}
	n, k := logits.Rows, logits.Cols
	if len(labels) != k || thresholds != nil && len(thresholds) != k {
		return LabelScores{}, fmt.Errorf("metrics: %d labels and %d thresholds for %d columns of scores", len(labels), len(thresholds), k)
	}
	if err := g.check(n); err != nil {
		return LabelScores{}, err
	}
	out := LabelScores{LogLoss: loss, Labels: make([]LabelScore, k)}
	out.MAP, out.Counted, err = MeanAveragePrecision(logits, truth)
	if err != nil {
		return LabelScores{}, err
	}
	columns := make([]ranking, k)
	for c := range k {
		s := &out.Labels[c]
		*s = LabelScore{Label: labels[c], Total: n, Threshold: 0.5, Interval: unknown}
		if thresholds != nil {
			s.Threshold = thresholds[c]
		}
		columns[c] = rank(logits, truth, c)
		for i := range n {
			predicted, actual := Sigmoid(float64(logits.Data[i*k+c])) >= s.Threshold, truth[i*k+c]
			s.Support += count(actual)
			s.Predicted += count(predicted)
			s.Correct += count(predicted && actual)
		}
		s.Precision, s.Recall, s.F1 = ratio(s.Correct, s.Predicted), ratio(s.Correct, s.Support), ratio(2*s.Correct, s.Predicted+s.Support)
		if s.Support == 0 {
			continue
		}
		s.AP, _ = columns[c].precision(nil)
		out.MacroF1 += s.F1 / float64(out.Counted)
	}
	out.intervals(columns, blocks(g.units(n)), g != nil)
	return out, nil
}

// intervals sets the intervals of average precisions, from leaving out the units in turn.
func (s *LabelScores) intervals(columns []ranking, units [][]int, clustered bool) {
	var have []column
	for _, r := range columns {
		have = append(have, r.precision)
	}
	without := leaveOut(units, have)
	var counted []estimate
	all := 0
	for c := range s.Labels {
		l := &s.Labels[c]
		if l.Support == 0 {
			continue
		}
		support := columns[c].support(units)
		e := estimate{l.AP, without[c], float64(support - 1), clustered}
		l.Interval = e.precise(support)
		counted = append(counted, e)
		all += support
	}
	s.Interval = meanOf(counted).precise(all)
}

// precise is the interval of an average precision, or of their mean, that rests on so many units with a
// label. Where all that goes wrong is less than one unit, or half a cluster, it does not tell how often
// that is: the low end is then that of Wilson's interval, as if all were right.
func (e estimate) precise(support int) Interval {
	i, few := e.interval(logOdds(float64(support))), 1.0
	if e.clustered {
		few = 0.5
	}
	if i.Known() && (1-e.value)*float64(support) < few {
		i = Interval{min(i.Low, Wilson(support, support).Low), i.High}
	}
	return i
}

// ranking is one column of scores from the highest to the lowest.
type ranking struct {
	order []int  // pictures
	last  []bool // by rank: the next score is lower
	truth []bool // by rank
}

func rank(scores Matrix, truth []bool, column int) ranking {
	n, k := scores.Rows, scores.Cols
	r := ranking{order: make([]int, n), last: make([]bool, n), truth: make([]bool, n)}
	for i := range r.order {
		r.order[i] = i
	}
	score := func(i int) float32 { return scores.Data[i*k+column] }
	slices.SortStableFunc(r.order, func(a, b int) int {
		switch {
		case score(a) > score(b):
			return -1
		case score(a) < score(b):
			return 1
		}
		return 0
	})
	for p, i := range r.order {
		r.truth[p] = truth[i*k+column]
		r.last[p] = p+1 == n || score(r.order[p+1]) != score(i)
	}
	return r
}

// support is the number of units that have a picture with the label.
func (r ranking) support(units [][]int) (n int) {
	is := make([]bool, len(r.order))
	for p, i := range r.order {
		is[i] = r.truth[p]
	}
	for _, unit := range units {
		n += count(slices.ContainsFunc(unit, func(i int) bool { return is[i] }))
	}
	return n
}

// precision is the average precision when picture i counts weight[i] times (nil: once). ok is false
// if no counted picture has the label.
func (r ranking) precision(weight []int) (ap float64, ok bool) {
	hits, seen, before := 0, 0, 0
	for p, i := range r.order {
		w := 1
		if weight != nil {
			w = weight[i]
		}
		seen += w
		if r.truth[p] {
			hits += w
		}
		if r.last[p] && hits > before {
			ap += float64(hits-before) * float64(hits) / float64(seen)
			before = hits
		}
	}
	if hits == 0 {
		return 0, false
	}
	return ap / float64(hits), true
}

// BestThreshold returns the probability threshold with the highest F1 on these logits, halfway
// between two scores; of several with that F1, the one nearest to 0.5. f1 is measured on the same
// pictures and so is optimistic: pass out-of-fold logits, and report on other pictures.
func BestThreshold(logits []float32, positive []bool) (threshold, f1 float64, err error) {
	scores := Matrix{Rows: len(logits), Cols: 1, Data: logits}
	if _, err := AveragePrecision(logits, positive); err != nil { // it checks both
		return 0, 0, err
	}
	r := rank(scores, positive, 0)
	total := 0
	for _, is := range positive {
		total += count(is)
	}
	hits, best := 0, 0.0
	for p, i := range r.order {
		hits += count(r.truth[p])
		if !r.last[p] {
			continue
		}
		next := float64(logits[i]) - 2
		if p+1 < len(r.order) {
			next = float64(logits[r.order[p+1]])
		}
		cut := (float64(logits[i]) + next) / 2
		f := ratio(2*hits, p+1+total)
		if f > f1 || f == f1 && math.Abs(cut) < math.Abs(best) {
			f1, best = f, cut
		}
	}
	return Sigmoid(best), f1, nil
}

// BinaryCrossEntropy is the mean of -log p in nats over pictures and labels, where p is the
// probability that the sigmoid of the logit gives the truth. truth holds N*K entries in the order
// of logits.Data.
func BinaryCrossEntropy(logits Matrix, truth []bool) (float64, error) {
	if err := logits.check(); err != nil {
		return 0, err
	}
	if len(truth) != len(logits.Data) {
		return 0, fmt.Errorf("metrics: %d truths for %d x %d scores", len(truth), logits.Rows, logits.Cols)
	}
	sum := 0.0
	for i, v := range logits.Data {
		sum += BinaryLoss(float64(v), float64(count(truth[i])))
	}
	return sum / float64(len(truth)), nil
}

// BinaryLoss is the cross-entropy in nats of one logit against a target in 0..1. It is computed as
// max(z, 0) - z·target + log(1 + exp(-|z|)), so that exp does not overflow.
func BinaryLoss(logit, target float64) float64 {
	return max(logit, 0) - logit*target + math.Log1p(math.Exp(-math.Abs(logit)))
}

// Sigmoid returns the probability of a logit, 1/(1+exp(-logit)).
func Sigmoid(logit float64) float64 { return 1 / (1 + math.Exp(-logit)) }

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
