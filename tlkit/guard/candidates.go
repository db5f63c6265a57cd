package guard

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Candidate is a way to prepare pictures, and how far the network is from remembering it.
type Candidate struct {
	Name   string            `json:"name"` // of the statistics, such as "imagenet", "half, BGR", or "as given"
	Preset transforms.Preset `json:"-"`    // with these range, mean, std and channels
	// Score is the mean divergence (Kullback-Leibler, in nats) of what the outputs of the first
	// convolution would be from what its batch norm remembers. Only the ratio of two scores means
	// anything.
	Score float64 `json:"score"`

	each []float64 // divergence of each output
}

// asGiven is the name of a candidate that has no better one.
const asGiven = "as given"

// standard are the names of the statistics in use, the usual first: of equally good ones, that is taken.
var standard = []string{"imagenet", "half", "unit", "caffe", "raw", "cifar10", "clip", "lite"}

// candidates returns p and the statistics in use, in both orders of the channels. Where p or the
// network is grey, all are grey.
func candidates(p transforms.Preset, grey bool) []Candidate {
	var all []Candidate
	add := func(name string, q transforms.Preset) {
		q = p.WithStatistics(q)
		same := func(c Candidate) bool { return c.Preset.WithStatistics(q) == c.Preset }
		if !slices.ContainsFunc(all, same) {
			all = append(all, Candidate{Name: name, Preset: q})
		}
	}
	for _, name := range standard {
		q, err := transforms.Statistics(name)
		if err != nil {
			continue
		}
		if grey {
			q.Channels = "grey"
			add(name+", grey", q)
			continue
		}
		add(name, q)
		r := swapped(q)
		add(name+", "+r.Channels, r)
	}
	add(asGiven, p)
	if !grey && p.Channels != "grey" {
		add(asGiven+", "+swapped(p).Channels, swapped(p))
	}
	return all
}

// swapped returns the preset for the other order of channels: red is still prepared as red.
func swapped(p transforms.Preset) transforms.Preset {
	p.Mean[0], p.Mean[2] = p.Mean[2], p.Mean[0]
	p.Std[0], p.Std[2] = p.Std[2], p.Std[0]
	if p.Channels == "BGR" {
		p.Channels = "RGB"
	} else {
		p.Channels = "BGR"
	}
	return p
}

// alike reports whether two presets prepare red, green and blue almost in the same way, in whatever
// order: one as good as the other for any network.
func alike(p, q transforms.Preset) bool {
	if (p.Channels == "grey") != (q.Channels == "grey") {
		return false
	}
	from, to := source(p), source(q)
	for c := range 3 {
		i, k := slices.Index(from[:], c), slices.Index(to[:], c)
		if r := gainOf(p, i) / gainOf(q, k); r < 1/1.4 || r > 1.4 {
			return false
		}
		if math.Abs(zeroOf(p, i)-zeroOf(q, k)) > 0.12 {
			return false
		}
	}
	return true
}

// zeroOf is the colour in [0,1] that becomes 0 in a channel.
func zeroOf(p transforms.Preset, c int) float64 {
	return float64(p.Mean[c]-p.Range[0]) / float64(p.Range[1]-p.Range[0])
}

// sameOrder reports whether two presets put the colours in the same order.
func sameOrder(p, q transforms.Preset) bool {
	return p.Channels == "grey" || q.Channels == "grey" || source(p) == source(q)
}

// mistaken says what is wrong with p for a network that wants q.
func mistaken(p, q transforms.Preset) Finding {
	gain, zero := 1.0, 0.0
	from, to := source(p), source(q)
	for c := range 3 {
		i, k := slices.Index(from[:], c), slices.Index(to[:], c)
		gain *= math.Cbrt(gainOf(p, i) / gainOf(q, k))
		zero = max(zero, math.Abs(zeroOf(p, i)-zeroOf(q, k)))
	}
	if gain < 0 { // a negative picture
		return OtherStatistics
	}
	const scale = 20 // between them lies 255, less or more a mean and a deviation
	inUnits := math.Abs(gainOf(p, 1)-1) < 0.02
	switch {
	case gain > scale:
		return NotDivided
	case gain < 1.0/scale:
		return DividedTwice
	case p.Channels == "grey" && q.Channels != "grey":
		return Grey
	case alike(p, q) && !sameOrder(p, q):
		return SwappedChannels
	case inUnits && gain < 0.7 && zero < 0.12:
		return MeanOnly
	case like(p, "half") && like(q, "imagenet"):
		return HalfForImageNet
	case like(p, "imagenet") && like(q, "half"):
		return ImageNetForHalf
	}
	return OtherStatistics
}

