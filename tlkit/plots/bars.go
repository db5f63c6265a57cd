package plots

import (
	"fmt"
	"math"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// Bar is one row of [Bars].
type Bar struct {
	Label    string
	Value    float64
	Interval metrics.Interval // may be unknown
	Note     string           // a few words after the value: "65 of 70"
}

const (
	barsShown = 40 // longer lists show both ends
	barsHead  = 30
)

// Bars draws a row for each value, in the given order: the interval as a bar, the value as a dot
// in it. The axis starts near the smallest value, with a tick there. Of more than 40 rows, the
// first 30 and the last 10 are drawn.
func Bars(title string, scale Scale, bars []Bar) Figure {
	if len(bars) == 0 {
		return failed("bars: nothing to draw: want at least one row")
	}
	bars = append([]Bar(nil), bars...)
	rows, hidden := bars, 0
	if len(bars) > barsShown {
		hidden = len(bars) - barsShown
		rows = append(append([]Bar(nil), bars[:barsHead]...), bars[len(bars)-(barsShown-barsHead):]...)
	}
	extent := newSpan()
	for _, b := range rows {
		extent.add(b.Value)
		if drawn(b.Interval) {
			extent.add(b.Interval.Low, b.Interval.High)
		}
	}
	ax := scale.axis(extent, 6)
	const row, head, foot = 22.0, 44.0, 22.0
	label, value := 0.0, 0.0
	names, values := make([]string, len(rows)), make([]string, len(rows))
	for i, b := range rows {
		names[i] = subStyle.fit(drawable(b.Label), 190)
		values[i] = scale.value(b.Value)
		label = max(label, subStyle.width(names[i]))
		value = max(value, labelStyle.width(values[i])+6+noteStyle.width(note(b.Note)))
	}
	const width = 600.0
	l, r := padding+label+10, width-padding-value-10
	gapAt := -1
	extra := 0.0
	if hidden > 0 {
		gapAt, extra = barsHead, row
	}
	bottom := padding + head + row*float64(len(rows)) + extra
	f := &figure{width: width, height: bottom + foot + padding - 6}
	f.text = barsText(title, scale, bars)
	f.draw = func(c *canvas) {
		c.text(point{padding, padding + 12}, left, titleStyle, ink, titleStyle.fit(drawable(title), width-2*padding))
		c.text(point{padding, padding + 28}, left, subStyle, muted, scale.title()+intervalWords(rows))
		px := func(v float64) float64 { return l + ax.position(v)*(r-l) }
		for _, t := range ax.ticks {
			x := px(t.value)
			c.vline(x, padding+head, bottom, 1, faint)
			c.text(point{x, bottom + 14}, centre, tickStyle, muted, t.label)
		}
		if ax.lo < 0 && ax.hi > 0 {
			c.vline(px(0), padding+head, bottom, 1, edge)
		}
		c.hline(l, r, bottom, 1, edge)
		for i, b := range rows {
			y := padding + head + row*(float64(i)+0.5)
			if gapAt >= 0 && i >= gapAt {
				y += row
			}
			if i == gapAt {
				c.text(point{l - 10, y - row + 3.5}, right, noteStyle, muted, "… "+counted(hidden)+" more …")
			}
			c.text(point{l - 10, y + 3.7}, right, subStyle, ink, names[i])
			if finite(b.Value) {
				if iv := b.Interval; drawn(iv) {
					c.rect(px(iv.Low), y-3, max(1, px(iv.High)-px(iv.Low)), 6, fade(blue.line, 0.26))
				}
				c.mark(disc, px(b.Value), y, 4, white)
				c.mark(disc, px(b.Value), y, 3.4, blue.line)
			}
			w := c.text(point{r + 12, y + 3.7}, left, labelStyle, ink, values[i])
			c.text(point{r + 12 + w + 6, y + 3.7}, left, noteStyle, muted, note(b.Note))
		}
	}
	return f
}

func note(s string) string { return noteStyle.fit(drawable(s), 120) }

func intervalWords(rows []Bar) string {
	for _, b := range rows {
		if drawn(b.Interval) {
			return ", 95 % interval"
		}
	}
	return ""
}

func barsText(title string, scale Scale, bars []Bar) string {
	var out []string
	lo, hi := -1, -1
	for i, b := range bars {
		if finite(b.Value) {
			if lo < 0 || b.Value < bars[lo].Value {
				lo = i
			}
			if hi < 0 || b.Value > bars[hi].Value {
				hi = i
			}
		}
		if len(bars) <= 6 {
			out = append(out, inert(b.Label)+" "+scale.words(b.Value, b.Interval))
		}
	}
	head := inert(title) + ", " + inert(scale.Name)
	if len(bars) <= 6 {
		return head + ": " + strings.Join(out, ", ") + "."
	}
	if lo < 0 {
		return fmt.Sprintf("%s of %d rows: none is a number.", head, len(bars))
	}
	return fmt.Sprintf("%s of %d rows: from %s with %s to %s with %s.", head, len(bars),
		inert(bars[lo].Label), scale.words(bars[lo].Value, bars[lo].Interval), inert(bars[hi].Label), scale.words(bars[hi].Value, bars[hi].Interval))
}

// Group is one row of [Strip]: repeated measurements of the same thing.
type Group struct {
	Label  string
	Values []float64
}

// Strip draws every value of a few groups as a dot, such as a seed or a fold, with the mean of the
// group and its 95 % t interval.
func Strip(title string, scale Scale, groups []Group) Figure {
	if len(groups) == 0 || len(groups) > barsShown {
		return failed("strip: %d groups: want 1..%d", len(groups), barsShown)
	}
	extent := newSpan()
	means := make([]metrics.Mean, len(groups))
	names, values := make([]string, len(groups)), make([]string, len(groups))
	all := make([]Group, len(groups))
	label, value := 0.0, 0.0
	var words []string
	for i, g := range groups {
		if len(g.Values) == 0 {
			return failed("strip: group %s has no values", inert(g.Label))
		}
		m, err := metrics.MeanOf(g.Values)
		if err != nil {
			return failed("strip: group %s: %w", inert(g.Label), err)
		}
		means[i], all[i] = m, Group{g.Label, append([]float64(nil), g.Values...)}
		extent.add(g.Values...)
		if m.Interval.Known() {
			iv := m.Interval
			if scale.Unit == "%" { // the t interval knows no bounds; fractions have them
				iv.Low, iv.High = math.Max(iv.Low, 0), math.Min(iv.High, 1)
			}
			means[i].Interval = iv
			extent.add(iv.Low, iv.High)
		}
		names[i] = subStyle.fit(drawable(g.Label), 190)
		values[i] = scale.value(m.Value)
		label = max(label, subStyle.width(names[i]))
		value = max(value, labelStyle.width(values[i]))
		words = append(words, fmt.Sprintf("%s %s over %s", inert(g.Label), scale.words(m.Value, means[i].Interval), plural(m.N, "run", "runs")))
	}
	ax := scale.axis(extent, 6)
	const width, row, head, foot = 600.0, 40.0, 44.0, 22.0
	l, r := padding+label+10, width-padding-value-12
	bottom := padding + head + row*float64(len(groups))
	f := &figure{width: width, height: bottom + foot + padding - 6}
	f.text = inert(title) + ", " + inert(scale.Name) + ": " + strings.Join(words, "; ") + "."
	f.draw = func(c *canvas) {
		c.text(point{padding, padding + 12}, left, titleStyle, ink, titleStyle.fit(drawable(title), width-2*padding))
		c.text(point{padding, padding + 28}, left, subStyle, muted, scale.title()+": one dot a run, mean and its 95 % interval")
		px := func(v float64) float64 { return l + ax.position(v)*(r-l) }
		for _, t := range ax.ticks {
			c.vline(px(t.value), padding+head, bottom, 1, faint)
			c.text(point{px(t.value), bottom + 14}, centre, tickStyle, muted, t.label)
		}
		c.hline(l, r, bottom, 1, edge)
		for i, g := range all {
			h := hues[i%len(hues)]
			if len(all) > len(hues) {
				h = blue
			}
			y := padding + head + row*(float64(i)+0.5)
			c.text(point{l - 10, y + 3.7}, right, subStyle, ink, names[i])
			if iv := means[i].Interval; iv.Known() {
				c.rect(px(iv.Low), y-4, max(1, px(iv.High)-px(iv.Low)), 8, fade(h.line, 0.2))
			}
			for _, spot := range beeswarm(g.Values, px, 3, row/2-4) {
				c.mark(disc, spot.x, y+spot.y, 3.6, white)
				c.mark(disc, spot.x, y+spot.y, 3, fade(h.line, 0.75))
			}
			c.vline(px(means[i].Value), y-11, y+11, 2.4, h.line)
			c.text(point{r + 12, y + 3.7}, left, labelStyle, h.text, values[i])
		}
	}
	return f
}

// beeswarm moves dots of radius r up and down, as far as there is room, so that they do not cover
// each other.
func beeswarm(values []float64, px func(float64) float64, r, room float64) []point {
	if len(values) > 400 {
		values = values[:400]
	}
	var out []point
	for _, v := range values {
		x, y := px(v), 0.0
		for k := 1; k < 40; k++ {
			free := true
			for _, q := range out {
				free = free && math.Hypot(q.x-x, q.y-y) >= 2*r
			}
			if free || math.Abs(y) > room {
				break
			}
			y = float64((k+1)/2) * r * 0.7 * float64(1-2*(k%2))
		}
		out = append(out, point{x, min(max(y, -room), room)})
	}
	return out
}
