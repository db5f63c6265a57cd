package plots

import (
	"fmt"
	"image"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

const (
	namedClasses  = 60 // with more classes than this, rows have no names
	orderedAbove  = 15 // more classes than this are ordered by what is confused
	countedBelow  = 12 // up to here a cell shows its count under its share
	valuedBelow   = 24 // up to here it shows its share
	listedMistake = 5
)

// Confusion draws a confusion matrix. Each row is a class; the cells show the share of its pictures
// that were predicted as each column, from light to blue, and the count. Empty cells stay blank.
// To the right is the recall of each class with its 95 % interval. More than 15 classes are
// ordered so that classes that are confused with each other are neighbours, and the worst mistakes
// are listed.
func Confusion(c metrics.Confusion) Figure {
	if err := c.Check(); err != nil {
		return failed("%w", err)
	}
	m := newMatrix(c)
	f := m.figure()
	f.text = m.text()
	return &f
}

// matrix is a confusion matrix as it is shown.
type matrix struct {
	c       metrics.Confusion // in the given order
	order   []int             // row and column on the picture -> class
	classes []metrics.Class
	wrong   []metrics.Mistake
	ordered bool
}

func newMatrix(c metrics.Confusion) *matrix {
	k := len(c.Labels)
	m := &matrix{c: metrics.Confusion{Labels: slices.Clone(c.Labels)}, classes: c.PerClass(), wrong: c.MostConfused(listedMistake), ordered: k > orderedAbove}
	for _, row := range c.Counts {
		m.c.Counts = append(m.c.Counts, slices.Clone(row))
	}
	if m.ordered {
		m.order = neighbours(c.Counts)
	} else {
		for i := range k {
			m.order = append(m.order, i)
		}
	}
	return m
}

// share returns the share of the row's pictures that were predicted as column.
func (m *matrix) share(row, column int) float64 {
	t := m.order[row]
	if m.classes[t].Support == 0 {
		return 0
	}
	return float64(m.c.Counts[t][m.order[column]]) / float64(m.classes[t].Support)
}

func (m *matrix) figure() figure {
	k := len(m.order)
	names := make([]string, k)
	label := tickStyle
	if k > valuedBelow {
		label = style{8.5, false}
	}
	nameWidth := 0.0
	if k <= namedClasses {
		for i, o := range m.order {
			names[i] = label.fit(drawable(m.c.Labels[o]), 130)
			nameWidth = max(nameWidth, label.width(names[i]))
		}
	}
	if k > namedClasses {
		nameWidth = 26 // of the numbers
	}
	cell := 0.0
	switch {
	case k <= 2:
		cell = 76
	case k <= 6:
		cell = 58
	case k <= countedBelow:
		cell = 40
	case k <= valuedBelow:
		cell = 22
	case k <= namedClasses:
		cell = max(9.5, 440/float64(k))
	default:
		cell = 480 / float64(k)
	}
	side := cell * float64(k)
	// Names below the columns are turned if they do not fit.
	upright := false
	for _, n := range names {
		upright = upright || label.width(n) > cell-4
	}
	// Left: the row names and the word "truth"; right: recall.
	head := 54.0
	l := padding + 16 + nameWidth + 8
	top := padding + head
	foot := 32.0
	if k <= namedClasses {
		foot = 20 + 16
		if upright {
			foot = nameWidth + 12 + 18
		}
	} else {
		foot = 34
	}
	const whisker = 92.0
	rightCol := 0.0
	if k <= namedClasses {
		rightCol = 22 + whisker + 50
	}
	listed := m.ordered && len(m.wrong) > 0
	list := 0.0
	if listed {
		list = 20 + 15*float64(len(m.wrong)) + 6
	}
	width := max(l+side+rightCol+padding, 400)
	height := top + side + foot + list + padding - 6
	sub := m.c.Accuracy().String()
	switch { // what the numbers in the cells are
	case k <= 6:
	case k <= countedBelow:
		sub += "; in the cells: % of the row, pictures"
	case k <= valuedBelow:
		sub += "; in the cells: % of the row"
	}
	if m.ordered {
		sub += "; classes that are confused are neighbours"
	}
	return figure{width: width, height: height, draw: func(c *canvas) {
		c.text(point{padding, padding + 12}, left, titleStyle, ink, "Confusion matrix")
		c.text(point{padding, padding + 28}, left, subStyle, muted, subStyle.fit(sub, width-2*padding))
		m.cells(c, l, top, cell)
		c.turned(padding+9, top+side/2, tickStyle, muted, "truth")
		for i, n := range names {
			pos := (float64(i) + 0.5) * cell
			c.text(point{l - 7, top + pos + label.size*0.35}, right, label, ink, n)
			if upright {
				c.turnedRight(l+pos+label.size*0.35, top+side+7, label, ink, n)
			} else {
				c.text(point{l + pos, top + side + 14}, centre, label, ink, n)
			}
		}
		if k > namedClasses {
			a := whole(span{0, float64(k)}, 8)
			for _, t := range a.ticks {
				c.text(point{l - 7, top + t.value*cell + 3.5}, right, tickStyle, muted, t.label)
				c.text(point{l + t.value*cell, top + side + 14}, centre, tickStyle, muted, t.label)
			}
		}
		c.text(point{l + side/2, top + side + foot - 3}, centre, tickStyle, muted, "prediction")
		if rightCol > 0 {
			m.recalls(c, l+side+22, top, cell, whisker)
		}
		if listed {
			m.list(c, top+side+foot+16, width-2*padding)
		}
	}}
}

// cells draws the heat map: as rectangles, or as a picture with one pixel per cell if they are too
// small.
func (m *matrix) cells(c *canvas, l, top, cell float64) {
	k := len(m.order)
	side := cell * float64(k)
	if k > valuedBelow {
		c.raster(l, top, side, side, m.heat(int(math.Round(side*c.scale))))
		c.frame(box{l - 1, top - 1, side + 2, side + 2}, 1, faint)
		return
	}
	gap := 1.5
	if k > countedBelow {
		gap = 1
	}
	value, count := style{12, true}, style{9.5, false}
	if k > 6 {
		value, count = style{10, true}, style{8.5, false}
	}
	if k > countedBelow {
		value = style{8.5, false}
	}
	for i := range k {
		for j := range k {
			x, y := l+cell*float64(j), top+cell*float64(i)
			s, n := m.share(i, j), m.c.Counts[m.order[i]][m.order[j]]
			fill := blend(fade(faint, 0.45), white)
			if n > 0 {
				fill = ramp(s)
			}
			c.rect(x+gap/2, y+gap/2, cell-gap, cell-gap, fill)
			if n == 0 {
				continue
			}
			col := textOn(fill)
			mid := y + cell/2
			if k <= countedBelow {
				c.text(point{x + cell/2, mid - 0.5}, centre, value, col, share(s, k <= 6))
				c.text(point{x + cell/2, mid + count.size + 1.5}, centre, count, col, counted(n))
			} else {
				c.text(point{x + cell/2, mid + 3}, centre, value, col, share(s, false))
			}
		}
	}
	for i := range k { // the diagonal is where a picture should be
		c.frame(box{l + cell*float64(i) + gap/2, top + cell*float64(i) + gap/2, cell - gap, cell - gap}, 1, fade(ink, 0.35))
	}
}

// share formats a fraction: 94.8 % or 95. A small fraction is never printed as 0.
func share(v float64, long bool) string {
	if long {
		return percent(v)
	}
	if v > 0 && v < 0.005 {
		return "<1"
	}
	if v < 1 && v >= 0.995 {
		return ">99"
	}
	return strconv.FormatFloat(100*v, 'f', 0, 64)
}

// heat returns the matrix as pixels. A pixel that covers several cells shows the largest, so that a
// rare mistake among a thousand classes stays visible.
func (m *matrix) heat(pixels int) image.Image {
	k := len(m.order)
	n := min(max(pixels, 1), k)
	img := image.NewNRGBA(image.Rect(0, 0, n, n))
	best := make([]float64, n*n)
	for i := range k {
		for j := range k {
			pos := i*n/k*n + j*n/k
			best[pos] = max(best[pos], m.share(i, j))
		}
	}
	for pos, v := range best {
		fill := white
		if v > 0 {
			fill = ramp(0.12 + 0.88*math.Sqrt(v)) // the root makes small shares visible
		}
		img.SetNRGBA(pos%n, pos/n, fill)
	}
	return img
}

// recallFrom returns the start of the recall axis: near the lowest interval.
func (m *matrix) recallFrom() float64 {
	lowest := 1.0
	for _, r := range m.classes {
		if r.Support > 0 {
			lowest = min(lowest, r.RecallInterval.Low)
		}
	}
	for _, start := range []float64{0.9, 0.8, 0.5} {
		if lowest >= start {
			return start
		}
	}
	return 0
}

// recalls draws each class's recall beside its row: dot, interval, value.
func (m *matrix) recalls(c *canvas, x, top, cell, w float64) {
	k := len(m.order)
	side := cell * float64(k)
	c.text(point{x, top - 18}, left, labelStyle, ink, "recall")
	c.text(point{x + labelStyle.width("recall") + 5, top - 18}, left, noteStyle, muted, "95 % interval")
	start := m.recallFrom()
	px := func(v float64) float64 { return x + (v-start)/(1-start)*w }
	for _, v := range []float64{start, (start + 1) / 2, 1} {
		c.vline(px(v), top, top+side, 1, faint)
		c.text(point{px(v), top - 5}, centre, noteStyle, muted, strconv.FormatFloat(100*v, 'f', -1, 64))
	}
	for i, o := range m.order {
		y := top + (float64(i)+0.5)*cell
		r := m.classes[o]
		if r.Support == 0 {
			c.text(point{x + w + 9, y + 3.5}, left, noteStyle, muted, "none")
			continue
		}
		thick := min(5, cell*0.5)
		lo, hi := r.RecallInterval.Low, r.RecallInterval.High
		c.rect(px(lo), y-thick/2, px(hi)-px(lo), thick, fade(blue.line, 0.28))
		c.mark(disc, px(r.Recall), y, min(3.4, cell*0.36), blue.line)
		if cell >= 9 {
			st := tickStyle
			if cell < 14 {
				st = style{8.5, false}
			}
			c.text(point{x + w + 9, y + st.size*0.35}, left, st, ink, share(r.Recall, cell > 14))
		}
	}
}

// list writes the worst mistakes, for a matrix with cells too small to read.
func (m *matrix) list(c *canvas, y, width float64) {
	c.text(point{padding, y}, left, labelStyle, ink, "Most confused")
	for i, w := range m.wrong {
		c.text(point{padding, y + 16 + 15*float64(i)}, left, subStyle, ink, subStyle.fit(m.mistake(w, drawable), width))
	}
}

func (m *matrix) mistake(w metrics.Mistake, name func(string) string) string {
	return fmt.Sprintf("%s taken for %s: %s of %s", name(m.c.Labels[w.Truth]), name(m.c.Labels[w.Predicted]), counted(w.Count), counted(w.Support))
}

func (m *matrix) text() string {
	a := m.c.Accuracy()
	if a.Total == 0 {
		return fmt.Sprintf("Confusion matrix of %d classes without a picture.", len(m.order))
	}
	out := fmt.Sprintf("Confusion matrix of %s: accuracy %s.", plural(len(m.order), "class", "classes"), a)
	worst := -1
	for i, r := range m.classes {
		if r.Support > 0 && (worst < 0 || r.Recall < m.classes[worst].Recall) {
			worst = i
		}
	}
	if r := m.classes[worst]; len(m.order) > 1 {
		out += fmt.Sprintf(" Lowest recall: %s, %s (%d of %d).", inert(r.Label), percent(r.Recall), r.Correct, r.Support)
	}
	if len(m.wrong) == 0 {
		return out + " No mistake."
	}
	var worstPairs []string
	for _, w := range m.wrong[:min(3, len(m.wrong))] {
		worstPairs = append(worstPairs, m.mistake(w, inert))
	}
	return out + " Most confused: " + strings.Join(worstPairs, "; ") + "."
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return counted(n) + " " + many
}
