package plots

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// Dot is one point of [Scatter].
type Dot struct {
	Label    string
	X, Y     float64
	Interval metrics.Interval // of Y; may be unknown
	Picked   bool             // it has a ring around it: the one to take
}

// scatterLabels is the most dots that have their names beside them. With more, those on the frontier do.
const scatterLabels = 30

// Scatter draws a value against a cost, such as accuracy against time. Less x and more y is
// better: a line joins the dots that no other dot beats in both. The x axis is logarithmic if
// its values span more than a factor of 5. Dots with coordinates that are not finite are left
// out, and Text says how many.
func Scatter(title string, x, y Scale, dots []Dot) Figure {
	var shown []Dot
	for _, d := range dots {
		if finite(d.X) && finite(d.Y) {
			shown = append(shown, d)
		}
	}
	if len(shown) == 0 {
		return failed("scatter: none of %d dots has a place: want finite x and y", len(dots))
	}
	s := &scatter{title: title, xs: x, ys: y, dots: shown, missing: len(dots) - len(shown)}
	height := s.layOut()
	return &figure{width: scatterWidth, height: height, text: s.text(), draw: s.draw}
}

const scatterWidth = 640.0

// layOut sets the axes and the place of the panel, and returns the height of the figure.
func (s *scatter) layOut() (height float64) {
	shown, x, y := s.dots, s.xs, s.ys
	s.front = frontier(shown)
	extent, vertical := newSpan(), newSpan()
	for _, d := range shown {
		extent.add(d.X)
		vertical.add(d.Y)
		if drawn(d.Interval) {
			vertical.add(d.Interval.Low, d.Interval.High)
		}
	}
	p := &s.panel
	p.title, p.sub, p.xName = drawable(s.title), y.title(), x.title()
	for _, d := range shown {
		if drawn(d.Interval) {
			p.sub = y.title() + ", 95 % interval"
		}
	}
	if extent.lo > 0 && extent.hi > 5*extent.lo {
		// Room at both ends for the labels.
		k := math.Pow(extent.hi/extent.lo, 0.08)
		p.x = decades(span{extent.lo / k, extent.hi * k}, "")
	} else {
		if extent.lo > 0 && extent.lo < 0.5*extent.hi {
			extent.lo = 0
		}
		p.x = x.axis(extent, 6)
	}
	p.y = y.axis(vertical, 5)
	p.rightLabels = 10
	height = 380 + 7*float64(min(max(len(shown)-8, 0), 22)) // room for names
	arrange([]*panel{p}, padding, scatterWidth-padding, padding, height-2*padding+8)
	return height
}

type scatter struct {
	panel
	title   string
	xs, ys  Scale
	dots    []Dot
	front   []int
	missing int
}

// frontier returns the dots that no other dot beats or equals in both coordinates, from left to
// right.
func frontier(dots []Dot) []int {
	order := make([]int, len(dots))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(dots[a].X, dots[b].X), cmp.Compare(dots[b].Y, dots[a].Y))
	})
	var out []int
	best := math.Inf(-1)
	for _, i := range order {
		if dots[i].Y > best {
			out, best = append(out, i), dots[i].Y
		}
	}
	return out
}

func (s *scatter) draw(c *canvas) {
	p := &s.panel
	p.draw(c)
	c.line(s.steps(), 1.2, fade(edge, 0.9), 3, 3)
	for i, d := range s.dots {
		if drawn(d.Interval) {
			c.vline(p.px(d.X), p.py(d.Interval.High), p.py(d.Interval.Low), 2, fade(s.hue(i).line, 0.35))
		}
	}
	for _, b := range s.names() {
		i := b.dot
		x, y := p.px(s.dots[i].X), p.py(s.dots[i].Y)
		if q, far := nearest(b.box, x, y); far > 12 { // a line connects a distant name with its dot
			c.line([]point{q, {x, y}}, 0.8, fade(s.hue(i).line, 0.6))
		}
		c.halo(point{b.x, b.y + b.h*0.85}, left, labelStyle, s.hue(i).text, b.text)
	}
	// Draw the dots last, so that names do not hide them.
	for i, d := range s.dots {
		x, y := p.px(d.X), p.py(d.Y)
		if d.Picked {
			c.mark(disc, x, y, 9.4, s.hue(i).line)
			c.mark(disc, x, y, 7.6, white)
		}
		c.mark(s.hue(i).mark, x, y, 5.4, white)
		c.mark(s.hue(i).mark, x, y, 4.4, s.hue(i).line)
	}
}

// steps is the dashed line through the frontier.
func (s *scatter) steps() []point {
	var steps []point
	for k, i := range s.front {
		q := point{s.px(s.dots[i].X), s.py(s.dots[i].Y)}
		if k > 0 {
			steps = append(steps, point{q.x, steps[len(steps)-1].y})
		}
		steps = append(steps, q)
	}
	return steps
}

// name is the position of a dot's name.
type name struct {
	box
	dot  int
	text string
}

