package plots

import (
	"image/color"
	"math"
	"testing"
)

// The theme keeps WCAG's limits: 4.5:1 for text, 3:1 for lines and shapes that
// carry meaning.
func TestContrast(t *testing.T) {
	for name, c := range map[string]color.NRGBA{"ink": ink, "muted": muted} {
		for ground, b := range map[string]color.NRGBA{"white": white, "tint": tint} {
			if r := contrast(c, b); r < 4.5 {
				t.Errorf("%s text on %s: %.2f", name, ground, r)
			}
		}
	}
	series := append([]hue{blue, orange, green, purple, grey, good, bad}, hues...)
	for i, h := range series {
		if r := contrast(h.line, white); r < 3 {
			t.Errorf("line %d: %.2f", i, r)
		}
		if r := contrast(h.text, white); r < 4.5 {
			t.Errorf("text of series %d: %.2f", i, r)
		}
		// Labels may lie on the series' own band and on the frozen tint.
		if r := contrast(h.text, blend(fade(white, 0.92), blend(fade(h.line, 0.16), tint))); r < 4.4 {
			t.Errorf("text of series %d in its halo: %.2f", i, r)
		}
	}
	lowest := math.Inf(1)
	for i := range 1001 {
		b := ramp(float64(i) / 1000)
		lowest = min(lowest, contrast(textOn(b), b))
		if i > 0 && luminance(b) > luminance(ramp(float64(i-1)/1000))+1e-9 {
			t.Errorf("the ramp brightens at %d", i)
		}
	}
	if lowest < 4.5 {
		t.Errorf("text on the heat ramp: %.2f", lowest)
	}
}

// No two series colours may look alike to people with a colour vision
// deficiency (Machado et al. 2009, severity 1; CIE76 distance in Lab).
func TestColoursStayApart(t *testing.T) {
	views := map[string][9]float64{
		"full":   {1, 0, 0, 0, 1, 0, 0, 0, 1},
		"protan": {0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998},
		"deutan": {0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881},
		"tritan": {1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.303900},
	}
	for view, m := range views {
		for i := range hues {
			for j := range i {
				a, b := lab(hues[i].line, m), lab(hues[j].line, m)
				if d := math.Sqrt((a[0]-b[0])*(a[0]-b[0]) + (a[1]-b[1])*(a[1]-b[1]) + (a[2]-b[2])*(a[2]-b[2])); d < 15 {
					t.Errorf("%s: series %d and %d are %.1f apart, want 15", view, i, j, d)
				}
			}
		}
	}
	shapes := map[marker]bool{}
	for _, h := range hues {
		shapes[h.mark] = true
	}
	if len(shapes) != len(hues) {
		t.Error("two series have the same shape")
	}
}

func lab(c color.NRGBA, m [9]float64) [3]float64 {
	lin := func(v uint8) float64 {
		s := float64(v) / 255
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	r, g, b := lin(c.R), lin(c.G), lin(c.B)
	clip := func(v float64) float64 { return min(max(v, 0), 1) }
	r, g, b = clip(m[0]*r+m[1]*g+m[2]*b), clip(m[3]*r+m[4]*g+m[5]*b), clip(m[6]*r+m[7]*g+m[8]*b)
	f := func(v float64) float64 {
		if v > 0.008856 {
			return math.Cbrt(v)
		}
		return 7.787*v + 16./116
	}
	x, y, z := f((0.4124*r+0.3576*g+0.1805*b)/0.9505), f(0.2126*r+0.7152*g+0.0722*b), f((0.0193*r+0.1192*g+0.9505*b)/1.089)
	return [3]float64{116*y - 16, 500 * (x - y), 200 * (y - z)}
}
