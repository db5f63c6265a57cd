package transforms

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/gif"
	"io"
)

// decodeGIF returns the first frame on the whole canvas, as Pillow does: pixels outside the
// frame have the palette entry of the transparent colour, or else entry 0.
func decodeGIF(data []byte, o DecodeOptions) (*Picture, error) {
	h, err := readGIFHeader(data)
	if err != nil {
		return nil, err
	}
	if err := o.allow("gif", h.width, h.height); err != nil {
		return nil, err
	}
	if err := o.afford("gif", h.width*h.height, 1+1+3, len(data)); err != nil {
		return nil, err
	}
	im, err := gif.Decode(bytes.NewReader(data)) // stops after the first frame
	if err != nil {
		return nil, err
	}
	m, ok := im.(*image.Paletted)
	if !ok {
		return nil, &DecodeError{Format: "gif", Kind: Damaged, Detail: "no palette"}
	}
	// The standard decoder makes the transparent entry black; the palette in the file still
	// has its colour.
	table := paletteRGB(m.Palette)
	copy(table[:], h.palette)
	if b := m.Rect; b.Min != (image.Point{}) || b.Dx() != h.width || b.Dy() != h.height {
		fill := uint8(max(h.transparent, 0))
		whole := bytes.Repeat([]byte{fill}, h.width*h.height)
		for y := b.Min.Y; y < b.Max.Y; y++ {
			copy(whole[y*h.width+b.Min.X:y*h.width+b.Max.X], m.Pix[(y-b.Min.Y)*m.Stride:])
		}
		return fromPalette(whole, h.width, h.width, h.height, table)
	}
	return fromPalette(m.Pix, m.Stride, h.width, h.height, table)
}

type gifHeader struct {
	width, height int
	transparent   int        // palette index, -1 for none
	palette       [][3]uint8 // of the first frame
}

// readGIFHeader walks to the first image descriptor.
func readGIFHeader(b []byte) (gifHeader, error) {
	h := gifHeader{transparent: -1}
	if len(b) < 13 {
		return h, io.ErrUnexpectedEOF
	}
	h.width, h.height = int(binary.LittleEndian.Uint16(b[6:])), int(binary.LittleEndian.Uint16(b[8:]))
	colours := func(flags byte) error {
		if flags&0x80 == 0 {
			return nil
		}
		n := 2 << (flags & 7)
		if len(b) < 3*n {
			return io.ErrUnexpectedEOF
		}
		h.palette = make([][3]uint8, n)
		for i := range h.palette {
			h.palette[i] = [3]uint8(b[3*i:])
		}
		b = b[3*n:]
		return nil
	}
	flags := b[10]
	b = b[13:]
	if err := colours(flags); err != nil {
		return h, err
	}
	for {
		if len(b) < 2 {
			return h, io.ErrUnexpectedEOF
		}
		switch b[0] {
		case 0x21: // an extension: label, then blocks, each with its length before it
			graphic := b[1] == 0xf9
			b = b[2:]
			for {
				if len(b) < 1 || len(b) < 1+int(b[0]) {
					return h, io.ErrUnexpectedEOF
				}
				n := int(b[0])
				if graphic && n == 4 && b[1]&1 == 1 {
					h.transparent = int(b[4])
				}
				b = b[1+n:]
				if n == 0 {
					break
				}
			}
		case 0x2c:
			if len(b) < 10 {
				return h, io.ErrUnexpectedEOF
			}
			flags := b[9]
			b = b[10:]
			return h, colours(flags)
		default:
			return h, &DecodeError{Format: "gif", Kind: Damaged, Detail: "no frame"}
		}
	}
}

// paletteRGB returns a palette's colours without their transparency. Missing entries are black.
func paletteRGB(p color.Palette) (table [256][3]uint8) {
	for i, c := range p[:min(len(p), 256)] {
		n := color.NRGBAModel.Convert(c).(color.NRGBA)
		table[i] = [3]uint8{n.R, n.G, n.B}
		switch c := c.(type) { // as stored, where converting would lose a fully transparent colour
		case color.NRGBA:
			table[i] = [3]uint8{c.R, c.G, c.B}
		case color.RGBA:
			if c.A == 255 {
				table[i] = [3]uint8{c.R, c.G, c.B}
			}
		}
	}
	return table
}

func fromPalette(index []uint8, stride, w, h int, table [256][3]uint8) (*Picture, error) {
	out := NewPicture(w, h)
	for y := range h {
		src := index[y*stride : y*stride+w]
		dst := out.Pix[3*y*w : 3*(y+1)*w]
		for x, v := range src {
			c := &table[v]
			d := dst[3*x : 3*x+3 : 3*x+3]
			d[0], d[1], d[2] = c[0], c[1], c[2]
		}
	}
	return out, nil
}
