package plots

import (
	"math"
	"slices"
)

// box is a rectangle.
type box struct{ x, y, w, h float64 }

// panel is one small chart: title, subtitle, axes and what is drawn in them.
type panel struct {
	title, sub string
	subColour  *hue // nil = muted
	xName      string
	headName   string // of the first part of x, if it has two
	x, y       axis
	// The rectangle of the data, set by arrange.
	left, top, w, h float64
	rightLabels     float64 // room to the right of it
	strip           float64 // room between subtitle and data
}

const (
	panelHead = 46.0 // title and subtitle above the data
	panelFoot = 34.0 // tick labels and axis name below
)

// margin returns the room that the y labels need.
func (p *panel) margin() float64 {
	w := 0.0
	for _, t := range p.y.ticks {
		w = max(w, tickStyle.width(t.label))
	}
	return w + 7
}

// arrange places panels in a row from x0 to x1, with equally wide data.
func arrange(row []*panel, x0, x1, top, height float64) {
	const gap = 20
	room := x1 - x0 - gap*float64(len(row)-1)
	for _, p := range row {
		room -= p.margin() + p.rightLabels
	}
	each := max(room/float64(len(row)), 40)
	x := x0
	for _, p := range row {
		p.left, p.w = x+p.margin(), each
		p.top, p.h = top+panelHead+p.strip, height-panelHead-p.strip-panelFoot
		x = p.left + p.w + p.rightLabels + gap
	}
}

func (p *panel) px(v float64) float64 { return p.left + p.x.position(v)*p.w }
func (p *panel) py(v float64) float64 { return p.top + (1-p.y.position(v))*p.h }

// edged is py, at the edge for values outside the panel.
func (p *panel) edged(v float64) float64 {
	y := p.py(v)
	switch {
	case y < p.top && y > p.top-1e-6, y > p.top+p.h && y < p.top+p.h+1e-6:
		return y // rounding
	}
	return min(max(y, p.top), p.top+p.h)
}

// start returns where title and subtitle begin: above the y labels.
func (p *panel) start() float64 { return p.left - p.margin() }

// draw draws everything but the data.
func (p *panel) draw(c *canvas) {
	room := p.margin() + p.w + p.rightLabels
	c.text(point{p.start(), p.top - p.strip - panelHead + 12}, left, titleStyle, ink, titleStyle.fit(p.title, room))
	colour := muted
	if p.subColour != nil {
		colour = p.subColour.text
	}
	c.text(point{p.start(), p.top - p.strip - panelHead + 27}, left, subStyle, colour, subStyle.fit(p.sub, room))
	for _, t := range p.y.ticks {
		y := p.py(t.value)
		c.hline(p.left, p.left+p.w, y, 1, faint)
		c.text(point{p.left - 6, y + 3.5}, right, tickStyle, muted, t.label)
	}
	p.drawX(c)
}

// drawX draws the x axis; labels that would touch the one before are left out.
func (p *panel) drawX(c *canvas) {
	bottom := p.top + p.h
	c.hline(p.left, p.left+p.w, bottom, 1, edge)
	end := math.Inf(-1)
	for _, t := range p.x.ticks {
		x := p.px(t.value)
		c.vline(x, bottom, bottom+4, 1, edge)
		half := tickStyle.width(t.label) / 2
		if x-half < end+4 {
			continue
		}
		c.text(point{x, bottom + 15}, centre, tickStyle, muted, t.label)
		end = x + half
	}
	if p.xName != "" {
		c.text(point{p.left + p.w, bottom + 29}, right, tickStyle, muted, p.xName)
	}
	if p.headName != "" {
		c.text(point{p.px(p.x.lo), bottom + 29}, right, tickStyle, muted, p.headName)
	}
}

// spread moves labels apart so that each has the height room, inside lo..hi and as little as
// possible. It changes ys in place.
func spread(ys []float64, room, lo, hi float64) {
	order := make([]int, len(ys))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case ys[a] < ys[b]:
			return -1
		case ys[a] > ys[b]:
			return 1
		}
		return 0
	})
	// Groups of touching labels are placed around the mean of their wanted places.
	type group struct {
		first, n int
		sum      float64 // of (wish - offset in the group)
	}
	var groups []group
	place := func(g group) float64 {
		pos := g.sum / float64(g.n)
		return min(max(pos, lo), max(lo, hi-room*float64(g.n-1)))
	}
	for i, o := range order {
		g := group{i, 1, ys[o]}
		for len(groups) > 0 {
			last := groups[len(groups)-1]
			if place(last)+room*float64(last.n) <= place(g)+1e-9 {
				break
			}
			g = group{last.first, last.n + g.n, last.sum + g.sum - room*float64(last.n*g.n)}
			groups = groups[:len(groups)-1]
		}
		groups = append(groups, g)
	}
	for _, g := range groups {
		pos := place(g)
		for k := range g.n {
			ys[order[g.first+k]] = pos + room*float64(k)
		}
	}
}
