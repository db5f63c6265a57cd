package plots

import (
	"fmt"
	"math"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/curves"
)

const (
	curvesRow   = 236.0 // height of a row of panels
	phaseStrip  = 16.0  // above the data, if there is a border
	curvesInRow = 3
)

// figure lays the panels out.
func (ch *curvesChart) figure() figure {
	if len(ch.panels) == 0 {
		return figure{width: 420, height: 96, draw: func(c *canvas) {
			c.text(point{padding, padding + 14}, left, titleStyle, ink, "Curves")
			c.text(point{padding, padding + 34}, left, subStyle, muted, "No measurement yet: the first one appears after the first step.")
		}}
	}
	width := []float64{480, 700, 920}[min(len(ch.panels), curvesInRow)-1]
	top := padding
	var keys [][]key
	if ch.rivals {
		keys = ch.keys(width)
		top += 20*float64(len(keys)) + 8
	}
	row := curvesRow
	if finite(ch.border) {
		row += phaseStrip
	}
	y := top
	for i := 0; i < len(ch.panels); i += curvesInRow {
		var panels []*panel
		for _, p := range ch.panels[i:min(i+curvesInRow, len(ch.panels))] {
			if finite(ch.border) {
				p.strip = phaseStrip
			}
			panels = append(panels, &p.panel)
		}
		arrange(panels, padding, width-padding+4, y, row)
		y += row + 12
	}
	notes := wrap(noteStyle, strings.Join(ch.notes, ".  "), width-2*padding)
	height := y - 12 + padding - 4
	if len(notes) > 0 {
		height += 10 + 13*float64(len(notes))
	}
	return figure{width: width, height: height, draw: func(c *canvas) {
		for i, line := range keys {
			for _, k := range line {
				k.draw(c, padding+10+20*float64(i))
			}
		}
		for _, p := range ch.panels {
			ch.drawPanel(c, p)
		}
		for i, n := range notes {
			c.text(point{padding, height - padding + 2 - 13*float64(len(notes)-1-i)}, left, noteStyle, muted, n)
		}
	}}
}

// key is one entry above the panels of rivals: line, shape, name, best value.
type key struct {
	x          float64
	hue        hue
	name, best string
}

func (k key) draw(c *canvas, y float64) {
	c.hline(k.x, k.x+20, y-3.5, 2.2, k.hue.line)
	c.mark(k.hue.mark, k.x+10, y-3.5, 3.4, k.hue.line)
	w := c.text(point{k.x + 26, y}, left, labelStyle, k.hue.text, k.name)
	c.text(point{k.x + 26 + w + 5, y}, left, subStyle, muted, k.best)
}

func (ch *curvesChart) keys(width float64) [][]key {
	var lines [][]key
	x := padding
	for i, g := range ch.groups {
		if i >= len(hues) {
			break // the rest is grey, and counted in the small print
		}
		k := key{x: x, hue: g.hue, name: labelStyle.fit(drawable(g.name), 200)}
		for _, p := range ch.panels {
			for _, s := range p.series {
				if a, ok := ch.standing(p, s, g); ok && s.name == g.name && k.best == "" && score(p.metric) {
					k.best = p.short(a.y)
					if a.n > 0 && p.share() && len(g.runs) == 1 {
						k.best += fmt.Sprintf(" (%d of %d)", int(math.Round(a.y*float64(a.n))), a.n)
					}
				}
			}
		}
		w := 26 + labelStyle.width(k.name) + 5 + subStyle.width(k.best) + 18
		if len(lines) == 0 || x+w-18 > width-padding {
			lines = append(lines, nil)
			x = padding
			k.x = x
		}
		lines[len(lines)-1] = append(lines[len(lines)-1], k)
		x += w
	}
	return lines
}

// standing returns the sample that represents a run: that of the kept state, or else the last.
func (ch *curvesChart) standing(p *curvesPanel, s series, g group) (sample, bool) {
	if finite(g.kept) {
		if a, ok := s.sampleAt(g.kept); ok {
			return a, true
		}
	}
	return s.last()
}

func (ch *curvesChart) drawPanel(c *canvas, p *curvesPanel) {
	if finite(ch.border) {
		c.rect(p.left, p.top, p.borderX(ch.border)-p.left, p.h, tint)
	}
	p.draw(c)
	if finite(ch.border) {
		ch.drawPhases(c, p)
	}
	single := !ch.rivals
	if single && finite(ch.groups[0].kept) {
		c.dashed(p.px(ch.groups[0].kept), p.top, p.top+p.h, 1, edge)
	}
	// Lines that decide nothing are thin and drawn last, so that the deciding line does not hide
	// them.
	for _, s := range p.series {
		if s.hue == grey {
			p.drawSeries(c, s)
		}
	}
	for _, dashed := range []bool{false, true} {
		for _, s := range p.series {
			if s.dashed == dashed && s.hue != grey {
				p.drawSeries(c, s)
			}
		}
	}
	p.drawBroken(c, ch)
	if single {
		p.drawEnds(c)
		if s, here, found := p.keptBy(ch.groups[0]); found {
			c.mark(s.hue.mark, p.px(here.x), p.edged(here.y), 6.4, white)
			c.mark(s.hue.mark, p.px(here.x), p.edged(here.y), 4.6, s.hue.line)
		}
		return
	}
	ch.drawStandings(c, p)
}

