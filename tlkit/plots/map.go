package plots

import (
	"cmp"
	"fmt"
	"image"
	"math"
	"slices"
	"strings"
)

// Placed is a picture on a [Map].
type Placed struct {
	X, Y  float64
	Label string      // its label; "" = not known
	Image image.Image // drawn in its place; nil = a mark
	Wrong bool        // ringed: the model is wrong about it
}

const (
	mapSide  = 560.0
	mapThumb = 35.0 // nominal pixels of a picture, a sixteenth of the side
	mapNames = 30   // labels with a name on the map
	fewMarks = 8    // pictures of a label that its name would hide
)

// Map draws pictures as a map, such as an embedding of their features: what lies together is alike. Both
// axes have the same scale, and no numbers, because distances on such maps have no unit. The name of a
// label stands in the middle of its pictures. Up to four labels have a colour and a shape of their own,
// more share them in combinations, and those after the 30 most frequent ones are grey. sub is a line below the title. Where there are images, those are drawn that
// do not cover one another.
func Map(title, sub string, pictures []Placed) Figure {
	m := &mapFigure{title: drawable(title), sub: drawableTo(sub, 150)}
	for _, p := range pictures {
		if finite(p.X) && finite(p.Y) {
			m.places = append(m.places, p)
		}
	}
	if len(m.places) == 0 {
		return failed("map: %d pictures, none with a finite place: want at least one", len(pictures))
	}
	m.missing = len(pictures) - len(m.places)
	m.legend()
	m.scaleTo(mapSide)
	m.words = m.text(title, sub)
	top := padding + 44
	photos := slices.ContainsFunc(m.places, func(p Placed) bool { return p.Image != nil })
	return &figure{width: mapSide + 2*padding, height: top + mapSide + padding, photos: photos, text: m.words, draw: func(c *canvas) { m.draw(c, padding, top) }}
}

// mapFigure is the content of [Map].
type mapFigure struct {
	title, sub string
	places     []Placed
	missing    int
	labels     []string // the most frequent first
	counts     map[string]int
	rank       map[string]int // of a label among labels
	at         []point        // of each picture, in the square
	words      string
}

// legend counts the labels.
func (m *mapFigure) legend() {
	m.counts, m.rank = map[string]int{}, map[string]int{}
	for _, p := range m.places {
		if m.counts[p.Label]++; m.counts[p.Label] == 1 {
			m.labels = append(m.labels, p.Label)
		}
	}
	slices.SortFunc(m.labels, func(a, b string) int {
		return cmp.Or(cmp.Compare(m.counts[b], m.counts[a]), cmp.Compare(a, b))
	})
	for i, l := range m.labels {
		m.rank[l] = i
	}
}

// scaleTo places the pictures in a square, with the same scale for both axes.
func (m *mapFigure) scaleTo(side float64) {
	const rim = 24
	x, y := newSpan(), newSpan()
	for _, p := range m.places {
		x.add(p.X)
		y.add(p.Y)
	}
	extent := max(x.hi-x.lo, y.hi-y.lo)
	if !(extent > 0) || math.IsInf(extent, 0) {
		extent = 1
	}
	k := (side - 2*rim) / extent
	for _, p := range m.places {
		m.at = append(m.at, point{
			side/2 + tame((p.X-x.lo-(x.hi-x.lo)/2)*k), side/2 - tame((p.Y-y.lo-(y.hi-y.lo)/2)*k),
		})
	}
}

// hue returns colour and shape of a label.
func (m *mapFigure) hue(label string) hue {
	i := m.rank[label]
	if i >= mapNames || label == "" && len(m.labels) > 1 {
		return grey
	}
	h := hues[i%len(hues)]
	if len(m.labels) > len(hues) {
		h.mark = hues[(i+i/len(hues))%len(hues)].mark
	}
	return h
}

func (m *mapFigure) draw(c *canvas, x, y float64) {
	c.text(point{padding, padding + 12}, left, titleStyle, ink, titleStyle.fit(m.title, mapSide))
	c.text(point{padding, padding + 28}, left, subStyle, muted, subStyle.fit(m.sub, mapSide))
	c.rect(x, y, mapSide, mapSide, rgb(0xFAFBFC))
	c.frame(box{x, y, mapSide, mapSide}, 1, faint)
	radius := 3.6
	if len(m.places) > 1000 {
		radius = 2.4
	}
	m.marks(c, x, y, radius)
	for i, p := range m.places {
		if p.Wrong && p.Image == nil {
			m.ring(c, point{x + m.at[i].x, y + m.at[i].y}, radius+3)
		}
	}
	m.drawImages(c, x, y)
	for _, n := range m.names() {
		c.halo(point{x + n.x, y + n.y + 0.8*labelStyle.size}, left, labelStyle, n.hue.text, n.text)
	}
}

// marks draws a mark for each picture without an image.
func (m *mapFigure) marks(c *canvas, x, y, radius float64) {
	stamps := map[hue]*image.RGBA{}
	for i, p := range m.places {
		if p.Image != nil {
			continue
		}
		h, at := m.hue(p.Label), point{x + m.at[i].x, y + m.at[i].y}
		stamp, made := stamps[h]
		if !made {
			stamp = c.stamp(h.mark, radius, fade(h.line, 0.62))
			stamps[h] = stamp
		}
		if stamp == nil {
			c.mark(h.mark, at.x, at.y, radius, fade(h.line, 0.62))
			continue
		}
		c.put(stamp, at.x, at.y)
	}
}

