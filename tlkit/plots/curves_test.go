package plots

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// panelOf returns a figure's panel of a metric.
func panelOf(t *testing.T, metric metrics.Metric, runs ...curves.Run) (*curvesChart, *curvesPanel) {
	t.Helper()
	ch := newCurvesChart(runs)
	_ = ch.figure() // lays it out
	for _, p := range ch.panels {
		if p.metric == metric {
			return ch, p
		}
	}
	t.Fatalf("no panel of %s", metric)
	return nil, nil
}

// A head's solver counts iterations or strengths, fine-tuning counts epochs: neither squeezes the
// other, and nobody reads one as the other.
func TestTwoPhasesHaveTwoAxes(t *testing.T) {
	for _, c := range []struct {
		axis       string
		iterations int
	}{{curves.Iterations, 129}, {curves.Iterations, 5}, {curves.Strengths, 10}} {
		run := tuned(c.axis, c.iterations, 8, "everything")
		ch, p := panelOf(t, curves.Accuracy, run)
		last := ch.solved
		if last != float64(c.iterations) || math.Abs(p.px(last)-p.left-headShare*p.w) > 1e-6 {
			t.Errorf("%s: the head ends at %v, %v of %v from the left", c.axis, last, p.px(last)-p.left, p.w)
		}
		if x := p.px(last + 8); math.Abs(x-p.left-p.w) > 1e-6 {
			t.Errorf("%s: the last epoch is drawn at %v, the panel ends at %v", c.axis, x, p.left+p.w)
		}
		if p.xName != curves.Epochs || p.headName != c.axis {
			t.Errorf("%s: the axes are called %q and %q", c.axis, p.headName, p.xName)
		}
		text := Curves(run).Text()
		for _, words := range []string{"Kept: epoch 8 of fine-tuning.", "The backbone is frozen until " + c.axis + " " + place(last) + ", then fine-tuned."} {
			if !strings.Contains(text, words) {
				t.Errorf("%s: no %q in %q", c.axis, words, text)
			}
		}
	}
	// Heads of different lengths end at the longest one's place.
	a, b := tuned(curves.Iterations, 20, 3, "everything"), tuned(curves.Iterations, 90, 3, "everything")
	b.Name = "other"
	ch, p := panelOf(t, curves.Loss, a, b)
	if p.sub != curves.Test {
		t.Errorf("two fine-tuned runs are compared on %s, which ends with the head", p.sub)
	}
	for _, g := range ch.groups {
		if g.kept != 93 || ch.solved != 90 || ch.border != 90 {
			t.Errorf("%s was kept at %v after a head of %v", g.name, g.kept, ch.solved)
		}
	}
	// Without fine-tuning, or without a solver, there is one axis.
	for name, r := range map[string]curves.Run{"head": tuned(curves.Iterations, 40, 0), "epochs": fineTuned("x", 1)} {
		if ch, p := panelOf(t, curves.Loss, r); ch.solved != 0 || p.x.head != nil {
			t.Errorf("%s: two axes", name)
		}
	}
}

// The first iteration of an untrained head must not squeeze all others into a tenth of the height,
// nor the first ten into a tenth of the width.
func TestFirstIterationDoesNotSetTheAxes(t *testing.T) {
	ch, p := panelOf(t, curves.Accuracy, tuned(curves.Iterations, 129, 0))
	if p.y.lo < 0.88 {
		t.Errorf("the accuracy axis begins at %v for a head that is at 94 %% from the second iteration on", p.y.lo)
	}
	if x := (p.px(10) - p.left) / p.w; x < 0.4 {
		t.Errorf("ten of 129 iterations have %.2f of the width", x)
	}
	if !slices.ContainsFunc(ch.notes, func(s string) bool { return strings.Contains(s, "accuracy 49.7 % to 50.0 %") }) {
		t.Errorf("nothing says what lies outside: %q", ch.notes)
	}
	// A head that climbs slowly is shown from its beginning, and epochs always are.
	for name, r := range map[string]curves.Run{"slow": logistic(), "epochs": fineTuned("x", 1)} {
		ch, p := panelOf(t, curves.Accuracy, r)
		for _, s := range p.series {
			if s.samples[0].y < p.y.lo {
				t.Errorf("%s: %s begins outside, %q", name, s.split, ch.notes)
			}
		}
	}
}

func TestRatesOfGroupsAreOneLine(t *testing.T) {
	_, p := panelOf(t, curves.Rate, tuned(curves.Iterations, 10, 8, "features.17", "features.18", "head"))
	if len(p.series) != 1 || p.series[0].flat || p.y.log {
		t.Fatalf("%d lines, %+v", len(p.series), p.y)
	}
	first := p.series[0].samples[0]
	if !(math.Abs(first.lo/first.hi-0.49) < 1e-9) || first.hi != first.y {
		t.Errorf("the band begins at %v to %v, the line at %v", first.lo, first.hi, first.y)
	}
	if !strings.Contains(p.sub, "(features.17) to ") || !strings.HasSuffix(p.sub, "(head)") {
		t.Errorf("the subtitle is %q", p.sub)
	}
	same := tuned(curves.Iterations, 10, 8, "backbone")
	if _, p := panelOf(t, curves.Rate, same); !p.series[0].flat || p.sub != "peak 9.62e-4" {
		t.Errorf("one group: %q", p.sub)
	}
	// Rates of different sizes can be told apart.
	slow := same.Clone()
	slow.Name = "slow"
	for i := range slow.Points {
		if slow.Points[i].Metric == curves.Rate {
			slow.Points[i].Value /= 100
		}
	}
	for name, runs := range map[string][]curves.Run{"rivals": {same, slow}, "stairs": {stairs()}, "groups": {tuned(curves.Iterations, 5, 6, "a", "b", "c", "d", "e", "f", "g", "h", "i")}} {
		if _, p := panelOf(t, curves.Rate, runs...); !p.y.log {
			t.Errorf("%s: a linear axis from %v to %v", name, p.y.lo, p.y.hi)
		}
	}
	if _, p := panelOf(t, curves.Rate, fineTuned("x", 1)); p.y.log || p.y.lo != 0 {
		t.Errorf("one schedule that ends at 0: %+v", p.y)
	}
}

// The value that was kept stands under the title and on no line.
func TestKeptIsInTheSubtitle(t *testing.T) {
	_, p := panelOf(t, curves.Accuracy, logistic())
	if p.sub != "kept: 95.1 % (232 of 244), folds" || p.subColour == nil || p.subColour.text != green.text {
		t.Errorf("%q", p.sub)
	}
}
