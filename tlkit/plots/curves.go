package plots

import (
	"math"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// Curves draws the history of one or more runs, with a panel for each metric: loss, accuracy and
// rate first. For a single run it shows the splits, the 95 % interval of the accuracy, the state
// that was kept, and where fine-tuning starts. Runs of the same name are repetitions: it draws
// their mean and, as a band, their range. Runs of different names share the panels, four of them
// in colour.
//
// If a run has out-of-fold points, those chose the state that was kept; validation is dashed,
// because it decides nothing. Without runs or points the figure says so, so that a live view can
// start before training.
func Curves(runs ...curves.Run) Figure {
	ch := newCurvesChart(runs)
	f := ch.figure()
	f.text = ch.text()
	return &f
}

// curvesChart is the content of a figure of curves before it is laid out.
type curvesChart struct {
	groups []group
	rivals bool // different names share the panels
	axis   string
	panels []*curvesPanel
	notes  []string // small print below
	border float64  // where fine-tuning starts; NaN = nowhere
	solved float64  // end of the solver's axis and start of the epochs' axis; 0 = one axis
}

// group is the repetitions of one name.
type group struct {
	name string
	hue  hue
	runs []curves.Run
	kept float64 // NaN if there is none, or if they differ
	why  string
}

type curvesPanel struct {
	panel
	metric metrics.Metric
	series []series
	broken []float64 // where a value is not finite

	groupWords string // of the rates, for the text

	ends     bool // lines are labelled at their ends
	whiskers int  // rivals that have an interval beside the data
	decimals int  // of the values in labels; -1 = each its own
}

func newCurvesChart(runs []curves.Run) *curvesChart {
	ch := &curvesChart{axis: curves.Epochs, border: math.NaN()}
	byName := map[string]int{}
	for _, r := range ch.usable(runs) {
		i, seen := byName[r.Name]
		if !seen {
			i = len(ch.groups)
			byName[r.Name] = i
			ch.groups = append(ch.groups, group{name: r.Name, kept: math.NaN(), hue: grey})
			if i < len(hues) {
				ch.groups[i].hue = hues[i]
			}
		}
		ch.groups[i].runs = append(ch.groups[i].runs, r)
	}
	ch.rivals = len(ch.groups) > 1
	var all []curves.Run
	borders := span{math.Inf(1), math.Inf(-1)}
	for i := range ch.groups {
		g := &ch.groups[i]
		all = append(all, g.runs...)
		kept := newSpan()
		for _, r := range g.runs {
			if bySolver(r) {
				ch.axis = r.Axis
			}
			if x, why, ok := r.Kept(); ok {
				kept.add(x)
				g.why = why
			}
			if x, ok := r.Unfrozen(); ok {
				borders.add(x)
			}
		}
		if !kept.empty() && kept.lo == kept.hi {
			g.kept = kept.lo
		}
	}
	if !borders.empty() && borders.lo == borders.hi {
		ch.border = borders.lo
	}
	for _, m := range (curves.Run{Points: pointsOf(all)}).Metrics() {
		ch.panels = append(ch.panels, ch.panel(m, all))
	}
	ch.axes()
	ch.note()
	return ch
}

// usable returns copies of the runs that have points, on the axes of the figure.
func (ch *curvesChart) usable(runs []curves.Run) []curves.Run {
	var out []curves.Run
	for _, r := range runs {
		if len(r.Points) == 0 {
			continue
		}
		r = r.Clone()
		// Programs may pass points that a file cannot hold.
		r.Points = slices.DeleteFunc(r.Points, func(p curves.Point) bool { return p.Check() != nil })
		r.Marks = slices.DeleteFunc(r.Marks, func(m curves.Mark) bool { return m.Check() != nil })
		out = append(out, r)
	}
	ch.separate(out)
	return out
}

func pointsOf(runs []curves.Run) []curves.Point {
	var out []curves.Point
	for _, r := range runs {
		out = append(out, r.Points...)
	}
	return out
}

// reported reports whether a run's result is measured on the split.
func reported(split string) bool { return split == curves.Valid || split == curves.Test }

// splitHue returns the colour of a split.
func splitHue(split string, other int) hue {
	switch split {
	case curves.Train:
		return blue
	case curves.Valid, curves.Test:
		return orange
	case curves.Folds:
		return hue{green.line, green.text, disc}
	}
	return []hue{{purple.line, purple.text, disc}, {grey.text, grey.text, square}}[min(other, 1)]
}

func (ch *curvesChart) panel(metric metrics.Metric, all []curves.Run) *curvesPanel {
	p := &curvesPanel{metric: metric}
	p.title = title(metric)
	if metric == curves.Rate {
		ch.rates(p)
		return p
	}
	splits := (curves.Run{Points: pointsOf(all)}).Splits(metric)
	if ch.rivals {
		// One line per run: the deciding split among those that last to the end of every run. Folds
		// may end with the head.
		split := splits[0]
		for _, s := range []string{curves.Test, curves.Valid, curves.Folds} {
			lacks := func(g group) bool { return !reaches(g.runs, s, metric) }
			if slices.Contains(splits, s) && !slices.ContainsFunc(ch.groups, lacks) {
				split = s
			}
		}
		for _, g := range ch.groups {
			s := gather(g.runs, split, metric)
			if len(s.samples) == 0 {
				continue
			}
			s.name, s.hue = g.name, g.hue
			s.raw = nil
			for i := range s.samples {
				if len(g.runs) == 1 && finite(s.samples[i].lo) {
					p.whiskers = min(len(hues), len(p.series)+1)
				}
			}
			s.flat = len(g.runs) == 1
			p.series = append(p.series, s)
		}
		p.sub = split
		return p
	}
	chooses := slices.Contains(splits, curves.Folds)
	other := 0
	for _, split := range splits {
		s := gather(ch.groups[0].runs, split, metric)
		s.hue = splitHue(split, other)
		if split != curves.Train && split != curves.Folds && !reported(split) {
			other++
		}
		s.dashed = reported(split) && chooses
		p.series = append(p.series, s)
	}
	return p
}

// subtitle says, in the colour of the deciding line, which state was kept and how good it is, or
// else names the lines. In the panel, the value would cover lines.
func (ch *curvesChart) subtitle(p *curvesPanel) {
	var names []string
	for _, s := range p.series {
		if s.split != "" {
			names = append(names, drawable(s.split))
		}
	}
	p.sub = strings.Join(names, ", ")
	g := ch.groups[0]
	s, here, found := p.keptBy(g)
	if !found {
		return
	}
	word := "best"
	if g.why == curves.Chosen {
		word = "kept"
	}
	if !score(p.metric) {
		p.sub = word + ": " + ch.where(g.kept)
		return
	}
	p.sub, p.subColour = word+": "+p.short(here.y), &s.hue
	if here.n > 0 && p.share() && len(g.runs) == 1 {
		p.sub += " (" + counted(int(math.Round(here.y*float64(here.n)))) + " of " + counted(here.n) + ")"
	}
	p.sub += ", " + drawable(s.split)
}

// keptBy returns the line that decided which state was kept, or else a reported line, and its value
// in that state.
func (p *curvesPanel) keptBy(g group) (series, sample, bool) {
	for _, want := range []string{curves.Folds, curves.Valid, curves.Test} {
		for _, s := range p.series {
			if a, ok := s.sampleAt(g.kept); ok && s.split == want {
				return s, a, true
			}
		}
	}
	return series{}, sample{}, false
}

// reaches reports whether the line of a split is as long as the longest of the metric.
func reaches(runs []curves.Run, split string, metric metrics.Metric) bool {
	end := func(split string) float64 {
		x := newSpan()
		for _, r := range runs {
			for _, p := range r.Series(split, metric) {
				x.add(r.X(p))
			}
		}
		return x.hi
	}
	all := end("")
	return !math.IsInf(all, 0) && end(split) == all
}

// title returns a metric's name as a heading.
func title(metric metrics.Metric) string {
	switch metric {
	case curves.Loss:
		return "Loss"
	case curves.Accuracy:
		return "Accuracy"
	case curves.Rate:
		return "Learning rate"
	}
	return drawable(metric.Title())
}

// score reports whether a metric measures the quality of a run.
func score(metric metrics.Metric) bool {
	return metric == curves.Accuracy || metric == curves.MAP || metric == curves.R2
}

// share reports whether every value of the panel is a fraction, so that it can
// be shown in percent.
func (p *curvesPanel) share() bool {
	if p.metric != curves.Accuracy && p.metric != curves.MAP {
		return false
	}
	for _, s := range p.series {
		for _, a := range s.samples {
			if a.y < 0 || a.y > 1 {
				return false
			}
		}
	}
	return true
}

func (p *curvesPanel) value(v float64) string {
	if p.share() {
		return percent(v)
	}
	return number(v)
}
