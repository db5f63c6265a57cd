package show

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"strings"
	"sync"

	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// Film is a figure that moves: clips side by side, such as six tries of a robot, each of which stays
// at its end until the longest has ended. It is an animated PNG, which every browser plays, without
// a script; what shows only stills, shows its last picture.
type Film struct {
	Clips   []Clip
	Words   string  // what the film shows, for those who cannot see it
	Columns int     // clips in a row; 0 = at most 3
	Rate    float64 // pictures a second, up to 50; 0 = 10

	// Most is how large the file may be in bytes; 0 = 1,500,000. A film that would be larger gets
	// fewer colours, then fewer pictures a second, then fewer pixels.
	Most int
}

// Clip is one part of a film.
type Clip struct {
	Frames []image.Image // at least one; those of all clips of a film have the same size
	Title  string        // below the clip: "scene 7"; "" in all clips = no room is kept
	End    End           // how it ends
}

// End is how a clip ends. The film shows it as soon as the clip has ended.
type End int

// The ends of a clip.
const (
	Neither End = iota // nothing is marked
	Good               // a green tick
	Bad                // a red cross
)

const (
	filmBytes  = 1_500_000
	filmGap    = 6  // pixels between clips
	filmStrip  = 20 // pixels below each clip, for its title
	filmFrames = 10_000
	filmPause  = 150 // hundredths of a second that the last picture stays
)

// Text describes the film and its clips.
func (f Film) Text() string {
	var b strings.Builder
	b.WriteString(f.Words)
	for _, c := range f.Clips {
		mark := [...]string{Neither: "•", Good: "✓", Bad: "✗"}[c.mark()]
		title := c.Title
		if title == "" {
			title = "clip"
		}
		fmt.Fprintf(&b, "\n%s %s, %.1f s", mark, title, float64(len(c.Frames))/f.rate())
	}
	return strings.TrimPrefix(b.String(), "\n")
}

// mark is the end of a clip, brought to one of the constants.
func (c Clip) mark() End {
	if c.End == Good || c.End == Bad {
		return c.End
	}
	return Neither
}

func (f Film) rate() float64 {
	if !(f.Rate > 0 && f.Rate <= 50) {
		return 10
	}
	return f.Rate
}

// PNG writes the film as an animated PNG.
func (f Film) PNG(w io.Writer) error {
	if err := f.check(); err != nil {
		return err
	}
	most := f.Most
	if most <= 0 {
		most = filmBytes
	}
	for _, q := range filmQualities {
		file, err := f.encode(q, most)
		if err != nil {
			return err
		}
		if file != nil {
			_, err = w.Write(file)
			return err
		}
	}
	return fmt.Errorf("show: the film does not fit into %d bytes, however coarse: show fewer clips or frames", most)
}

// check returns an error if there is nothing to show, or too much.
func (f Film) check() error {
	if len(f.Clips) == 0 {
		return errors.New("show: a film without clips")
	}
	var size image.Point
	for i, c := range f.Clips {
		if len(c.Frames) == 0 || len(c.Frames) > filmFrames {
			return fmt.Errorf("show: clip %d of the film has %d frames, want 1 to %d", i, len(c.Frames), filmFrames)
		}
		for j, p := range c.Frames {
			if p == nil {
				return fmt.Errorf("show: frame %d of clip %d is nil", j, i)
			}
			if size == (image.Point{}) {
				size = p.Bounds().Size()
			}
			if s := p.Bounds().Size(); s != size || s.X < 1 || s.Y < 1 {
				return fmt.Errorf("show: frame %d of clip %d has %d x %d pixels, the first one %d x %d", j, i, s.X, s.Y, size.X, size.Y)
			}
		}
	}
	cols, rows := f.grid()
	if wide, high := cols*size.X, rows*size.Y; wide > 4096 || high > 4096 {
		return fmt.Errorf("show: a film of %d x %d pixels, want at most 4096 in each direction: show fewer or smaller clips", wide, high)
	}
	return nil
}

func (f Film) grid() (cols, rows int) {
	cols = f.Columns
	if cols < 1 {
		cols = 3
	}
	cols = min(cols, len(f.Clips))
	return cols, (len(f.Clips) + cols - 1) / cols
}

