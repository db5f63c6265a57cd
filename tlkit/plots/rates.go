package plots

import (
	"fmt"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/curves"
)

// Rates draws the result of a learning rate finder: the loss of each step, raw and smoothed,
// against the learning rate of that step, and the suggested rate (0 = none). The rate axis is
// logarithmic. The loss axis ends at three times the loss of the first steps, since a loss above
// that has diverged; lines end at the frame there. If the smoothed loss never falls below that of
// the first steps by more than their noise, no rate is usable, and the figure says so even if a
// rate is suggested.
func Rates(rates, losses []float64, suggested float64) Figure {
	if len(rates) != len(losses) || len(rates) == 0 {
		return failed("rates: %d rates and %d losses: want as many of both, and some", len(rates), len(losses))
	}
	f := &ratesFigure{series: series{hue: blue, flat: true}}
	var points []curves.Point
	x := newSpan()
	for i, r := range rates {
		if !finite(r) || r <= 0 {
			return failed("rates: rate %d is %v: want finite rates above 0", i, r)
		}
		points = append(points, curves.Point{Step: i, Value: losses[i]})
		f.series.raw = append(f.series.raw, point{r, losses[i]})
		x.add(r)
	}
	began, lowest := sample{y: math.NaN()}, sample{y: math.Inf(1)}
	for i, p := range curves.Smooth(points, 0.9) {
		here := sample{x: rates[i], y: p.Value}
		f.series.samples = append(f.series.samples, here)
		if !finite(p.Value) {
			continue
		}
		if !finite(began.y) {
			began = here
		}
		if p.Value < lowest.y {
			lowest = here
		}
	}
	if !finite(began.y) {
		return failed("rates: none of %d losses is a number", len(losses))
	}
	level := f.axes(x, losses)
	const width, height = 640.0, 340.0
	arrange([]*panel{&f.panel}, padding, width-padding, padding, height-2*padding+8)
	f.verdict = "no usable rate"
	text := fmt.Sprintf("Loss against learning rate from %s to %s: smoothed it begins at %s", number(x.lo), number(x.hi), number(began.y))
	if lowest.y >= level {
		f.verdict += ": the loss does not fall"
		text += " and does not fall. There is no usable rate."
	} else {
		text += fmt.Sprintf(" and is lowest, %s, at %s.", number(lowest.y), number(lowest.x))
		if at, ok := f.at(suggested); ok {
			f.verdict = ""
			f.suggested = at
			text += fmt.Sprintf(" It falls fastest at %s, which is the suggestion.", number(suggested))
		} else {
			text += " No rate is suggested."
		}
	}
	return &figure{width: width, height: height, text: text, draw: f.draw}
}

// ratesFigure is the content of [Rates].
type ratesFigure struct {
	panel
	series    series
	suggested sample // x = 0: none
	verdict   string // shown in place of suggested
}

// axes sets the axes and returns the mean loss of the first steps less twice its standard error. It
// averages up to ten steps, but at most a quarter of all, because a single step is too noisy.
func (f *ratesFigure) axes(x span, losses []float64) (level float64) {
	var first []float64
	for _, v := range losses {
		if finite(v) && len(first) < min(10, max(1, len(losses)/4)) {
			first = append(first, v)
			level += v
		}
	}
	n, square := float64(len(first)), 0.0
	level /= n
	for _, v := range first {
		square += (v - level) * (v - level)
	}
	if n > 2 {
		level -= 2 * math.Sqrt(square/(n-1)/n)
	}
	slices.Sort(first)
	top, y := max(3*first[len(first)/2], 1.1*first[len(first)-1]), newSpan()
	for i, v := range losses {
		y.add(min(v, top), min(f.series.samples[i].y, top))
	}
	y.add(0)
	f.title, f.sub, f.xName = "Learning rate finder", "loss of each step, raw and smoothed", "learning rate of the step, log scale"
	f.x, f.y, f.rightLabels = decades(x, ""), linear(y, 5), 10
	return level
}

// at returns the smoothed loss at a rate, if it is on the chart.
func (f *ratesFigure) at(rate float64) (sample, bool) {
	for i, s := range f.series.samples {
		if i+1 < len(f.series.samples) && f.series.samples[i+1].x <= rate {
			continue
		}
		ok := finite(rate) && rate >= f.x.lo*0.999 && rate <= f.x.hi*1.001 && finite(s.y) && s.y <= f.y.hi
		return sample{x: rate, y: s.y}, ok
	}
	return sample{}, false
}

func (f *ratesFigure) draw(c *canvas) {
	p := &f.panel
	p.draw(c)
	p.drawSeries(c, f.series)
	if f.suggested.x == 0 {
		c.halo(point{p.left + p.w/2, p.top + 14}, centre, labelStyle, bad.text, f.verdict)
		return
	}
	pos := p.px(f.suggested.x)
	c.dashed(pos, p.top, p.top+p.h, 1.2, muted)
	c.mark(disc, pos, p.py(f.suggested.y), 6.4, white)
	c.mark(disc, pos, p.py(f.suggested.y), 4.6, blue.line)
	style := alike([]float64{p.x.lo, f.suggested.x})
	word, align := "suggested: "+style[1], left
	if labelStyle.width(word) > p.left+p.w-pos-8 {
		align = right
	}
	c.halo(point{pos + 6 - 12*align, p.top + 12}, align, labelStyle, ink, word)
}
