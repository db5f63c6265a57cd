package transforms

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"math"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

func init() {
	// So that image.DecodeConfig knows them, as it does BMP and TIFF from their packages.
	for _, magic := range []string{"P1", "P2", "P3", "P4", "P5", "P6"} {
		image.RegisterFormat("pnm", magic, func(r io.Reader) (image.Image, error) {
			data, err := io.ReadAll(io.LimitReader(r, maxBytes))
			if err != nil {
				return nil, err
			}
			return decodePNM(data, DecodeOptions{}.withDefaults())
		}, func(r io.Reader) (image.Config, error) {
			head, err := io.ReadAll(io.LimitReader(r, headBytes))
			if err != nil {
				return image.Config{}, err
			}
			h, err := readPNMHeader(head)
			return image.Config{ColorModel: color.RGBAModel, Width: h.width, Height: h.height}, err
		})
	}
}

// isBMP reports whether the file has the header of a BMP; many texts begin with BM.
func isBMP(b []byte) bool {
	if len(b) < 18 || b[0] != 'B' || b[1] != 'M' {
		return false
	}
	switch binary.LittleEndian.Uint32(b[14:]) {
	case 12, 40, 52, 56, 64, 108, 124:
		return true
	}
	return false
}

func isTIFF(b []byte) bool {
	return bytes.HasPrefix(b, []byte("II*\x00")) || bytes.HasPrefix(b, []byte("MM\x00*"))
}

func isPNM(b []byte) bool {
	return len(b) > 2 && b[0] == 'P' && b[1] >= '1' && b[1] <= '6' && (isSpace(b[2]) || b[2] == '#')
}

func decodeBMP(data []byte, o DecodeOptions) (*Picture, error) {
	cfg, err := bmp.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, unsupported(err, bmp.ErrUnsupported)
	}
	if err := o.allow("bmp", cfg.Width, cfg.Height); err != nil {
		return nil, err
	}
	if err := o.afford("bmp", cfg.Width*cfg.Height, 4+3, len(data)); err != nil {
		return nil, err
	}
	im, err := bmp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, unsupported(err, bmp.ErrUnsupported)
	}
	return FromImage(im)
}

// decodeTIFF decodes the first page.
func decodeTIFF(data []byte, o DecodeOptions) (*Picture, int, error) {
	var missing tiff.UnsupportedError
	cfg, err := tiff.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, 0, unsupportedAs(err, &missing)
	}
	if err := o.allow("tiff", cfg.Width, cfg.Height); err != nil {
		return nil, 0, err
	}
	if err := o.afford("tiff", cfg.Width*cfg.Height, pngBytes(cfg.ColorModel), len(data)); err != nil {
		return nil, 0, err
	}
	im, err := tiff.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, 0, unsupportedAs(err, &missing)
	}
	p, err := FromImage(im)
	if compression := tiffNumber(data, 259); err == nil && compression >= 2 && compression <= 4 && tiffNumber(data, 262) == 1 {
		// A fax in which 1 is white: the decoder gives its negative.
		for i, v := range p.Pix {
			p.Pix[i] = 255 - v
		}
	}
	return p, tiffOrientation(data), err
}

// tiffNumber returns a short number of the first page's directory, 0 if it is not there.
func tiffNumber(data []byte, tag uint16) int {
	var order binary.ByteOrder = binary.LittleEndian
	if len(data) < 8 {
		return 0
	}
	if data[0] == 'M' {
		order = binary.BigEndian
	}
	at := uint64(order.Uint32(data[4:]))
	if at+2 > uint64(len(data)) {
		return 0
	}
	for n := range uint64(order.Uint16(data[at:])) {
		entry := at + 2 + 12*n
		if entry+12 > uint64(len(data)) {
			return 0
		}
		if order.Uint16(data[entry:]) == tag {
			return int(order.Uint16(data[entry+8:]))
		}
	}
	return 0
}

func unsupported(err, form error) error {
	if errors.Is(err, form) {
		return &DecodeError{Kind: Unsupported, Detail: "save it as PNG", Err: err}
	}
	return err
}

func unsupportedAs(err error, form *tiff.UnsupportedError) error {
	if errors.As(err, form) {
		return &DecodeError{Kind: Unsupported, Detail: "save it as PNG", Err: err}
	}
	return err
}

// pnmHeader is the header of a PBM, PGM or PPM picture.
type pnmHeader struct {
	kind          byte // '1' to '6'
	width, height int
	top           int // the brightest value; 1 for black and white
	body          int // where the pixels begin
}

func isSpace(b byte) bool { return b == ' ' || b >= '\t' && b <= '\r' }