// filmQuality is what is given up for a smaller file.
type filmQuality struct {
	colours   int     // in all; 0 = any
	tolerance int     // differences of a colour that are not worth a new pixel
	every     int     // frame is shown
	scale     float64 // of width and height
}

// Colours go first, because few are missed; ghosts of what has moved and jumps are seen at once.
var filmQualities = []filmQuality{
	{0, 0, 1, 1}, {256, 4, 1, 1}, {128, 6, 1, 1}, {96, 6, 1, 0.8}, {96, 6, 2, 0.8}, {64, 7, 2, 0.7}, {64, 8, 3, 0.7}, {48, 12, 3, 0.5}, {32, 16, 5, 0.5}, {32, 24, 8, 0.35}, {24, 32, 16, 0.25},
}

// encode makes the file; nil = it would be larger than most bytes.
func (f Film) encode(q filmQuality, most int) ([]byte, error) {
	r := newReel(f, q)
	long := 0
	for _, c := range f.Clips {
		long = max(long, len(c.Frames))
	}
	var times []int
	for t := 0; t < long-1; t += q.every {
		times = append(times, t)
	}
	times = append(times, long-1)
	var b bytes.Buffer
	e := &apng{out: &b, count: len(times), tolerance: q.tolerance}
	if q.colours > 0 {
		e.palette = r.palette(times)
	}
	e.poster(r.draw(long - 1))
	for i, t := range times {
		delay := int(100*float64(q.every)/f.rate() + 0.5)
		if i == len(times)-1 {
			delay = filmPause
		}
		e.frame(r.draw(t), delay)
		if b.Len() > most-12 { // the end takes 12
			return nil, e.err
		}
	}
	err := e.end()
	return b.Bytes(), err
}

// A reel draws the frames of a film, one at a time on the same canvas.
type reel struct {
	film       Film
	q          filmQuality
	tile       image.Point // of a clip
	strip      int
	cols       int
	canvas     *image.NRGBA
	face       font.Face
	last       []int // which frame of each clip the canvas shows
	longestRun int
}

func newReel(f Film, q filmQuality) *reel {
	r := &reel{film: f, q: q, tile: f.Clips[0].Frames[0].Bounds().Size()}
	r.tile = image.Pt(max(int(float64(r.tile.X)*q.scale), 1), max(int(float64(r.tile.Y)*q.scale), 1))
	for _, c := range f.Clips {
		if c.Title != "" || c.mark() != Neither {
			r.strip = filmStrip
		}
		r.last, r.longestRun = append(r.last, -1), max(r.longestRun, len(c.Frames))
	}
	cols, rows := f.grid()
	r.cols, r.face = cols, filmFace()
	r.canvas = image.NewNRGBA(image.Rect(0, 0, cols*(r.tile.X+filmGap)-filmGap, rows*(r.tile.Y+r.strip+filmGap)-filmGap))
	return r
}

// draw returns the frame at a time. The next call draws on the same canvas.
func (r *reel) draw(t int) *image.NRGBA {
	for i, c := range r.film.Clips {
		j := min(t, len(c.Frames)-1)
		at := image.Pt(i%r.cols*(r.tile.X+filmGap), i/r.cols*(r.tile.Y+r.strip+filmGap))
		if r.last[i] != j {
			r.clip(at, c.Frames[j])
			r.last[i] = j
		}
		if r.strip > 0 {
			r.label(at.Add(image.Pt(0, r.tile.Y)), c, j)
		}
	}
	return r.canvas
}

// palette chooses the colours of the frames at some times. Those of ticks and crosses are among them,
// because so few pixels have them.
func (r *reel) palette(times []int) *palette {
	histogram := make([]int, 1<<(3*paletteBits))
	for _, t := range times {
		frame := r.draw(t)
		for i := 0; i < len(frame.Pix); i += 4 {
			if c := frame.Pix[i : i+4]; c[3] > 0 {
				histogram[bucket(c[0], c[1], c[2])]++
			}
		}
	}
	return newPalette(histogram, r.q.colours, []color.NRGBA{filmDark, filmLight, filmGood, filmBad, filmGone})
}

