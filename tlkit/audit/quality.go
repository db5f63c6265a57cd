package audit

import (
	"context"
	"fmt"
	"math"
)

// Limits of quality. They are wide: a set of night pictures, of drawings or of thumbnails is none of
// these, because sharpness and size are compared with the rest of the set.
const (
	darkest       = 0.12 // the brightest point of a dark picture, 0..1
	brightest     = 0.88 // the darkest point of a bright one
	leastEntropy  = 1.5  // bits, of 8
	leastSharp    = 0.05 // of the median of the set
	leastPixels   = 0.1  // of the median of the set
	mostElongated = 3    // times the median shape of the set, in either direction
)

// quality reports poor pictures.
func (a *auditor) quality(context.Context) error {
	var sharp, areas, shapes []float64
	for i := range a.prints {
		p := a.prints[i]
		sharp = append(sharp, p.sharpness)
		if p.width > 0 {
			areas = append(areas, math.Log(float64(p.width)*float64(p.height)))
			shapes = append(shapes, math.Log(float64(p.width)/float64(p.height)))
		}
	}
	usual, area, shape := median(sharp), 0.0, 0.0
	if len(areas) > 0 {
		area, shape = math.Exp(median(areas)), median(shapes)
	}
	for i := range a.prints {
		p := a.prints[i]
		switch {
		case p.high < darkest:
			a.poor(Dark, i, 1-p.high, "the brightest parts have %.0f of 255", 255*p.high)
		case p.low > brightest:
			a.poor(Bright, i, p.low, "the darkest parts have %.0f of 255", 255*p.low)
		case p.spread < leastEntropy:
			a.poor(Empty, i, -p.spread, "%.1f bits of brightness, of 8", p.spread)
		case p.sharpness < leastSharp*usual:
			a.poor(Blurred, i, -p.sharpness, "%.1f %% of the usual sharpness", 100*p.sharpness/usual)
		}
		if p.width == 0 {
			continue
		}
		if less := area / float64(p.width*p.height); less > 1/leastPixels {
			a.poor(OddSize, i, less, "%d x %d pixels, %.0f times fewer than usual", p.width, p.height, less)
		}
		if longer := math.Exp(math.Abs(math.Log(float64(p.width)/float64(p.height)) - shape)); longer > mostElongated {
			a.poor(OddShape, i, longer, "%d x %d pixels", p.width, p.height)
		}
	}
	return nil
}

func (a *auditor) poor(k Kind, row int, score float64, why string, args ...any) {
	f := a.of(k, row)
	f.Score, f.Why = score, fmt.Sprintf(why, args...)
	a.add(f)
}