// names places the names of the dots, the most important first, as many as can be read.
func (s *scatter) names() []name {
	var out []name
	p := &s.panel
	var taken []obstacle
	for _, d := range s.dots {
		x, y := p.px(d.X), p.py(d.Y)
		if drawn(d.Interval) {
			hi := p.py(d.Interval.High)
			taken = append(taken, obstacle{box{x - 1, hi, 2, p.py(d.Interval.Low) - hi}, 12})
		}
		r := 6.0
		if d.Picked {
			r = 10
		}
		taken = append(taken, obstacle{box{x - r, y - r, 2 * r, 2 * r}, 80})
	}
	steps := s.steps()
	for i := 1; i < len(steps); i++ {
		a, b := steps[i-1], steps[i]
		taken = append(taken, obstacle{box{min(a.x, b.x) - 1, min(a.y, b.y) - 1, math.Abs(b.x-a.x) + 2, math.Abs(b.y-a.y) + 2}, 30})
	}
	for _, i := range s.byImportance() {
		text := labelStyle.fit(drawable(s.dots[i].Label), 215)
		b := s.free(p.px(s.dots[i].X), p.py(s.dots[i].Y), labelStyle.width(text), labelStyle.size, taken)
		taken = append(taken, obstacle{b, 80})
		out = append(out, name{b, i, text})
	}
	return out
}

// obstacle is what a name should not cover, and how much that would cost beside the area.
type obstacle struct {
	box
	cost float64
}

// byImportance returns the order in which names are placed: those of the frontier first.
func (s *scatter) byImportance() []int {
	order := slices.Clone(s.front)
	if len(s.dots) > scatterLabels {
		return order[max(0, len(order)-scatterLabels):]
	}
	for i := range s.dots {
		if !slices.Contains(s.front, i) {
			order = append(order, i)
		}
	}
	return order
}

// nearest returns the point of a box that is nearest to x, y, and its distance.
func nearest(b box, x, y float64) (point, float64) {
	q := point{min(max(x, b.x), b.x+b.w), min(max(y, b.y), b.y+b.h)}
	return q, math.Hypot(q.x-x, q.y-y)
}

// hue returns blue for the frontier, and grey squares for the others.
func (s *scatter) hue(i int) hue {
	if slices.Contains(s.front, i) {
		return blue
	}
	return hue{grey.line, grey.text, square}
}

// free returns a place for a label near a dot, further away where there is little room.
func (s *scatter) free(x, y, w, h float64, taken []obstacle) box {
	var best box
	cost := math.Inf(1)
	try := func(dx, dy, n float64) {
		b := box{x + dx, y + dy, w, h}
		for _, t := range taken {
			dx := min(b.x+b.w, t.x+t.w) - max(b.x, t.x)
			dy := min(b.y+b.h, t.y+t.h) - max(b.y, t.y)
			if dx > 0 && dy > 0 {
				n += t.cost + dx*dy
			}
		}
		if b.x < s.left || b.x+b.w > s.left+s.w+s.rightLabels || b.y < s.top-4 || b.y+b.h > s.top+s.h {
			n += 400
		}
		if n < cost {
			best, cost = b, n
		}
	}
	for k, spot := range []point{{8, -h / 2}, {-w / 2, -h - 8}, {-w / 2, 9}, {-w - 8, -h / 2}, {6, -h - 5}, {-w - 6, -h - 5}, {6, 7}, {-w - 6, 7}, {-w / 2, -h - 22}, {-w / 2, 23}, {13, -h / 2}, {-w - 13, -h / 2}, {-w / 2, -h - 12}, {-w / 2, 12}} {
		try(spot.x, spot.y, float64(k)*0.5)
	}
	// crossing two intervals costs less than moving far away
	for away := 14.0; away <= 110 && cost > 70; away += 8 {
		for _, side := range []float64{1, -1} {
			for _, dx := range []float64{-w / 2, 8, -w - 8, 24, -w - 24} {
				dy := side * away
				if side < 0 {
					dy -= h
				}
				try(dx, dy, 20+away*0.6)
			}
		}
	}
	best.x = min(max(best.x, s.left), s.left+s.w+s.rightLabels-best.w)
	return best
}

func (s *scatter) text() string {
	best := s.front[len(s.front)-1]
	first := s.front[0]
	d := s.dots[best]
	out := fmt.Sprintf("%s: %s of %s against %s. Best %s: %s, %s at %s.", inert(s.title), inert(s.ys.Name), plural(len(s.dots), "entry", "entries"), inert(s.xs.Name),
		inert(s.ys.Name), inert(d.Label), s.ys.words(d.Y, d.Interval), s.xs.value(d.X))
	if first != best {
		d = s.dots[first]
		out += fmt.Sprintf(" Least %s: %s, %s at %s.", inert(s.xs.Name), inert(d.Label), s.ys.words(d.Y, d.Interval), s.xs.value(d.X))
	}
	for _, d := range s.dots {
		if d.Picked {
			out += fmt.Sprintf(" Picked: %s, %s at %s.", inert(d.Label), s.ys.words(d.Y, d.Interval), s.xs.value(d.X))
		}
	}
	if s.missing > 0 {
		out += fmt.Sprintf(" %s without a finite place left out.", plural(s.missing, "entry", "entries"))
	}
	return out
}
