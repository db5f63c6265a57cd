package plots

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

const (
	perClassRow  = 22.0
	perClassHead = 66.0 // title, subtitle and the names of the columns
	perClassGap  = 74.0 // between columns, with the value in it
	perClassMost = 30   // rows; longer lists show both ends
	perClassTop  = 22
)

// perClassColumns are what is drawn of a class.
var perClassColumns = []struct {
	name  string
	hue   hue
	value func(c metrics.Class) (value float64, i metrics.Interval, total int)
}{
	{"precision", hues[0], func(c metrics.Class) (float64, metrics.Interval, int) {
		return c.Precision, c.PrecisionInterval, c.Predicted
	}},
	{"recall", hues[1], func(c metrics.Class) (float64, metrics.Interval, int) {
		return c.Recall, c.RecallInterval, c.Support
	}},
	{"F1", hues[2], func(c metrics.Class) (float64, metrics.Interval, int) {
		return c.F1, c.F1Interval, c.Support + c.Predicted
	}},
}

// PerClass draws precision, recall and F1 of each class side by side, each with its 95 % interval. The
// classes with the lowest F1 come first. Of more than 30 classes, the first 22 and the last 8 are drawn.
func PerClass(classes []metrics.Class) Figure {
	if len(classes) == 0 {
		return failed("per class: no classes: want at least one")
	}
	f := &perClass{all: slices.Clone(classes)}
	slices.SortStableFunc(f.all, func(a, b metrics.Class) int { return cmp.Compare(a.F1, b.F1) })
	f.rows = f.all
	if len(f.all) > perClassMost {
		f.hidden = len(f.all) - perClassMost
		f.rows = slices.Concat(f.all[:perClassTop], f.all[len(f.all)-(perClassMost-perClassTop):])
	}
	return f.figure()
}

// perClass is the content of [PerClass].
type perClass struct {
	all, rows []metrics.Class // lowest F1 first
	hidden    int
}

func (f *perClass) figure() *figure {
	names, wide := make([]string, len(f.rows)), 0.0
	for i, r := range f.rows {
		names[i] = subStyle.fit(drawable(r.Label), 170)
		wide = max(wide, subStyle.width(names[i]))
	}
	lines := float64(len(f.rows))
	if f.hidden > 0 {
		lines++
	}
	left0 := padding + wide + 12
	each := (pageWidth - padding + 16 - left0 - perClassGap*float64(len(perClassColumns))) / float64(len(perClassColumns))
	bottom := padding + perClassHead + perClassRow*lines
	return &figure{width: pageWidth, height: bottom + 22 + padding - 6, text: f.text(), draw: func(c *canvas) {
		c.text(point{padding, padding + 12}, left, titleStyle, ink, "Precision, recall and F1 by label")
		c.text(point{padding, padding + 28}, left, subStyle, muted, "95 % intervals; the lowest F1 first")
		for i, name := range names {
			c.text(point{left0 - 10, f.y(i) + 3.7}, right, subStyle, ink, name)
		}
		if f.hidden > 0 {
			c.text(point{left0 - 10, f.y(perClassTop) - perClassRow + 3.5}, right, noteStyle, muted, "… "+counted(f.hidden)+" more …")
		}
		for k := range perClassColumns {
			f.column(c, k, box{left0 + float64(k)*(each+perClassGap), padding + perClassHead, each, bottom - padding - perClassHead})
		}
	}}
}

// y returns the middle of a row.
func (f *perClass) y(i int) float64 {
	if f.hidden > 0 && i >= perClassTop {
		i++
	}
	return padding + perClassHead + perClassRow*(float64(i)+0.5)
}

// column draws one measure of all classes.
func (f *perClass) column(c *canvas, k int, b box) {
	col := perClassColumns[k]
	extent := newSpan()
	for _, r := range f.rows {
		if v, i, total := col.value(r); total > 0 {
			extent.add(v, i.Low, i.High)
		}
	}
	if extent.empty() {
		extent.add(0, 1)
	}
	ax := Scale{Unit: "%"}.axis(extent, 3)
	px := func(v float64) float64 { return b.x + ax.position(v)*b.w }
	c.text(point{b.x, b.y - 12}, left, labelStyle, col.hue.text, col.name)
	for _, t := range ax.ticks {
		c.vline(px(t.value), b.y, b.y+b.h, 1, faint)
		c.text(point{px(t.value), b.y + b.h + 14}, centre, tickStyle, muted, t.label)
	}
	c.hline(b.x, b.x+b.w, b.y+b.h, 1, edge)
	for i, r := range f.rows {
		v, interval, total := col.value(r)
		if total == 0 {
			c.text(point{b.x + b.w + 10, f.y(i) + 3.7}, left, noteStyle, muted, "none")
			continue
		}
		if drawn(interval) {
			c.rect(px(interval.Low), f.y(i)-3, max(1, px(interval.High)-px(interval.Low)), 6, fade(col.hue.line, 0.26))
		}
		c.mark(col.hue.mark, px(v), f.y(i), 4.6, white)
		c.mark(col.hue.mark, px(v), f.y(i), 3.6, col.hue.line)
		c.text(point{b.x + b.w + 10, f.y(i) + 3.7}, left, labelStyle, ink, percent(v))
	}
}

func (f *perClass) text() string {
	out := fmt.Sprintf("Precision, recall and F1 of %s.", plural(len(f.all), "label", "labels"))
	scale := Scale{Unit: "%"}
	words := func(c metrics.Class) string {
		if c.Support+c.Predicted == 0 {
			return inert(c.Label) + ", without a picture"
		}
		return fmt.Sprintf("%s, F1 %s, precision %d of %d, recall %d of %d", inert(c.Label), scale.words(c.F1, c.F1Interval), c.Correct, c.Predicted, c.Correct, c.Support)
	}
	if len(f.all) == 1 {
		return out + " " + words(f.all[0]) + "."
	}
	return out + " Lowest: " + words(f.all[0]) + ". Highest: " + words(f.all[len(f.all)-1]) + "."
}
