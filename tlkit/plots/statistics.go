package plots

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Channel describes one channel of the prepared pictures, and what the weights expect of it.
type Channel struct {
	Name      string  // "red"; red, green and blue have colours of their own
	Low, High float64 // range of the histogram
	Counts    []int   // equally wide bins from Low to High

	Mean, SD         float64 // measured
	WantMean, WantSD float64 // expected by the weights
}

// Off reports whether the measured values are probably not what the weights expect: the mean is
// more than one expected deviation away, or the deviation is less than half or more than twice
// the expected one. Ordinary folders of photos stay well within these limits.
func (ch Channel) Off() bool {
	return math.Abs(ch.Mean-ch.WantMean) > ch.WantSD || ch.SD < ch.WantSD/2 || ch.SD > 2*ch.WantSD
}

// Statistics draws the input of a network against what its weights expect: for each channel the
// histogram of its values, the normal curve of the expected mean and deviation, and both as bars to
// compare. The sentence is the title: red with a cross if off, green with a check mark if every channel
// is as expected, and else plain. If it is empty, sentence and off are derived from the channels.
func Statistics(sentence string, off bool, channels ...Channel) Figure {
	if len(channels) == 0 || len(channels) > 4 {
		return failed("statistics: %d channels: want 1..4", len(channels))
	}
	extent := newSpan()
	all := make([]Channel, len(channels))
	for i, ch := range channels {
		if len(ch.Counts) == 0 || len(ch.Counts) > 4096 || !(ch.Low < ch.High) || !finite(ch.High-ch.Low) {
			return failed("statistics: channel %s: %d bins from %v to %v: want 1..4096 bins over a finite range", inert(ch.Name), len(ch.Counts), ch.Low, ch.High)
		}
		if !finite(ch.Mean) || !finite(ch.SD) || !finite(ch.WantMean) || !(ch.WantSD > 0) || !finite(ch.WantSD) || ch.SD < 0 {
			return failed("statistics: channel %s: mean %v, sd %v against %v, %v: want finite numbers and an expected sd above 0", inert(ch.Name), ch.Mean, ch.SD, ch.WantMean, ch.WantSD)
		}
		total := 0
		for b, n := range ch.Counts {
			if n < 0 {
				return failed("statistics: channel %s: bin %d counts %d: want 0 or more", inert(ch.Name), b, n)
			}
			total += n
			if n > 0 {
				extent.add(ch.edge(b), ch.edge(b+1))
			}
		}
		if total == 0 {
			return failed("statistics: channel %s: the histogram is empty", inert(ch.Name))
		}
		extent.add(ch.WantMean-2.6*ch.WantSD, ch.WantMean+2.6*ch.WantSD, ch.Mean-ch.SD, ch.Mean+ch.SD)
		all[i] = ch
		all[i].Counts = append([]int(nil), ch.Counts...)
	}
	if sentence == "" {
		sentence, off = verdict(all)
	}
	strange := slices.ContainsFunc(all, Channel.Off)
	const height, head = 216.0, 40.0
	f := &figure{width: []float64{420, 600, pageWidth, pageWidth}[len(all)-1], height: padding + head + height + 2}
	var words []string
	for _, ch := range all {
		words = append(words, fmt.Sprintf("%s mean %s (expected %s), sd %s (expected %s)", inert(ch.Name), plain(ch.Mean), plain(ch.WantMean), plain(ch.SD), plain(ch.WantSD)))
	}
	f.text = "Input statistics against what the weights expect. " + strings.TrimSuffix(inertTo(sentence, 300), ".") + ". " + capital(strings.Join(words, "; ")) + "."
	var row []*panel
	var panels []*channelPanel
	for _, ch := range all {
		p := &channelPanel{Channel: ch}
		p.title, p.sub = capital(drawable(ch.Name)), ""
		p.x, p.y = linear(extent, 5), axis{lo: 0, hi: 1}
		p.x.lo, p.x.hi = extent.lo-0.02*(extent.hi-extent.lo), extent.hi+0.02*(extent.hi-extent.lo)
		p.x.ticks = inside(p.x)
		p.rightLabels = 4
		panels, row = append(panels, p), append(row, &p.panel)
	}
	f.draw = func(c *canvas) {
		colour, start := ink, padding
		switch {
		case off:
			colour, start = bad.text, padding+20
			c.cross(padding+7, padding+8, 12, bad.line)
		case !strange:
			colour, start = good.text, padding+20
			c.tick(padding+7, padding+8, 13, good.line)
		}
		c.text(point{start, padding + 13}, left, titleStyle, colour, titleStyle.fit(drawableTo(sentence, 300), f.width-padding-start))
		c.text(point{start, padding + 29}, left, subStyle, muted, "values that reach the network, against the mean ± sd its weights were trained on")
		arrange(row, padding, f.width-padding, padding+head, height)
		for _, p := range panels {
			p.draw(c)
		}
	}
	return f
}

func inside(a axis) []tick {
	var out []tick
	for _, t := range a.ticks {
		if t.value >= a.lo && t.value <= a.hi {
			out = append(out, t)
		}
	}
	return out
}

