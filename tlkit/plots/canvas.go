package plots

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	xdraw "golang.org/x/image/draw"
	"golang.org/x/image/font/sfnt"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgimg"
)

// canvas draws in nominal pixels from the top left corner. On a raster, rectangles and pictures
// are written directly to its pixels, so that edges are sharp and many cells are fast.
type canvas struct {
	vg     vg.Canvas
	pix    *image.RGBA // nil for vectors
	height float64
	scale  float64 // device pixels per nominal pixel
}

type point struct{ x, y float64 }

// pt converts all coordinates for the drawing libraries, and bounds them: the libraries walk along
// lines cell by cell and would never reach infinity.
func (c *canvas) pt(x, y float64) vg.Point {
	return vg.Point{X: vg.Length(tame(x)), Y: vg.Length(c.height - tame(y))}
}

func tame(v float64) float64 {
	if math.IsNaN(v) {
		return -1e4
	}
	return min(max(v, -1e4), 2*maxSide)
}

// snap moves a coordinate onto the device's pixel grid.
func (c *canvas) snap(v float64) float64 { return math.Round(v*c.scale) / c.scale }

func (c *canvas) device(x, y, w, h float64) image.Rectangle {
	r := func(v float64) int { return int(math.Round(tame(v) * c.scale)) }
	return image.Rect(r(x), r(y), r(x+w), r(y+h))
}

// rect fills a rectangle, its edges on whole pixels.
func (c *canvas) rect(x, y, w, h float64, col color.NRGBA) {
	if c.pix != nil {
		draw.Draw(c.pix, c.device(x, y, w, h), image.NewUniform(col), image.Point{}, draw.Over)
		return
	}
	var p vg.Path
	p.Move(c.pt(x, y))
	p.Line(c.pt(x+w, y))
	p.Line(c.pt(x+w, y+h))
	p.Line(c.pt(x, y+h))
	p.Close()
	c.vg.SetColor(col)
	c.vg.Fill(p)
}

// frame strokes the border of a rectangle, on the inside.
func (c *canvas) frame(b box, width float64, col color.NRGBA) {
	c.rect(b.x, b.y, b.w, width, col)
	c.rect(b.x, b.y+b.h-width, b.w, width, col)
	c.rect(b.x, b.y+width, width, b.h-2*width, col)
	c.rect(b.x+b.w-width, b.y+width, width, b.h-2*width, col)
}

// hline draws a thin horizontal rule.
func (c *canvas) hline(x0, x1, y, width float64, col color.NRGBA) {
	c.rect(min(x0, x1), c.snap(y-width/2), math.Abs(x1-x0), width, col)
}

// vline draws a thin vertical rule.
func (c *canvas) vline(x, y0, y1, width float64, col color.NRGBA) {
	c.rect(c.snap(x-width/2), min(y0, y1), width, math.Abs(y1-y0), col)
}

func (c *canvas) dashed(x, y0, y1, width float64, col color.NRGBA) {
	for y, end := tame(min(y0, y1)), tame(max(y0, y1)); y < end; y += 6 {
		c.vline(x, y, min(y+3.5, end), width, col)
	}
}

// line strokes a polyline. Points that are not finite break it.
func (c *canvas) line(pts []point, width float64, col color.NRGBA, dash ...float64) {
	var p vg.Path
	pen := 0
	for _, q := range pts {
		if !finite(q.x) || !finite(q.y) {
			pen = 0
			continue
		}
		if pen == 0 {
			p.Move(c.pt(q.x, q.y))
		} else {
			p.Line(c.pt(q.x, q.y))
		}
		pen++
	}
	if len(p) < 2 {
		return
	}
	lengths := make([]vg.Length, len(dash))
	for i, d := range dash {
		lengths[i] = vg.Length(d)
	}
	c.vg.SetColor(col)
	c.vg.SetLineWidth(vg.Length(width))
	c.vg.SetLineDash(lengths, 0)
	c.vg.Stroke(p)
}

// polygon fills the area inside the points.
func (c *canvas) polygon(pts []point, col color.NRGBA) {
	if len(pts) < 3 {
		return
	}
	var p vg.Path
	for i, q := range pts {
		if i == 0 {
			p.Move(c.pt(q.x, q.y))
		} else {
			p.Line(c.pt(q.x, q.y))
		}
	}
	p.Close()
	c.vg.SetColor(col)
	c.vg.Fill(p)
}

