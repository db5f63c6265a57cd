// Package jpeg decodes JPEG to RGB exactly as libjpeg-turbo does with its default
// settings (accurate integer inverse DCT, "fancy" chroma upsampling), which is what
// Pillow uses and therefore what most networks were trained on.
//
// The standard library's decoder is not used, for two reasons: its inverse DCT rounds
// differently (up to 3 levels) and its chroma upsampling repeats samples (up to 96
// levels); and it is about three times slower, which matters when decoding feeds a network.
//
// The package reads baseline, extended and progressive Huffman-coded files of 8 bits with one
// (grey), three (YCbCr or RGB) or four (CMYK or YCCK) components and any whole-number
// subsampling. Where libjpeg repairs damaged data with a warning, this package returns an error.
package jpeg

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"io"
)

// FormatError reports data that contradict the format. Data that end too early give
// io.ErrUnexpectedEOF.
type FormatError string

func (e FormatError) Error() string { return "jpeg: " + string(e) }

// UnsupportedError reports a valid form of JPEG that this package does not read.
type UnsupportedError string

func (e UnsupportedError) Error() string { return "jpeg: " + string(e) + " is not supported" }

// Marker codes, the byte after 0xff.
const (
	markerSOF0 = 0xc0 // baseline
	markerSOF1 = 0xc1 // extended sequential
	markerSOF2 = 0xc2 // progressive
	markerDHT  = 0xc4
	markerRST0 = 0xd0
	markerRST7 = 0xd7
	markerSOI  = 0xd8
	markerEOI  = 0xd9
	markerSOS  = 0xda
	markerDQT  = 0xdb
	markerDRI  = 0xdd
	markerAPP0 = 0xe0
	markerAPP1 = 0xe1
	markerAPPE = 0xee
)

// component is one plane of the file.
type component struct {
	id     uint8
	h, v   int // sampling factors
	quant  uint8
	table  *[64]int32 // quantisation, in zigzag order, latched at the first scan
	blocks struct{ w, h int }
	size   struct{ w, h int } // in samples, without padding
	pix    []uint8            // blocks.w*8 wide
	coefs  [][64]int16        // progressive only, natural order
	need   image.Rectangle    // in blocks: those outside stay undecoded
	done   bool               // a scan has delivered it
}

// File is an opened JPEG file: its header has been read, but no memory of the picture's size has
// been allocated.
type File struct {
	Width, Height int
	Exif          []byte // the contents of the EXIF segment, nil without one

	data        []byte
	pos         int
	progressive bool
	framed      bool
	jfif        bool
	adobe       int // the transform of an Adobe segment, -1 without one
	comps       []component
	maxH, maxV  int
	mcusX       int
	mcusY       int
	restart     int
	quant       [4]*[64]int32
	dc, ac      [4]*huffman
	scans       int
	work        int     // of the scans so far, see scan.work
	clean       []uint8 // one entropy-coded segment without stuffing
}

// Open reads the header, up to the first scan.
func Open(data []byte) (*File, error) {
	f := &File{data: data, adobe: -1}
	if len(data) < 2 {
		return nil, io.ErrUnexpectedEOF
	}
	if data[0] != 0xff || data[1] != markerSOI {
		return nil, FormatError("no start marker")
	}
	f.pos = 2
	marker, err := f.segments()
	if err != nil {
		return nil, err
	}
	if marker == markerEOI {
		return nil, FormatError("the file ends without a picture")
	}
	if !f.framed {
		return nil, FormatError("a scan comes before the frame header")
	}
	return f, nil
}

