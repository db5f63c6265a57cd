package plots

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// axis maps values to 0..1 and has ticks.
type axis struct {
	lo, hi float64
	ticks  []tick
	log    bool
	head   *axis // the part before lo, with its own scale, in headShare of the width
}

// headShare is the fraction of a two-part axis that its first part takes.
const headShare = 0.38

// after returns an axis of two parts: before, and from there a to the end.
func (a axis) after(before axis) axis {
	var later []tick
	for _, t := range a.ticks {
		if t.value > 0 { // the first part ends at 0
			later = append(later, tick{before.hi + t.value, t.label})
		}
	}
	return axis{lo: before.hi, hi: before.hi + a.hi, ticks: append(slices.Clone(before.ticks), later...), head: &before}
}

type tick struct {
	value float64
	label string
}

// position returns the place of v on the axis, 0..1 if it is inside.
func (a axis) position(v float64) float64 {
	if a.head != nil {
		if v <= a.lo {
			return headShare * a.head.position(v)
		}
		rest := a
		rest.head = nil
		return headShare + (1-headShare)*rest.position(v)
	}
	if a.log {
		if v <= 0 { // where a schedule ends: just below
			return -0.02
		}
		return (math.Log(v) - math.Log(a.lo)) / (math.Log(a.hi) - math.Log(a.lo))
	}
	return min(max((v-a.lo)/(a.hi-a.lo), -10), 11)
}

// span is the smallest and largest finite value seen.
type span struct{ lo, hi float64 }

func newSpan() span { return span{math.Inf(1), math.Inf(-1)} }

func (s *span) add(values ...float64) {
	for _, v := range values {
		if finite(v) {
			// Far beyond this, differences overflow.
			v = min(max(v, -1e300), 1e300)
			s.lo, s.hi = min(s.lo, v), max(s.hi, v)
		}
	}
}

func (s span) empty() bool { return s.lo > s.hi }

// steps are the distances between ticks that are easy to read.
var steps = []float64{1, 2, 5, 10}

// linear returns an axis over the span that begins and ends with a tick and has about n of them. An
// empty span gives 0..1, and a constant one gives some room around its value.
func linear(s span, n int) axis { return linearUnit(s, n, 1, "") }

// linearUnit labels the ticks with value*factor and a unit: 100 and " %" for
// fractions.
func linearUnit(s span, n int, factor float64, unit string) axis {
	if s.empty() {
		s = span{0, 1}
	}
	size := math.Max(math.Abs(s.lo), math.Abs(s.hi))
	if s.hi-s.lo <= 1e-11*size || s.hi-s.lo < 1e-290 {
		room := 0.1 * size
		if size < 1e-290 { // for smaller spans, ticks are not possible
			room = 1
		}
		s.lo, s.hi = s.lo-room, s.hi+room
	}
	raw := (s.hi - s.lo) / float64(n)
	mag := math.Pow(10, math.Floor(math.Log10(raw)))
	step := 0.0
	for _, m := range steps {
		if raw <= m*mag*1.0000001 {
			step = m * mag
			break
		}
	}
	if step == 0 || !finite(step) {
		step = raw
	}
	first, last := math.Floor(s.lo/step+1e-6), math.Ceil(s.hi/step-1e-6)
	a := axis{lo: first * step, hi: last * step}
	for i := 0; i <= min(int(last-first), 40); i++ {
		v := (first + float64(i)) * step
		a.ticks = append(a.ticks, tick{v, tickLabel(v*factor, step*factor, math.Max(math.Abs(a.lo), math.Abs(a.hi))*factor) + unit})
	}
	return a
}

// tickLabel formats v with as many digits as the step needs, with an exponent if that is shorter.
func tickLabel(v, step, largest float64) string {
	if math.Abs(v) < step*1e-6 {
		return "0"
	}
	decimals := int(math.Max(0, -math.Floor(math.Log10(step)+1e-6)))
	if largest < 1e6 && decimals <= 3 {
		s := strconv.FormatFloat(v, 'f', decimals, 64)
		if largest >= 1e4 {
			return thousands(s)
		}
		return s
	}
	digits := int(math.Floor(math.Log10(math.Abs(v))+1e-9) - math.Floor(math.Log10(step)+1e-9))
	return exponent(strconv.FormatFloat(v, 'e', min(max(digits, 0), 17), 64))
}

