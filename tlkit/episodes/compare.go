package episodes

import (
	"errors"
	"io/fs"
	"math"
	"slices"
)

// How far an episode may lie from the others before it is named. A few deviations occur in every
// set of a few hundred episodes, so both the deviation and the difference itself have to be large.
const (
	farOff    = 7.0  // robust deviations
	driftAt   = 0.02 // of the range of the action
	unlike    = 1.8  // times more or less than usual
	fewRuns   = 6    // episodes that do not tell what is usual
	someSteps = 8    // frames that do not tell where an episode lies
)

// follows is a pair of an action and the state that it commands.
type follows struct {
	action, state int
	delta         bool // the action is the change of the state, not its place
}

// pairs finds which action commands which state, by their names: "shoulder" commands "shoulder",
// "dx" and "delta_x" change "x".
func (c *checker) pairs() (all []follows) {
	for a, ad := range c.set.spec.Action {
		for s, sd := range c.set.spec.State {
			switch ad.Name {
			case sd.Name:
				all = append(all, follows{a, s, false})
			case "d" + sd.Name, "delta_" + sd.Name:
				all = append(all, follows{a, s, true})
			}
		}
	}
	return all
}

// drift compares, for each pair, how far actions and the states after them lie apart in an episode,
// with the other episodes.
func (c *checker) drift() {
	for _, p := range c.pairs() {
		var offsets []float64
		var which []int
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, r := range c.runs {
			var off []float64
			for i := 0; i+1 < len(r.state); i++ {
				want := float64(r.action[i][p.action])
				got := float64(r.state[i+1][p.state])
				if p.delta {
					got -= float64(r.state[i][p.state])
				}
				if d := want - got; !math.IsNaN(d) && !math.IsInf(d, 0) {
					off = append(off, d)
					lo, hi = min(lo, want), max(hi, want)
				}
			}
			if len(off) >= someSteps {
				offsets, which = append(offsets, median(off)), append(which, r.episode)
			}
		}
		if len(offsets) < fewRuns {
			continue
		}
		usual, deviation := robust(offsets)
		for i, off := range offsets {
			if d := math.Abs(off - usual); d > farOff*deviation && d > driftAt*(hi-lo) {
				name := c.set.spec.Action[p.action].Name
				c.find(Drift, which[i], -1, "action and state of %s differ by %+.4g, usually by %+.4g: was the robot recalibrated?", name, off, usual)
			}
		}
	}
}

// outliers compares the length and the movements of episodes.
func (c *checker) outliers() {
	if len(c.runs) < fewRuns {
		return
	}
	var states, actions gatherer
	for _, r := range c.runs {
		gatherFinite(&states, r.state)
		gatherFinite(&actions, r.action)
	}
	state, action := ranges(states), ranges(actions)
	for _, m := range []struct {
		text string
		of   func(r run) float64
	}{
		{"it has %.0f frames, usually %.0f", func(r run) float64 { return float64(len(r.state)) }},
		{"the state moves by %.2g of its range a frame, usually by %.2g", func(r run) float64 { return usualChange(r.state, state, 1) }},
		{"the state jerks by %.2g of its range a frame, usually by %.2g", func(r run) float64 { return usualChange(r.state, state, 2) }},
		{"the actions change by %.2g of their range a frame, usually by %.2g", func(r run) float64 { return usualChange(r.action, action, 1) }},
	} {
		var logs []float64
		for _, r := range c.runs {
			logs = append(logs, math.Log(max(m.of(r), 1e-3)))
		}
		usual, deviation := robust(logs)
		for i, v := range logs {
			if d := math.Abs(v - usual); d > farOff*deviation && d > math.Log(unlike) {
				c.find(Outlier, c.runs[i].episode, -1, m.text, math.Exp(v), math.Exp(usual))
			}
		}
	}
}

// ranges returns how far apart the least and the largest of each number are.
func ranges(g gatherer) (all []float64) {
	for _, v := range g.values {
		all = append(all, slices.Max(v)-slices.Min(v))
	}
	return all
}

// usualChange is the median size of the n-th differences between frames, in shares of the ranges.
// Fingers that open or shut jump now and then, which a median does not see.
func usualChange(rows [][]float32, ranges []float64, n int) float64 {
	var all []float64
	for i := n; i < len(rows); i++ {
		squares := 0.0
		for k := range min(len(rows[i]), len(ranges)) {
			d := float64(rows[i][k]) - float64(rows[i-1][k])
			if n == 2 {
				d -= float64(rows[i-1][k]) - float64(rows[i-2][k])
			}
			if ranges[k] > 0 {
				squares += d / ranges[k] * d / ranges[k]
			}
		}
		if !math.IsNaN(squares) && !math.IsInf(squares, 0) {
			all = append(all, math.Sqrt(squares))
		}
	}
	if len(all) == 0 {
		return 0
	}
	return median(all)
}