func (ch Channel) edge(b int) float64 {
	return ch.Low + (ch.High-ch.Low)*float64(b)/float64(len(ch.Counts))
}

// verdict returns the sentence and the verdict that follow from the channels.
func verdict(all []Channel) (string, bool) {
	worst, off := 0, false
	for i, ch := range all {
		off = off || ch.Off()
		if ch.distance() > all[worst].distance() {
			worst = i
		}
	}
	if !off {
		return "The input looks like what the weights were trained on", false
	}
	ch := all[worst]
	shift := (ch.Mean - ch.WantMean) / ch.WantSD
	if math.Abs(shift) > 1 {
		word := "bright"
		if shift < 0 {
			word = "dark"
		}
		return fmt.Sprintf("Not what these weights expect: %s is %s sd too %s", inert(ch.Name), plain(math.Abs(shift)), word), true
	}
	if ch.SD < ch.WantSD {
		return fmt.Sprintf("Not what these weights expect: %s varies %s times too little", inert(ch.Name), strconv.FormatFloat(ch.WantSD/math.Max(ch.SD, 1e-12), 'g', 2, 64)), true
	}
	return fmt.Sprintf("Not what these weights expect: %s varies %s times too much", inert(ch.Name), strconv.FormatFloat(ch.SD/ch.WantSD, 'g', 2, 64)), true
}

// distance returns the divergence of the two normal distributions, for ranking.
func (ch Channel) distance() float64 {
	r := math.Max(ch.SD, 1e-12) / ch.WantSD
	d := (ch.Mean - ch.WantMean) / ch.WantSD
	return 0.5*(r*r+d*d-1) - math.Log(r)
}

type channelPanel struct {
	panel
	Channel
}

func (ch Channel) colour() color.NRGBA {
	switch strings.ToLower(ch.Name) {
	case "red", "r":
		return rgb(0xC0504D)
	case "green", "g":
		return rgb(0x3E9A5B)
	case "blue", "b":
		return rgb(0x3B78C2)
	}
	return grey.line
}

// draw draws the two bars and, below them, the histogram with the normal curve. Histogram and
// curve have independent heights, so that both are visible if one is a hundred times narrower;
// what matters is place and width.
func (p *channelPanel) draw(c *canvas) {
	base := p.top - panelHead
	c.text(point{p.start(), base + 14}, left, labelStyle, ink, p.title)
	x := p.start()
	for _, k := range []struct {
		mark marker
		fill color.NRGBA
		text color.NRGBA
		s    string
	}{{diamond, want.line, want.text, "expected " + spread2(p.WantMean, p.WantSD)}, {disc, ink, ink, "here " + spread2(p.Mean, p.SD)}} {
		c.mark(k.mark, x+4, base+26.6, 3.4, k.fill)
		x += 12 + c.text(point{x + 12, base + 30}, left, noteStyle, k.text, k.s) + 12
	}
	const bars = 30.0
	top := base + 40
	bottom := p.top + p.h
	px := p.px
	clamp := func(v float64) float64 { return min(max(px(v), p.left), p.left+p.w) }

	h := bottom - top - bars
	most := 0
	for _, n := range p.Counts {
		most = max(most, n)
	}
	fill := blend(fade(p.colour(), 0.55), white)
	for b, n := range p.Counts {
		if n > 0 {
			x0 := px(p.edge(b))
			t := max(0.5, h*float64(n)/float64(most))
			c.rect(x0, bottom-t, max(px(p.edge(b+1))-x0, 0.75), t, fill)
		}
	}
	// The expected range is tinted through the whole panel.
	lo, hi := clamp(p.WantMean-p.WantSD), clamp(p.WantMean+p.WantSD)
	c.rect(lo, top, max(hi-lo, 1), bottom-top, fade(want.line, 0.1))
	c.vline(px(p.WantMean), top, bottom, 1, fade(want.line, 0.5))
	// From four deviations below to four above, so that a curve much narrower than the axis
	// keeps its shape.
	var line []point
	for k := range 121 {
		z := float64(k)/15 - 4
		if v := p.WantMean + p.WantSD*z; v >= p.x.lo && v <= p.x.hi {
			line = append(line, point{px(v), bottom - math.Exp(-z*z/2)*h*0.97})
		}
	}
	c.line(line, 1.6, want.line)
	for _, b := range []struct {
		y, mean, sd float64
		col         color.NRGBA
		mark        marker
	}{{top + 8, p.WantMean, p.WantSD, want.line, diamond}, {top + 20, p.Mean, p.SD, ink, disc}} {
		c.hline(clamp(b.mean-b.sd), clamp(b.mean+b.sd), b.y, 3, fade(b.col, 0.5))
		c.mark(b.mark, clamp(b.mean), b.y, 4.2, b.col)
	}
	p.drawX(c)
}

// spread2 formats mean and deviation with two decimals, or more if needed.
func spread2(mean, sd float64) string { return plain(mean) + " ± " + plain(sd) }

func plain(v float64) string {
	if size := math.Abs(v); size != 0 && size < 0.01 || size >= 1e5 {
		return number(v)
	} else if size >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	s := strconv.FormatFloat(v, 'f', 2, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
