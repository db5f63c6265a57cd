package sim

import (
	"fmt"
	"math"
	"slices"
)

// Limit returns the action with each number brought within its limits. Another count than that of
// Spec.Action, a NaN and an infinity are errors.
func (s Spec) Limit(action []float32) ([]float32, error) {
	if len(action) != len(s.Action) {
		return nil, fmt.Errorf("sim: %s: an action of %d numbers, want %d: %s", s.Task, len(action), len(s.Action), names(s.Action))
	}
	out := make([]float32, len(action))
	for i, v := range action {
		d := s.Action[i]
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("sim: %s: the action's %s is %v, want a number from %g to %g", s.Task, d.Name, v, d.Min, d.Max)
		}
		out[i] = min(max(v, float32(d.Min)), float32(d.Max))
	}
	return out, nil
}

// Differences says, in one line each, where another robot is not the one that s describes: names,
// order, units and limits of states and actions, cameras and their order, and the rate. No lines =
// a policy made for s can drive it. The task and what only a simulator knows may differ.
func (s Spec) Differences(other Spec) (lines []string) {
	lines = append(lines, dimensionsDiffer("state", s.State, other.State)...)
	lines = append(lines, dimensionsDiffer("action", s.Action, other.Action)...)
	for i := range max(len(s.Cameras), len(other.Cameras)) {
		want, got := "none", "none"
		if i < len(s.Cameras) {
			want = s.Cameras[i].Name
		}
		if i < len(other.Cameras) {
			got = other.Cameras[i].Name
		}
		if got != want {
			lines = append(lines, fmt.Sprintf("camera %d: %s, want %s", i, got, want))
		}
	}
	if s.Rate != other.Rate {
		lines = append(lines, fmt.Sprintf("rate: %g steps a second, want %g", other.Rate, s.Rate))
	}
	return lines
}

func dimensionsDiffer(what string, want, got []Dimension) (lines []string) {
	if len(want) != len(got) {
		return []string{fmt.Sprintf("%s: %d numbers (%s), want %d (%s)", what, len(got), names(got), len(want), names(want))}
	}
	for i, w := range want {
		g := got[i]
		switch {
		case g.Name != w.Name:
			lines = append(lines, fmt.Sprintf("%s %d: %s, want %s", what, i, g.Name, w.Name))
		case g.Unit != w.Unit:
			lines = append(lines, fmt.Sprintf("%s %d, %s: in %s, want %s", what, i, w.Name, orNone(g.Unit), orNone(w.Unit)))
		case g.Min != w.Min || g.Max != w.Max:
			lines = append(lines, fmt.Sprintf("%s %d, %s: from %g to %g, want from %g to %g", what, i, w.Name, g.Min, g.Max, w.Min, w.Max))
		}
	}
	return lines
}

func orNone(unit string) string {
	if unit == "" {
		return "no unit"
	}
	return unit
}

func names(dims []Dimension) string {
	var s string
	for i, d := range dims {
		if i > 0 {
			s += ", "
		}
		s += d.Name
	}
	return s
}

// Clone returns a copy that shares nothing with s.
func (s Spec) Clone() Spec {
	s.State, s.Action, s.Truth, s.Cameras = slices.Clone(s.State), slices.Clone(s.Action), slices.Clone(s.Truth), slices.Clone(s.Cameras)
	return s
}
