package raster

// Colours are given and returned as screens show them (sRGB); light adds up only as linear numbers.

var (
	linear   [256]float32  // of the 256 levels of a screen
	fine     [4096]float32 // the same, of shares of 4095
	levels   [shades]uint8 // of the square root of light, 0 to 2: what screens show
	plain    [shades]uint8 // the same without the shoulder
	toneRoot float32       = (shades - 1) / 2
)

const shades = 8192

func init() {
	for i := range linear {
		linear[i] = float32(decode(float64(i) / 255))
	}
	for i := range fine {
		fine[i] = float32(decode(float64(i) / 4095))
	}
	var toned, exact int
	for i := range shades {
		root := float64(i) / float64(toneRoot)
		light := mul(root, root)
		for exact < 255 && decode((float64(exact)+0.5)/255) <= light {
			exact++
		}
		for toned < 255 && decode((float64(toned)+0.5)/255) <= shoulder(light) {
			toned++
		}
		levels[i], plain[i] = uint8(toned), uint8(exact)
	}
}

// shoulder keeps bright light from being cut off: above 0.7 it rises ever more slowly, up to 1.
func shoulder(light float64) float64 {
	const knee = 0.7
	if light < knee {
		return light
	}
	x := (light - knee) / (1 - knee)
	return knee + mul(1-knee, x/(1+x))
}

// decode returns the light of a level of a screen, both 0 to 1.
func decode(v float64) float64 {
	if v <= 0.04045 {
		return v / 12.92
	}
	y := (v + 0.055) / 1.055 // to the power of 2.4: its square times the square of its fifth root
	r := 1.0
	for range 20 {
		q := mul(r, r)
		r = (mul(4, r) + y/mul(q, q)) / 5
	}
	return mul(mul(y, y), mul(r, r))
}

// lightOf returns a colour as light.
func lightOf(c [3]float64) vec3 {
	return vec3{fine[int(mul(c[0], 4095)+0.5)], fine[int(mul(c[1], 4095)+0.5)], fine[int(mul(c[2], 4095)+0.5)]}
}

// show returns the level that a screen shows light as.
func show(light float32) uint8 { return levels[shade(light)] }

// encode is show for light that is not brighter than white.
func encode(light float32) uint8 { return plain[shade(light)] }

func shade(light float32) int {
	if !(light > 0) { // or NaN
		return 0
	}
	return int(float32(sqrt(min(light, 4))*toneRoot) + 0.5)
}
