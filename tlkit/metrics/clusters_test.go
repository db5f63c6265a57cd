package metrics

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// twice repeats each of n pictures, and says that the two belong together.
func twice(n int) (rows []int, c Clusters) {
	for i := range n {
		rows, c = append(rows, i, i), append(c, i, i)
	}
	return rows, c
}

func pick[T any](values []T, rows []int, k int) (out []T) {
	for _, r := range rows {
		out = append(out, values[r*k:(r+1)*k]...)
	}
	return out
}

func single(n int) Clusters {
	c := make(Clusters, n)
	for i := range c {
		c[i] = n - i
	}
	return c
}

// A picture that is there twice, in one cluster, tells nothing new: every interval stays as it is. Without
// clusters it would shrink.
func TestClustersOfCopies(t *testing.T) {
	const n, k = 90, 3
	r := rand.New(rand.NewPCG(1, 2))
	truth, a, b := make([]int, n), make([]int, n), make([]int, n)
	labels, values := make([]bool, n*k), make([]float64, n*k)
	la, lb := Matrix{n, k, make([]float32, n*k)}, Matrix{n, k, make([]float32, n*k)}
	for i := range n {
		truth[i], a[i], b[i] = r.IntN(k), r.IntN(k), r.IntN(k)
		if r.IntN(3) > 0 {
			a[i] = truth[i]
		}
		for c := range k {
			j := i*k + c
			labels[j], values[j] = r.IntN(3) == 0, r.NormFloat64()
			la.Data[j] = float32(float64(count(labels[j])) + r.NormFloat64())
			lb.Data[j] = float32(float64(count(labels[j])) + 2*r.NormFloat64())
		}
	}
	predicted := func(noise float64) Matrix {
		m := Matrix{n, k, make([]float32, n*k)}
		for j, v := range values {
			m.Data[j] = float32(v + noise*r.NormFloat64())
		}
		return m
	}
	va, vb := predicted(0.5), predicted(0.8)
	rows, pairs := twice(n)
	two := func(m Matrix) Matrix { return Matrix{2 * n, k, pick(m.Data, rows, k)} }
	names := []string{"x", "y", "z"}
	intervals := func(c Clusters, rows []int, of func(Matrix) Matrix) (out []Interval) {
		truth, a, b := pick(truth, rows, 1), pick(a, rows, 1), pick(b, rows, 1)
		labels, values := pick(labels, rows, k), pick(values, rows, k)
		s, err := c.Accuracy(truth, a)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s.Interval)
		m, err := NewConfusion(names, truth, a)
		if err != nil {
			t.Fatal(err)
		}
		classes, err := c.PerClass(m, truth, a)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range classes {
			out = append(out, one.RecallInterval, one.PrecisionInterval, one.F1Interval)
		}
		d, err := c.Compare(truth, a, b)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, d.Interval, Interval{d.P, d.P})
		ls, err := c.ScoreLabels(names, of(la), labels, nil)
		if err != nil {
			t.Fatal(err)
		}
		vs, err := c.ScoreValues(names, of(va), values)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, ls.Interval, ls.Labels[1].Interval, vs.Interval, vs.Values[1].Interval)
		gain, err := c.CompareMAP(labels, of(la), of(lb))
		if err != nil {
			t.Fatal(err)
		}
		less, err := c.CompareR2(values, of(va), of(vb))
		if err != nil {
			t.Fatal(err)
		}
		return append(out, gain.Interval, less.Interval)
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	same := func(m Matrix) Matrix { return m }
	want, got := intervals(single(n), all, same), intervals(pairs, rows, two)
	for i := range want {
		near := 1e-9
		if i == 10 || i == 11 { // Bonett and Price add two pictures to a difference, not two pairs
			near = 0.01
		}
		if math.Abs(want[i].Low-got[i].Low) > near || math.Abs(want[i].High-got[i].High) > near {
			t.Errorf("interval %d is %v, and %v when each picture is there twice", i, want[i], got[i])
		}
	}
	// Clusters of one picture are taken for few that matter: no interval is narrower, and where hardly
	// anything is wrong it is up to 1.8 times as wide.
	plain, naive := intervals(nil, all, same), intervals(nil, rows, two)
	for i := range want {
		width, other := plain[i].High-plain[i].Low, want[i].High-want[i].Low
		if width > 0 && (other < 0.98*width || other > 1.8*width) {
			t.Errorf("interval %d is %v without clusters, %v with one picture in each", i, plain[i], want[i])
		}
		if width > 0 && naive[i].High-naive[i].Low > 0.85*width {
			t.Errorf("interval %d is %v with each picture twice and no clusters, %v with each once", i, naive[i], plain[i])
		}
	}
}

// What a score says about its clusters, in words and in JSON.
func TestScoreByClusters(t *testing.T) {
	truth := []int{0, 0, 0, 1, 1, 1, 0, 1, 0, 0}
	c := Clusters{7, 7, 7, 4, 4, 4, 1, 1, 9, 9}
	s, err := c.Accuracy(truth, []int{0, 0, 0, 1, 1, 1, 1, 0, 0, 0})
	if err != nil || s.Clusters != 4 {
		t.Fatal(s, err)
	}
	if text := s.String(); !strings.Contains(text, " by 4 clusters, 8 of 10)") || strings.Contains(text, "(8 of 10, 95") {
		t.Error(text)
	}
	if wide := Wilson(8, 10); s.Interval.High-s.Interval.Low <= wide.High-wide.Low {
		t.Errorf("%v by clusters that are all right or all wrong, %v without", s.Interval, wide)
	}
	b, err := json.Marshal(s)
	if err != nil || !strings.Contains(string(b), `"clusters":4`) {
		t.Errorf("%s, %v", b, err)
	}
	if b, _ = json.Marshal(Fraction{1, 2}.Score()); strings.Contains(string(b), "clusters") {
		t.Errorf("%s", b)
	}
	perfect, err := c.Accuracy(truth, truth)
	if err != nil || math.Abs(perfect.Interval.Low-wilson(1, 4, t95(3)).Low) > 1e-12 || perfect.Interval.High != 1 {
		t.Errorf("flawless in four clusters: %v, %v", perfect, err)
	}
	one, err := slices.Repeat(Clusters{5}, 10).Accuracy(truth, truth)
	if err != nil || one.Interval.Known() || !strings.Contains(one.String(), "one cluster, so no interval") {
		t.Errorf("one cluster: %s, %v", one, err)
	}
	for name, err := range map[string]error{
		"lengths": func() error { _, err := c.Accuracy(truth[:9], truth[:9]); return err }(),
		"compare": func() error { _, err := c.Compare(truth[:9], truth[:9], truth[:9]); return err }(),
		"unequal": func() error { _, err := c.Accuracy(truth, truth[:9]); return err }(),
		"labels": func() error {
			_, err := c.ScoreLabels([]string{"a"}, Matrix{2, 1, []float32{1, 2}}, []bool{true, false}, nil)
			return err
		}(),
		"values": func() error {
			_, err := c.ScoreValues([]string{"a"}, Matrix{2, 1, []float32{1, 2}}, []float64{1, 2})
			return err
		}(),
		"two maps": func() error {
			_, err := c.CompareMAP([]bool{true, false}, Matrix{2, 1, []float32{1, 2}}, Matrix{2, 1, []float32{1, 2}})
			return err
		}(),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
