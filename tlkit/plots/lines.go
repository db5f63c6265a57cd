package plots

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Line is one line of [Lines]: the dots in any order, whose labels are not used.
type Line struct {
	Name string
	Dots []Dot
}

// mostLines is the most lines of a figure: more would be the same grey.
const mostLines = 8

// Lines draws how values follow from a number, such as success from demonstrations: a line through
// the dots of each, a band for their intervals, and its name at its end. The first four lines have
// colours of their own, further ones are grey. The x axis is logarithmic if its values span more than
// a factor of 20. Dots with coordinates that are not finite are left out.
func Lines(title string, x, y Scale, lines []Line) Figure {
	if len(lines) > mostLines {
		return failed("lines: %d lines, want at most %d", len(lines), mostLines)
	}
	f := &linesFigure{}
	extent, vertical := newSpan(), newSpan()
	for _, l := range lines {
		kept := Line{Name: l.Name}
		for _, d := range l.Dots {
			if !finite(d.X) || !finite(d.Y) {
				continue
			}
			kept.Dots = append(kept.Dots, d)
			extent.add(d.X)
			vertical.add(d.Y)
			if drawn(d.Interval) {
				vertical.add(d.Interval.Low, d.Interval.High)
				f.bands = true
			}
		}
		slices.SortStableFunc(kept.Dots, func(a, b Dot) int { return cmp.Compare(a.X, b.X) })
		if len(kept.Dots) > 0 {
			f.lines = append(f.lines, kept)
		}
	}
	if len(f.lines) == 0 {
		return failed("lines: none of %d lines has a dot with a place: want finite x and y", len(lines))
	}
	f.layOut(title, [2]Scale{x, y}, extent, vertical)
	return &figure{width: scatterWidth, height: linesHeight, text: f.text(title, x, y), draw: f.draw}
}

const linesHeight = 380.0

type linesFigure struct {
	panel
	lines []Line
	bands bool
}

func (f *linesFigure) layOut(title string, scales [2]Scale, extent, vertical span) {
	x, y := scales[0], scales[1]
	f.title, f.sub, f.xName = drawable(title), y.title(), x.title()
	if f.bands {
		f.sub += ", 95 % interval"
	}
	switch {
	case extent.lo > 0 && extent.hi > 20*extent.lo:
		f.x = decades(extent, "")
	default:
		if extent.lo > 0 && extent.lo < 0.5*extent.hi {
			extent.lo = 0
		}
		f.x = x.axis(extent, 6)
	}
	if vertical.lo > 0 && vertical.lo < 0.5*vertical.hi {
		vertical.lo = 0
	}
	f.y = y.axis(vertical, 5)
	for _, l := range f.lines {
		f.rightLabels = max(f.rightLabels, min(labelStyle.width(drawable(l.Name)), mostLabel)+12)
	}
	arrange([]*panel{&f.panel}, padding, scatterWidth-padding, padding, linesHeight-2*padding+8)
}

// mostLabel is the room for a name at the end of a line.
const mostLabel = 170

func (f *linesFigure) hue(i int) hue {
	if i < len(hues) {
		return hues[i]
	}
	return grey
}

func (f *linesFigure) draw(c *canvas) {
	p := &f.panel
	p.draw(c)
	for i, l := range f.lines {
		var upper, lower []point
		for _, d := range l.Dots {
			low, high := d.Y, d.Y
			if drawn(d.Interval) {
				low, high = d.Interval.Low, d.Interval.High
			}
			upper, lower = append(upper, point{p.px(d.X), p.edged(high)}), append(lower, point{p.px(d.X), p.edged(low)})
		}
		if len(l.Dots) == 1 {
			c.vline(upper[0].x, upper[0].y, lower[0].y, 2, fade(f.hue(i).line, 0.35))
			continue
		}
		slices.Reverse(lower)
		c.polygon(append(upper, lower...), fade(f.hue(i).line, 0.16))
	}
	ends := make([]float64, len(f.lines))
	for i, l := range f.lines {
		var way []point
		for _, d := range l.Dots {
			way = append(way, point{p.px(d.X), p.py(d.Y)})
		}
		c.line(way, 2, f.hue(i).line)
		for _, q := range way {
			c.mark(f.hue(i).mark, q.x, q.y, 5.4, white)
			c.mark(f.hue(i).mark, q.x, q.y, 4.2, f.hue(i).line)
		}
		ends[i] = way[len(way)-1].y
	}
	spread(ends, labelStyle.size+3, p.top+4, p.top+p.h-4)
	for i, l := range f.lines {
		last := p.px(l.Dots[len(l.Dots)-1].X)
		c.halo(point{last + 10, ends[i] + 4}, left, labelStyle, f.hue(i).text, labelStyle.fit(drawable(l.Name), mostLabel))
	}
}

func (f *linesFigure) text(title string, x, y Scale) string {
	out := fmt.Sprintf("%s: %s against %s.", inert(title), inert(y.Name), inert(x.Name))
	for _, l := range f.lines {
		var values []string
		for _, d := range l.Dots {
			values = append(values, fmt.Sprintf("%s at %s", y.words(d.Y, d.Interval), x.value(d.X)))
		}
		out += fmt.Sprintf(" %s: %s.", inert(l.Name), strings.Join(values, ", "))
	}
	return out
}
