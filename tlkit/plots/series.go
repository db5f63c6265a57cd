package plots

import (
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// series is one line of a panel: the mean of one or more repetitions, a band
// around it, and perhaps the raw values behind a smoothed line.
type series struct {
	name  string // split, or the run's name
	split string
	hue   hue
	runs  int

	samples []sample
	raw     []point // unsmoothed; nil = samples are as measured

	dashed bool // drawn, but it decides nothing
	dots   bool
	flat   bool // no band
}

// sample is one place on the line. lo and hi are NaN where there is no band.
type sample struct {
	x, y, lo, hi float64
	n            int // pictures, if every repetition has the same number
}

// last returns the last finite sample.
func (s series) last() (sample, bool) {
	for i := len(s.samples) - 1; i >= 0; i-- {
		if finite(s.samples[i].y) {
			return s.samples[i], true
		}
	}
	return sample{}, false
}

// sampleAt returns the sample at x, within rounding.
func (s series) sampleAt(x float64) (sample, bool) {
	for _, p := range s.samples {
		if math.Abs(p.x-x) <= 1e-9*math.Max(1, math.Abs(x)) && finite(p.y) {
			return p, true
		}
	}
	return sample{}, false
}

// gather makes the series of one split and metric from repetitions.
func gather(runs []curves.Run, split string, metric metrics.Metric) series {
	s := series{name: split, split: split, runs: len(runs)}
	if len(runs) == 1 {
		pts := runs[0].Series(split, metric)
		shown := pts
		if beta := smoothing(runs[0], pts); beta > 0 {
			shown = curves.Smooth(pts, beta)
			for _, p := range pts {
				s.raw = append(s.raw, point{runs[0].X(p), p.Value})
			}
		}
		for _, p := range shown {
			s.samples = append(s.samples, single(runs[0].X(p), p))
		}
		s.dots = len(s.samples) <= 24 && s.raw == nil
		return s
	}
	// Repetitions are averaged at equal x; where some of them end, the others continue.
	type cell struct {
		sum, lo, hi float64
		k, n        int
	}
	cells := map[float64]*cell{}
	var xs []float64
	for _, r := range runs {
		pts := r.Series(split, metric)
		for _, p := range curves.Smooth(pts, smoothing(r, pts)) {
			x := r.X(p)
			c := cells[x]
			if c == nil {
				c = &cell{lo: math.Inf(1), hi: math.Inf(-1), n: p.N}
				cells[x] = c
				xs = append(xs, x)
			}
			if !finite(p.Value) {
				continue
			}
			c.sum, c.k = c.sum+p.Value, c.k+1
			c.lo, c.hi = math.Min(c.lo, p.Value), math.Max(c.hi, p.Value)
			if p.N != c.n {
				c.n = 0
			}
		}
	}
	slices.Sort(xs)
	for _, x := range xs {
		c := cells[x]
		here := sample{x, math.NaN(), math.NaN(), math.NaN(), c.n}
		if c.k > 0 {
			here.y = c.sum / float64(c.k)
		}
		if c.k > 1 {
			here.lo, here.hi = c.lo, c.hi
		}
		s.samples = append(s.samples, here)
	}
	s.dots = len(s.samples) <= 24
	return s
}

// single makes a sample from a point of a single run: an accuracy has Wilson's interval.
func single(x float64, p curves.Point) sample {
	here := sample{x, p.Value, math.NaN(), math.NaN(), p.N}
	if p.Metric == curves.Accuracy && p.N > 0 && p.Value >= 0 && p.Value <= 1 {
		i := metrics.Wilson(int(math.Round(p.Value*float64(p.N))), p.N)
		here.lo, here.hi = i.Low, i.High
	}
	return here
}

// smoothing returns the EMA factor for a series. Only values measured several times per epoch are
// noisy enough to need one; the iterations of a solver are not.
func smoothing(r curves.Run, pts []curves.Point) float64 {
	if r.Axis == curves.Iterations || r.Axis == curves.Strengths || len(pts) < 12 || pts[0].Metric == curves.Rate {
		return 0
	}
	epochs := pts[len(pts)-1].Epoch - pts[0].Epoch
	window := float64(len(pts)-1) / math.Max(epochs, 1e-9)
	switch {
	case epochs <= 0 || window < 3:
		return 0
	case window < 12:
		return 0.8
	}
	return 0.9
}

// thin keeps at most about two points per device pixel: the lowest and the highest of each
// column, in order, so that no peak is lost. share is the place of an x, 0..1.
func thin(pts []point, columns int, share func(x float64) float64) []point {
	if len(pts) <= 4*columns {
		return pts
	}
	var out []point
	flush := func(lo, hi point) {
		if lo.x > hi.x {
			lo, hi = hi, lo
		}
		out = append(out, lo)
		if hi != lo {
			out = append(out, hi)
		}
	}
	column, open := 0, false
	var lo, hi point
	for _, p := range pts {
		if !finite(p.y) {
			if open {
				flush(lo, hi)
				open = false
			}
			if n := len(out); n > 0 && finite(out[n-1].y) {
				out = append(out, p)
			}
			continue
		}
		pos := int(share(p.x) * float64(columns))
		if open && pos != column {
			flush(lo, hi)
			open = false
		}
		if !open {
			column, lo, hi, open = pos, p, p, true
			continue
		}
		if p.y < lo.y {
			lo = p
		}
		if p.y > hi.y {
			hi = p
		}
	}
	if open {
		flush(lo, hi)
	}
	return out
}

// drawSeries draws band, raw values, line and dots into the panel.
func (p *panel) drawSeries(c *canvas, s series) {
	bandOf := func(start, end int) {
		var upper, lower []point
		for _, a := range s.samples[start:end] {
			upper = append(upper, point{p.px(a.x), p.py(a.hi)})
			lower = append(lower, point{p.px(a.x), p.py(a.lo)})
		}
		slices.Reverse(lower)
		if end-start == 1 { // one epoch: a bar with ends instead of an area of no width
			upper[0].y, lower[0].y = p.edged(s.samples[start].hi), p.edged(s.samples[start].lo)
			c.line([]point{upper[0], lower[0]}, 2, fade(s.hue.line, 0.45))
			for _, q := range []point{upper[0], lower[0]} {
				c.line([]point{{q.x - 4, q.y}, {q.x + 4, q.y}}, 2, fade(s.hue.line, 0.45))
			}
			return
		}
		c.polygon(clipArea(append(upper, lower...), p.top, p.top+p.h), fade(s.hue.line, 0.16))
	}
	if !s.dashed && !s.flat {
		start := -1
		for i := 0; i <= len(s.samples); i++ {
			has := i < len(s.samples) && finite(s.samples[i].lo) && finite(s.samples[i].hi)
			if has && start < 0 {
				start = i
			}
			if !has && start >= 0 {
				bandOf(start, i)
				start = -1
			}
		}
	}
	place := func(pts []point) []point {
		out := slices.Clone(thin(pts, int(p.w*c.scale), p.x.position))
		for i, q := range out {
			out[i] = point{p.px(q.x), p.py(q.y)}
		}
		return clip(out, p.top, p.top+p.h)
	}
	if s.raw != nil {
		c.line(place(s.raw), 0.9, fade(s.hue.line, 0.3))
	}
	line := make([]point, len(s.samples))
	for i, a := range s.samples {
		line[i] = point{a.x, a.y}
	}
	if s.hue == grey {
		c.line(place(line), 1.2, fade(s.hue.line, 0.55))
		return
	}
	if s.dashed {
		c.line(place(line), 1.5, fade(s.hue.line, 0.9), 4, 3)
	} else {
		c.line(place(line), 2.2, s.hue.line)
	}
	for i, a := range s.samples {
		if !finite(a.y) {
			continue
		}
		alone := (i == 0 || !finite(s.samples[i-1].y)) && (i+1 == len(s.samples) || !finite(s.samples[i+1].y))
		if !s.dots && !alone {
			continue
		}
		r := 2.7
		if len(s.samples) > 20 {
			r = 2
		}
		x, y := p.px(a.x), p.py(a.y)
		if y != p.edged(a.y) {
			continue
		}
		c.mark(s.hue.mark, x, y, r, s.hue.line)
		if s.dashed {
			c.mark(s.hue.mark, x, y, r-1.1, white)
		}
	}
}
