package plots

import (
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// Scale names an axis. With the unit "%", values are fractions and shown as percentages; any other
// unit is printed after the number.
type Scale struct{ Name, Unit string }

func (s Scale) value(v float64) string {
	if s.Unit == "%" {
		return percent(v)
	}
	if s.Unit == "" {
		return number(v)
	}
	return number(v) + " " + drawable(s.Unit)
}

// drawn reports whether there is an interval to draw. The zero value and an unknown interval are
// not drawn.
func drawn(i metrics.Interval) bool { return i.Known() && i.Low < i.High }

// words formats a value with its interval for a sentence.
func (s Scale) words(v float64, i metrics.Interval) string {
	out := s.value(v)
	if drawn(i) {
		out += " (95 % " + s.ends(i) + ")"
	}
	return out
}

// ends formats an interval without units: 90.0-97.3.
func (s Scale) ends(i metrics.Interval) string {
	if s.Unit == "%" {
		lo, hi := percent(i.Low), percent(i.High)
		return lo[:len(lo)-2] + " to " + hi[:len(hi)-2]
	}
	return number(i.Low) + " to " + number(i.High)
}

// axis returns a linear axis in this scale. For fractions it stays within 0 to 1.
func (s Scale) axis(extent span, n int) axis {
	if s.Unit != "%" {
		unit := ""
		return linearUnit(extent, n, 1, unit)
	}
	if !extent.empty() && extent.hi-extent.lo < 0.02 {
		room := (0.02 - (extent.hi - extent.lo)) / 2
		lo, hi := extent.lo-room, extent.hi+room
		if extent.lo >= 0 {
			lo = max(lo, 0)
		}
		if extent.hi <= 1 {
			hi = min(hi, 1)
		}
		extent = span{lo, hi}
	}
	return linearUnit(extent, n, 100, " %")
}

// title returns the axis' name with its unit.
func (s Scale) title() string {
	if s.Unit == "" || s.Unit == "%" {
		return drawable(s.Name)
	}
	return drawable(s.Name) + ", " + drawable(s.Unit)
}