// marker is a shape of about equal weight for each value.
type marker int

const (
	disc marker = iota
	square
	diamond
	triangle
)

// mark draws a filled shape of radius r.
func (c *canvas) mark(m marker, x, y, r float64, col color.NRGBA) {
	switch m {
	case square:
		s := r * 0.88
		c.polygon([]point{{x - s, y - s}, {x + s, y - s}, {x + s, y + s}, {x - s, y + s}}, col)
	case diamond:
		s := r * 1.2
		c.polygon([]point{{x, y - s}, {x + s, y}, {x, y + s}, {x - s, y}}, col)
	case triangle:
		s := r * 1.15
		c.polygon([]point{{x, y - s}, {x + s, y + 0.8*s}, {x - s, y + 0.8*s}}, col)
	default:
		var p vg.Path
		p.Move(c.pt(x+r, y))
		p.Arc(c.pt(x, y), vg.Length(r), 0, 2*math.Pi)
		p.Close()
		c.vg.SetColor(col)
		c.vg.Fill(p)
	}
}

// stamp returns a mark as pixels, to be put in many places: that is ten times as fast as to draw it anew.
// It is nil for vectors.
func (c *canvas) stamp(m marker, r float64, col color.NRGBA) *image.RGBA {
	if c.pix == nil {
		return nil
	}
	side := math.Ceil(2*r) + 4
	raster := vgimg.NewWith(vgimg.UseWH(vg.Length(side), vg.Length(side)), vgimg.UseDPI(int(math.Round(72*c.scale))), vgimg.UseBackgroundColor(color.Transparent))
	pix, ok := raster.Image().(*image.RGBA)
	if !ok {
		return nil
	}
	(&canvas{vg: raster, pix: pix, height: side, scale: c.scale}).mark(m, side/2, side/2, r, col)
	return pix
}

// put draws a stamp with its middle at (x, y), on whole pixels.
func (c *canvas) put(stamp *image.RGBA, x, y float64) {
	b := stamp.Bounds()
	at := image.Pt(int(math.Round(tame(x)*c.scale))-b.Dx()/2, int(math.Round(tame(y)*c.scale))-b.Dy()/2)
	draw.Draw(c.pix, b.Add(at), stamp, b.Min, draw.Over)
}

// tick draws the glyph for right, in a box of side s around (x, y).
func (c *canvas) tick(x, y, s float64, col color.NRGBA) {
	c.line([]point{{x - 0.42*s, y + 0.02*s}, {x - 0.12*s, y + 0.34*s}, {x + 0.44*s, y - 0.36*s}}, 0.17*s, col)
}

func (c *canvas) cross(x, y, s float64, col color.NRGBA) {
	c.line([]point{{x - 0.34*s, y - 0.34*s}, {x + 0.34*s, y + 0.34*s}}, 0.17*s, col)
	c.line([]point{{x - 0.34*s, y + 0.34*s}, {x + 0.34*s, y - 0.34*s}}, 0.17*s, col)
}

const (
	left   = 0.0
	centre = 0.5
	right  = 1.0
)

// text writes s with its baseline at p.y; align is the share of its width that lies left of
// p.x. It returns the width.
func (c *canvas) text(p point, align float64, st style, col color.NRGBA, s string) float64 {
	shape, w := c.outline(p.x, p.y, align, st, s)
	c.vg.SetColor(col)
	c.vg.Fill(shape)
	return w
}

// halo is text with white around it, for use over lines.
func (c *canvas) halo(p point, align float64, st style, col color.NRGBA, s string) float64 {
	shape, w := c.outline(p.x, p.y, align, st, s)
	c.vg.SetColor(fade(white, 0.92))
	c.vg.SetLineWidth(3.6)
	c.vg.SetLineDash(nil, 0)
	c.vg.Stroke(shape)
	c.vg.SetColor(col)
	c.vg.Fill(shape)
	return w
}