func median(v []float64) float64 { return quantile(slices.Sorted(slices.Values(v)), 0.5) }

// robust returns the median and the median absolute deviation, scaled to the standard deviation of a
// normal distribution.
func robust(v []float64) (middle, deviation float64) {
	middle = median(v)
	var off []float64
	for _, x := range v {
		off = append(off, math.Abs(x-middle))
	}
	return middle, 1.4826 * median(off)
}

// statistics compares meta/stats.json with the data.
func (c *checker) statistics(o CheckOptions) {
	if c.set.info.Version == version21 {
		c.audit.Skipped = append(c.audit.Skipped, "the statistics: version 2.1 has them for each episode")
		return
	}
	stats, err := readStats(c.set.root)
	if errors.Is(err, fs.ErrNotExist) {
		c.find(Statistics, -1, -1, "%s is missing: what is learnt from this set cannot be normalised", statsFile)
		return
	}
	if err != nil {
		c.find(Statistics, -1, -1, "%v", err)
		return
	}
	var state, action gatherer
	for _, r := range c.runs {
		gatherFinite(&state, r.state)
		gatherFinite(&action, r.action)
	}
	if len(c.runs) > 0 {
		c.compare(stateColumn, stats[stateColumn], state.stats())
		c.compare(actionColumn, stats[actionColumn], action.stats())
	}
	if o.NoPictures {
		return
	}
	for i, key := range c.set.cameras {
		if c.broken[i] || c.pictures[i].pictures == 0 {
			continue // it has a finding already
		}
		c.comparePictures(key, stats[key], c.pictures[i].stats())
	}
}

func gatherFinite(g *gatherer, rows [][]float32) {
	for _, row := range rows {
		for k, v := range row {
			if f := float64(v); !math.IsNaN(f) && !math.IsInf(f, 0) {
				g.add(k, f)
			}
		}
	}
}

// compare looks for numbers of a column that differ by more than a thousandth of its range.
func (c *checker) compare(column string, stated stat, real map[string][]float64) {
	names := c.set.spec.State
	if column == actionColumn {
		names = c.set.spec.Action
	}
	for _, s := range []struct {
		name string
		v    vector
	}{{"min", stated.Min}, {"max", stated.Max}, {"mean", stated.Mean}, {"std", stated.Std}} {
		want := real[s.name]
		if len(s.v) != len(want) {
			c.find(Statistics, -1, -1, "%s: %s of %s has %d numbers, want %d", statsFile, s.name, column, len(s.v), len(want))
			return
		}
		for k := range want {
			tolerance := 1e-3*(real["max"][k]-real["min"][k]) + 1e-6*math.Abs(want[k]) + 1e-9
			if !math.IsNaN(want[k]) && !(math.Abs(s.v[k]-want[k]) <= tolerance) {
				c.find(Statistics, -1, -1, "%s: %s of %s, %s, is %.6g, the data have %.6g", statsFile, s.name, column, names[k].Name, s.v[k], want[k])
				return
			}
		}
	}
}

// comparePictures does the same for a camera, roughly: LeRobot computes them from some pictures.
// LeRobot 0.4.4 squares bytes as bytes, which overflow, so the deviations that it writes are wrong.
func (c *checker) comparePictures(key string, stated stat, real map[string]any) {
	for _, s := range []struct {
		name string
		v    vector
	}{{"mean", stated.Mean}, {"std", stated.Std}} {
		want := real[s.name].([][][]float64)
		if len(s.v) != len(want) {
			c.find(Statistics, -1, -1, "%s: %s of %s has %d numbers, want %d", statsFile, s.name, key, len(s.v), len(want))
			return
		}
		for k := range want {
			if got, is := s.v[k], want[k][0][0]; !(math.Abs(got-is) <= 0.03) {
				why := ""
				if s.name == "std" && got < is {
					why = " (LeRobot 0.4.4 lets the squares of bytes overflow)"
				}
				c.find(Statistics, -1, -1, "%s: %s of %s is %.3g in channel %d, the pictures have %.3g%s", statsFile, s.name, key, got, k, is, why)
				return
			}
		}
	}
}
