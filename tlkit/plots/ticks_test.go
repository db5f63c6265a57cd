package plots

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func labels(a axis) string {
	var out []string
	for _, t := range a.ticks {
		out = append(out, t.label)
	}
	return strings.Join(out, " ")
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64
		want   string
	}{
		{0, 2, "0 0.5 1.0 1.5 2.0"}, {0, 1.88, "0 0.5 1.0 1.5 2.0"}, {-0.1, 0.1, "-0.10 -0.05 0 0.05 0.10"}, {0, 1e-3, "0 2e-4 4e-4 6e-4 8e-4 1e-3"},
		{1e-9, 3e-9, "1e-9 1.5e-9 2e-9 2.5e-9 3e-9"}, {0, 3e9, "0 1e9 2e9 3e9"}, {12_000, 51_000, "10,000 20,000 30,000 40,000 50,000 60,000"},
		{5, 5, "4.4 4.6 4.8 5.0 5.2 5.4 5.6"}, {0, 0, "-1.0 -0.5 0 0.5 1.0"},
	} {
		if got := labels(linear(span{c.lo, c.hi}, 5)); got != c.want {
			t.Errorf("%v to %v: %s, want %s", c.lo, c.hi, got, c.want)
		}
	}
	if got := labels(linearUnit(span{.72, .97}, 5, 100, " %")); got != "70 % 75 % 80 % 85 % 90 % 95 % 100 %" {
		t.Error(got)
	}
	if got := labels(whole(span{0, 34}, 8)); got != "0 5 10 15 20 25 30" {
		t.Error(got)
	}
	for _, c := range []struct {
		lo, hi float64
		want   string
	}{
		{1.7, 75, "2 5 10 20 50"}, {1e-6, 0.1, "1e-6 1e-5 1e-4 1e-3 1e-2 1e-1"}, {1e-5, 1e-3, "1e-5 2e-5 5e-5 1e-4 2e-4 5e-4 1e-3"},
		{1e-3, 0.1, "0.001 0.002 0.005 0.01 0.02 0.05 0.1"}, {1, 2000, "1 10 100 1,000"}, {1e-2, 1e8, "1e-2 1e-1 1 1e1 1e2 1e3 1e4 1e5 1e6 1e7 1e8"},
	} {
		if got := labels(decades(span{c.lo, c.hi}, "")); got != c.want {
			t.Errorf("%v to %v: %s, want %s", c.lo, c.hi, got, c.want)
		}
	}
}

// Whatever the range, an axis ends, has few ticks, holds its data, and its
// labels tell the ticks apart.
func TestTicksOfAnyRange(t *testing.T) {
	values := []float64{0, 1, -1, 0.3, 1e-9, 1e9, 1e9 + 1, 1e15, 1e15 + 1, math.MaxFloat64, -math.MaxFloat64, 5e-324, 1e-300, 1e-17, 1 + 1e-15, math.NaN(), math.Inf(1), math.Inf(-1)}
	for _, a := range values {
		for _, b := range values {
			s := newSpan()
			s.add(a, b)
			for _, x := range []axis{linear(s, 5), linearUnit(s, 5, 100, " %"), whole(s, 8), decades(s, "")} {
				if len(x.ticks) > 41 || !(x.lo < x.hi) || !finite(x.lo) || !finite(x.hi) {
					t.Fatalf("%v, %v: %d ticks from %v to %v", a, b, len(x.ticks), x.lo, x.hi)
				}
				for i, k := range x.ticks {
					if strings.Contains(k.label, "N") || k.label == "-0" || len(k.label) > 24 {
						t.Errorf("%v, %v: label %q", a, b, k.label)
					}
					if i > 0 && (k.label == x.ticks[i-1].label || !(k.value > x.ticks[i-1].value)) {
						t.Errorf("%v, %v: labels %s", a, b, labels(x))
						break
					}
				}
				for _, v := range []float64{a, b} {
					if pos := x.position(v); math.IsInf(pos, 0) && !x.log {
						t.Errorf("%v on %v to %v is at %v", v, x.lo, x.hi, pos)
					}
				}
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.236: "0.236", 0.78: "0.780", 12.34: "12.3", 150: "150", 1234: "1,234", 1e-3: "1e-3", 0.005: "0.005", 1.5e9: "1.5e9", -0.25: "-0.250", 7: "7", math.Inf(1): "infinite"} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
	if got := thousands("-1234567.5"); got != "-1,234,567.5" {
		t.Error(got)
	}
	for v, want := range map[float64]string{0.001: "<1", 0.999: ">99", 1: "100", 0.5: "50", 0: "0"} {
		if got := share(v, false); got != want {
			t.Errorf("share(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestLabelsSpread(t *testing.T) {
	ys := []float64{50, 52, 10, 51}
	spread(ys, 12, 0, 100)
	if !slices.IsSortedFunc([]float64{ys[2], ys[0], ys[3], ys[1]}, func(a, b float64) int {
		if b-a >= 12-1e-9 {
			return -1
		}
		return 1
	}) || ys[2] != 10 || math.Abs(ys[3]-51) > 1e-9 {
		t.Errorf("%v", ys)
	}
	low := []float64{99, 99, 99}
	spread(low, 10, 0, 100)
	slices.Sort(low)
	if low[0] != 80 || low[2] != 100 {
		t.Errorf("%v", low)
	}
	crowd := []float64{1, 1, 1, 1}
	spread(crowd, 10, 0, 5) // no room at all: still in order, still finite
	if !slices.IsSorted(crowd) || !finite(crowd[3]) {
		t.Errorf("%v", crowd)
	}
}

func TestThinKeepsPeaks(t *testing.T) {
	var points []point
	for i := range 10_000 {
		points = append(points, point{float64(i), 0})
	}
	points[5_003].y, points[7_777].y, points[1234].y = 9, -9, math.NaN()
	out := thin(points, 100, func(x float64) float64 { return x / 10_000 })
	if len(out) > 250 {
		t.Errorf("%d points left", len(out))
	}
	if !slices.Contains(out, points[5_003]) || !slices.Contains(out, points[7_777]) {
		t.Error("a peak is gone")
	}
	if !slices.ContainsFunc(out, func(p point) bool { return math.IsNaN(p.y) }) {
		t.Error("the gap is gone")
	}
	if !slices.IsSortedFunc(out, func(a, b point) int {
		if a.x <= b.x {
			return -1
		}
		return 1
	}) {
		t.Error("out of order")
	}
}

// Classes in a chain of confusion, shuffled, come out as the chain.
func TestNeighbours(t *testing.T) {
	for _, k := range []int{1, 2, 16, 100} {
		c := confused(k, 40)
		if k%7 == 0 {
			t.Fatal("7 must not divide k")
		}
		order := neighbours(c.Counts)
		seen := slices.Clone(order)
		slices.Sort(seen)
		for i := range k {
			if seen[i] != i {
				t.Fatalf("%d classes: %v is no order", k, order)
			}
		}
		if k < 16 {
			continue
		}
		values := make([]int, k)
		for i, o := range order {
			values[o] = i
		}
		far := 0
		for i, row := range c.Counts {
			for j, n := range row {
				if n > 0 && i != j && values[i]-values[j] != 1 && values[j]-values[i] != 1 {
					far++
				}
			}
		}
		if far > k/4 {
			t.Errorf("%d classes: %d confused pairs are not neighbours", k, far)
		}
	}
}
