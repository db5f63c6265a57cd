package results

import (
	"math"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

func TestPowerLaw(t *testing.T) {
	pictures := []float64{30, 61, 122, 244}
	var wrong []float64
	for _, n := range pictures {
		wrong = append(wrong, 0.9*math.Pow(n, -0.35))
	}
	if got, want := PowerLaw(pictures, wrong, 1000), 0.9*math.Pow(1000, -0.35); math.Abs(got-want) > 1e-12 {
		t.Errorf("%v, want %v", got, want)
	}
	// Errors that grow are taken for chance.
	if a, b := PowerLaw(pictures, []float64{0.1, 0.11, 0.1, 0.12}, 244), PowerLaw(pictures, []float64{0.1, 0.11, 0.1, 0.12}, 488); a != b {
		t.Errorf("%v, then %v", a, b)
	}
}

func TestForecastsSayWhatTheyAre(t *testing.T) {
	c := LearningCurve{Data: "x", Split: "test", Total: 100, Metric: metrics.Accuracy, Points: []CurvePoint{{Train: 50, Mean: 0.8, Interval: metrics.Wilson(80, 100)}, {Train: 100, Mean: 0.85, Interval: metrics.Wilson(85, 100)}},
		More: &Forecast{Train: 200, Gain: 0.02, Interval: metrics.Interval{Low: 0.01, High: 0.03}}, Twice: &Forecast{Train: 200, Gain: 0.02, Interval: metrics.Interval{Low: 0, High: 0.03}}}
	text := c.Text()
	for _, want := range []string{"50: 80.0 %, 100: 85.0 %", "100 more pictures would bring about +2.0 points (95 % +1.0 to +3.0)", "whether twice as many (200) would help cannot be told: +2.0 points (95 % +0.0 to +3.0)"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if said := c.Figure().Text(); !strings.Contains(said, "forecast") {
		t.Errorf("the figure: %s", said)
	}
}
