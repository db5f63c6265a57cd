package curves

import (
	"cmp"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// The words used in [Point], [Mark] and [Run]. Others are allowed; these have a meaning for
// [Run.Kept] and for the figures of package plots.
const (
	Head     = "head"     // Phase: the backbone is frozen
	Finetune = "finetune" // Phase: the backbone moves too

	Train = "train" // Split
	Valid = "valid" // Split: reported, and never used to choose if there are Folds
	Test  = "test"  // Split: the same, for sets without valid
	Folds = "folds" // Split: out-of-fold predictions on the training pictures

	Loss     metrics.Metric = "loss"           // in nats; for real values the squared error in units of the variance
	Accuracy                = metrics.Accuracy // 0..1
	MAP                     = metrics.MAP      // 0..1: mean average precision, for several labels
	R2                      = metrics.R2       // at most 1: explained variance of real values
	Rate     metrics.Metric = "rate"           // learning rate

	Unfreeze = "unfreeze" // Mark: the backbone moves from here on
	Chosen   = "chosen"   // Mark: the state that was kept

	Epochs     = "epoch"        // Axis: x is Point.Epoch
	Iterations = "iteration"    // Axis: x is Point.Step, iterations of an optimiser
	Strengths  = "strength no." // Axis: x is Point.Step, strengths of L2, the strongest first
)

// Point is one measurement.
type Point struct {
	Step   int     // optimiser steps done
	Epoch  float64 // passes over the training pictures done; 2.5 is in the middle of the third
	Phase  string
	Split  string
	Metric metrics.Metric
	Value  float64
	N      int // number of pictures that Value is a fraction of; 0 if it is not a fraction
}

// Mark is an event on the x axis.
type Mark struct {
	Kind  string
	Step  int
	Epoch float64
	Text  string // a few words for the reader; may be empty
}

// Run is the history of one training run. When several runs are shown together, runs of the
// same Name are repetitions (seeds), and runs of different Names are compared.
type Run struct {
	Name   string
	Axis   string // Epochs, Iterations or Strengths; "" = Epochs
	Points []Point
	Marks  []Mark
}

// Clone returns a copy of the run with its points and marks.
func (r Run) Clone() Run {
	r.Points, r.Marks = slices.Clone(r.Points), slices.Clone(r.Marks)
	return r
}

// X returns the coordinate of p on the run's axis.
func (r Run) X(p Point) float64 {
	if r.Axis == Iterations || r.Axis == Strengths {
		return float64(p.Step)
	}
	return p.Epoch
}

// MarkX returns the coordinate of m on the run's axis.
func (r Run) MarkX(m Mark) float64 { return r.X(Point{Step: m.Step, Epoch: m.Epoch}) }

// Series returns the points of one split and metric along the axis. If a point was written
// twice, as after a resumed training, the later one counts. An empty split means every split.
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

// Splits returns the splits that have points of a metric: train, folds, valid and test first,
// then others in order of appearance.
func (r Run) Splits(metric metrics.Metric) []string {
	return distinct(r.Points, []string{Train, Folds, Valid, Test}, func(p Point) (string, bool) { return p.Split, p.Metric == metric })
}

// Metrics returns the metrics of the run: loss, accuracy, mAP, R² and rate first, then others
// in order of appearance.
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

// Best returns the best finite point: the lowest loss or rate, the highest value of any other
// metric, and of equal points the earliest. The bool is false if there is none.
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

// Kept returns the place of the state that a run has kept: the last Chosen mark, else the best
// out-of-fold metric, else the lowest validation loss, else the highest validation accuracy.
// why says which, for a caption: "chosen", "best folds accuracy", "best valid loss". ok is
// false if the run has none of them.
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

// Unfrozen returns where fine-tuning starts: the first Unfreeze mark, else the last point of
// phase Head before the first of phase Finetune. ok is false if the run has only one phase.
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

// Smooth returns an exponential moving average along the points, corrected at its start so
// that it begins with the first value and not near zero. beta is in [0, 1): 0 changes nothing,
// 0.9 averages over about ten points. Values that are not finite stay as they are and do not
// affect the average.
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

// Only returns one phase of a run with steps and epochs counted from its start, to compare
// phases of different runs in one figure. Its axis is the run's own for phase Head, and Epochs
// otherwise: the iterations of a solver before it do not matter.
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
		// The end of what came before. After a resumed training it may be there twice.
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