// like reports whether p is alike to named statistics.
func like(p transforms.Preset, name string) bool {
	q, err := transforms.Statistics(name)
	if err == nil && p.Channels == "grey" {
		q.Channels = "grey"
	}
	return err == nil && alike(p, q)
}

// ranked is the outcome of comparing the candidates.
type ranked struct {
	all   []Candidate // best first
	given int         // the one that was used
	// times is how many times better the best one is than the one that was used.
	times float64
	// statistics and order are the shares of 400 redraws of the outputs in which the best candidate
	// has the same statistics, and the same order of channels.
	statistics, order float64
}

// scoreFloor is added to scores before they are divided: the divergence that is left with the right
// preset, because training saw crops and other pictures.
const scoreFloor = 0.02

// rank scores the candidates for a network.
func rank(s *stem, p transforms.Preset) ranked {
	photographs := collect(reaches, s.photographs)
	all := candidates(p, s.colours == 1)
	for i := range all {
		all[i].each = s.best(photographs, preparation(all[i].Preset))
		all[i].Score = average(all[i].each)
	}
	slices.SortStableFunc(all, func(a, b Candidate) int { return cmp.Compare(a.Score, b.Score) })
	first := preferred(all, p)
	all = slices.Insert(slices.Delete(slices.Clone(all), first, first+1), 0, all[first])
	r := ranked{all: all}
	r.given = slices.IndexFunc(all, func(c Candidate) bool { return c.Preset.WithStatistics(p) == c.Preset })
	r.times = (all[r.given].Score + scoreFloor) / (all[0].Score + scoreFloor)
	r.redraw()
	return r
}

const nearlyEqual = 1.1

// preferred returns the one of the nearly best that was used, else the most usual.
func preferred(all []Candidate, p transforms.Preset) int {
	best := 0
	for i, c := range all {
		if c.Score+scoreFloor > nearlyEqual*(all[0].Score+scoreFloor) {
			break
		}
		if c.Preset.WithStatistics(p) == c.Preset {
			return i
		}
		if usual(c.Name) < usual(all[best].Name) {
			best = i
		}
	}
	return best
}

// usual returns the place of a candidate among the statistics in use, those in another order of
// channels last.
func usual(name string) int {
	name, _, other := strings.Cut(name, ", ")
	i := slices.Index(standard, name)
	if i < 0 {
		i = len(standard)
	}
	if other {
		i += len(standard) + 1
	}
	return i
}

// redraw finds out how sure the first candidate is.
func (r *ranked) redraw() {
	const draws = 400
	rng := rand.New(rand.NewPCG(17, 4))
	n := len(r.all[0].each)
	best := r.all[0]
	// The one that was used, if its order is another, else the other order of the same statistics.
	other := r.given
	if sameOrder(r.all[other].Preset, best.Preset) {
		other = slices.IndexFunc(r.all, func(c Candidate) bool { return c.Preset.WithStatistics(swapped(best.Preset)) == c.Preset })
	}
	statistics, order := 0, 0
	for range draws {
		count := make([]float64, n)
		for range n {
			count[rng.IntN(n)]++
		}
		total := func(c Candidate) (sum float64) {
			for k, v := range c.each {
				sum += v * count[k]
			}
			return sum
		}
		winner := slices.MinFunc(r.all, func(a, b Candidate) int { return cmp.Compare(total(a), total(b)) })
		if alike(winner.Preset, best.Preset) {
			statistics++
		}
		if other >= 0 && total(best) < total(r.all[other]) {
			order++
		}
	}
	r.statistics, r.order = float64(statistics)/draws, float64(order)/draws
}
