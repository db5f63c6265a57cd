package finetune

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// loss is what a task asks of a network while it is trained: what it should say about a picture,
// how far it is off, in a graph and outside of one, and in which units. There is one for each task,
// in a file of its own.
type loss interface {
	// suits reports what of a plan the task has no use for.
	suits(p Plan) error
	// target writes what the network should say about a picture, [K].
	target(it datasets.Item, smoothing float64, to []float32)
	// graph is the loss of each picture, [B], from logits and targets, both [B, K].
	graph(logits, targets *graph.Node) *graph.Node
	// row is the same for the logits of one picture, row i of what is known.
	row(s head.Samples, i int, logits []float32) float64
	// known is what is known about some pictures, in the units of training.
	known(items []datasets.Item) head.Samples
	// epochScore is the training pictures' score in an epoch of which only sums are kept: the
	// mean loss and how many of how many pictures were right. ok is false where these do not tell.
	epochScore(loss, right float64, seen int) (score float64, ok bool)
	// inTraining and written turn a head from the units of the pictures into those of training
	// and back; units does the second with logits, [N, K].
	inTraining(h *head.Linear) *head.Linear
	written(h *head.Linear) *head.Linear
	units(logits []float32) []float32
}

// objective is the loss of a training with the task that it is of.
type objective struct {
	task task.Task
	loss loss
	k    int // classes, labels or values
}

// newObjective checks what is known about the pictures of d. A further task has its case here.
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
		err = fmt.Errorf("finetune: no loss for the task %q", t.Name())
	}
	return o, err
}

// checkTargets wants one target for each output and calls check with every one.
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

// plainUnits are those of tasks whose logits mean the same in training and outside of it.
type plainUnits struct{}

func (plainUnits) inTraining(h *head.Linear) *head.Linear { return h }
func (plainUnits) written(h *head.Linear) *head.Linear    { return h }
func (plainUnits) units(logits []float32) []float32       { return logits }

// truth is what is known about some pictures, in the units of training.
type truth struct {
	objective objective
	samples   head.Samples
}

// truthOf is what is known about some of the items.
func (o objective) truthOf(items []datasets.Item, rows []int) truth {
	some := make([]datasets.Item, len(rows))
	for i, r := range rows {
		some[i] = items[r]
	}
	return truth{o, o.loss.known(some)}
}

func (t truth) len() int { return t.samples.Len() }

// pick is the truth of some of the pictures.
func (t truth) pick(rows []int) truth { return truth{t.objective, t.samples.Select(rows)} }

// losses are those of [loss.row], picture by picture.
func (t truth) losses(logits []float32) []float64 {
	k := t.objective.k
	out := make([]float64, t.len())
	for i := range out {
		out[i] = t.objective.loss.row(t.samples, i, logits[i*k:(i+1)*k])
	}
	return out
}

// judge gives the mean loss and the score. Logits that are no numbers have the score NaN.
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

// paired is the mean of the differences of loss, picture by picture, and its standard error.
func (t truth) paired(a, b []float32) (mean, standardError float64) {
	n := float64(t.len())
	var sum, square float64
	before, after := t.losses(a), t.losses(b)
	for i := range before {
		d := before[i] - after[i]
		sum += d
		square += d * d
	}
	mean = sum / n
	return mean, math.Sqrt(max(square/n-mean*mean, 0) / max(n-1, 1))
}
