package plots

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/curves"
)

// axes sets the common x axis of all panels, and the y axis and end labels of each.
func (ch *curvesChart) axes() {
	x := newSpan()
	for _, p := range ch.panels {
		for _, s := range p.series {
			for _, a := range s.samples {
				x.add(a.x)
			}
		}
	}
	if ch.axis == curves.Epochs {
		x.add(0)
	}
	if x.hi == 0 || x.empty() {
		x = span{0, 1}
	}
	var outside []string
	for _, p := range ch.panels {
		ch.setX(p, x)
		p.setDecimals()
		for _, s := range p.series {
			for _, a := range s.samples {
				if !finite(a.y) {
					p.broken = append(p.broken, a.x)
				}
			}
		}
		y, left := ch.settle(p, p.extent)
		if left != "" {
			outside = append(outside, left)
		}
		switch {
		case p.metric == curves.Rate:
			p.y = p.rateAxis()
		case p.share():
			if y.hi-y.lo < 0.02 {
				y = span{max(0, y.lo-0.01), min(1, y.hi+0.01)}
			}
			p.y = linearUnit(y, 5, 100, " %")
			p.y.hi = min(p.y.hi, 1)
		default:
			if y.lo > 0 && y.lo < 0.35*y.hi {
				y.lo = 0
			}
			p.y = linear(y, 5)
		}
		p.rightLabels = 8
		switch kept := !ch.rivals && finite(ch.groups[0].kept); {
		case ch.rivals:
			p.rightLabels += whiskerGap * float64(p.whiskers)
			continue
		case len(p.series) == 1 && (p.metric == curves.Rate || kept && score(p.metric)):
			if p.metric != curves.Rate {
				ch.subtitle(p)
			}
			continue // the subtitle says the same
		}
		ch.subtitle(p)
		p.ends = true
		for _, s := range p.series {
			p.rightLabels = max(p.rightLabels, labelStyle.width(p.endLabel(s))+10)
		}
	}
	if len(outside) > 0 {
		first := "the first iterations"
		if ch.axis == curves.Strengths {
			first = "the strongest L2"
		}
		ch.addNote("Outside the frame: " + first + ", with " + strings.Join(outside, " and "))
	}
}

// extent returns the span of everything drawn at or after an x.
func (p *curvesPanel) extent(from float64) span {
	y := newSpan()
	for _, s := range p.series {
		for _, a := range s.samples {
			if a.x < from {
				continue
			}
			y.add(a.y)
			if !s.dashed {
				y.add(a.lo, a.hi)
			}
		}
		for _, r := range s.raw {
			if r.x >= from {
				y.add(r.y)
			}
		}
	}
	return y
}

// setDecimals sets the number of decimals of a panel's labels, so that its largest final value has
// three digits.
func (p *curvesPanel) setDecimals() {
	top := newSpan()
	for _, s := range p.series {
		if a, ok := s.last(); ok {
			top.add(math.Abs(a.y))
		}
	}
	p.decimals = -1
	if !top.empty() && top.hi >= 5e-3 && top.hi < 1e4 {
		p.decimals = max(0, 2-int(math.Floor(math.Log10(top.hi))))
	}
}

// short formats a value for a label in the picture.
func (p *curvesPanel) short(v float64) string {
	if p.share() || p.decimals < 0 || !finite(v) {
		return p.value(v)
	}
	s := strconv.FormatFloat(v, 'f', p.decimals, 64)
	if strings.Trim(s, "-0.") == "" && v != 0 {
		return number(v)
	}
	return s
}

func (p *curvesPanel) endLabel(s series) string {
	name := labelStyle.fit(drawable(s.name), 90)
	if a, ok := s.last(); ok {
		return strings.TrimSpace(name + " " + p.short(a.y))
	}
	return name
}

// note writes the small print: what bands, dashes and choices mean.
func (ch *curvesChart) note() {
	for _, p := range ch.panels {
		for _, s := range p.series {
			switch {
			case s.runs > 1 && !ch.rivals && p.metric != curves.Rate:
				ch.addNote(fmt.Sprintf("Lines: means of %d runs; shaded: from the lowest to the highest", s.runs))
			case ch.rivals && p.whiskers > 0:
				ch.addNote("Right of the accuracy: the kept state's value with its 95 % interval (Wilson)")
			case p.metric == curves.Rate:
			case s.runs > 1:
				ch.addNote(fmt.Sprintf("Shaded: range of %d runs around their mean", s.runs))
			}
			if !ch.rivals && s.runs == 1 && !s.dashed && p.metric != curves.Rate && slices.ContainsFunc(s.samples, func(a sample) bool { return finite(a.lo) }) {
				ch.addNote("Shaded: 95 % interval (Wilson)")
			}
			if s.raw != nil {
				ch.addNote("Pale: as measured; solid: smoothed")
			}
			if s.dashed {
				ch.addNote("Dashed: " + s.split + " is drawn only, nothing was chosen on it")
			}
		}
	}
	if n := len(ch.groups); n == 1 && ch.groups[0].name != "" {
		ch.notes = slices.Insert(ch.notes, 0, drawable(ch.groups[0].name))
	} else if n > len(hues) {
		ch.addNote(fmt.Sprintf("The first %d of %d runs are in colour, the others grey", len(hues), n))
	}
}

func (ch *curvesChart) addNote(s string) {
	if !slices.Contains(ch.notes, s) {
		ch.notes = append(ch.notes, s)
	}
}
