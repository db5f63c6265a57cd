package plots

import (
	"fmt"
	"math"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// text describes the curves in words.
func (ch *curvesChart) text() string {
	if len(ch.panels) == 0 {
		return "Curves: no measurement yet."
	}
	var out []string
	for _, p := range ch.panels {
		if ch.rivals {
			out = append(out, ch.rivalWords(p))
			continue
		}
		for _, s := range p.series {
			out = append(out, ch.seriesWords(p, s))
		}
	}
	if g := ch.groups[0]; !ch.rivals && finite(g.kept) {
		word := "Best"
		if g.why == curves.Chosen {
			word = "Kept"
		}
		why := ""
		if g.why != curves.Chosen {
			why = " (" + g.why + ")"
		}
		out = append(out, fmt.Sprintf("%s: %s%s.", word, ch.where(g.kept), why))
	}
	if finite(ch.border) {
		out = append(out, fmt.Sprintf("The backbone is frozen until %s, then fine-tuned.", ch.where(ch.border)))
	}
	return strings.Join(out, " ")
}

// seriesWords describes a line: "Valid loss falls from 0.78 to 0.219 at epoch 6 of 8, then rises to
// 0.236."
func (ch *curvesChart) seriesWords(p *curvesPanel, s series) string {
	name := strings.TrimSpace(inert(s.split) + " " + inert(p.metric.Title()))
	if p.metric == curves.Rate {
		name = strings.TrimSpace("learning rate " + inert(strings.TrimPrefix(s.split, curves.Train)))
	}
	name = capital(name)
	var pts []curves.Point
	var first sample
	missing := 0
	for _, a := range s.samples {
		if !finite(a.y) {
			missing++
			continue
		}
		if len(pts) == 0 {
			first = a
		}
		pts = append(pts, curves.Point{Metric: p.metric, Epoch: a.x, Value: a.y})
	}
	suffix := ""
	if missing > 0 {
		suffix = fmt.Sprintf(" It is not a number at %d of %d points.", missing, len(s.samples))
	}
	if len(pts) == 0 {
		return name + " was never a number."
	}
	last, _ := s.last()
	if len(pts) == 1 {
		return fmt.Sprintf("%s is %s at %s.%s", name, p.detail(last), ch.where(last.x), suffix)
	}
	if p.metric == curves.Rate {
		peak := first
		for _, a := range s.samples {
			if finite(a.y) && a.y > peak.y {
				peak = a
			}
		}
		return fmt.Sprintf("%s starts at %s, peaks at %s at %s and ends at %s.%s", name, number(first.y), number(peak.y), ch.where(peak.x), number(last.y), p.groupWords+suffix)
	}
	if s.split == curves.Train {
		verb := "goes"
		switch {
		case last.y > first.y:
			verb = "rises"
		case last.y < first.y:
			verb = "falls"
		}
		return fmt.Sprintf("%s %s from %s to %s at %s.%s", name, verb, p.value(first.y), p.value(last.y), ch.where(last.x), suffix)
	}
	best, _ := curves.Best(pts)
	top, _ := s.sampleAt(best.Epoch)
	if top.y == first.y && top.y == last.y {
		return fmt.Sprintf("%s stays at %s up to %s.%s", name, p.detail(last), ch.where(last.x), suffix)
	}
	verb, back := "rises", "falls"
	if top.y < first.y {
		verb, back = back, verb
	}
	if top.x == first.x {
		return fmt.Sprintf("%s is best at the start, %s at %s, and ends at %s.%s", name, p.detail(top), ch.where(top.x), p.detail(last), suffix)
	}
	out := fmt.Sprintf("%s %s from %s to %s at %s", name, verb, p.value(first.y), p.detail(top), ch.where(top.x))
	if ch.solved == 0 {
		out += " of " + place(last.x)
	}
	if top.x != last.x {
		if p.value(last.y) == p.value(top.y) {
			out += ", then holds"
		} else {
			out += fmt.Sprintf(", then %s to %s", back, p.value(last.y))
		}
	}
	return out + "." + suffix
}

// detail formats a value with its interval and counts, if it has them.
func (p *curvesPanel) detail(a sample) string {
	s := p.value(a.y)
	if !p.share() || !finite(a.lo) {
		return s
	}
	if a.n > 0 {
		k := int(math.Round(a.y * float64(a.n)))
		if math.Abs(a.y*float64(a.n)-float64(k)) < 1e-6*float64(a.n) && metrics.Wilson(k, a.n).Known() && a.hi != a.lo {
			return fmt.Sprintf("%s (%s of %s, 95 %% %.1f-%.1f)", s, counted(k), counted(a.n), 100*a.lo, 100*a.hi)
		}
	}
	return fmt.Sprintf("%s (%.1f-%.1f)", s, 100*a.lo, 100*a.hi)
}

func (ch *curvesChart) rivalWords(p *curvesPanel) string {
	var out []string
	for i, s := range p.series {
		if i == 8 {
			out = append(out, fmt.Sprintf("and %d more", len(p.series)-i))
			break
		}
		for _, g := range ch.groups {
			if g.name != s.name {
				continue
			}
			v := "never a number"
			if a, ok := ch.standing(p, s, g); ok {
				v = p.value(a.y) + " at " + ch.where(a.x)
			}
			out = append(out, fmt.Sprintf("%s %s", inert(s.name), v))
		}
	}
	return capital(strings.TrimSpace(inert(p.sub)+" "+inert(p.metric.Title()))) + ": " + strings.Join(out, ", ") + "."
}

func capital(s string) string {
	if s == "" || s[0] >= 0x80 {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
