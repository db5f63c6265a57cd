package guard

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

func (v *Verdict) warn(format string, args ...any) {
	v.Warnings = append(v.Warnings, fmt.Sprintf(format, args...))
}

// same reports whether two pictures are equal, as far as was looked.
func (l *looked) same(other *looked) bool {
	return l.sum == other.sum && l.low == other.low && l.high == other.high
}

const (
	// Pictures look so many times more like photographs with red and blue exchanged, and then they look
	// much like photographs, before they are said to be exchanged. Sky and sea alone reach 2.7 times.
	exchangedTimes = 3
	photographic   = 0.2
	orderedTimes   = 1.5 // so many times less, and the order is right
	// fewestPictures is how many pictures it takes for that: a single one may have any colours.
	fewestPictures = 20
)

// colours finds pictures without colour, and red and blue exchanged.
func (v *Verdict) colours(pictures []*looked, p transforms.Preset) {
	if v.Order == SwappedChannels || p.Channels == "grey" {
		return
	}
	if share(pictures, func(l *looked) bool { return l.grey(p) }) > 0.9 {
		v.Order = CannotTell
		v.found(Grey, v.Confidence)
		return
	}
	if len(pictures) < fewestPictures {
		v.Order = CannotTell
		return
	}
	as, exchanged := likeness(pictures, p)
	switch {
	case as > exchangedTimes*exchanged && exchanged < photographic:
		if sure := exchangedSure(pictures, p); sure >= enoughSure && !sky(pictures, p) {
			v.Order = SwappedChannels
			v.found(SwappedChannels, sure)
		}
	case exchanged > orderedTimes*as:
		v.Order = Fits
	default:
		v.Order = CannotTell
	}
}

// sky reports whether the blue of the pictures is smoother than the rest of them, as that of sky and water
// is: by the correlation of both in each picture, over all of them at 2.5 standard errors.
func sky(pictures []*looked, p transforms.Preset) bool {
	var each []float64
	for _, l := range pictures {
		blue, rough := make([]float64, len(l.samples)), make([]float64, len(l.samples))
		for i, x := range l.samples {
			u := colour(x, p)
			blue[i], rough[i] = u[2]-u[0], math.Sqrt(float64(l.steps[i]))
		}
		each = append(each, correlation(blue, rough))
	}
	mean, sd := spreadOf(each)
	return mean < -2.5*sd/math.Sqrt(float64(len(each)))
}

// correlation of two lists of numbers; 0 if one of them does not vary.
func correlation(a, b []float64) float64 {
	m, s := spreadOf(a)
	n, t := spreadOf(b)
	if s*t == 0 {
		return 0
	}
	sum := 0.0
	for i := range a {
		sum += (a[i] - m) * (b[i] - n)
	}
	return sum / (s * t * float64(len(a)))
}

// exchangedSure returns the share of redraws of the pictures in which they are more like photographs with red
// and blue exchanged.
func exchangedSure(pictures []*looked, p transforms.Preset) float64 {
	const draws = 100
	rng := rand.New(rand.NewPCG(5, 9))
	drawn, n := make([]*looked, len(pictures)), 0.0
	for range draws {
		for i := range drawn {
			drawn[i] = pictures[rng.IntN(len(pictures))]
		}
		if as, exchanged := likeness(drawn, p); exchanged < as {
			n++
		}
	}
	return n / draws
}

// likeness returns how far the colours of pictures are from those of ordinary photographs, as they are and
// with red and blue exchanged: the divergence of two normal distributions.
func likeness(pictures []*looked, p transforms.Preset) (as, exchanged float64) {
	var mean [3]float64
	var cov [3][3]float64
	n := 0.0
	for _, l := range pictures {
		for _, x := range l.samples {
			u := colour(x, p)
			for a := range 3 {
				mean[a] += u[a]
				for b := range 3 {
					cov[a][b] += u[a] * u[b]
				}
			}
			n++
		}
	}
	for a := range 3 {
		mean[a] /= n
	}
	for a := range 3 {
		for b := range 3 {
			cov[a][b] = cov[a][b]/n - mean[a]*mean[b]
		}
		cov[a][a] += 1e-4
	}
	mirror := [3]int{2, 1, 0}
	var back [3]float64
	var turned [3][3]float64
	for a, i := range mirror {
		back[a] = mean[i]
		for b, j := range mirror {
			turned[a][b] = cov[i][j]
		}
	}
	return fromPhotographs(mean, cov), fromPhotographs(back, turned)
}

// fromPhotographs is the divergence of a normal distribution of colours from that of photographs.
func fromPhotographs(mean [3]float64, cov [3][3]float64) float64 {
	var photo [3][3]float64
	for a := range 3 {
		for b := range 3 {
			photo[a][b] = photoCorrelation[a][b] * photoSD[a] * photoSD[b]
		}
	}
	inverse := invert(photo)
	sum := -3 + math.Log(determinant(photo)/max(determinant(cov), 1e-18))
	for a := range 3 {
		for b := range 3 {
			sum += inverse[a][b] * (cov[a][b] + (mean[a]-photoMean[a])*(mean[b]-photoMean[b]))
		}
	}
	return sum / 2
}

// cofactor of a 3 x 3 matrix; matrices of one size need no library.
func cofactor(m [3][3]float64, a, b int) float64 {
	i, j, k, l := (a+1)%3, (a+2)%3, (b+1)%3, (b+2)%3
	return m[i][k]*m[j][l] - m[i][l]*m[j][k]
}

func determinant(m [3][3]float64) (d float64) {
	for b := range 3 {
		d += m[0][b] * cofactor(m, 0, b)
	}
	return d
}

func invert(m [3][3]float64) (inverse [3][3]float64) {
	d := determinant(m)
	for a := range 3 {
		for b := range 3 {
			inverse[a][b] = cofactor(m, b, a) / d
		}
	}
	return inverse
}

// crop warns of another part of the pictures than the network saw in training.
func (v *Verdict) crop(net *zoo.Net) {
	p, q := v.preset, net.Row.Preset
	if q.Channels == "" || !net.Published || q.Size == 0 {
		return
	}
	part := func(p transforms.Preset) float64 { return float64(p.Size) / float64(p.ShortSide()) }
	switch {
	case p.Geometry != q.Geometry:
		v.warn("the pictures are made square in another way than for training: %s, not %s", p.SquareWords(), q.SquareWords())
	case p.Geometry == transforms.GeometryShort && math.Abs(part(p)-part(q)) > 0.06:
		v.warn("the crop is another one than in the network's own preset: %.0f %% of the short side is seen, not %.0f %%", 100*part(p), 100*part(q))
	}
}
