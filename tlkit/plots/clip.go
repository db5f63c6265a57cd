package plots

import "math"

// clipArea cuts a polygon at two heights.
func clipArea(pts []point, top, bottom float64) []point {
	cut := func(pts []point, inside func(y float64) bool, edge float64) []point {
		var out []point
		for i, b := range pts {
			a := pts[(i+len(pts)-1)%len(pts)]
			if inside(a.y) != inside(b.y) {
				out = append(out, point{a.x + (edge-a.y)/(b.y-a.y)*(b.x-a.x), edge})
			}
			if inside(b.y) {
				out = append(out, b)
			}
		}
		return out
	}
	pts = cut(pts, func(y float64) bool { return y >= top }, top)
	return cut(pts, func(y float64) bool { return y <= bottom }, bottom)
}

// clip cuts a line at two heights and returns what lies between them, with gaps. The line runs to
// the edge where it leaves and continues from the edge where it returns.
func clip(pts []point, top, bottom float64) []point {
	gap := point{math.NaN(), math.NaN()}
	var out []point
	for i := 1; i < len(pts); i++ {
		a, b := pts[i-1], pts[i]
		if !finite(a.x) || !finite(a.y) || !finite(b.x) || !finite(b.y) {
			continue
		}
		from, to := 0.0, 1.0
		switch d := b.y - a.y; {
		case d != 0:
			in, exit := (top-a.y)/d, (bottom-a.y)/d
			from, to = max(from, min(in, exit)), min(to, max(in, exit))
		case a.y < top || a.y > bottom:
			continue
		}
		if from > to {
			continue
		}
		at := func(t float64) point { return point{a.x + t*(b.x-a.x), a.y + t*(b.y-a.y)} }
		start, end := at(from), at(to)
		if from == 0 {
			start = a
		}
		if to == 1 {
			end = b
		}
		if n := len(out); n == 0 || out[n-1] != start {
			if n > 0 {
				out = append(out, gap)
			}
			out = append(out, start)
		}
		out = append(out, end)
	}
	return out
}
