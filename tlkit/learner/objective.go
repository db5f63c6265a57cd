package learner

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// objective is what a task asks of the network: its loss, in a graph and outside of one, and its score. The zero task is
// Classes.
//
// Real values are learnt in standard deviations from their mean, both of the training pictures, so that a rate means the
// same in any units. Head, targets and logits are in these while training; R² is the same in both.
type objective struct {
	task     datasets.Task
	k        int       // classes, labels or values
	mean, sd []float64 // of values
}

// objective checks what is known about the pictures.
func (d TuneData) objective() (objective, error) {
	o := objective{task: d.Task, k: d.Classes}
	if d.Task != datasets.Labels && d.Task != datasets.Values {
		return o, d.checkClasses()
	}
	for _, items := range [][]datasets.Item{d.Train, d.Valid} {
		for _, it := range items {
			if len(it.Targets) != o.k {
				return o, fmt.Errorf("learner: %s has %d targets, want %d, one for each of the %s", it.Rel, len(it.Targets), o.k, d.Task)
			}
			for _, v := range it.Targets {
				if !finite(v) || d.Task == datasets.Labels && v != 0 && v != 1 {
					return o, fmt.Errorf("learner: %s has target %v, want %s", it.Rel, v, map[datasets.Task]string{datasets.Labels: "0 or 1", datasets.Values: "a finite number"}[d.Task])
				}
			}
		}
	}
	if d.Task == datasets.Labels {
		return o, nil
	}
	o.mean, o.sd = make([]float64, o.k), make([]float64, o.k)
	n := float64(len(d.Train))
	for _, it := range d.Train {
		for c, v := range it.Targets {
			o.mean[c] += v / n
		}
	}
	for _, it := range d.Train {
		for c, v := range it.Targets {
			o.sd[c] += (v - o.mean[c]) * (v - o.mean[c]) / n
		}
	}
	for c := range o.sd {
		if o.sd[c] = math.Sqrt(o.sd[c]); !(o.sd[c] > 1e-12*math.Abs(o.mean[c])) {
			return o, fmt.Errorf("learner: value %d is %g in every training picture, so nothing can be learnt about it: remove it", c, d.Train[0].Targets[c])
		}
	}
	return o, nil
}

func (d TuneData) checkClasses() error {
	for _, items := range [][]datasets.Item{d.Train, d.Valid} {
		for _, it := range items {
			if it.Class < 0 || it.Class >= d.Classes {
				return fmt.Errorf("learner: %s has class %d, want 0 to %d", it.Rel, it.Class, d.Classes-1)
			}
		}
	}
	one := d.Train[0].Class
	for _, it := range d.Train {
		if it.Class != one {
			return nil
		}
	}
	return fmt.Errorf("learner: all %d training pictures are of class %d: there is nothing to tell apart, nor to mix; give it pictures of two classes", len(d.Train), one)
}

// suits says what of a plan the task has no use for.
func (o objective) suits(p TunePlan) error {
	switch {
	case p.ClassWeights && o.task != "" && o.task != datasets.Classes:
		return fmt.Errorf("learner: plan %s: class weights, and the pictures have %s instead of one class each; leave them out", p.Name, o.task)
	case p.Smoothing > 0 && o.task == datasets.Values:
		return fmt.Errorf("learner: plan %s: smoothing %v, and real values have nothing to smooth; leave it out", p.Name, p.Smoothing)
	}
	return nil
}

// target is what the network should say about a picture, [K].
func (o objective) target(it datasets.Item, smoothing float64, to []float32) {
	smooth := float32(smoothing)
	switch o.task {
	case datasets.Values:
		for c, v := range it.Targets {
			to[c] = float32((v - o.mean[c]) / o.sd[c])
		}
	case datasets.Labels:
		for c, v := range it.Targets {
			to[c] = smooth/2 + float32(v)*(1-smooth)
		}
	default:
		for c := range to {
			to[c] = smooth / float32(o.k)
		}
		to[it.Class] += 1 - smooth
	}
}

// loss of each picture, [B], from logits and targets [B, K]: cross-entropy; mean binary cross-entropy of the labels; mean
// squared error of the values, in variances.
func (o objective) loss(logits, targets *graph.Node) *graph.Node {
	switch o.task {
	case datasets.Values:
		return graph.ReduceMean(graph.Square(graph.Sub(logits, targets)), -1)
	case datasets.Labels:
		// max(z, 0) - z t + log(1 + exp(-|z|)) has no large exponential.
		rest := graph.Log1P(graph.Exp(graph.Neg(graph.Abs(logits))))
		return graph.ReduceMean(graph.Add(graph.Sub(graph.MaxScalar(logits, 0), graph.Mul(logits, targets)), rest), -1)
	}
	return graph.Neg(graph.ReduceSum(graph.Mul(targets, graph.LogSoftmax(logits, -1)), -1))
}

// standardised is a head in the units of training, written one in those of the pictures.
func (o objective) standardised(h *head.Linear) *head.Linear {
	return o.scaled(h, func(c int, v float64, bias bool) float64 {
		if bias {
			v -= o.mean[c]
		}
		return v / o.sd[c]
	})
}