func (c *canvas) outline(x, y, align float64, st style, s string) (vg.Path, float64) {
	w := 0.0
	if align != 0 {
		w = st.width(s)
		x -= align * w
	}
	var p vg.Path
	unit := st.size / float64(st.face().units)
	w = st.lay(s, func(g glyph, dx float64) {
		vertex := func(i int, seg sfnt.Segment) vg.Point {
			return c.pt(x+dx+float64(seg.Args[i].X)*unit, y+float64(seg.Args[i].Y)*unit)
		}
		for i, seg := range g.segments {
			switch seg.Op {
			case sfnt.SegmentOpMoveTo:
				if i > 0 {
					p.Close()
				}
				p.Move(vertex(0, seg))
			case sfnt.SegmentOpLineTo:
				p.Line(vertex(0, seg))
			case sfnt.SegmentOpQuadTo:
				p.QuadTo(vertex(0, seg), vertex(1, seg))
			case sfnt.SegmentOpCubeTo:
				p.CubeTo(vertex(0, seg), vertex(1, seg), vertex(2, seg))
			}
		}
		if len(g.segments) > 0 {
			p.Close()
		}
	})
	return p, w
}

// picture draws img scaled to fit the rectangle, centred and with its proportions kept, and returns
// its rectangle.
func (c *canvas) picture(x, y, w, h float64, img image.Image) (fx, fy, fw, fh float64) {
	b := img.Bounds()
	k := math.Min(w/float64(b.Dx()), h/float64(b.Dy()))
	fw, fh = float64(b.Dx())*k, float64(b.Dy())*k
	fx, fy = x+(w-fw)/2, y+(h-fh)/2
	var how xdraw.Scaler = xdraw.CatmullRom
	if k*c.scale >= 3 { // a small icon: show its pixels without smoothing
		how = xdraw.NearestNeighbor
	}
	target := c.device(fx, fy, fw, fh)
	if target.Empty() {
		return fx, fy, fw, fh
	}
	if c.pix != nil {
		how.Scale(c.pix, target, img, b, draw.Over, nil)
		return fx, fy, fw, fh
	}
	small := image.NewRGBA(image.Rect(0, 0, target.Dx(), target.Dy()))
	draw.Draw(small, small.Bounds(), image.White, image.Point{}, draw.Src)
	how.Scale(small, small.Bounds(), img, b, draw.Over, nil)
	c.vg.DrawImage(vg.Rectangle{Min: c.pt(fx, fy+fh), Max: c.pt(fx+fw, fy)}, small)
	return fx, fy, fw, fh
}

// raster draws img pixel for pixel, sharp, into the rectangle.
func (c *canvas) raster(x, y, w, h float64, img image.Image) {
	if c.pix != nil {
		xdraw.NearestNeighbor.Scale(c.pix, c.device(x, y, w, h), img, img.Bounds(), draw.Src, nil)
		return
	}
	// Viewers of vectors smooth what they enlarge, so draw enough pixels.
	b := img.Bounds()
	k := max(1, 1600/max(b.Dx(), b.Dy(), 1))
	large := image.NewNRGBA(image.Rect(0, 0, k*b.Dx(), k*b.Dy()))
	xdraw.NearestNeighbor.Scale(large, large.Bounds(), img, b, draw.Src, nil)
	c.vg.DrawImage(vg.Rectangle{Min: c.pt(x, y+h), Max: c.pt(x+w, y)}, large)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// turned writes text that reads upwards, with its middle at (x, y).
func (c *canvas) turned(x, y float64, st style, col color.NRGBA, s string) {
	p, w := c.outline(0, c.height, left, st, s)
	for i := range p {
		turn := func(q vg.Point) vg.Point {
			return vg.Point{X: vg.Length(x) - q.Y, Y: vg.Length(c.height-y-w/2) + q.X}
		}
		p[i].Pos = turn(p[i].Pos)
		for k := range p[i].Control {
			p[i].Control[k] = turn(p[i].Control[k])
		}
	}
	c.vg.SetColor(col)
	c.vg.Fill(p)
}

// turnedRight writes text that reads upwards and ends at y, at the top.
func (c *canvas) turnedRight(x, y float64, st style, col color.NRGBA, s string) {
	c.turned(x, y+st.width(s)/2, st, col, s)
}
