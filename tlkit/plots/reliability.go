package plots

import (
	"fmt"
	"math"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// Calibrated is one panel of [Reliability]. Name is its title, such as "as trained" or "with
// temperature 1.7".
type Calibrated struct {
	Name string
	metrics.Calibration
}

// Reliability draws accuracy against confidence. On the diagonal, the network is right as often
// as its probabilities say; below it, the network is overconfident. Each bin with pictures is a
// dot with its 95 % interval; the small histogram shows the number of its pictures.
func Reliability(panels ...Calibrated) Figure {
	if len(panels) == 0 || len(panels) > 3 {
		return failed("reliability: %d panels: want 1..3", len(panels))
	}
	for _, p := range panels {
		if len(p.Bins) == 0 || p.Total <= 0 {
			return failed("reliability: %s has no pictures: make it with metrics.Reliability", inert(p.Name))
		}
		for _, b := range p.Bins {
			if b.Count < 0 || b.Correct < 0 || b.Correct > b.Count || !finite(b.Confidence) || !(b.Low >= 0 && b.High <= 1 && b.Low < b.High) {
				return failed("reliability: %s has a bin that makes no sense: %+v", inert(p.Name), b)
			}
		}
	}
	const side, hist, bottom, head = 196.0, 44.0, 52.0, 46.0
	const margin, gap = 42.0, 26.0
	width := 2*padding + (margin+side)*float64(len(panels)) + gap*float64(len(panels)-1) + 8
	f := &figure{width: max(width, 320), height: padding + head + side + 10 + hist + bottom}
	var words []string
	for _, p := range panels {
		side := "too sure"
		if p.Mean < p.Value() {
			side = "not sure enough"
		}
		name := ""
		if p.Name != "" {
			name = inert(p.Name) + ": "
		}
		words = append(words, fmt.Sprintf("%smean confidence %s, accuracy %s, on the whole %s; expected calibration error %s in %d bins.",
			name, percent(p.Mean), p.Fraction, side, percent(p.ECE), len(p.Bins)))
	}
	f.text = "Reliability diagram. " + strings.Join(words, " ")
	f.draw = func(c *canvas) {
		for i, p := range panels {
			l := padding + margin + (margin+side+gap)*float64(i)
			top := padding + head
			name := "Reliability"
			if p.Name != "" {
				name = titleStyle.fit(drawable(p.Name), margin+side)
			}
			c.text(point{l - margin, padding + 12}, left, titleStyle, ink, name)
			c.text(point{l - margin, padding + 28}, left, subStyle, muted, fmt.Sprintf("ECE %s in %d bins, %s pictures", percent(p.ECE), len(p.Bins), counted(p.Total)))
			p.draw(c, l, top, side)
			p.histogram(c, l, top+side+10, side, hist)
		}
	}
	return f
}

func (p Calibrated) draw(c *canvas, l, top, side float64) {
	x := func(v float64) float64 { return l + v*side }
	y := func(v float64) float64 { return top + (1-v)*side }
	for _, v := range []float64{0, 0.25, 0.5, 0.75, 1} {
		c.hline(l, l+side, y(v), 1, faint)
		if v*4 == math.Trunc(v*4) && int(v*4)%2 == 0 {
			c.text(point{l - 6, y(v) + 3.5}, right, tickStyle, muted, fmt.Sprintf("%.0f %%", 100*v))
		}
	}
	c.text(point{l + 4, top + 11}, left, noteStyle, muted, "accuracy")
	c.line([]point{{x(0), y(0)}, {x(1), y(1)}}, 1.1, edge, 4, 3)
	var line []point
	for _, b := range p.Bins {
		if b.Count == 0 {
			continue
		}
		acc := float64(b.Correct) / float64(b.Count)
		// The gap between confidence and accuracy.
		c.line([]point{{x(b.Confidence), y(b.Confidence)}, {x(b.Confidence), y(acc)}}, 5, fade(orange.line, 0.28))
		i := metrics.Wilson(b.Correct, b.Count)
		c.vline(x(b.Confidence), y(i.High), y(i.Low), 1.2, fade(blue.line, 0.65))
		line = append(line, point{x(b.Confidence), y(acc)})
	}
	c.line(line, 1.8, fade(blue.line, 0.55))
	for _, q := range line {
		c.mark(disc, q.x, q.y, 4.4, white)
		c.mark(disc, q.x, q.y, 3.4, blue.line)
	}
	c.hline(l, l+side, top+side, 1, edge)
	word, spot := "too sure", point{x(0.97), y(0.04)}
	c.halo(point{spot.x, spot.y}, right, noteStyle, muted, word)
}

func (p Calibrated) histogram(c *canvas, l, top, side, h float64) {
	most := 0
	for _, b := range p.Bins {
		most = max(most, b.Count)
	}
	for _, b := range p.Bins {
		if b.Count == 0 {
			continue
		}
		w := (b.High - b.Low) * side
		t := max(1, h*float64(b.Count)/float64(most))
		c.rect(l+b.Low*side+0.5, top+h-t, max(1, w-1), t, fade(blue.line, 0.4))
	}
	c.hline(l, l+side, top+h, 1, edge)
	c.text(point{l - 6, top + h}, right, tickStyle, muted, "0")
	c.text(point{l - 6, top + 8}, right, tickStyle, muted, counted(most))
	for _, v := range []float64{0, 0.5, 1} {
		c.vline(l+v*side, top+h, top+h+4, 1, edge)
		c.text(point{l + v*side, top + h + 15}, centre, tickStyle, muted, fmt.Sprintf("%.0f %%", 100*v))
	}
	c.text(point{l + side, top + h + 29}, right, tickStyle, muted, "confidence")
}
