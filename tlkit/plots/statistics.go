package plots

import (
	"fmt"
	"image/color"
	"math"
	"strings"
)

// Channel is what one channel of the prepared pictures looks like, beside what
// the weights were trained on.
type Channel struct {
	Name      string  // "red"; red, green and blue have colours of their own
	Low, High float64 // range of the histogram
	Counts    []int   // equally wide bins from Low to High

	Mean, SD         float64 // measured
	WantMean, WantSD float64 // expected by the weights
}

// Off reports whether the measured values can hardly be what the weights were
// trained on: the mean more than one expected deviation away, or the deviation
// less than half or more than twice the expected one. Ordinary folders of
// photos stay well inside.
func (ch Channel) Off() bool {
	return math.Abs(ch.Mean-ch.WantMean) > ch.WantSD || ch.SD < ch.WantSD/2 || ch.SD > 2*ch.WantSD
}

// Statistics draws what a network is shown against what its weights expect:
// for each channel the histogram of the values that reach it, the bell of the
// expected mean and deviation, and both as bars to compare. The sentence is the
// verdict, drawn in red words when off. An empty sentence is made from the
// channels, and off with it.
func Statistics(sentence string, off bool, channels ...Channel) Figure {
	if len(channels) == 0 || len(channels) > 4 {
		return failed("statistics: %d channels: want 1..4", len(channels))
	}
	over := newSpan()
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
				over.add(ch.edge(b), ch.edge(b+1))
			}
		}
		if total == 0 {
			return failed("statistics: channel %s: the histogram is empty", inert(ch.Name))
		}
		over.add(ch.WantMean-2.6*ch.WantSD, ch.WantMean+2.6*ch.WantSD, ch.Mean-ch.SD, ch.Mean+ch.SD)
		all[i] = ch
		all[i].Counts = append([]int(nil), ch.Counts...)
	}
	if sentence == "" {
		sentence, off = verdict(all)
	}
	const height, head = 252.0, 42.0
	f := &figure{width: []float64{420, 600, pageWidth, pageWidth}[len(all)-1], height: padding + head + height + padding}
	var words []string
	for _, ch := range all {
		words = append(words, fmt.Sprintf("%s mean %s (expected %s), sd %s (expected %s)", inert(ch.Name), number(ch.Mean), number(ch.WantMean), number(ch.SD), number(ch.WantSD)))
	}
	f.text = "Input statistics against what the weights expect. " + strings.TrimSuffix(inertTo(sentence, 300), ".") + ". " + capital(strings.Join(words, "; ")) + "."
	var row []*panel
	var panels []*channelPanel
	for _, ch := range all {
		p := &channelPanel{Channel: ch}
		p.title, p.sub = capital(drawable(ch.Name)), ""
		p.x, p.y = linear(over, 5), axis{lo: 0, hi: 1}
		p.x.lo, p.x.hi = over.lo-0.02*(over.hi-over.lo), over.hi+0.02*(over.hi-over.lo)
		p.x.ticks = within(p.x)
		p.rightLabels = 4
		panels, row = append(panels, p), append(row, &p.panel)
	}
	f.draw = func(c *canvas) {
		colour := good.text
		if off {
			colour = bad.text
			c.cross(padding+7, padding+8, 12, bad.line)
		} else {
			c.tick(padding+7, padding+8, 13, good.line)
		}
		c.text(padding+20, padding+13, left, titleStyle, colour, titleStyle.fit(drawableTo(sentence, 300), f.width-2*padding-20))
		c.text(padding+20, padding+29, left, subStyle, muted, "values that reach the network, against the mean ± sd its weights were trained on")
		arrange(row, padding, f.width-padding, padding+head, height)
		for _, p := range panels {
			p.draw(c)
		}
	}
	return f
}

func within(a axis) []tick {
	var out []tick
	for _, t := range a.ticks {
		if t.at >= a.lo && t.at <= a.hi {
			out = append(out, t)
		}
	}
	return out
}

func (ch Channel) edge(b int) float64 {
	return ch.Low + (ch.High-ch.Low)*float64(b)/float64(len(ch.Counts))
}

