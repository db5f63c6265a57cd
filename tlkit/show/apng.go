package show

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/png"
)

// apng writes an animated PNG. The one library for it in Go, kettek/apng, writes every frame whole;
// here a frame holds only the pixels that differ from what is shown, which makes a film a fifth as
// large.
type apng struct {
	out       *bytes.Buffer
	count     int
	tolerance int
	palette   *palette     // nil = all colours
	shown     *image.NRGBA // nil before the first frame
	sequence  uint32
	err       error
}

func (a *apng) chunk(kind string, data []byte) {
	body := append([]byte(kind), data...)
	_ = binary.Write(a.out, binary.BigEndian, uint32(len(data)))
	a.out.Write(body)
	_ = binary.Write(a.out, binary.BigEndian, crc32.ChecksumIEEE(body))
}

// compressed returns the chunks of a picture, as image/png writes them: the header, the colours, which are
// empty without a palette, and the pixels. Frames share header and colours, so all of them have to be of
// one form: with a palette, or with transparency.
func (a *apng) compressed(img *image.NRGBA) (header []byte, colours [][2][]byte, pixels []byte) {
	var picture image.Image = img
	switch {
	case a.palette != nil:
		picture = a.palette.paletted(img)
	case img.Opaque():
		solid := image.NewNRGBA(img.Rect)
		copy(solid.Pix, img.Pix)
		solid.Pix[3] = 254 // one pixel, and too little to be seen
		picture = solid
	}
	var file bytes.Buffer
	enc := png.Encoder{CompressionLevel: png.BestSpeed} // 1 % larger than the default, in half the time
	if a.shown == nil || a.palette != nil {
		enc.CompressionLevel = png.DefaultCompression
	}
	if err := enc.Encode(&file, picture); err != nil {
		a.err = err
		return nil, nil, nil
	}
	for raw := file.Bytes()[8:]; len(raw) > 0; {
		n := binary.BigEndian.Uint32(raw)
		kind, data := string(raw[4:8]), raw[8:8+n]
		raw = raw[12+n:]
		switch kind {
		case "IHDR":
			header = data
		case "PLTE", "tRNS":
			colours = append(colours, [2][]byte{[]byte(kind), data})
		case "IDAT":
			pixels = append(pixels, data...)
		}
	}
	return header, colours, pixels
}

// poster writes the picture for viewers that do not play; it is not part of the film.
func (a *apng) poster(img *image.NRGBA) {
	header, colours, pixels := a.compressed(img)
	a.out.WriteString("\x89PNG\r\n\x1a\n")
	a.chunk("IHDR", header)
	a.chunk("acTL", binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(a.count)), 0)) // 0 = for ever
	for _, c := range colours {
		a.chunk(string(c[0]), c[1])
	}
	a.chunk("IDAT", pixels)
}

// frame adds a frame that is shown for some hundredths of a second.
func (a *apng) frame(img *image.NRGBA, hundredths int) {
	part, blend := img, byte(0) // 0 replaces, 1 lays over
	if a.shown != nil {
		part, blend = a.changed(img), 1
	}
	_, _, pixels := a.compressed(part)
	if a.shown == nil {
		a.shown = image.NewNRGBA(img.Rect)
		copy(a.shown.Pix, img.Pix)
	}
	b := part.Rect
	c := binary.BigEndian.AppendUint32(nil, a.next())
	for _, v := range []int{b.Dx(), b.Dy(), b.Min.X, b.Min.Y} {
		c = binary.BigEndian.AppendUint32(c, uint32(v))
	}
	c = binary.BigEndian.AppendUint16(c, uint16(hundredths))
	c = binary.BigEndian.AppendUint16(c, 100)
	a.chunk("fcTL", append(c, 0, blend))
	a.chunk("fdAT", append(binary.BigEndian.AppendUint32(nil, a.next()), pixels...))
}

func (a *apng) next() uint32 { a.sequence++; return a.sequence - 1 }

// changed returns the part of img that differs from what is shown, transparent where it does not,
// and shows it.
func (a *apng) changed(img *image.NRGBA) *image.NRGBA {
	var box image.Rectangle
	w := img.Rect.Dx()
	var at []int
	for i := 0; i < len(img.Pix); i += 4 {
		if a.differs(img.Pix[i:i+4], a.shown.Pix[i:i+4]) {
			x, y := i/4%w, i/4/w
			box = box.Union(image.Rect(x, y, x+1, y+1))
			at = append(at, i)
		}
	}
	if box.Empty() {
		box = image.Rect(0, 0, 1, 1)
	}
	part := image.NewNRGBA(box)
	for _, i := range at {
		copy(a.shown.Pix[i:], img.Pix[i:i+4])
		copy(part.Pix[part.PixOffset(i/4%w, i/4/w):], img.Pix[i:i+4])
	}
	return part
}

func (a *apng) differs(p, q []uint8) bool {
	for k := range 4 {
		if d := int(p[k]) - int(q[k]); d > a.tolerance || -d > a.tolerance {
			return true
		}
	}
	return false
}

// end finishes the file.
func (a *apng) end() error {
	a.chunk("IEND", nil)
	return a.err
}