// ring draws a circle around a picture that the model is wrong about.
func (m *mapFigure) ring(c *canvas, at point, r float64) {
	var circle []point
	for i := range 25 {
		a := 2 * math.Pi * float64(i) / 24
		circle = append(circle, point{at.x + r*math.Cos(a), at.y + r*math.Sin(a)})
	}
	c.line(circle, 1.6, bad.line)
}

// drawImages draws pictures in the cells of a grid, one a cell: the one nearest to its middle.
func (m *mapFigure) drawImages(c *canvas, x, y float64) {
	const n = int(mapSide / mapThumb)
	best := map[[2]int]int{}
	off := func(i int, cell [2]int) float64 {
		return math.Hypot(m.at[i].x-(float64(cell[0])+0.5)*mapThumb, m.at[i].y-(float64(cell[1])+0.5)*mapThumb)
	}
	for i, p := range m.places {
		if p.Image == nil || p.Image.Bounds().Empty() {
			continue
		}
		cell := [2]int{min(int(m.at[i].x/mapThumb), n-1), min(int(m.at[i].y/mapThumb), n-1)}
		if old, taken := best[cell]; !taken || off(i, cell) < off(old, cell) {
			best[cell] = i
		}
	}
	for cell := range n * n {
		i, ok := best[[2]int{cell % n, cell / n}]
		if !ok {
			continue
		}
		left, top := x+float64(cell%n)*mapThumb+1, y+float64(cell/n)*mapThumb+1
		c.rect(left, top, mapThumb-2, mapThumb-2, m.hue(m.places[i].Label).line)
		c.picture(left+2, top+2, mapThumb-6, mapThumb-6, m.places[i].Image)
		if m.places[i].Wrong {
			c.frame(box{left - 1, top - 1, mapThumb, mapThumb}, 3, bad.line)
		}
	}
}

// mapName is a label's name on the map.
type mapName struct {
	box
	text string
	hue  hue
}

// names places the names of the most frequent labels at the median of their pictures, or near it.
func (m *mapFigure) names() []mapName {
	var out []mapName
	for _, label := range m.labels[:min(len(m.labels), mapNames)] {
		if label == "" {
			continue
		}
		var xs, ys []float64
		for i, p := range m.places {
			if p.Label == label {
				xs, ys = append(xs, m.at[i].x), append(ys, m.at[i].y)
			}
		}
		slices.Sort(xs)
		slices.Sort(ys)
		h := m.hue(label)
		text := labelStyle.fit(drawable(label), 150)
		w := labelStyle.width(text)
		b := box{xs[len(xs)/2] - w/2, ys[len(ys)/2] - labelStyle.size/2, w, labelStyle.size}
		if len(xs) < fewMarks { // a name in their middle would hide them
			b.y -= labelStyle.size/2 + 9
		}
		if place, ok := free(b, out); ok {
			out = append(out, mapName{place, text, h})
		}
	}
	return out
}

// free moves a name up or down until it covers no other one, inside the map. ok is false if there is no
// room.
func free(b box, taken []mapName) (box, bool) {
	b.x = min(max(b.x, 4), mapSide-4-b.w)
	for step := range 14 {
		for _, side := range []float64{1, -1} {
			at := b
			at.y = b.y + side*float64(step)*(b.h+3)
			inside := at.y >= 4 && at.y+at.h <= mapSide-4
			if inside && !slices.ContainsFunc(taken, func(n mapName) bool {
				return at.x < n.x+n.w+4 && n.x < at.x+at.w+4 && at.y < n.y+n.h+2 && n.y < at.y+at.h+2
			}) {
				return at, true
			}
		}
	}
	return box{}, false
}

func (m *mapFigure) text(title, sub string) string {
	out := fmt.Sprintf("%s: a map of %s", inert(title), plural(len(m.places), "picture", "pictures"))
	var parts []string
	for _, l := range m.labels[:min(len(m.labels), 6)] {
		if l != "" {
			parts = append(parts, fmt.Sprintf("%s %s", inert(l), counted(m.counts[l])))
		}
	}
	if n := len(m.labels) - 6; n > 0 {
		parts = append(parts, plural(n, "more label", "more labels"))
	}
	if len(parts) > 0 {
		out += " of " + plural(len(m.labels), "label", "labels") + ": " + strings.Join(parts, ", ")
	}
	out += "."
	if sub != "" {
		out += " " + inertTo(sub, 150) + "."
	}
	if wrong := m.wrong(); wrong > 0 {
		out += fmt.Sprintf(" %s ringed as wrong.", plural(wrong, "picture", "pictures"))
	}
	if m.missing > 0 {
		out += fmt.Sprintf(" %s without a finite place left out.", plural(m.missing, "picture", "pictures"))
	}
	return out
}

func (m *mapFigure) wrong() (n int) {
	for _, p := range m.places {
		if p.Wrong {
			n++
		}
	}
	return n
}