// clip draws one frame of a clip, opaque.
func (r *reel) clip(at image.Point, frame image.Image) {
	area := image.Rectangle{at, at.Add(r.tile)}
	draw.Draw(r.canvas, area, image.NewUniform(filmDark), image.Point{}, draw.Src)
	if r.q.scale < 1 {
		draw.BiLinear.Scale(r.canvas, area, frame, frame.Bounds(), draw.Over, nil)
	} else {
		draw.Draw(r.canvas, area, frame, frame.Bounds().Min, draw.Over)
	}
}

// The colours of the strip read on white and on dark pages. Tick and cross are the Okabe-Ito green
// and vermilion, lightened to be seen on it.
var (
	filmDark  = color.NRGBA{0x1F, 0x29, 0x33, 255}
	filmLight = color.NRGBA{0xF3, 0xF6, 0xF9, 255}
	filmGood  = color.NRGBA{0x2F, 0xD1, 0xA0, 255}
	filmBad   = color.NRGBA{0xFF, 0x8A, 0x4C, 255}
	filmGone  = color.NRGBA{0x9A, 0xA5, 0xB1, 255}
)

// label draws the strip below a clip: title, how far it has run, and in the end how it went.
func (r *reel) label(at image.Point, c Clip, frame int) {
	area := image.Rectangle{at, at.Add(image.Pt(r.tile.X, r.strip))}
	draw.Draw(r.canvas, area, image.NewUniform(filmDark), image.Point{}, draw.Src)
	ended := frame == len(c.Frames)-1
	bar, paint := 0, filmGone
	if r.longestRun > 1 {
		bar = r.tile.X * frame / (r.longestRun - 1)
	}
	if ended && c.mark() != Neither {
		paint = filmGood
		if c.mark() == Bad {
			paint = filmBad
		}
		r.sign(at.Add(image.Pt(r.tile.X-r.strip, 0)), c.mark(), paint)
	}
	draw.Draw(r.canvas, image.Rect(at.X, at.Y, at.X+bar, at.Y+2), image.NewUniform(paint), image.Point{}, draw.Src)
	d := font.Drawer{Dst: r.canvas, Src: image.NewUniform(filmLight), Face: r.face, Dot: fixed.P(at.X+6, at.Y+r.strip-5)}
	d.DrawString(fitting(r.face, clean(c.Title), r.tile.X-r.strip-8))
}

// sign draws a tick or a cross in a square of the strip's height.
func (r *reel) sign(at image.Point, end End, paint color.Color) {
	side := float32(r.strip)
	z := vector.NewRasterizer(r.strip, r.strip)
	line := func(x0, y0, x1, y1 float32) { // a line of width 0.13, as a polygon
		dx, dy := x1-x0, y1-y0
		n := 0.065 / max(abs(dx), abs(dy)) / 0.85
		px, py := -dy*n, dx*n
		z.MoveTo((x0+px)*side, (y0+py)*side)
		z.LineTo((x1+px)*side, (y1+py)*side)
		z.LineTo((x1-px)*side, (y1-py)*side)
		z.LineTo((x0-px)*side, (y0-py)*side)
		z.ClosePath()
	}
	if end == Good {
		line(0.2, 0.55, 0.45, 0.78)
		line(0.4, 0.78, 0.8, 0.28)
	} else {
		line(0.25, 0.3, 0.75, 0.8)
		line(0.75, 0.3, 0.25, 0.8)
	}
	z.Draw(r.canvas, image.Rectangle{at, at.Add(image.Pt(r.strip, r.strip))}, image.NewUniform(paint), image.Point{})
}

func abs(x float32) float32 { return max(x, -x) }

// fitting shortens a text to a width in pixels.
func fitting(face font.Face, text string, width int) string {
	runes := []rune(text)
	for n := len(runes); n > 0; n-- {
		s := string(runes[:n])
		if n < len(runes) {
			s += "…"
		}
		if font.MeasureString(face, s).Ceil() <= width {
			return s
		}
	}
	return ""
}

// filmFace is the typeface of titles. A face is not safe for concurrent use, so each film has one.
func filmFace() font.Face {
	face, err := opentype.NewFace(filmFont(), &opentype.FaceOptions{Size: 12, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		panic(err) // the embedded font is good
	}
	return face
}

var filmFont = sync.OnceValue(func() *opentype.Font {
	f, err := opentype.Parse(goregular.TTF)
	if err != nil {
		panic(err) // the embedded font is good
	}
	return f
})
