package episodes

import (
	"encoding/json"
	"math"
	"os"
	"slices"
)

// stat are the statistics of one column in meta/stats.json. Those of pictures are nested
// (channels, 1, 1) there.
type stat struct {
	Min, Max, Mean, Std vector
	Count               vector
	Q01                 vector `json:"q01"`
	Q10                 vector `json:"q10"`
	Q50                 vector `json:"q50"`
	Q90                 vector `json:"q90"`
	Q99                 vector `json:"q99"`
}

// vector is a list of numbers, however deep it is nested in JSON.
type vector []float64

func (v *vector) UnmarshalJSON(raw []byte) error {
	var all any
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	*v = nil
	var walk func(a any)
	walk = func(a any) {
		switch a := a.(type) {
		case float64:
			*v = append(*v, a)
		case []any:
			for _, e := range a {
				walk(e)
			}
		}
	}
	walk(all)
	return nil
}

// readStats reads meta/stats.json.
func readStats(root *os.Root) (map[string]stat, error) {
	out := make(map[string]stat)
	err := readJSON(root, statsFile, &out)
	return out, err
}

var quantiles = []struct {
	name string
	q    float64
}{{"q01", 0.01}, {"q10", 0.1}, {"q50", 0.5}, {"q90", 0.9}, {"q99", 0.99}}

// A gatherer collects a column of numbers for its statistics.
type gatherer struct{ values [][]float64 } // of each number

// add adds the i-th number of a row.
func (g *gatherer) add(i int, v float64) {
	for len(g.values) <= i {
		g.values = append(g.values, nil)
	}
	g.values[i] = append(g.values[i], v)
}

// stats returns the statistics, by LeRobot's names. The deviation is that of the population.
func (g *gatherer) stats() map[string][]float64 {
	out := map[string][]float64{"count": {0}}
	for _, v := range g.values {
		sorted := slices.Sorted(slices.Values(v))
		n := float64(len(v))
		var sum, squares float64
		for _, x := range v {
			sum += x
		}
		mean := sum / n
		for _, x := range v {
			squares += (x - mean) * (x - mean)
		}
		out["count"][0] = n
		out["min"], out["max"] = append(out["min"], sorted[0]), append(out["max"], sorted[len(sorted)-1])
		out["mean"], out["std"] = append(out["mean"], mean), append(out["std"], math.Sqrt(squares/n))
		for _, q := range quantiles {
			out[q.name] = append(out[q.name], quantile(sorted, q.q))
		}
	}
	return out
}

// quantile interpolates between the two nearest of sorted values, as NumPy does.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// A histogram counts the values of the three channels of pictures: all there is to know about them
// for the statistics, however many there are.
type histogram struct {
	counts   [3][256]int64
	pictures int
}

func (h *histogram) add(pix []uint8) {
	for i := 0; i+3 < len(pix); i += 4 {
		h.counts[0][pix[i]]++
		h.counts[1][pix[i+1]]++
		h.counts[2][pix[i+2]]++
	}
	h.pictures++
}

// merge adds the pictures of another histogram.
func (h *histogram) merge(other *histogram) {
	for c := range h.counts {
		for v, n := range other.counts[c] {
			h.counts[c][v] += n
		}
	}
	h.pictures += other.pictures
}

// stats returns the statistics as LeRobot has them: of values from 0 to 1, and nested.
func (h *histogram) stats() map[string]any {
	nested := func(f func(counts *[256]int64, n float64) float64) [][][]float64 {
		out := make([][][]float64, 3)
		for c := range out {
			var n float64
			for _, k := range h.counts[c] {
				n += float64(k)
			}
			out[c] = [][]float64{{f(&h.counts[c], n) / 255}}
		}
		return out
	}
	at := func(q float64) func(counts *[256]int64, n float64) float64 {
		return func(counts *[256]int64, n float64) float64 {
			var below float64
			for v, k := range counts {
				if below += float64(k); below > q*(n-1) {
					return float64(v)
				}
			}
			return 255
		}
	}
	moment := func(counts *[256]int64, n, about float64, power float64) (sum float64) {
		for v, k := range counts {
			sum += float64(k) * math.Pow(float64(v)-about, power)
		}
		return sum / n
	}
	mean := func(c *[256]int64, n float64) float64 { return moment(c, n, 0, 1) }
	out := map[string]any{
		"count": []int{h.pictures}, "min": nested(at(0)), "max": nested(at(1)), "mean": nested(mean),
		"std": nested(func(c *[256]int64, n float64) float64 { return math.Sqrt(moment(c, n, mean(c, n), 2)) }),
	}
	for _, q := range quantiles {
		out[q.name] = nested(at(q.q))
	}
	return out
}
