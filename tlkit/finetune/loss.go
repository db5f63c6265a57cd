package finetune

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// loss is the training loss of a task, in a graph and outside of one, with its targets and its
// units. Each task has its own, in its own file.
type loss interface {
	// suits reports an option of the plan that does not suit the task.
	suits(p Plan) error
	// target writes the target of a picture into out, [K].
	target(it datasets.Item, smoothing float64, out []float32)
	// graph returns the loss of each picture, [B], from logits and targets, both [B, K].
	graph(logits, targets *graph.Node) *graph.Node
	// row returns the same loss for one picture, from its logits and row i of s.
	row(s head.Samples, i int, logits []float32) float64
	// known returns the labels or values of some pictures, in the units of training.
	known(items []datasets.Item) head.Samples
	// epochScore returns the score of an epoch's training pictures from its sums: the mean loss,
	// the number of correct pictures and the number of pictures. ok is false if these are not
	// enough.
	epochScore(loss, right float64, seen int) (score float64, ok bool)
	// inTraining and written convert a head from the units of the pictures to those of training and
	// back; units converts logits, [N, K], back.
	inTraining(h *head.Linear) *head.Linear
	written(h *head.Linear) *head.Linear
	units(logits []float32) []float32
	// tempered reports whether the logits are turned into probabilities, so that dividing all of
	// them by a number changes how sure they are, and no prediction.
	tempered() bool
}

// objective is the loss of a training and its task.
type objective struct {
	task task.Task
	loss loss
	k    int // classes, labels or values
}

// newObjective checks the labels or values of d's pictures. A new task adds its case here.
func newObjective(d Data) (objective, error) {
	o := objective{task: d.task(), k: d.Outputs}
	var err error
	switch t := o.task.(type) {
	case task.Classes:
		o.loss, err = newClassLoss(d)
	case task.Labels:
		o.loss, err = newLabelLoss(d)
	case task.Values:
		o.loss, err = newValueLoss(d)
	default:
		err = advice.New(fmt.Errorf("finetune: no loss for the task %q", t.Name()), "use the version of tlkit that knows it")
	}
	return o, err
}

// checkTargets reports pictures without exactly one target for each output, and calls check with
// each target.
func checkTargets(d Data, check func(v float64) error) error {
	for _, items := range [][]datasets.Item{d.Train, d.Valid} {
		for _, it := range items {
			if len(it.Targets) != d.Outputs {
				return fmt.Errorf("finetune: %s has %d targets, want %d, one for each of the %s", it.Rel, len(it.Targets), d.Outputs, d.task().Name())
			}
			for _, v := range it.Targets {
				if err := check(v); err != nil {
					return fmt.Errorf("finetune: %s has target %v, want %w", it.Rel, v, err)
				}
			}
		}
	}
	return nil
}

// plainUnits is for tasks whose logits have the same units in training and outside.
type plainUnits struct{}

func (plainUnits) inTraining(h *head.Linear) *head.Linear { return h }
func (plainUnits) written(h *head.Linear) *head.Linear    { return h }
func (plainUnits) units(logits []float32) []float32       { return logits }
func (plainUnits) tempered() bool                         { return true }

// truth is the labels or values of some pictures, in the units of training.
type truth struct {
	objective objective
	samples   head.Samples
}

// truthOf returns the truth of some of the items.
func (o objective) truthOf(items []datasets.Item, rows []int) truth {
	some := make([]datasets.Item, len(rows))
	for i, r := range rows {
		some[i] = items[r]
	}
	return truth{o, o.loss.known(some)}
}

func (t truth) len() int { return t.samples.Len() }

// pick returns the truth of some of the pictures.
func (t truth) pick(rows []int) truth { return truth{t.objective, t.samples.Select(rows)} }

// losses returns [loss.row] of each picture.
func (t truth) losses(logits []float32) []float64 {
	k := t.objective.k
	out := make([]float64, t.len())
	for i := range out {
		out[i] = t.objective.loss.row(t.samples, i, logits[i*k:(i+1)*k])
	}
	return out
}

// judge returns the mean loss and the score. The score is NaN if a logit is not finite.
func (t truth) judge(logits []float32) (loss float64, score metrics.Score) {
	for _, l := range t.losses(logits) {
		loss += l / float64(t.len())
	}
	score, err := t.objective.task.Measure(t.samples, logits)
	if err != nil {
		score = metrics.NewScore(t.objective.task.Metric(), math.NaN(), metrics.Unknown(), t.len())
	}
	return loss, score
}

// temperature returns the number to divide logits by for the lowest loss, 1 where the task has no
// probabilities. A network that was fine-tuned on few pictures is too sure of itself; that is not
// what the folds are asked about. Guo et al. 2017, https://arxiv.org/abs/1706.04599.
func (t truth) temperature(logits []float32) float64 {
	if !t.objective.loss.tempered() {
		return 1
	}
	loss := func(log float64) (sum float64) {
		for _, l := range t.losses(divided(logits, math.Exp(log))) {
			sum += l
		}
		return sum
	}
	// Golden section; the loss has one minimum.
	const golden = 0.6180339887498949
	low, high := math.Log(1./maxTemperature), math.Log(maxTemperature)
	a, b := high-golden*(high-low), low+golden*(high-low)
	atA, atB := loss(a), loss(b)
	for high-low > 0.01 {
		if atA <= atB {
			high, b, atB = b, a, atA
			a = high - golden*(high-low)
			atA = loss(a)
		} else {
			low, a, atA = a, b, atB
			b = low + golden*(high-low)
			atB = loss(b)
		}
	}
	return math.Exp((low + high) / 2)
}

// divided returns logits divided by a temperature.
func divided(logits []float32, temperature float64) []float32 {
	if temperature == 1 {
		return logits
	}
	out := make([]float32, len(logits))
	for i, v := range logits {
		out[i] = v / float32(temperature)
	}
	return out
}

// paired returns the mean difference of the losses over the pictures, and its standard error.
func (t truth) paired(a, b []float32) (mean, standardError float64) {
	n := float64(t.len())
	var sum, square float64
	before, after := t.losses(a), t.losses(b)
	if t.samples.Clusters != nil {
		for i := range before {
			before[i] -= after[i]
		}
		return t.samples.Clusters.Mean(before)
	}
	for i := range before {
		d := before[i] - after[i]
		sum += d
		square += d * d
	}
	mean = sum / n
	return mean, math.Sqrt(max(square/n-mean*mean, 0) / max(n-1, 1))
}
