package metrics

import (
	"fmt"
	"math"
)

// Clusters says which pictures belong together, such as the photos of a patient: a number for each
// picture, equal for those of one cluster. Pictures of one cluster resemble each other, so that they
// say less than as many unrelated ones: the methods of Clusters make intervals as wide as that calls
// for. nil = each picture is by itself.
type Clusters []int

// Count returns the number of clusters; 0 for nil.
func (c Clusters) Count() int {
	seen := map[int]bool{}
	for _, k := range c {
		seen[k] = true
	}
	return len(seen)
}

// check reports clusters of other pictures than n.
func (c Clusters) check(n int) error {
	if c != nil && len(c) != n {
		return fmt.Errorf("metrics: the clusters of %d pictures for %d, want one number for each", len(c), n)
	}
	return nil
}

// units returns the pictures of each cluster, in order of their first picture.
func (c Clusters) units(n int) [][]int {
	units, place := make([][]int, 0, n), map[int]int{}
	for i := range n {
		if c == nil {
			units = append(units, []int{i})
			continue
		}
		u, known := place[c[i]]
		if !known {
			u = len(units)
			place[c[i]], units = u, append(units, nil)
		}
		units[u] = append(units[u], i)
	}
	return units
}

// Accuracy is the share of pictures whose class was predicted, with Wilson's interval; with clusters,
// see [Clusters.Share].
func (c Clusters) Accuracy(truth, predicted []int) (Score, error) {
	if len(truth) != len(predicted) {
		return Score{}, fmt.Errorf("metrics: %d truths and %d predictions: want one of each for every picture", len(truth), len(predicted))
	}
	f := Fraction{Total: len(truth)}
	for i, t := range truth {
		f.Correct += count(predicted[i] == t)
	}
	i, err := c.Share(f.Total, func(i int) (counted, correct bool) { return true, truth[i] == predicted[i] })
	s := f.Score()
	s.Interval, s.Clusters = i, c.Count()
	return s, err
}

// Share is the 95 % interval of the share of correct pictures among those that are counted, of n.
//
// Without clusters it is Wilson's. With clusters it is Wilson's interval of fewer pictures: of as many
// unrelated ones as would make the share as uncertain as it is from cluster to cluster (Kish's
// effective sample size, from the jackknife), taken with Student's t for the number of clusters, as
// Korn and Graubard do. If all clusters agree, as with a flawless model, that number is not known, and
// each cluster counts as one picture. With one cluster the interval is unknown.
func (c Clusters) Share(n int, of func(i int) (counted, correct bool)) (Interval, error) {
	if err := c.check(n); err != nil {
		return unknown, err
	}
	var hits, total []float64 // of each cluster that has counted pictures
	all := Fraction{}
	for _, unit := range c.units(n) {
		h, t := 0, 0
		for _, i := range unit {
			counted, correct := of(i)
			t += count(counted)
			h += count(counted && correct)
		}
		if t > 0 {
			hits, total = append(hits, float64(h)), append(total, float64(t))
		}
		all.Correct, all.Total = all.Correct+h, all.Total+t
	}
	switch g := len(hits); {
	case c == nil || all.Total == 0:
		return all.Interval(), nil
	case g < 2:
		return unknown, nil
	}
	low, high := effective(hits, total, all)
	t := t95(float64(len(hits) - 1))
	return Interval{wilson(all.Value(), low, t).Low, wilson(all.Value(), high, t).High}, nil
}

// effective is the number of unrelated pictures that would make the share as uncertain, for each end of
// its interval; see [estimate.interval] for why they differ.
func effective(hits, total []float64, all Fraction) (low, high float64) {
	n, g, p := float64(all.Total), float64(len(hits)), all.Value()
	without, most := make([]float64, len(hits)), 0.0
	for u := range hits {
		without[u] = (float64(all.Correct) - hits[u]) / (n - total[u])
		most = max(most, math.Abs(without[u]-p))
	}
	deviation := jackknife(without)
	if deviation < 1e-9 {
		return g, g
	}
	return min(p*(1-p)/(deviation*deviation+most*most), n), min(p*(1-p)/(deviation*deviation), n)
}

// Mean is the mean of a number of each picture, and its standard error: from cluster to cluster where
// there are two or more, else from picture to picture.
func (c Clusters) Mean(values []float64) (mean, standardError float64) {
	n := float64(len(values))
	sum, squares := 0.0, 0.0
	for _, v := range values {
		sum += v
	}
	mean = sum / n
	units := c.units(len(values))
	if c == nil || len(units) < 2 {
		for _, v := range values {
			squares += (v - mean) * (v - mean)
		}
		return mean, math.Sqrt(squares / n / max(n-1, 1))
	}
	without := make([]float64, len(units))
	for u, unit := range units {
		rest := sum
		for _, i := range unit {
			rest -= values[i]
		}
		without[u] = rest / (n - float64(len(unit)))
	}
	return mean, jackknife(without)
}

// wilson is the score interval of a share p of n pictures, where n need not be whole, for a quantile.
func wilson(p, n, z float64) Interval {
	z *= z
	centre, half := p+z/(2*n), math.Sqrt(z)*math.Sqrt(p*(1-p)/n+z/(4*n*n))
	i := Interval{max(0, (centre-half)/(1+z/n)), min(1, (centre+half)/(1+z/n))}
	if p == 0 {
		i.Low = 0
	}
	if p == 1 {
		i.High = 1
	}
	return i
}

// PerClass returns the scores of each class, as [Confusion.PerClass] does, with intervals by clusters.
func (c Clusters) PerClass(m Confusion, truth, predicted []int) ([]Class, error) {
	out := m.PerClass()
	if c == nil {
		return out, nil
	}
	if len(truth) != len(predicted) {
		return nil, fmt.Errorf("metrics: %d truths and %d predictions: want one of each for every picture", len(truth), len(predicted))
	}
	for k := range out {
		r := &out[k]
		var union Interval
		for _, one := range []struct {
			to *Interval
			in func(is, said bool) bool
		}{
			{&r.RecallInterval, func(is, _ bool) bool { return is }},
			{&r.PrecisionInterval, func(_, said bool) bool { return said }},
			{&union, func(is, said bool) bool { return is || said }},
		} {
			i, err := c.Share(len(truth), func(i int) (counted, correct bool) {
				is, said := truth[i] == k, predicted[i] == k
				return one.in(is, said), is && said
			})
			if err != nil {
				return nil, err
			}
			*one.to = i
		}
		r.F1Interval = Interval{2 * union.Low / (1 + union.Low), 2 * union.High / (1 + union.High)}
	}
	return out, nil
}
