package plots

import (
	"image/color"
	"math"
	"strings"
)

// box is a rectangle.
type box struct{ x, y, w, h float64 }

// A lineLabel is text that names a place in a panel: a dot at x and y, or the rule at x.
type lineLabel struct {
	x, y  float64
	style style
	col   color.NRGBA
	text  string
	dot   bool
}

// words puts a label near its x where it covers the fewest points of the lines: close to its
// y when it names a dot, else anywhere along the rule.
func (p *curvesPanel) words(c *canvas, n lineLabel) {
	x, y := n.x, n.y
	w, h := n.style.width(n.text), n.style.size
	var tries []box
	if n.dot {
		for _, dy := range []float64{-h - 7, 10, -h - 16, 20, -h - 28, 32} {
			for _, dx := range []float64{-w / 2, -w - 4, 4} {
				tries = append(tries, box{x + dx, y + dy, w, h})
			}
		}
	} else {
		for _, dy := range []float64{4, p.h - h - 6, p.h*0.3 - h/2, p.h*0.6 - h/2} {
			for _, dx := range []float64{5, -w - 5} {
				tries = append(tries, box{x + dx, p.top + dy, w, h})
			}
		}
	}
	best, cost := tries[0], math.Inf(1)
	for i, b := range tries {
		b.x = min(max(b.x, p.left+2), max(p.left+2, p.left+p.w-b.w-1))
		k := float64(i)*0.4 + p.covered(b)
		if !n.dot && b.x-2 < x && x < b.x+b.w+2 {
			k += 20 // on the rule it names
		}
		if b.y < p.top+1 || b.y+b.h > p.top+p.h-1 {
			k += 1000
		}
		if k < cost {
			best, cost = b, k
		}
	}
	c.halo(point{best.x, best.y + best.h*0.85}, left, n.style, n.col, n.text)
}

// covered returns how much of the lines a box would cover.
func (p *curvesPanel) covered(b box) float64 {
	hit := 0.0
	for _, s := range p.series {
		prev := point{math.NaN(), 0}
		step := max(1, len(s.samples)/400)
		for i := 0; i < len(s.samples); i += step {
			a := s.samples[i]
			q := point{p.px(a.x), p.py(a.y)}
			if finite(prev.x) && finite(q.y) && finite(prev.y) {
				n := int(math.Hypot(q.x-prev.x, q.y-prev.y)/2) + 1
				for k := range min(n, 500) {
					t := float64(k) / float64(n)
					x, y := prev.x+t*(q.x-prev.x), prev.y+t*(q.y-prev.y)
					if x > b.x-2 && x < b.x+b.w+2 && y > b.y-2 && y < b.y+b.h+2 {
						hit++
					}
				}
			}
			prev = q
		}
	}
	return hit
}

// wrap breaks text at spaces into lines no wider than width.
func wrap(st style, s string, width float64) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && st.width(line+" "+word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + st.fit(word, width))
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
