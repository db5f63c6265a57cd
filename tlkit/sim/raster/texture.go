package raster

import (
	"errors"
	"fmt"
	"image"
	"image/draw"
)

// Texture is a picture on a surface. It never changes, so that any number of materials may share it.
type Texture struct {
	cube  bool
	wide  float32    // pixels of the longer side
	faces [6][]level // a flat one has one; each at full size, half, quarter, …, 1 pixel
}

// level is a texture at one size: red, green, blue as screens show them, and nothing.
type level struct {
	w, h int
	pix  []uint32 // blue<<16 | green<<8 | red
}

const widestTexture = 8192

// NewTexture returns a flat texture, which is repeated in both directions. Transparency is ignored.
func NewTexture(img image.Image) (*Texture, error) {
	levels, err := reduced(img)
	if err != nil {
		return nil, err
	}
	return &Texture{wide: float32(max(levels[0].w, levels[0].h)), faces: [6][]level{levels}}, nil
}

// NewCube returns a texture that surrounds a thing: six squares of one size, which lie towards +x,
// -x, +y, -y, +z and -z, oriented as OpenGL's cube maps; MuJoCo's, stacked in one high picture, are
// in this order.
func NewCube(faces [6]image.Image) (*Texture, error) {
	t := &Texture{cube: true}
	for i, f := range faces {
		levels, err := reduced(f)
		if err != nil {
			return nil, fmt.Errorf("face %d: %w", i, err)
		}
		if l := levels[0]; l.w != l.h || i > 0 && l.w != t.faces[0][0].w {
			return nil, fmt.Errorf("raster: face %d of a cube has %d x %d pixels, want six squares of one size", i, l.w, l.h)
		}
		t.faces[i], t.wide = levels, float32(levels[0].w)
	}
	return t, nil
}

// reduced returns a picture at its own size and at each half of it.
func reduced(img image.Image) ([]level, error) {
	if img == nil {
		return nil, errors.New("raster: no picture for a texture")
	}
	b := img.Bounds()
	if b.Dx() < 1 || b.Dy() < 1 || b.Dx() > widestTexture || b.Dy() > widestTexture {
		return nil, fmt.Errorf("raster: a texture of %d x %d pixels, want 1 to %d a side", b.Dx(), b.Dy(), widestTexture)
	}
	full := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	if n, ok := img.(*image.NRGBA); ok {
		for y := range b.Dy() {
			at := n.PixOffset(b.Min.X, b.Min.Y+y)
			copy(full.Pix[y*full.Stride:][:4*b.Dx()], n.Pix[at:])
		}
	} else {
		draw.Draw(full, full.Bounds(), img, b.Min, draw.Src)
	}
	l := level{b.Dx(), b.Dy(), make([]uint32, b.Dx()*b.Dy())}
	for i := range l.pix {
		p := full.Pix[4*i:][:3:3]
		l.pix[i] = uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16
	}
	levels := []level{l}
	for l.w > 1 || l.h > 1 {
		l = l.half()
		levels = append(levels, l)
	}
	return levels, nil
}

// half returns the texture at half its size: each pixel the mean, as light, of four.
func (l level) half() level {
	out := level{max(l.w/2, 1), max(l.h/2, 1), nil}
	out.pix = make([]uint32, out.w*out.h)
	for y := range out.h {
		for x := range out.w {
			x0, y0 := x*l.w/out.w, y*l.h/out.h
			x1, y1 := min(x0+1, l.w-1), min(y0+1, l.h-1)
			sum := light32(l.pix[y0*l.w+x0]).add(light32(l.pix[y0*l.w+x1])).add(light32(l.pix[y1*l.w+x0])).add(light32(l.pix[y1*l.w+x1]))
			out.pix[y*out.w+x] = uint32(encode(sum.x/4)) | uint32(encode(sum.y/4))<<8 | uint32(encode(sum.z/4))<<16
		}
	}
	return out
}

// light32 returns the light of a pixel.
func light32(p uint32) vec3 { return vec3{linear[uint8(p)], linear[uint8(p>>8)], linear[uint8(p>>16)]} }

// flat returns the colour at u, v, as light, of a surface patch that covers width of the texture.
func (t *Texture) flat(u, v, width float32) vec3 { return sample(t.faces[0], u, v, width, true) }

// around returns the colour in a direction, as light.
func (t *Texture) around(d vec3, width float32) vec3 {
	ax, ay, az := max(d.x, -d.x), max(d.y, -d.y), max(d.z, -d.z)
	var f int
	var s, q, m float32
	switch {
	case ax >= ay && ax >= az:
		if m, q = ax, -d.y; d.x > 0 {
			f, s = 0, -d.z
		} else {
			f, s = 1, d.z
		}
	case ay >= az:
		if m, s = ay, d.x; d.y > 0 {
			f, q = 2, d.z
		} else {
			f, q = 3, -d.z
		}
	default:
		if m, q = az, -d.y; d.z > 0 {
			f, s = 4, d.x
		} else {
			f, s = 5, -d.x
		}
	}
	if m == 0 {
		m = 1
	}
	return sample(t.faces[f], float32(s/m+1)*0.5, float32(q/m+1)*0.5, width, false)
}

// sample reads between pixels and between sizes.
func sample(levels []level, u, v, width float32, repeat bool) vec3 {
	w := float32(width * float32(max(levels[0].w, levels[0].h))) // in pixels of the full size
	i := 0
	for w >= 2 && i < len(levels)-1 {
		w, i = w/2, i+1
	}
	c := levels[i].between(u, v, repeat)
	if w > 1 && i < len(levels)-1 {
		d := levels[i+1].between(u, v, repeat)
		c = c.times(2 - min(w, 2)).add(d.times(min(w, 2) - 1))
	}
	return c
}

// between reads between four pixels.
func (l *level) between(u, v float32, repeat bool) vec3 {
	u, v = share(u, repeat), share(v, repeat)
	x, y := float32(u*float32(l.w))-0.5, float32(v*float32(l.h))-0.5
	x0, y0 := int(x+1)-1, int(y+1)-1
	fx, fy := x-float32(x0), y-float32(y0)
	x1, y1 := x0+1, y0+1
	if repeat {
		x0, x1, y0, y1 = around(x0, l.w), around(x1, l.w), around(y0, l.h), around(y1, l.h)
	} else {
		x0, x1, y0, y1 = inside(x0, l.w), inside(x1, l.w), inside(y0, l.h), inside(y1, l.h)
	}
	a, b, c, d := l.pix[y0*l.w+x0], l.pix[y0*l.w+x1], l.pix[y1*l.w+x0], l.pix[y1*l.w+x1]
	if a == b && a == c && a == d {
		return light32(a)
	}
	top := mix(light32(a), light32(b), fx)
	low := mix(light32(c), light32(d), fx)
	return mix(top, low, fy)
}

func around(i, n int) int {
	if i < 0 {
		return n - 1
	}
	if i >= n {
		return 0
	}
	return i
}

func inside(i, n int) int { return max(0, min(i, n-1)) }

// share brings a coordinate into 0 to 1.
func share(u float32, repeat bool) float32 {
	if repeat {
		if !(u > -1e6 && u < 1e6) {
			return 0
		}
		u -= float32(int32(u))
		if u < 0 {
			u++
		}
	}
	if !(u > 0) { // or NaN
		return 0
	}
	return min(u, 1)
}
