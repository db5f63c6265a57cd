package show

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"strings"
	"testing"
)

// moving makes n frames in which a square crosses a noisy picture.
func moving(n, side int) (frames []image.Image) {
	ground := image.NewNRGBA(image.Rect(0, 0, side, side))
	x := uint32(1)
	for i := range ground.Pix {
		x = x*1664525 + 1013904223
		ground.Pix[i] = 128 + uint8(x>>28)
		if i%4 == 3 {
			ground.Pix[i] = 255
		}
	}
	for t := range n {
		f := image.NewNRGBA(ground.Rect)
		copy(f.Pix, ground.Pix)
		at := t * (side - side/4) / max(n-1, 1)
		draw.Draw(f, image.Rect(at, side/3, at+side/4, side/2), image.NewUniform(color.NRGBA{uint8(40 * t), 30, 200, 255}), image.Point{}, draw.Src)
		frames = append(frames, f)
	}
	return frames
}

// played is an animated PNG as a viewer sees it.
type played struct {
	poster image.Image
	frames []*image.NRGBA
	delays []int
	plays  uint32
}

// play decodes the chunks by the specification of APNG, each frame with image/png.
func play(t *testing.T, file []byte) (p played) {
	t.Helper()
	var err error
	if p.poster, err = png.Decode(bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	var header []byte
	var colours [][2][]byte
	var rect image.Rectangle
	var blend byte
	sequence, count := uint32(0), uint32(0)
	canvas := image.NewNRGBA(p.poster.Bounds())
	for raw := file[8:]; len(raw) > 0; {
		n := binary.BigEndian.Uint32(raw)
		kind, data := string(raw[4:8]), raw[8:8+n]
		if binary.BigEndian.Uint32(raw[8+n:]) != crc32.ChecksumIEEE(raw[4:8+n]) {
			t.Fatalf("chunk %s has a wrong checksum", kind)
		}
		raw = raw[12+n:]
		number := func() {
			if got := binary.BigEndian.Uint32(data); got != sequence {
				t.Fatalf("chunk %s has number %d, want %d", kind, got, sequence)
			}
			sequence++
		}
		u := func(at int) int { return int(binary.BigEndian.Uint32(data[at:])) }
		switch kind {
		case "IHDR":
			header = bytes.Clone(data)
		case "PLTE", "tRNS":
			colours = append(colours, [2][]byte{[]byte(kind), data})
		case "acTL":
			count, p.plays = binary.BigEndian.Uint32(data), binary.BigEndian.Uint32(data[4:])
		case "fcTL":
			number()
			rect = image.Rect(u(12), u(16), u(12)+u(4), u(16)+u(8))
			p.delays = append(p.delays, 1000*int(binary.BigEndian.Uint16(data[20:]))/int(binary.BigEndian.Uint16(data[22:])))
			blend = data[25]
			if !rect.In(canvas.Rect) || data[24] != 0 {
				t.Fatalf("a frame at %v of %v, disposal %d", rect, canvas.Rect, data[24])
			}
		case "fdAT":
			number()
			var one bytes.Buffer
			a := &apng{out: &one}
			one.WriteString("\x89PNG\r\n\x1a\n")
			binary.BigEndian.PutUint32(header, uint32(rect.Dx()))
			binary.BigEndian.PutUint32(header[4:], uint32(rect.Dy()))
			a.chunk("IHDR", header)
			for _, c := range colours {
				a.chunk(string(c[0]), c[1])
			}
			a.chunk("IDAT", data[4:])
			a.chunk("IEND", nil)
			img, err := png.Decode(&one)
			if err != nil {
				t.Fatalf("frame %d: %v", len(p.frames), err)
			}
			op := draw.Src
			if blend == 1 {
				op = draw.Over
			}
			draw.Draw(canvas, rect, img, image.Point{}, op)
			f := image.NewNRGBA(canvas.Rect)
			copy(f.Pix, canvas.Pix)
			p.frames = append(p.frames, f)
		}
	}
	if int(count) != len(p.frames) {
		t.Fatalf("%d frames, acTL says %d", len(p.frames), count)
	}
	return p
}

func TestFilmPlays(t *testing.T) {
	f := Film{Clips: []Clip{{Frames: moving(5, 64), Title: "scene 1", End: Good}, {Frames: moving(3, 64), Title: "scene 2", End: Bad}, {Frames: moving(1, 64)}}, Columns: 2, Rate: 20}
	var b bytes.Buffer
	if err := f.PNG(&b); err != nil {
		t.Fatal(err)
	}
	p := play(t, b.Bytes())
	if len(p.frames) != 5 || p.delays[0] != 50 || p.delays[4] != 1500 || p.plays != 0 {
		t.Errorf("%d frames, delays %v, %d plays", len(p.frames), p.delays, p.plays)
	}
	if want := image.Rect(0, 0, 64+6+64, 2*(64+20)+6); p.frames[0].Rect != want {
		t.Errorf("the film is %v, want %v", p.frames[0].Rect, want)
	}
	for i, got := range p.frames {
		for c, clip := range f.Clips {
			want := clip.Frames[min(i, len(clip.Frames)-1)].(*image.NRGBA)
			at := image.Pt(c%2*70, c/2*90)
			for y := range 64 {
				for x := range 64 {
					g, w := got.NRGBAAt(at.X+x, at.Y+y), want.NRGBAAt(x, y)
					if w.A = g.A; g != w || g.A < 254 {
						t.Fatalf("frame %d, clip %d, pixel %d, %d: %v, want %v", i, c, x, y, g, w)
					}
				}
			}
		}
	}
	same := func(a, b image.Image, r image.Rectangle) bool {
		for y := r.Min.Y; y < r.Max.Y; y++ {
			for x := r.Min.X; x < r.Max.X; x++ {
				if a.At(x, y) != b.At(x, y) {
					return false
				}
			}
		}
		return true
	}
	strips := image.Rect(0, 64, 134, 84)
	if !same(p.poster, p.frames[4], p.frames[4].Rect) {
		t.Error("the poster is not the last frame")
	}
	if same(p.frames[1], p.frames[2], strips) || same(p.frames[3], p.frames[4], strips) {
		t.Error("the strips do not show that a clip has ended")
	}
}

// A film of tries fits, whatever it takes, and small films are not touched.
func TestFilmSize(t *testing.T) {
	f := Film{Clips: []Clip{{Frames: moving(30, 96)}, {Frames: moving(30, 96)}}}
	sizes := []int{}
	for _, most := range []int{0, 60_000, 20_000, 6_000} {
		f.Most = most
		var b bytes.Buffer
		if err := f.PNG(&b); err != nil {
			t.Fatal(err)
		}
		if most > 0 && b.Len() > most {
			t.Errorf("%d bytes, want at most %d", b.Len(), most)
		}
		sizes = append(sizes, b.Len())
		play(t, b.Bytes())
	}
	if sizes[0] < sizes[1] || sizes[1] <= sizes[2] || sizes[2] <= sizes[3] {
		t.Errorf("sizes %v", sizes)
	}
	f.Most = 100
	if err := f.PNG(new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), "fewer clips") {
		t.Errorf("a film of 100 bytes: %v", err)
	}
}