// verdict is the sentence that the channels themselves suggest.
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
		return fmt.Sprintf("Not what these weights expect: %s is %s sd too %s", inert(ch.Name), number(math.Abs(shift)), word), true
	}
	if ch.SD < ch.WantSD {
		return fmt.Sprintf("Not what these weights expect: %s varies %s times too little", inert(ch.Name), number(ch.WantSD/math.Max(ch.SD, 1e-12))), true
	}
	return fmt.Sprintf("Not what these weights expect: %s varies %s times too much", inert(ch.Name), number(ch.SD/ch.WantSD)), true
}

// distance is the divergence of two normal distributions, for ranking.
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

// draw: above two bars to compare, below them the histogram with the bell.
func (p *channelPanel) draw(c *canvas) {
	const bars = 40.0
	c.text(p.start(), p.top-panelHead+14, left, labelStyle, ink, p.title)
	top := p.top - 22
	bottom := p.top + p.h
	want, have := top+9, top+27
	px := p.px
	clamp := func(v float64) float64 { return min(max(px(v), p.left), p.left+p.w) }
	// The expected range runs through the whole panel, as a place to be in.
	c.rect(clamp(p.WantMean-p.WantSD), top, clamp(p.WantMean+p.WantSD)-clamp(p.WantMean-p.WantSD), bottom-top, fade(good.line, 0.1))
	c.vline(px(p.WantMean), top, bottom, 1, fade(good.line, 0.5))
	// Histogram and bell share one area, so that they can be compared.
	data := top + bars
	density := make([]float64, len(p.Counts))
	total, most := 0, 0.0
	for _, n := range p.Counts {
		total += n
	}
	width := (p.High - p.Low) / float64(len(p.Counts))
	for b, n := range p.Counts {
		density[b] = float64(n) / float64(total) / width
		most = max(most, density[b])
	}
	bell := func(v float64) float64 {
		z := (v - p.WantMean) / p.WantSD
		return math.Exp(-z*z/2) / (p.WantSD * math.Sqrt(2*math.Pi))
	}
	peak := max(most, bell(p.WantMean))
	// A constant channel would flatten everything else: it is cut at 4 bells.
	if lim := 4 * bell(p.WantMean); most > lim && bell(p.WantMean) > most/50 {
		peak = lim
	}
	h := bottom - data - 2
	for b, d := range density {
		if d == 0 {
			continue
		}
		x0, x1 := px(p.edge(b)), px(p.edge(b+1))
		t := min(1, d/peak) * h
		c.rect(x0, bottom-t, max(x1-x0, 0.75), t, fade(p.colour(), 0.55))
	}
	// From four deviations below to four above, so that a bell much narrower
	// than the axis keeps its shape.
	var line []point
	for k := range 121 {
		if v := p.WantMean + p.WantSD*(float64(k)/15-4); v >= p.x.lo && v <= p.x.hi {
			line = append(line, point{px(v), bottom - min(1, bell(v)/peak)*h})
		}
	}
	c.line(line, 1.6, good.line)
	for _, b := range []struct {
		y, mean, sd float64
		col         color.NRGBA
		mark        marker
	}{{want, p.WantMean, p.WantSD, good.line, diamond}, {have, p.Mean, p.SD, ink, disc}} {
		c.hline(clamp(b.mean-b.sd), clamp(b.mean+b.sd), b.y, 3, fade(b.col, 0.5))
		c.mark(b.mark, clamp(b.mean), b.y, 4.2, b.col)
	}
	p.label(c, want, p.WantMean+p.WantSD, p.WantMean-p.WantSD, good.text, fmt.Sprintf("expected %s ± %s", number(p.WantMean), number(p.WantSD)))
	p.label(c, have, p.Mean+p.SD, p.Mean-p.SD, ink, fmt.Sprintf("here %s ± %s", number(p.Mean), number(p.SD)))
	p.drawX(c)
}

// label sets a bar's words beside it, where there is room.
func (p *channelPanel) label(c *canvas, y, hi, lo float64, col color.NRGBA, s string) {
	w := noteStyle.width(s)
	if x := max(p.px(hi), p.left) + 8; x+w <= p.left+p.w+4 {
		c.halo(x, y+3.4, left, noteStyle, col, s)
		return
	}
	if x := min(p.px(lo), p.left+p.w) - 8; x-w >= p.left-6 {
		c.halo(x, y+3.4, right, noteStyle, col, s)
		return
	}
	c.halo(p.left+p.w, y-5, right, noteStyle, col, s)
}
