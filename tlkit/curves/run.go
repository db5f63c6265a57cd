package curves

import (
	"cmp"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// Words that are used in Point and Mark. Others are allowed; these have a
// meaning for pictures and choices.
const (
	Head     = "head"     // Phase: the backbone is frozen
	Finetune = "finetune" // Phase: the backbone moves too

	Train = "train" // Split
	Valid = "valid" // Split: reported, never used to choose when Folds are there
	Test  = "test"  // Split: the same, for sets that have no valid
	Folds = "folds" // Split: out-of-fold predictions on the training pictures

	Loss     metrics.Metric = "loss" // Metric, nats; of real values squared error in variances
	Accuracy                = metrics.Accuracy
	MAP                     = metrics.MAP
	R2                      = metrics.R2
	Rate     metrics.Metric = "rate" // Metric, learning rate

	Unfreeze = "unfreeze" // Mark: the backbone moves from here on
	Chosen   = "chosen"   // Mark: the state that was kept

	Epochs     = "epoch"        // Axis: Point.Epoch is the x coordinate
	Iterations = "iteration"    // Axis: Point.Step is, one optimiser iteration each
	Strengths  = "strength no." // Axis: Point.Step is, one L2 strength each, the strongest first
)

// Point is one measurement.
type Point struct {
	Step   int     // optimiser steps done
	Epoch  float64 // passes over the training pictures done; 2.5 is in the middle of the third
	Phase  string
	Split  string
	Metric metrics.Metric
	Value  float64
	N      int // pictures behind Value; 0 = not a count of pictures
}

// Mark is an event on the x axis.
type Mark struct {
	Kind  string
	Step  int
	Epoch float64
	Text  string // a few words for the person; may be empty
}

// Run is the history of one training run. Runs of one Name that are looked at
// together are repetitions of one another (seeds); different Names are rivals.
type Run struct {
	Name   string
	Axis   string // Epochs, Iterations or Strengths; "" = Epochs
	Points []Point
	Marks  []Mark
}

// Clone copies the run with its points and marks.
func (r Run) Clone() Run {
	r.Points, r.Marks = slices.Clone(r.Points), slices.Clone(r.Marks)
	return r
}

// X is the coordinate of p on the run's axis.
func (r Run) X(p Point) float64 {
	if r.Axis == Iterations || r.Axis == Strengths {
		return float64(p.Step)
	}
	return p.Epoch
}

// MarkX is the coordinate of m on the run's axis.
func (r Run) MarkX(m Mark) float64 { return r.X(Point{Step: m.Step, Epoch: m.Epoch}) }

// Series returns the points of one split and metric along the axis. Of points
// written twice at one place, as after a resume, the later one counts. An empty
// split takes points of every split.
func (r Run) Series(split string, metric metrics.Metric) []Point {
	var out []Point
	for _, p := range r.Points {
		if p.Metric == metric && (split == "" || p.Split == split) {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b Point) int {
		return cmp.Or(cmp.Compare(r.X(a), r.X(b)), cmp.Compare(a.Step, b.Step))
	})
	kept := out[:0]
	for _, p := range out {
		if n := len(kept); n > 0 && r.X(kept[n-1]) == r.X(p) && kept[n-1].Step == p.Step && kept[n-1].Split == p.Split {
			kept[n-1] = p
			continue
		}
		kept = append(kept, p)
	}
	return kept
}

// Splits names the splits that have points of a metric: train, folds, valid,
// test first, others after in order of appearance.
func (r Run) Splits(metric metrics.Metric) []string {
	return distinct(r.Points, []string{Train, Folds, Valid, Test}, func(p Point) (string, bool) { return p.Split, p.Metric == metric })
}

// Metrics names the metrics of the run: loss, accuracy, rate first, others
// after in order of appearance.
func (r Run) Metrics() []metrics.Metric {
	return distinct(r.Points, []metrics.Metric{Loss, Accuracy, MAP, R2, Rate}, func(p Point) (metrics.Metric, bool) { return p.Metric, true })
}

func distinct[W ~string](points []Point, first []W, word func(Point) (W, bool)) []W {
	var seen []W
	for _, p := range points {
		if w, ok := word(p); ok && !slices.Contains(seen, w) {
			seen = append(seen, w)
		}
	}
	slices.SortStableFunc(seen, func(a, b W) int {
		rank := func(w W) int {
			if i := slices.Index(first, w); i >= 0 {
				return i
			}
			return len(first)
		}
		return cmp.Compare(rank(a), rank(b))
	})
	return seen
}

// Best returns the best finite point: the highest accuracy (or any metric but
// loss and rate), the lowest loss. Of equal points the earliest is best. It
// reports false when there is none.
func Best(points []Point) (Point, bool) {
	best, found := Point{}, false
	for _, p := range points {
		if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
			continue
		}
		if !found || (lowerIsBetter(p.Metric) && p.Value < best.Value) || (!lowerIsBetter(p.Metric) && p.Value > best.Value) {
			best, found = p, true
		}
	}
	return best, found
}

