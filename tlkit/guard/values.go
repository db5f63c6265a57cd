package guard

import (
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// madeBy returns the preset that the values of pictures were made with, where it is certainly not p; ok is
// false if it is p, or if that cannot be told.
//
// Pictures have 256 levels. With the right preset the values, brought back, are whole numbers from 0 to
// 255, and with no other one. Where pictures were resized as floats they are not whole; then only what
// would be far outside 0 to 255, or all of it black, is certain.
func madeBy(pictures []*looked, p transforms.Preset) (q transforms.Preset, ok bool) {
	given := levelsOf(pictures, p)
	if given.whole && given.inside {
		return p, false
	}
	var others []levels
	for _, q := range otherwise(p) {
		if l := levelsOf(pictures, q); l.inside {
			others = append(others, l)
		}
	}
	for _, l := range others {
		if l.whole && l.spread() > fewLevels {
			return l.by, true
		}
	}
	if given.inside && given.spread() > fewLevels {
		return p, false
	}
	// The one with the most contrast.
	best := fewLevels
	for _, l := range others {
		if spread := l.spread(); spread > best {
			best, p, ok = spread, l.by, true
		}
	}
	return p, ok
}

// fewLevels is a spread that no set of pictures has, unless all are of one colour.
const fewLevels = 1.5

// levels is what values are when a preset is undone.
type levels struct {
	by     transforms.Preset
	all    []float64
	whole  bool // they are whole numbers
	inside bool // they are from 0 to 255
}

func levelsOf(pictures []*looked, p transforms.Preset) levels {
	l := levels{by: p}
	off, outside, far := 0.0, 0, 0
	for _, picture := range pictures {
		for _, x := range picture.samples {
			for c := range 3 {
				v := 255 * (zeroOf(p, c) + float64(x[c])/gainOf(p, c))
				off += math.Abs(v - math.Round(v))
				if v < -0.5 || v > 255.5 {
					outside++
				}
				if v < -40 || v > 295 {
					far++
				}
				l.all = append(l.all, v)
			}
		}
	}
	n := len(l.all)
	l.whole = off < 0.02*float64(n)
	l.inside = outside*1000 <= n
	if !l.whole { // resizing floats overshoots at edges
		l.inside = far*250 <= n
	}
	return l
}

// spread is how many levels most of the values are apart.
func (l levels) spread() float64 {
	slices.Sort(l.all)
	n := len(l.all)
	return l.all[n-1-n/500] - l.all[n/500]
}

// otherwise are the ways to prepare pictures that are mistakes where p is right.
func otherwise(p transforms.Preset) []transforms.Preset {
	var all []transforms.Preset
	add := func(q transforms.Preset) {
		if mistaken(q, p) != OtherStatistics || !alike(q, p) {
			all = append(all, q)
		}
	}
	undivided, twice, centred := p, p, p
	undivided.Range = [2]float32{255 * p.Range[0], 255 * p.Range[1]}
	twice.Range = [2]float32{p.Range[0] / 255, p.Range[1] / 255}
	centred.Std = [3]float32{1, 1, 1}
	add(undivided)
	add(twice)
	add(centred)
	for _, name := range standard {
		q, err := transforms.Statistics(name)
		if err != nil {
			continue
		}
		if p.Channels != "grey" && q.Channels != p.Channels {
			q = swapped(q)
		}
		q.Channels = p.Channels
		add(p.WithStatistics(q))
	}
	return all
}