// exponent turns 5e-04 into 5e-4.
func exponent(s string) string {
	mantissa, e, ok := strings.Cut(s, "e")
	if !ok {
		return s
	}
	if strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	sign := strings.TrimPrefix(e[:1], "+")
	return mantissa + "e" + sign + strings.TrimLeft(e[1:], "0")
}

func thousands(s string) string {
	whole, rest, _ := strings.Cut(s, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		whole += "." + rest
	}
	return sign + whole
}

// counted formats a whole number with separators: 1,234.
func counted(n int) string { return thousands(strconv.Itoa(n)) }

// whole returns an axis exactly from lo to hi, with ticks only on whole numbers.
func whole(s span, n int) axis {
	if s.empty() {
		s = span{0, 1}
	}
	if s.hi-s.lo < 1e-9*math.Max(1, math.Abs(s.hi)) {
		room := max(0.5, 1e-9*math.Abs(s.hi))
		s.lo, s.hi = s.lo-room, s.hi+room
	}
	a := axis{lo: s.lo, hi: s.hi}
	step := 1.0
	for i := 0; (s.hi-s.lo)/step > float64(n) && i < 1000; i++ {
		step = steps[i%3+1] * math.Pow(10, float64(i/3))
	}
	first := math.Ceil(s.lo/step - 1e-9)
	for i := range 41 {
		v := (first + float64(i)) * step
		if v > s.hi+1e-9*step {
			break
		}
		a.ticks = append(a.ticks, tick{v, tickLabel(v, step, max(math.Abs(s.lo), math.Abs(s.hi)))})
	}
	return a
}

// decades returns a logarithmic axis over a span of positive values. Ticks are at 1, 2 and 5 if
// they are few, else at powers of ten.
func decades(s span, unit string) axis {
	if s.empty() || s.lo <= 0 {
		return linearUnit(s, 5, 1, unit)
	}
	if s.hi < s.lo*1.5 {
		s.lo, s.hi = s.lo/1.5, s.hi*1.5
	}
	a := axis{lo: s.lo, hi: s.hi, log: true}
	start, end := int(math.Floor(math.Log10(s.lo))), int(math.Ceil(math.Log10(s.hi)))
	marks := []float64{1, 2, 5}
	if end-start > 3 {
		marks = marks[:1]
	}
	every := max(1, (end-start)/8)
	var values []float64
	for e := start; e <= end; e++ {
		if (e-start)%every != 0 {
			continue
		}
		for _, m := range marks {
			v := m * math.Pow(10, float64(e))
			if v >= s.lo*0.999999 && v <= s.hi*1.000001 {
				values = append(values, v)
			}
		}
	}
	for i, label := range alike(values) {
		a.ticks = append(a.ticks, tick{values[i], label + unit})
	}
	return a
}

// alike formats the ticks of a logarithmic axis in one style: all with exponents, or none.
func alike(values []float64) []string {
	out := make([]string, len(values))
	exponents := slices.ContainsFunc(values, func(v float64) bool { return v < 0.9e-3 || v > 0.9e6 })
	for i, v := range values {
		switch {
		case exponents && math.Abs(v-1) > 1e-9:
			out[i] = exponent(strconv.FormatFloat(v, 'e', 2, 64))
		case v >= 1e3:
			out[i] = thousands(strconv.FormatFloat(v, 'f', 0, 64))
		default:
			out[i] = strconv.FormatFloat(v, 'g', 3, 64)
		}
	}
	return out
}

// number formats three significant digits, as short as possible.
func number(v float64) string {
	switch size := math.Abs(v); {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 0):
		return "infinite"
	case size == 0:
		return "0"
	case size < 2e-3 || size >= 1e6:
		return exponent(strconv.FormatFloat(v, 'e', 2, 64))
	case size >= 100:
		return thousands(strconv.FormatFloat(v, 'f', 0, 64))
	case size == math.Trunc(size):
		return strconv.FormatFloat(v, 'f', 0, 64)
	default:
		s := strconv.FormatFloat(v, 'f', 2-int(math.Floor(math.Log10(size))), 64)
		if size < 0.01 {
			s = strings.TrimRight(s, "0")
		}
		return s
	}
}

// place formats a coordinate: 6, 7.5, 1,200.
func place(v float64) string {
	if math.Abs(v) >= 1e9 || !finite(v) {
		return number(v)
	}
	return thousands(strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(v, 'f', 2, 64), "0"), "."))
}

// percent formats a fraction: 94.8 %.
func percent(v float64) string {
	if !finite(v) {
		return "-"
	}
	return strconv.FormatFloat(100*v, 'f', 1, 64) + " %"
}