// Plausible returns an error if the data are too short for the size in the header: every block
// needs at least a bit. Call it before allocating memory of that size.
func (f *File) Plausible() error {
	total := 0
	for i := range f.comps {
		total += f.comps[i].blocks.w * f.comps[i].blocks.h
	}
	if total/8 > len(f.data) {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// Memory is the number of bytes that Decode needs, with its result.
func (f *File) Memory() int {
	blocks := 0
	for i := range f.comps {
		blocks += f.comps[i].blocks.w * f.comps[i].blocks.h
	}
	perBlock := 64
	if f.progressive {
		perBlock += 128 // 64 coefficients
	}
	return perBlock*blocks + 3*f.Width*f.Height
}

// Size finds the size of the picture in the first bytes of a file. ok is false if the frame header
// is not among them.
func Size(head []byte) (w, h int, ok bool) {
	f := &File{data: head, adobe: -1}
	if len(head) < 2 {
		return 0, 0, false
	}
	f.pos = 2
	for !f.framed {
		// What is wrong with the file, Open says.
		if marker, err := f.oneSegment(); err != nil || marker != 0 {
			break
		}
	}
	return f.Width, f.Height, f.framed
}

// segments reads segments until the next scan (its marker consumed) or the end of the
// picture, and returns that marker.
func (f *File) segments() (uint8, error) {
	for {
		if marker, err := f.oneSegment(); marker != 0 || err != nil {
			return marker, err
		}
	}
}

// oneSegment reads one segment. It returns the marker of a scan or of the end, else 0.
func (f *File) oneSegment() (uint8, error) {
	for {
		// Any bytes before a marker, and any number of 0xff, are skipped, as libjpeg does.
		i := bytes.IndexByte(f.data[f.pos:], 0xff)
		if i < 0 {
			f.pos = len(f.data)
			return 0, io.ErrUnexpectedEOF
		}
		f.pos += i
		for f.pos < len(f.data) && f.data[f.pos] == 0xff {
			f.pos++
		}
		if f.pos >= len(f.data) {
			return 0, io.ErrUnexpectedEOF
		}
		marker := f.data[f.pos]
		f.pos++
		switch {
		case marker == 0 || marker == 1 || marker == markerSOI || marker >= markerRST0 && marker <= markerRST7:
			continue // stuffing and markers without a body
		case marker == markerEOI || marker == markerSOS:
			return marker, nil
		}
		body, err := f.body()
		if err != nil {
			return 0, err
		}
		return 0, f.segment(marker, body)
	}
}

// body reads a segment's contents: two bytes of length, which include themselves.
func (f *File) body() ([]byte, error) {
	rest := f.data[f.pos:]
	if len(rest) < 2 {
		return nil, io.ErrUnexpectedEOF
	}
	n := int(binary.BigEndian.Uint16(rest))
	if n < 2 {
		return nil, FormatError("a segment is shorter than its own length field")
	}
	if n > len(rest) {
		return nil, io.ErrUnexpectedEOF
	}
	f.pos += n
	return rest[2:n], nil
}

func (f *File) segment(marker uint8, b []byte) error {
	switch marker {
	case markerSOF0, markerSOF1, markerSOF2:
		f.progressive = marker == markerSOF2
		return f.frame(b)
	case markerDQT:
		return f.quantisation(b)
	case markerDHT:
		return f.huffman(b)
	case markerDRI:
		if len(b) != 2 {
			return FormatError("a restart interval of the wrong length")
		}
		f.restart = int(binary.BigEndian.Uint16(b))
	case markerAPP0:
		f.jfif = f.jfif || bytes.HasPrefix(b, []byte("JFIF\x00"))
	case markerAPP1:
		if f.Exif == nil && bytes.HasPrefix(b, []byte("Exif\x00\x00")) {
			f.Exif = b
		}
	case markerAPPE:
		if len(b) >= 12 && bytes.HasPrefix(b, []byte("Adobe")) {
			f.adobe = int(b[11])
		}
	case 0xc3, 0xc7, 0xcb, 0xcf:
		return UnsupportedError("lossless JPEG")
	case 0xc5, 0xc6, 0xcd, 0xce:
		return UnsupportedError("hierarchical JPEG")
	case 0xc9, 0xca, 0xcc:
		return UnsupportedError("arithmetic coding")
	}
	return nil // applications' own segments and comments
}

// frame reads size and components.
func (f *File) frame(b []byte) error {
	if f.framed {
		return FormatError("two frame headers")
	}
	if len(b) < 6 || len(b) != 6+3*int(b[5]) {
		return FormatError("a frame header of the wrong length")
	}
	if b[0] != 8 {
		return UnsupportedError(fmt.Sprintf("a precision of %d bits", b[0]))
	}
	f.Height, f.Width = int(binary.BigEndian.Uint16(b[1:])), int(binary.BigEndian.Uint16(b[3:]))
	if f.Width == 0 || f.Height == 0 {
		return FormatError(fmt.Sprintf("a size of %d x %d", f.Width, f.Height))
	}
	switch n := b[5]; n {
	case 1, 3, 4:
	default:
		return UnsupportedError(fmt.Sprintf("a picture of %d components", n))
	}
	for b := b[6:]; len(b) > 0; b = b[3:] {
		c := component{id: b[0], h: int(b[1] >> 4), v: int(b[1] & 15), quant: b[2]}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.quant > 3 {
			return FormatError("a component with impossible sampling or table")
		}
		for _, other := range f.comps {
			if other.id == c.id {
				return FormatError("two components of the same name")
			}
		}
		f.comps = append(f.comps, c)
	}
	if len(f.comps) == 1 { // the factors of a single component have no meaning
		f.comps[0].h, f.comps[0].v = 1, 1
	}
	for _, c := range f.comps {
		f.maxH, f.maxV = max(f.maxH, c.h), max(f.maxV, c.v)
	}
	f.mcusX, f.mcusY = roundUp(f.Width, 8*f.maxH), roundUp(f.Height, 8*f.maxV)
	for i := range f.comps {
		c := &f.comps[i]
		if f.maxH%c.h != 0 || f.maxV%c.v != 0 {
			return UnsupportedError("subsampling by a fraction")
		}
		c.blocks.w, c.blocks.h = f.mcusX*c.h, f.mcusY*c.v
		c.size.w, c.size.h = roundUp(f.Width*c.h, f.maxH), roundUp(f.Height*c.v, f.maxV)
	}
	f.framed = true
	return nil
}

// roundUp divides and rounds up.
func roundUp(a, b int) int { return (a + b - 1) / b }

func (f *File) quantisation(b []byte) error {
	for len(b) > 0 {
		wide, id := b[0]>>4, b[0]&15
		if wide > 1 || id > 3 {
			return FormatError("an unknown quantisation table")
		}
		size := 64 << wide
		if len(b) < 1+size {
			return FormatError("a quantisation table is cut off")
		}
		t := new([64]int32) // a new one: components may have latched the old
		for i := range t {
			if wide == 1 {
				t[i] = int32(binary.BigEndian.Uint16(b[1+2*i:]))
			} else {
				t[i] = int32(b[1+i])
			}
		}
		f.quant[id] = t
		b = b[1+size:]
	}
	return nil
}
