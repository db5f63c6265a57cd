package plots

import (
	"fmt"
	"math"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// Predicted is one panel of [Agreement]: the true and the predicted values, picture by picture,
// in the value's own unit, and how well they agree.
type Predicted struct {
	True, Predicted []float64
	metrics.ValueScore
}

const (
	agreementShown = 12   // panels
	agreementDots  = 3000 // of a panel; of more, an evenly spread selection is drawn
	agreementRow   = 3    // panels in a row
)

// Agreement draws predicted against true values, with a square panel for each value. On the
// diagonal a prediction is right; the shaded band is one root mean squared error to either side.
// Of more than 12 values, the first 12 are drawn, and Text says so.
func Agreement(panels ...Predicted) Figure {
	if len(panels) == 0 {
		return failed("agreement: no values: want at least one")
	}
	hidden := max(0, len(panels)-agreementShown)
	all := panels
	panels = panels[:len(panels)-hidden]
	a := &agreement{}
	for _, p := range panels {
		extent := newSpan()
		n := 0
		for i := range p.True {
			if i < len(p.Predicted) && finite(p.True[i]) && finite(p.Predicted[i]) {
				extent.add(p.True[i], p.Predicted[i])
				n++
			}
		}
		if len(p.True) != len(p.Predicted) || n == 0 || !finite(p.R2) || !finite(p.RMSE) || !finite(p.MAE) {
			return failed("agreement: %s has %d true and %d predicted values, %d pairs of numbers: want as many of each", inert(p.Name), len(p.True), len(p.Predicted), n)
		}
		s := agreed{data: p}
		s.title, s.xName = drawable(p.Name), "true"
		s.sub = "R² " + p.r2() + ", off by " + number(p.MAE) + " on average"
		s.x = linear(extent, 4)
		s.y = s.x
		s.rightLabels = 6
		a.squares = append(a.squares, s)
	}
	columns := min(len(panels), agreementRow)
	width := []float64{340, 600, pageWidth}[columns-1]
	y := padding
	for i := 0; i < len(a.squares); i += columns {
		row := make([]*panel, columns)
		for k := range row { // the last row may have empty places
			row[k] = &a.squares[min(i+k, len(a.squares)-1)].panel
			if i+k >= len(a.squares) {
				spare := *row[k]
				row[k] = &spare
			}
		}
		arrange(row, padding, width-padding+4, y, 200)
		side := row[0].w
		arrange(row, padding, width-padding+4, y, side+panelHead+panelFoot)
		y += side + panelHead + panelFoot + 12
	}
	return &figure{width: width, height: y - 12 + padding - 4, draw: a.draw, text: agreementText(all, hidden)}
}

// r2 returns R² with its interval.
func (p Predicted) r2() string {
	s := fmt.Sprintf("%.2f", p.R2)
	if p.Interval.Known() {
		s += fmt.Sprintf(" (%.2f to %.2f)", p.Interval.Low, p.Interval.High)
	}
	return s
}

type agreement struct{ squares []agreed }

type agreed struct {
	panel
	data Predicted
}

func (a *agreement) draw(c *canvas) {
	for i := range a.squares {
		a.squares[i].draw(c)
	}
}

func (s *agreed) draw(c *canvas) {
	p := &s.panel
	lo, hi, e := p.x.lo, p.x.hi, s.data.RMSE
	locate := func(x, y float64) point { return point{p.px(x), p.py(y)} }
	// The band around the diagonal, cut at the panel's edges.
	if e > 0 && e < hi-lo {
		c.polygon([]point{locate(lo, lo), locate(lo, lo+e), locate(hi-e, hi), locate(hi, hi), locate(hi, hi-e), locate(lo+e, lo)}, tint)
	}
	p.draw(c)
	n := len(s.data.True)
	every := (n + agreementDots - 1) / agreementDots
	drawn := (n + every - 1) / every
	// Few dots are solid, many are transparent.
	alpha, radius := math.Min(0.85, math.Max(0.14, 12/math.Sqrt(float64(drawn)))), 3.0
	if drawn > 300 {
		radius = 2
	}
	for i := 0; i < n; i += every {
		if x, y := s.data.True[i], s.data.Predicted[i]; finite(x) && finite(y) {
			q := locate(x, y)
			c.mark(disc, q.x, q.y, radius, fade(blue.line, alpha))
		}
	}
	// over the dots, since many of them would hide it
	c.line([]point{locate(lo, lo), locate(hi, hi)}, 1.1, muted, 4, 3)
	c.halo(point{p.left + 5, p.top + 12}, left, noteStyle, muted, "predicted")
}

func agreementText(panels []Predicted, hidden int) string {
	var words []string
	for _, p := range panels[:len(panels)-hidden] {
		words = append(words, fmt.Sprintf("%s: R² %s, mean absolute error %s, root mean squared error %s, against a deviation of %s over %s",
			inert(p.Name), p.r2(), number(p.MAE), number(p.RMSE), number(p.SD), plural(len(p.True), "picture", "pictures")))
	}
	out := "Predicted against true values. " + strings.Join(words, "; ") + "."
	if hidden > 0 {
		out += fmt.Sprintf(" %d more are not drawn.", hidden)
	}
	return out
}
