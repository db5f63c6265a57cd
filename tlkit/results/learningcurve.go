package results

import (
	"fmt"
	"math"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
)

// LearningCurve is how the score grows with the number of training pictures, and what more of them would
// bring.
type LearningCurve struct {
	Data   string         `json:"data"`
	Model  string         `json:"model"`
	Split  string         `json:"split"` // that the heads are scored on
	Total  int            `json:"total"` // pictures of it
	Metric metrics.Metric `json:"metric"`
	Labels int            `json:"labels"`
	Points []CurvePoint   `json:"points"` // from few pictures to all

	// Twice is what twice as many pictures would bring, More what a hundred more would; nil where that
	// was not computed, and Why says so.
	Twice *Forecast `json:"twice,omitempty"`
	More  *Forecast `json:"more,omitempty"`
	Why   string    `json:"why,omitempty"`
}

// CurvePoint is the scores of heads that learnt from so many pictures.
type CurvePoint struct {
	Train    int              `json:"train"`    // pictures, on average over the draws
	Scores   []float64        `json:"scores"`   // of heads on different draws of them
	Mean     float64          `json:"mean"`     // of Scores
	Interval metrics.Interval `json:"interval"` // 95 %, of the mean score on other pictures
}

// Forecast is what more pictures would bring, by the power law that the errors follow.
type Forecast struct {
	Train    int              `json:"train"`    // pictures then
	Gain     float64          `json:"gain"`     // of the score, as a fraction
	Interval metrics.Interval `json:"interval"` // 95 %, of Gain
}

// Figure draws the curve with its intervals, and the forecast.
func (c *LearningCurve) Figure() plots.Figure {
	unit := "%"
	if c.Metric == metrics.R2 {
		unit = ""
	}
	measured := plots.Line{Name: "measured"}
	for _, p := range c.Points {
		measured.Dots = append(measured.Dots, plots.Dot{X: float64(p.Train), Y: p.Mean, Interval: p.Interval})
	}
	lines := []plots.Line{measured}
	if f := c.Twice; f != nil && len(c.Points) > 0 {
		last := c.Points[len(c.Points)-1]
		lines = append(lines, plots.Line{Name: "forecast", Dots: []plots.Dot{
			{X: float64(last.Train), Y: last.Mean},
			{X: float64(f.Train), Y: last.Mean + f.Gain, Interval: metrics.Interval{Low: last.Mean + f.Interval.Low, High: last.Mean + f.Interval.High}},
		}})
	}
	return plots.Lines("Learning curve of "+c.Data, plots.Scale{Name: "training pictures"}, plots.Scale{Name: c.Metric.Title() + " on " + c.Split, Unit: unit}, lines)
}

// Text says the scores and the forecast.
func (c *LearningCurve) Text() string {
	var b strings.Builder
	for i, p := range c.Points {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d: %s", p.Train, c.Metric.Format(p.Mean))
	}
	fmt.Fprintf(&b, "\n%s on %s (%d pictures) by training pictures", c.Metric.Title(), c.Split, c.Total)
	if c.Why != "" {
		fmt.Fprintf(&b, "\n%s", c.Why)
	}
	for _, f := range []*Forecast{c.More, c.Twice} {
		if f != nil {
			fmt.Fprintf(&b, "\n%s", c.forecast(f))
		}
	}
	return b.String()
}

// forecast says what more pictures would bring.
func (c *LearningCurve) forecast(f *Forecast) string {
	now := c.Points[len(c.Points)-1].Train
	more := fmt.Sprintf("%d more pictures", f.Train-now)
	if f == c.Twice {
		more = fmt.Sprintf("twice as many (%d)", f.Train)
	}
	ends := fmt.Sprintf("(95 %% %+.1f to %+.1f)", 100*f.Interval.Low, 100*f.Interval.High)
	if !(f.Interval.Low > 0) {
		return fmt.Sprintf("whether %s would help cannot be told: %+.1f points %s", more, 100*f.Gain, ends)
	}
	return fmt.Sprintf("%s would bring about %+.1f points %s", more, 100*f.Gain, ends)
}

// PowerLaw fits errors that fall as a power of the number of pictures, e = a·n^-c, by least squares of the
// logarithms, and returns the error at n pictures. c is not negative.
func PowerLaw(pictures, errors []float64, n float64) float64 {
	var sx, sy, sxx, sxy float64
	for i := range pictures {
		x, y := math.Log(pictures[i]), math.Log(errors[i])
		sx, sy, sxx, sxy = sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	k := float64(len(pictures))
	slope := (k*sxy - sx*sy) / (k*sxx - sx*sx)
	slope = min(slope, 0)
	return math.Exp(sy/k + slope*(math.Log(n)-sx/k))
}