// With few colours, a film still looks like what it shows, and leaves no ghosts of what has moved on.
func TestFilmOfFewColours(t *testing.T) {
	f := Film{Clips: []Clip{{Frames: moving(20, 120), Title: "scene 1", End: Good}}, Most: 40_000}
	var b bytes.Buffer
	if err := f.PNG(&b); err != nil {
		t.Fatal(err)
	}
	p := play(t, b.Bytes())
	if len(p.frames) != 20 || p.frames[0].Rect.Dx() != 120 {
		t.Fatalf("%d frames of %v: this is about colours alone", len(p.frames), p.frames[0].Rect)
	}
	for i, got := range p.frames {
		want, sum := f.Clips[0].Frames[i].(*image.NRGBA), 0
		for y := range 120 {
			for x := range 120 {
				g, w := got.NRGBAAt(x, y), want.NRGBAAt(x, y)
				for _, d := range []int{int(g.R) - int(w.R), int(g.G) - int(w.G), int(g.B) - int(w.B)} {
					sum += max(d, -d)
					if max(d, -d) > 40 {
						t.Fatalf("frame %d, pixel %d, %d: %v, want %v", i, x, y, g, w)
					}
				}
			}
		}
		if mean := float64(sum) / (3 * 120 * 120); mean > 4 {
			t.Errorf("frame %d is off by %.1f on average", i, mean)
		}
	}
}

func TestFilmRefuses(t *testing.T) {
	good := moving(2, 16)
	for want, f := range map[string]Film{
		"without clips":         {},
		"has 0 frames":          {Clips: []Clip{{}}},
		"clip 1 is nil":         {Clips: []Clip{{Frames: good}, {Frames: []image.Image{nil}}}},
		"32 x 32 pixels, the":   {Clips: []Clip{{Frames: good}, {Frames: moving(1, 32)}}},
		"0 x 0 pixels":          {Clips: []Clip{{Frames: []image.Image{image.NewGray(image.Rectangle{})}}}},
		"5000 x 10 pixels, wan": {Clips: []Clip{{Frames: []image.Image{image.NewGray(image.Rect(0, 0, 5000, 10))}}}},
		"has 10001 frames":      {Clips: []Clip{{Frames: make([]image.Image, 10_001)}}},
	} {
		if err := f.PNG(new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestFilmWords(t *testing.T) {
	f := Film{Words: "Two tries.", Clips: []Clip{{Frames: moving(20, 8), Title: "scene 1", End: Good}, {Frames: moving(5, 8), End: Bad}, {Frames: moving(1, 8), End: 77}}}
	want := "Two tries.\n✓ scene 1, 2.0 s\n✗ clip, 0.5 s\n• clip, 0.1 s"
	if f.Text() != want {
		t.Errorf("%q, want %q", f.Text(), want)
	}
	if got := (Film{Clips: f.Clips[2:]}).Text(); got != "• clip, 0.1 s" {
		t.Errorf("without words: %q", got)
	}
}