// drawStandings shows the kept state of each of several runs as a large mark on its line and, to
// the right of the data, their intervals side by side. Bands would cover each other.
func (ch *curvesChart) drawStandings(c *canvas, p *curvesPanel) {
	for i, s := range p.series {
		for _, g := range ch.groups {
			if g.name != s.name || p.metric == curves.Rate || s.hue == grey {
				continue
			}
			a, ok := ch.standing(p, s, g)
			if !ok {
				continue
			}
			if finite(g.kept) {
				c.mark(s.hue.mark, p.px(a.x), p.py(a.y), 6, white)
				c.mark(s.hue.mark, p.px(a.x), p.py(a.y), 4.4, s.hue.line)
			}
			if p.whiskers > 0 && i < p.whiskers && finite(a.lo) && finite(a.hi) {
				x := p.left + p.w + 9 + whiskerGap*float64(i)
				c.vline(x, p.py(a.lo), p.py(a.hi), 2, fade(s.hue.line, 0.55))
				c.mark(s.hue.mark, x, p.py(a.y), 3.4, s.hue.line)
			}
		}
	}
}

const whiskerGap = 10.0

func (p *curvesPanel) borderX(border float64) float64 {
	return min(max(p.px(border), p.left), p.left+p.w)
}

// drawPhases draws the border between frozen and fine-tuned and, above the
// data, a strip with the two words. The frozen part is tinted.
func (ch *curvesChart) drawPhases(c *canvas, p *curvesPanel) {
	x := p.borderX(ch.border)
	strip := p.top - 7
	c.rect(p.left, strip, max(0, x-1-p.left), 3, edge)
	c.rect(x+1, strip, max(0, p.left+p.w-x-1), 3, ink)
	c.vline(x, strip-3, p.top+p.h, 1, muted)
	word := func(text string, at, align, from, to float64) float64 {
		w := noteStyle.width(text)
		if at -= align * w; at < from || at+w > to {
			return from
		}
		c.text(point{at, strip - 4}, left, noteStyle, muted, text)
		return at + w
	}
	end := word("frozen", (p.left+x)/2, centre, p.left, x)
	if p.left+p.w-x < noteStyle.width("fine-tuned") { // a short phase: align its name with its end
		word("fine-tuned", p.left+p.w, right, end+6, p.left+p.w)
	} else {
		word("fine-tuned", (x+p.left+p.w)/2, centre, x, p.left+p.w)
	}
}

// drawEnds labels each line at its end. A line that ends early, with the head, continues dotted to
// its label.
func (p *curvesPanel) drawEnds(c *canvas) {
	if !p.ends {
		return
	}
	ys := make([]float64, len(p.series))
	for i, s := range p.series {
		ys[i] = p.top + p.h/2
		if a, ok := s.last(); ok {
			ys[i] = p.edged(a.y)
			if x := p.px(a.x); x < p.left+p.w-8 && s.hue != grey {
				c.line([]point{{x, ys[i]}, {p.left + p.w + 4, ys[i]}}, 1.1, fade(s.hue.line, 0.7), 1.2, 3)
			}
		}
	}
	spread(ys, 13, p.top+2, p.top+p.h-2)
	for i, s := range p.series {
		c.halo(point{p.left + p.w + 8, ys[i] + 3.7}, left, labelStyle, s.hue.text, p.endLabel(s))
	}
}

// drawBroken shows where a value was not a finite number.
func (p *curvesPanel) drawBroken(c *canvas, ch *curvesChart) {
	if len(p.broken) == 0 {
		return
	}
	first := math.Inf(1)
	for i, x := range p.broken {
		first = min(first, x)
		if i < 200 {
			c.cross(p.px(x), p.top+8, 9, bad.line)
		}
	}
	s := "not a number at " + ch.where(first)
	if n := len(p.broken); n > 1 {
		s = fmt.Sprintf("%d are not a number, first: %s", n, ch.where(first))
	}
	s = noteStyle.fit(s, p.w)
	x := max(p.left, min(p.px(first)+8, p.left+p.w-noteStyle.width(s)))
	c.halo(point{x, p.top + 24}, left, noteStyle, bad.text, s)
}
