package plots

import (
	"fmt"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/curves"
)

// Rates draws the result of a learning rate finder: the loss of each step, raw and smoothed,
// against the learning rate of that step, and the suggested rate (0 = none). The rate axis is
// logarithmic. The loss axis ends at three times the first loss, since a loss above that has
// diverged.
func Rates(rates, losses []float64, suggested float64) Figure {
	if len(rates) != len(losses) || len(rates) == 0 {
		return failed("rates: %d rates and %d losses: want as many of both, and some", len(rates), len(losses))
	}
	var points []curves.Point
	x, y := newSpan(), newSpan()
	for i, r := range rates {
		if !finite(r) || r <= 0 {
			return failed("rates: rate %d is %v: want finite rates above 0", i, r)
		}
		points = append(points, curves.Point{Step: i, Value: losses[i]})
		x.add(r)
	}
	s := series{hue: blue, flat: true}
	lowest, began := span{}, newSpan()
	for i, p := range curves.Smooth(points, 0.9) {
		s.samples = append(s.samples, sample{x: rates[i], y: p.Value})
		if !finite(p.Value) {
			continue
		}
		if began.empty() {
			began.add(p.Value)
			lowest = span{rates[i], p.Value}
		}
		if p.Value < lowest.hi {
			lowest = span{rates[i], p.Value}
		}
		y.add(min(p.Value, 3*began.hi))
	}
	if y.empty() {
		return failed("rates: none of %d losses is a number", len(losses))
	}
	for i, r := range rates {
		if v := losses[i]; finite(v) && v <= 3*began.hi {
			s.raw = append(s.raw, point{r, v})
			y.add(v)
		}
	}
	p := &panel{title: "Learning rate", sub: "loss of each step, raw and smoothed", xName: "learning rate of the step", rightLabels: 10}
	y.add(0)
	p.x, p.y = decades(x, ""), linear(y, 5)
	const width, height = 560.0, 320.0
	arrange([]*panel{p}, padding, width-padding, padding, height-2*padding+8)
	text := fmt.Sprintf("Loss against learning rate from %s to %s: smoothed it begins at %s and is lowest, %s, at %s.",
		number(x.lo), number(x.hi), number(began.lo), number(lowest.hi), number(lowest.lo))
	known := finite(suggested) && suggested >= x.lo && suggested <= x.hi
	if known {
		text += fmt.Sprintf(" It falls fastest at %s, which is the suggestion.", number(suggested))
	} else {
		text += " No rate is suggested."
	}
	f := &figure{width: width, height: height, text: text}
	f.draw = func(c *canvas) {
		p.draw(c)
		shown := s
		for i, a := range s.samples { // a line that diverges ends at the upper edge
			if a.y > p.y.hi {
				shown.samples = append(slices.Clone(s.samples[:i]), sample{x: a.x, y: p.y.hi})
				break
			}
		}
		p.drawSeries(c, shown)
		if known {
			pos := p.px(suggested)
			c.dashed(pos, p.top, p.top+p.h, 1.2, muted)
			word, align := "suggested: "+number(suggested), left
			if labelStyle.width(word) > p.left+p.w-pos-8 {
				align = right
			}
			c.halo(point{pos + 6 - 12*align, p.top + 12}, align, labelStyle, ink, word)
		}
	}
	return f
}
