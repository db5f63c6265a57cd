package plots

import (
	"image/color"
	"math"
)

func rgb(v uint32) color.NRGBA {
	return color.NRGBA{uint8(v >> 16), uint8(v >> 8), uint8(v), 255}
}

// fade returns c with an opacity.
func fade(c color.NRGBA, alpha float64) color.NRGBA {
	c.A = uint8(math.Round(255 * min(max(alpha, 0), 1)))
	return c
}

// blend returns what a transparent c looks like on an opaque ground.
func blend(c, ground color.NRGBA) color.NRGBA {
	a := float64(c.A) / 255
	mix := func(x, y uint8) uint8 { return uint8(math.Round(a*float64(x) + (1-a)*float64(y))) }
	return color.NRGBA{mix(c.R, ground.R), mix(c.G, ground.G), mix(c.B, ground.B), 255}
}

var (
	white = rgb(0xFFFFFF)
	ink   = rgb(0x1F2933) // titles, values
	muted = rgb(0x5F6C7B) // subtitles, ticks
	edge  = rgb(0x9AA5B1) // axis lines, rules
	faint = rgb(0xE9ECEF) // grid
	tint  = rgb(0xF3F6F9) // the frozen part, mats behind pictures
	black = rgb(0x000000) // text on the middle of the heat ramp, where ink is too light for 4.5:1
)

// hue is the look of one series: a line colour, a darker one for its text, and a shape, so that
// series differ in more than colour.
type hue struct {
	line, text color.NRGBA
	mark       marker
}

// The Okabe-Ito colours with a contrast of at least 3:1 on white, in order of use. There are only
// four: more series are grey, or have panels of their own.
var (
	blue   = hue{rgb(0x0072B2), rgb(0x0072B2), disc}
	orange = hue{rgb(0xD55E00), rgb(0xC04F00), disc}
	green  = hue{rgb(0x009E73), rgb(0x00805D), square}
	purple = hue{rgb(0xA8528A), rgb(0xA04A83), diamond}
	grey   = hue{rgb(0x868E96), rgb(0x5F6C7B), disc}
	hues   = []hue{blue, {orange.line, orange.text, square}, {green.line, green.text, diamond}, {purple.line, purple.text, triangle}}
)

var (
	good = green
	bad  = hue{rgb(0xC92A2A), rgb(0xB42318), disc} // a mistake; orange is validation
	want = purple                                  // what the weights expect, next to red, green and blue channels
)

// rampStops are the colours of the blue ramp of heat maps.
var rampStops = []color.NRGBA{rgb(0xF4F8FB), rgb(0xC5DDEE), rgb(0x7FB5D8), rgb(0x2F86BF), rgb(0x0B5A94), rgb(0x08406E)}

// ramp maps 0..1 to light..dark blue.
func ramp(v float64) color.NRGBA {
	if !(v > 0) {
		return rampStops[0]
	}
	pos := min(v, 1) * float64(len(rampStops)-1)
	i := min(int(pos), len(rampStops)-2)
	return blend(fade(rampStops[i+1], pos-float64(i)), rampStops[i])
}

// textOn returns the more readable text colour on a background, dark or white.
func textOn(background color.NRGBA) color.NRGBA {
	if contrast(white, background) > contrast(black, background) {
		return white
	}
	return black
}

// contrast returns the WCAG contrast ratio, 1..21.
func contrast(a, b color.NRGBA) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(c color.NRGBA) float64 {
	lin := func(v uint8) float64 {
		s := float64(v) / 255
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	return 0.2126*lin(c.R) + 0.7152*lin(c.G) + 0.0722*lin(c.B)
}

// style is a style of text. Sizes are in nominal pixels.
type style struct {
	size float64
	bold bool
}

var (
	titleStyle = style{14, true}
	subStyle   = style{10.5, false}
	tickStyle  = style{10, false}
	labelStyle = style{10.5, true}
	noteStyle  = style{9.5, false}
)

const (
	pageWidth = 760.0
	padding   = 16.0 // white around everything, for dark pages
)
