package transforms

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image/png"
	"io"
	"os"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"

	"github.com/tlkit/transfer-learning/tlkit/transforms/internal/jpeg"
)

// A picture's size does not bound what decoding it costs. A file of a kilobyte can announce half a
// gigabyte of pixels, 16 bits of each colour, and a hundred passes over them. So memory and work are
// bounded by what a file may cost at all, plus a share for each of its bytes: a photograph of 50
// megapixels has enough of those, a file made to exhaust a machine has not.
const (
	freeMemory    = 200 << 20 // bytes, for a file of any length
	memoryPerByte = 256       // of the file; flat photographs of 50 megapixels need about 100
)

// afford checks what decoding would take before it begins: memory for w x h pixels, at so many bytes
// each, in a file of so many bytes.
func (o DecodeOptions) afford(format string, pixels, bytesPerPixel, file int) error {
	need, have := pixels*bytesPerPixel, freeMemory+memoryPerByte*file
	if o.raised {
		have = max(have, 16*o.MaxPixels)
	}
	if need > have {
		return tooLarge(format, "decoding it takes %d MB of memory, too much for a file of %d bytes: save it anew or shrink it; if it is genuine, allow as many pixels as it has (%d) with --max-pixels, in a notebook TLKIT_MAX_PIXELS",
			need>>20, file, pixels)
	}
	return nil
}

// headBytes is how much of a file is read before its header is judged.
const headBytes = 64 << 10

// readAhead is the most that is read of a file before its size in pixels is known, and of what a
// picture holds besides its pixels: profiles, previews, descriptions. What follows, such as further
// frames or the film of a moving photograph, is not read.
const readAhead = 32 << 20

// readJudged reads a picture file of a stated size, the header first. A file that is no picture, or
// too large a one, costs no more than its head.
func readJudged(f *os.File, size int64, o DecodeOptions) ([]byte, error) {
	data := make([]byte, min(size, headBytes))
	n, err := io.ReadFull(f, data)
	data = data[:n]
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return nil, err
	}
	for {
		pixels, err := judge(data, o)
		if err == nil && int64(len(data)) >= size {
			return data, nil
		}
		limit := int64(readAhead) + 16*int64(pixels)
		switch {
		case err == nil:
		case err != errHeaderBeyond:
			return nil, err
		case int64(len(data)) >= size || int64(len(data)) >= readAhead && sniff(data) != "tiff":
			return data, nil // Decode says what is wrong with it
		default: // the header is long: look at more of it
			limit = 8 * int64(len(data))
		}
		more := make([]byte, min(size, limit))
		n := copy(more, data)
		m, rerr := io.ReadFull(f, more[min(n, len(more)):])
		if rerr != nil && rerr != io.ErrUnexpectedEOF && rerr != io.EOF {
			return nil, rerr
		}
		data = more[:n+m]
		if err == nil {
			return data, nil
		}
	}
}

var errHeaderBeyond = errors.New("transforms: the header goes on beyond the part that was read")

// judge looks at the beginning of a file. It returns the number of pixels in its header, and an error
// if it is no picture or too large; errHeaderBeyond if the header is not complete.
func judge(head []byte, o DecodeOptions) (pixels int, err error) {
	format := sniff(head)
	if format == "" {
		if len(head) == 0 {
			return 0, &DecodeError{Kind: Empty, Detail: "no bytes"}
		}
		return 0, &DecodeError{Kind: NotPicture, Detail: notPicture(head)}
	}
	defer func() {
		if r := recover(); r != nil { // left to Decode, which says what is wrong
			pixels, err = 0, errHeaderBeyond
		}
	}()
	w, h, ok := headerSize(format, head)
	if !ok {
		return 0, errHeaderBeyond
	}
	return w * h, o.allow(format, w, h)
}

// Pixels returns width times height of a picture as its header states them, and checks them against
// the limits, without decoding anything; 0 if the header is not complete in data. Errors are those
// of [Decode].
func (o DecodeOptions) Pixels(data []byte) (int, error) {
	n, err := judge(data, o.withDefaults())
	if err == errHeaderBeyond {
		return 0, nil
	}
	return n, err
}

// headerSize returns width and height from the first bytes of a file; ok is false if they are not
// complete there.
func headerSize(format string, head []byte) (w, h int, ok bool) {
	switch format {
	case "jpeg":
		return jpeg.Size(head)
	case "gif":
		if len(head) < 10 {
			return 0, 0, false
		}
		return int(binary.LittleEndian.Uint16(head[6:])), int(binary.LittleEndian.Uint16(head[8:])), true
	case "png":
		cfg, err := png.DecodeConfig(bytes.NewReader(head))
		return cfg.Width, cfg.Height, err == nil
	case "webp":
		if len(head) >= 30 && string(head[12:16]) == "VP8X" {
			return 1 + int24(head[24:]), 1 + int24(head[27:]), true
		}
		cfg, err := webp.DecodeConfig(bytes.NewReader(head))
		return cfg.Width, cfg.Height, err == nil
	case "bmp":
		cfg, err := bmp.DecodeConfig(bytes.NewReader(head))
		return cfg.Width, cfg.Height, err == nil
	case "tiff": // its header may be at the end
		cfg, err := tiff.DecodeConfig(bytes.NewReader(head))
		return cfg.Width, cfg.Height, err == nil
	case "pnm":
		p, err := readPNMHeader(head)
		return p.width, p.height, err == nil
	}
	return 0, 0, false
}