// lowerIsBetter reports whether a metric improves downwards.
func lowerIsBetter(metric metrics.Metric) bool { return metric == Loss || metric == Rate }

// Kept returns the place of the state a run stands for: the last Chosen mark;
// without one the best out-of-fold accuracy, else the lowest validation loss,
// else the highest validation accuracy. The word says which, for a caption:
// "chosen", "best folds accuracy", "best valid loss". It reports false when
// the run has none of them.
func (r Run) Kept() (x float64, why string, ok bool) {
	for i := len(r.Marks) - 1; i >= 0; i-- {
		if r.Marks[i].Kind == Chosen {
			return r.MarkX(r.Marks[i]), Chosen, true
		}
	}
	for _, c := range []struct {
		split  string
		metric metrics.Metric
	}{{Folds, Accuracy}, {Folds, MAP}, {Folds, R2}, {Folds, Loss}, {Valid, Loss}, {Valid, Accuracy}} {
		if p, found := Best(r.Series(c.split, c.metric)); found {
			return r.X(p), "best " + c.split + " " + c.metric.Title(), true
		}
	}
	return 0, "", false
}

// Unfrozen returns where the backbone starts to move: the first Unfreeze mark,
// else the last point before the first one of phase Finetune. It reports false
// for a run that is all of one phase.
func (r Run) Unfrozen() (x float64, ok bool) {
	for _, m := range r.Marks {
		if m.Kind == Unfreeze {
			return r.MarkX(m), true
		}
	}
	first, head := math.Inf(1), math.Inf(-1)
	for _, p := range r.Points {
		switch p.Phase {
		case Finetune:
			first = math.Min(first, r.X(p))
		case Head:
			head = math.Max(head, r.X(p))
		}
	}
	if math.IsInf(first, 0) || math.IsInf(head, 0) {
		return 0, false
	}
	return math.Min(first, head), true
}

// Smooth is an exponential moving average along the points, corrected for its
// start, so that the first value stands for itself instead of leaning on zero.
// Beta in [0, 1): 0 changes nothing, 0.9 averages over about ten points. A
// value that is not finite stays as it is and leaves the average alone.
func Smooth(points []Point, beta float64) []Point {
	if !(beta > 0 && beta < 1) {
		return slices.Clone(points)
	}
	out, sum, weight := slices.Clone(points), 0.0, 0.0
	for i, p := range points {
		if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
			continue
		}
		sum, weight = beta*sum+(1-beta)*p.Value, beta*weight+(1-beta)
		out[i].Value = sum / weight
	}
	return out
}

// Only is one phase of a run, counted from its own beginning, for comparing phases of different runs in one picture. Its
// axis are epochs: what a solver's iterations before it were counted in says nothing about it.
func (r Run) Only(phase string) Run {
	out := Run{Name: r.Name, Axis: Epochs}
	if phase == Head {
		out.Axis = r.Axis
	}
	step, epoch, last := 0, 0.0, 0
	for _, p := range r.Points {
		if p.Phase == phase {
			break
		}
		// What lies before it; written twice after a resume, the largest counts.
		step, epoch = max(step, p.Step), max(epoch, p.Epoch)
	}
	for _, p := range r.Points {
		if p.Phase != phase {
			continue
		}
		p.Step, p.Epoch = p.Step-step, p.Epoch-epoch
		out.Points, last = append(out.Points, p), max(last, p.Step)
	}
	for _, m := range r.Marks {
		if m.Kind == Chosen && m.Step > step && m.Step-step <= last {
			m.Step, m.Epoch = m.Step-step, m.Epoch-epoch
			out.Marks = append(out.Marks, m)
		}
	}
	return out
}