func (o objective) written(h *head.Linear) *head.Linear {
	return o.scaled(h, func(c int, v float64, bias bool) float64 {
		if v *= o.sd[c]; bias {
			v += o.mean[c]
		}
		return v
	})
}

func (o objective) scaled(h *head.Linear, by func(c int, v float64, bias bool) float64) *head.Linear {
	if o.task != datasets.Values {
		return h
	}
	out := &head.Linear{Classes: h.Classes, Features: h.Features, Weight: make([]float32, len(h.Weight)), Bias: make([]float32, len(h.Bias))}
	for i, v := range h.Weight {
		out.Weight[i] = float32(by(i/h.Features, float64(v), false))
	}
	for c, v := range h.Bias {
		out.Bias[c] = float32(by(c, float64(v), true))
	}
	return out
}

// units are logits of training, [N, K], as the head that is written gives them.
func (o objective) units(logits []float32) []float32 {
	if o.task != datasets.Values {
		return logits
	}
	out := make([]float32, len(logits))
	for i, v := range logits {
		out[i] = float32(float64(v)*o.sd[i%o.k] + o.mean[i%o.k])
	}
	return out
}

// truth is what is known about some pictures.
type truth struct {
	objective
	y       []int     // classes
	targets []float64 // [N, K] of labels or values
}

func (o objective) of(items []datasets.Item, rows []int) truth {
	t := truth{objective: o}
	for _, r := range rows {
		if o.task != datasets.Labels && o.task != datasets.Values {
			t.y = append(t.y, items[r].Class)
			continue
		}
		for c, v := range items[r].Targets {
			if o.task == datasets.Values {
				v = (v - o.mean[c]) / o.sd[c]
			}
			t.targets = append(t.targets, v)
		}
	}
	return t
}

func (t truth) len() int { return max(len(t.y), len(t.targets)/max(t.k, 1)) }

// pick is the truth of some of the pictures.
func (t truth) pick(rows []int) truth {
	out := truth{objective: t.objective}
	for _, r := range rows {
		if t.targets == nil {
			out.y = append(out.y, t.y[r])
		} else {
			out.targets = append(out.targets, t.targets[r*t.k:(r+1)*t.k]...)
		}
	}
	return out
}

// losses are those of [objective.loss], picture by picture.
func (t truth) losses(logits []float32) []float64 {
	out := make([]float64, t.len())
	for i := range out {
		row := logits[i*t.k : (i+1)*t.k]
		if t.targets == nil {
			out[i] = head.LogLoss(row, t.y[i:i+1], t.k)
			continue
		}
		for c, z := range row {
			z, want := float64(z), t.targets[i*t.k+c]
			if t.task == datasets.Values {
				out[i] += (z - want) * (z - want) / float64(t.k)
			} else {
				out[i] += (max(z, 0) - z*want + math.Log1p(math.Exp(-math.Abs(z)))) / float64(t.k)
			}
		}
	}
	return out
}

// judge gives the mean loss and the score, and of classes how many pictures are right.
func (t truth) judge(logits []float32) (loss, score float64, right int) {
	for _, l := range t.losses(logits) {
		loss += l / float64(t.len())
	}
	m := metrics.Matrix{Rows: t.len(), Cols: t.k, Data: logits}
	var err error
	switch t.task {
	case datasets.Labels:
		positive := make([]bool, len(t.targets))
		for i, v := range t.targets {
			positive[i] = v == 1
		}
		score, _, err = metrics.MeanAveragePrecision(m, positive)
	case datasets.Values:
		score, _, err = metrics.MeanR2(m, t.targets)
	default:
		right = head.Correct(logits, t.y, t.k)
		score = float64(right) / float64(len(t.y))
	}
	if err != nil { // logits that are no numbers have no score
		score = math.NaN()
	}
	return loss, score, right
}

// metric is the score's name in a history.
func (o objective) metric() string {
	switch o.task {
	case datasets.Labels:
		return curves.MAP
	case datasets.Values:
		return curves.R2
	}
	return curves.Accuracy
}

// counted is how many pictures a score is a fraction of; 0 where it is none.
func (t truth) counted() int { return len(t.y) }

// rarest is how many pictures there are of the rarest class, with and without each label, or off the commonest number of
// each value: more folds than that cannot all be learnt from.
func rarest(items []datasets.Item) int {
	n := len(items)
	if n == 0 || items[0].Targets == nil {
		count := map[int]int{}
		for _, it := range items {
			count[it.Class]++
		}
		smallest := n
		for _, c := range count {
			smallest = min(smallest, c)
		}
		return smallest
	}
	smallest := n
	for c := range items[0].Targets {
		count, most := map[float64]int{}, 0
		for _, it := range items {
			count[it.Targets[c]]++
			most = max(most, count[it.Targets[c]])
		}
		smallest = min(smallest, n-most)
		if with := count[1]; with+count[0] == n {
			smallest = min(smallest, with, n-with)
		}
	}
	return smallest
}

// numbers says whether the pictures have real values, and not labels that are there or not.
func numbers(items []datasets.Item) bool {
	for _, it := range items {
		for _, v := range it.Targets {
			if v != 0 && v != 1 {
				return true
			}
		}
	}
	return false
}