// pnmNumber reads a decimal number behind spaces and comments, and returns what follows it.
func pnmNumber(b []byte, at int) (n, next int, err error) {
	for at < len(b) && (isSpace(b[at]) || b[at] == '#') {
		if b[at] == '#' {
			for at < len(b) && b[at] != '\n' && b[at] != '\r' {
				at++
			}
			continue
		}
		at++
	}
	start := at
	for ; at < len(b) && b[at] >= '0' && b[at] <= '9'; at++ {
		if n = 10*n + int(b[at]-'0'); n > 1<<20 {
			return 0, at, &DecodeError{Format: "pnm", Kind: Damaged, Detail: "a number above a million in the header or the pixels"}
		}
	}
	if at == len(b) && at == start {
		return 0, at, io.ErrUnexpectedEOF
	}
	if at == start {
		return 0, at, &DecodeError{Format: "pnm", Kind: Damaged, Detail: fmt.Sprintf("%q where a number should be", b[at])}
	}
	return n, at, nil
}

func readPNMHeader(b []byte) (pnmHeader, error) {
	if !isPNM(b) {
		return pnmHeader{}, &DecodeError{Format: "pnm", Kind: Damaged, Detail: "no header"}
	}
	h, err, at := pnmHeader{kind: b[1], top: 1}, error(nil), 2
	fields := []*int{&h.width, &h.height, &h.top}
	if h.kind == '1' || h.kind == '4' {
		fields = fields[:2]
	}
	for _, f := range fields {
		if *f, at, err = pnmNumber(b, at); err != nil {
			return h, err
		}
	}
	if h.top < 1 || h.top > 65535 {
		return h, &DecodeError{Format: "pnm", Kind: Damaged, Detail: fmt.Sprintf("a brightest value of %d, want 1 to 65535", h.top)}
	}
	h.body = at + 1 // one space ends the header
	return h, nil
}

// decodePNM reads PBM, PGM and PPM, as text or bytes. Values are scaled to 0 to 255 and rounded.
func decodePNM(data []byte, o DecodeOptions) (*Picture, error) {
	h, err := readPNMHeader(data)
	if err != nil {
		return nil, err
	}
	if err := o.allow("pnm", h.width, h.height); err != nil {
		return nil, err
	}
	if err := o.afford("pnm", h.width*h.height, 3, len(data)); err != nil {
		return nil, err
	}
	channels := 1
	if h.kind == '3' || h.kind == '6' {
		channels = 3
	}
	next := h.reader(data)
	p := NewPicture(h.width, h.height)
	for y := range h.height {
		row := p.Pix[3*y*h.width : 3*(y+1)*h.width]
		for x := range h.width {
			for c := range channels {
				v, err := next(x)
				if err != nil {
					return nil, err
				}
				row[3*x+c] = uint8(math.RoundToEven(float64(min(v, h.top)) / float64(h.top) * 255)) // as Python rounds
			}
			if channels == 1 {
				row[3*x+1], row[3*x+2] = row[3*x], row[3*x]
			}
		}
	}
	return p, nil
}

// reader returns a function that reads the next value, in column x of its row.
func (h pnmHeader) reader(data []byte) func(x int) (int, error) {
	at := h.body
	wide := 1
	if h.top > 255 {
		wide = 2
	}
	switch h.kind {
	case '4': // a bit for each pixel, 1 is black; every row begins with a new byte
		row := h.body - (h.width+7)/8
		return func(x int) (int, error) {
			if x == 0 {
				row += (h.width + 7) / 8
			}
			if row+x/8 >= len(data) {
				return 0, io.ErrUnexpectedEOF
			}
			return 1 - int(data[row+x/8]>>(7-x%8)&1), nil
		}
	case '5', '6':
		return func(int) (int, error) {
			if at+wide > len(data) {
				return 0, io.ErrUnexpectedEOF
			}
			v := int(data[at])
			if wide == 2 {
				v = v<<8 | int(data[at+1])
			}
			at += wide
			return v, nil
		}
	case '1': // digits that need no space between them, 1 is black
		return func(int) (int, error) {
			for at < len(data) && isSpace(data[at]) {
				at++
			}
			if at >= len(data) {
				return 0, io.ErrUnexpectedEOF
			}
			at++
			switch data[at-1] {
			case '0':
				return 1, nil
			case '1':
				return 0, nil
			}
			return 0, &DecodeError{Format: "pnm", Kind: Damaged, Detail: fmt.Sprintf("%q where 0 or 1 should be", data[at-1])}
		}
	}
	return func(int) (v int, err error) {
		v, at, err = pnmNumber(data, at)
		return v, err
	}
}
