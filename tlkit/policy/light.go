package policy

import (
	"math"

	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Light says how bright a picture is: the mean and the deviation of its brightness, and what a
// hundredth of its pixels are darker and brighter than, from 0 to 1. A frozen network makes little of
// brightness; a robot whose lamp has failed should know.
type Light [4]float64

// LightOf measures a picture.
func LightOf(p *transforms.Picture) (l Light) {
	var counts [766]int // of the sum of red, green and blue
	pixels := p.Width * p.Height
	if pixels < 1 {
		return l
	}
	var sum, squares float64
	for i := 0; i+2 < len(p.Pix); i += 3 {
		v := int(p.Pix[i]) + int(p.Pix[i+1]) + int(p.Pix[i+2])
		counts[v]++
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	n, top := float64(pixels), float64(len(counts)-1)
	l[0] = sum / n / top
	l[1] = math.Sqrt(max(squares/n-(sum/n)*(sum/n), 0)) / top
	seen := 0
	for v, c := range counts {
		if before := float64(seen); c > 0 {
			seen += c
			if before <= 0.01*n && float64(seen) > 0.01*n {
				l[2] = float64(v) / top
			}
			if before < 0.99*n && float64(seen) >= 0.99*n {
				l[3] = float64(v) / top
			}
		}
	}
	return l
}
