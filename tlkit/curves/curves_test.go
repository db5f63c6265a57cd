package curves

import (
	"math"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

func valid(metric metrics.Metric, values ...float64) []Point {
	var out []Point
	for i, v := range values {
		out = append(out, Point{Step: i + 1, Epoch: float64(i + 1), Phase: Head, Split: Valid, Metric: metric, Value: v, N: 153})
	}
	return out
}

func TestSmooth(t *testing.T) {
	nan := math.NaN()
	points := valid(Loss, 2, 1, nan, 1, 1)
	got := Smooth(points, 0.5)
	// By hand: (1/2)2/(1/2) = 2, (1/4*2+1/2)/(3/4) = 4/3, NaN, then 8/7 and 16/15.
	for i, want := range []float64{2, 4. / 3, nan, 8. / 7, 16. / 15} {
		if !(math.Abs(got[i].Value-want) < 1e-15) && !(math.IsNaN(got[i].Value) && math.IsNaN(want)) {
			t.Errorf("point %d: %v, want %v", i, got[i].Value, want)
		}
	}
	if points[1].Value != 1 {
		t.Error("Smooth changed its input")
	}
	for _, beta := range []float64{0, 1, -1, nan, 7} {
		if Smooth(points, beta)[1].Value != 1 {
			t.Errorf("beta %v smoothed", beta)
		}
	}
}

func TestBest(t *testing.T) {
	nan := math.NaN()
	if p, ok := Best(valid(Loss, 0.5, 0.2, nan, 0.2)); !ok || p.Step != 2 {
		t.Errorf("best loss: %+v", p)
	}
	if p, ok := Best(valid(Accuracy, nan, 0.9, 0.95, 0.95, math.Inf(1))); !ok || p.Step != 3 {
		t.Errorf("best accuracy: %+v", p)
	}
	if _, ok := Best(valid(Loss, nan)); ok {
		t.Error("NaN was best")
	}
}

func TestSeriesOfAResumedRun(t *testing.T) {
	r := Run{Points: append(valid(Loss, 3, 2, 1), valid(Loss, 9, 8)[1])}
	r.Points = append(r.Points, Point{Step: 2, Epoch: 2, Split: Train, Metric: Loss, Value: 5}, Point{Metric: Accuracy, Value: 1})
	s := r.Series(Valid, Loss)
	if len(s) != 3 || s[1].Value != 8 || s[2].Value != 1 {
		t.Errorf("series: %+v", s)
	}
	if got := r.Splits(Loss); len(got) != 2 || got[0] != Train {
		t.Error(got)
	}
	if got := r.Metrics(); len(got) != 2 || got[1] != Accuracy {
		t.Error(got)
	}
	r.Axis = Iterations
	if r.X(Point{Step: 7, Epoch: 1}) != 7 || r.MarkX(Mark{Step: 3}) != 3 {
		t.Error("the axis of iterations is the step")
	}
}

func TestKeptAndUnfrozen(t *testing.T) {
	r := Run{Points: append(valid(Loss, 3, 1, 2), valid(Accuracy, .8, .9, .95)...)}
	if x, why, ok := r.Kept(); !ok || x != 2 || why != "best valid loss" {
		t.Error(x, why, ok)
	}
	// Out-of-fold points chose; validation is only drawn.
	r.Points = append(r.Points, Point{Step: 1, Epoch: 1, Split: Folds, Metric: Accuracy, Value: .91})
	if x, why, _ := r.Kept(); x != 1 || why != "best folds accuracy" {
		t.Error(x, why)
	}
	r.Marks = []Mark{{Kind: Chosen, Epoch: 3}}
	if x, why, _ := r.Kept(); x != 3 || why != Chosen {
		t.Error(x, why)
	}
	if _, _, ok := (Run{}).Kept(); ok {
		t.Error("an empty run kept something")
	}

	if _, ok := r.Unfrozen(); ok {
		t.Error("a head run has no border")
	}
	r.Points = append(r.Points, Point{Epoch: 3.1, Phase: Finetune, Metric: Loss}, Point{Epoch: 4, Phase: Finetune, Metric: Loss})
	if x, ok := r.Unfrozen(); !ok || x != 3 {
		t.Error(x, ok)
	}
	r.Marks = append(r.Marks, Mark{Kind: Unfreeze, Epoch: 2.5})
	if x, _ := r.Unfrozen(); x != 2.5 {
		t.Error(x)
	}
}

func TestOnePhaseAlone(t *testing.T) {
	r := Run{Name: "x", Axis: Iterations}
	for i := 1; i <= 6; i++ {
		phase := Head
		if i > 4 {
			phase = Finetune
		}
		r.Points = append(r.Points, Point{Step: 10 * i, Epoch: float64(i), Phase: phase, Split: Valid, Metric: Loss, Value: 1 / float64(i)})
	}
	r.Points = append(r.Points, r.Points[0]) // after a resume the head's are written again
	r.Marks = []Mark{{Kind: Chosen, Step: 40, Epoch: 4}, {Kind: Unfreeze, Step: 40, Epoch: 4}, {Kind: Chosen, Step: 60, Epoch: 6}}
	tuned, fixed := r.Only(Finetune), r.Only(Head)
	if got := tuned.Series(Valid, Loss); len(got) != 2 || got[0].Epoch != 1 || got[0].Step != 10 || got[1].Epoch != 2 || got[1].Value != 1./6 {
		t.Errorf("fine-tuning alone: %+v", got)
	}
	if tuned.Axis != Epochs || fixed.Axis != Iterations {
		t.Errorf("axes %s and %s", tuned.Axis, fixed.Axis)
	}
	if len(tuned.Marks) != 1 || tuned.Marks[0].Epoch != 2 || tuned.Marks[0].Step != 20 {
		t.Errorf("its marks: %+v", tuned.Marks)
	}
	if got := fixed.Series(Valid, Loss); len(got) != 4 || got[3].Epoch != 4 || len(fixed.Marks) != 1 || fixed.Marks[0].Step != 40 {
		t.Errorf("the head alone: %+v, %+v", got, fixed.Marks)
	}
	if none := r.Only("both"); len(none.Points) != 0 || len(none.Marks) != 0 || len(r.Points) != 7 {
		t.Errorf("an unknown phase: %+v", none)
	}
	if x, ok := tuned.Unfrozen(); ok {
		t.Errorf("a phase alone has a border at %v", x)
	}
}
