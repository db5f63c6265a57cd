package plots

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/curves"
)

// rates fills the panel of learning rates: one line per run, the rate of its fastest group of
// parameters, and for a single run a band down to the slowest. One line per group would repeat
// colours, and all of them end at the same place.
func (ch *curvesChart) rates(p *curvesPanel) {
	for _, g := range ch.groups {
		s := gather(envelope(g.runs, math.Max), "", curves.Rate)
		if len(s.samples) == 0 {
			continue
		}
		s.name, s.hue, s.dots, s.flat = g.name, g.hue, false, ch.rivals
		if !ch.rivals {
			s.name, s.hue = "", hue{purple.line, purple.text, disc}
			slowest := gather(envelope(g.runs, math.Min), "", curves.Rate)
			s.flat = true
			for i, low := range slowest.samples {
				s.samples[i].lo, s.samples[i].hi = low.y, s.samples[i].y
				s.flat = s.flat && low.y == s.samples[i].y
			}
			p.sub, p.groupWords = groupsOf(g.runs)
		}
		p.series = append(p.series, s)
	}
}

// envelope returns the rates of runs with one point for all groups of a step, chosen by pick.
func envelope(runs []curves.Run, pick func(a, b float64) float64) []curves.Run {
	out := make([]curves.Run, len(runs))
	for i, r := range runs {
		out[i] = curves.Run{Name: r.Name, Axis: r.Axis}
		for _, p := range r.Series("", curves.Rate) {
			p.Split = ""
			n := len(out[i].Points)
			if n > 0 && out[i].Points[n-1].Step == p.Step && r.X(out[i].Points[n-1]) == r.X(p) {
				if last := &out[i].Points[n-1].Value; finite(p.Value) {
					*last = pick(*last, p.Value)
				}
				continue
			}
			out[i].Points = append(out[i].Points, p)
		}
	}
	return out
}

// groupsOf names the slowest and the fastest group with their peaks, for the picture and for the
// text.
func groupsOf(runs []curves.Run) (sub, words string) {
	type group struct {
		name string
		peak float64
	}
	var groups []group
	for _, p := range pointsOf(runs) {
		if p.Metric != curves.Rate || !finite(p.Value) {
			continue
		}
		i := slices.IndexFunc(groups, func(g group) bool { return g.name == p.Split })
		if i < 0 {
			groups = append(groups, group{name: p.Split})
			i = len(groups) - 1
		}
		groups[i].peak = max(groups[i].peak, p.Value)
	}
	if len(groups) == 0 {
		return "", ""
	}
	slices.SortStableFunc(groups, func(a, b group) int { return cmp.Compare(a.peak, b.peak) })
	low, high := groups[0], groups[len(groups)-1]
	if low.peak == high.peak {
		return "peak " + number(high.peak), ""
	}
	head := func(name string) string { return cmp.Or(name, "head alone") }
	return fmt.Sprintf("peaks %s (%s) to %s (%s)", number(low.peak), drawable(head(low.name)), number(high.peak), drawable(head(high.name))),
		fmt.Sprintf(" That is %s; the slowest of %d groups, %s, peaks at %s.", inert(head(high.name)), len(groups), inert(head(low.name)), number(low.peak))
}

// rateAxis is logarithmic if it has to show rates of different magnitudes: those of groups or runs,
// or the steps of a schedule. Otherwise it starts at 0, where a schedule ends.
func (p *curvesPanel) rateAxis() axis {
	var positive []float64
	all, peaks := newSpan(), newSpan()
	for _, s := range p.series {
		top, bottom := newSpan(), newSpan()
		for _, a := range s.samples {
			all.add(a.y)
			top.add(a.y)
			if !s.flat {
				bottom.add(a.lo)
			}
			if a.y > 0 && finite(a.y) {
				positive = append(positive, a.y)
			}
			for _, v := range []float64{a.y, a.lo} {
				if v > 0 && finite(v) && !s.flat {
					positive = append(positive, v)
				}
			}
		}
		if !top.empty() && top.hi > 0 {
			peaks.add(top.hi)
		}
		if !bottom.empty() && bottom.hi > 0 {
			peaks.add(bottom.hi)
		}
	}
	slices.Sort(positive)
	if len(positive) > 0 && all.lo >= 0 {
		top := positive[len(positive)-1]
		if peaks.hi > 10*peaks.lo || top > 20*positive[len(positive)/4] {
			return decades(span{max(positive[0], 1e-4*top) / 1.3, top * 1.3}, "")
		}
		all.add(0)
	}
	return linear(all, 5)
}
