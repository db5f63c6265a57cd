package transforms

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/tlkit/transfer-learning/internal/pixels"
)

// The default limits of [DecodeOptions].
const (
	maxPixels = 178_956_970 // the limit of Pillow for decompression bombs: half a gigabyte as RGB
	maxSide   = 65_535      // the largest side a JPEG can have
	maxBytes  = 256 << 20
)

// DecodeOptions says how a picture is read. The zero value is right for prediction: upright,
// with limits that no photo reaches.
type DecodeOptions struct {
	// IgnoreOrientation leaves the picture as it is stored. By default it is turned as the
	// camera's EXIF data say. The loaders of torchvision, timm and Keras ignore them: set this
	// to reproduce a published accuracy exactly.
	IgnoreOrientation bool `json:"ignore_orientation,omitempty"`
	// MaxPixels is the largest width times height that is decoded; 0 means what --max-pixels or
	// $TLKIT_MAX_PIXELS say, else 178,956,970, the most that Pillow opens. A picture that is allowed
	// by another limit than that may also take the memory its pixels need, however short its file is.
	MaxPixels int `json:"max_pixels,omitempty"`
	// MaxBytes is the largest file that is read; 0 means 256 MB.
	MaxBytes int64 `json:"max_bytes,omitempty"`

	raised bool // the caller has set MaxPixels: what it allows may also be large in memory
}

func (o DecodeOptions) withDefaults() DecodeOptions {
	if o.MaxPixels <= 0 {
		o.MaxPixels = maxPixels
		if n := pixels.Allowed(); n > 0 {
			o.MaxPixels = n
		}
	}
	o.raised = o.MaxPixels != maxPixels
	if o.MaxBytes <= 0 {
		o.MaxBytes = maxBytes
	}
	return o
}

// allow checks the size in a header before anything of that size is allocated.
func (o DecodeOptions) allow(format string, w, h int) error {
	switch {
	case w <= 0 || h <= 0:
		return &DecodeError{Format: format, Kind: Damaged, Detail: fmt.Sprintf("the header says %d x %d pixels", w, h)}
	case w > maxSide || h > maxSide:
		return tooLarge(format, "%d x %d pixels, wanted sides up to %d", w, h, maxSide)
	case w*h > o.MaxPixels:
		return tooLarge(format, "%d x %d = %d pixels, wanted at most %d: shrink it, or allow more with --max-pixels, in a notebook TLKIT_MAX_PIXELS",
			w, h, w*h, o.MaxPixels)
	}
	return nil
}

// DecodeFile reads the picture in a file. See [Decode].
func DecodeFile(path string, o DecodeOptions) (*Picture, error) {
	o = o.withDefaults()
	data, err := readPicture(path, o)
	var p *Picture
	if err == nil {
		p, err = Decode(data, o)
	}
	return p, withPath(err, path)
}

func readPicture(path string, o DecodeOptions) ([]byte, error) {
	// Stat before Open: opening a named pipe would block.
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("transforms: %w", err)
	}
	if !st.Mode().IsRegular() {
		return nil, &DecodeError{Kind: NotPicture, Detail: "not a regular file (" + st.Mode().Type().String() + ")"}
	}
	if st.Size() > o.MaxBytes {
		return nil, tooLarge("", "%d bytes, wanted at most %d", st.Size(), o.MaxBytes)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("transforms: %w", err)
	}
	defer f.Close()
	data, err := readJudged(f, st.Size(), o)
	var d *DecodeError
	if err != nil && !errors.As(err, &d) {
		return nil, fmt.Errorf("transforms: %s: %w", path, err)
	}
	return data, err
}

// Decode decodes a JPEG, PNG, GIF (first frame), WebP, BMP, TIFF (first page) or PNM picture. The
// first bytes determine the format, not a file name. The size in the header is checked before anything is decoded. Errors
// are of type *[DecodeError]; no input makes Decode panic.
func Decode(data []byte, o DecodeOptions) (p *Picture, err error) {
	o = o.withDefaults()
	format := sniff(data)
	defer func() {
		// Some of the decoders are third-party, and the picture is untrusted.
		if r := recover(); r != nil {
			p, err = nil, &DecodeError{Format: format, Kind: Damaged, Detail: fmt.Sprint("the decoder gave up: ", r)}
		}
	}()
	switch {
	case len(data) == 0:
		return nil, &DecodeError{Kind: Empty, Detail: "no bytes"}
	case int64(len(data)) > o.MaxBytes:
		return nil, tooLarge(format, "%d bytes, wanted at most %d", len(data), o.MaxBytes)
	}
	var orientation int
	switch format {
	case "jpeg":
		p, orientation, err = decodeJPEG(data, o)
	case "png":
		p, orientation, err = decodePNG(data, o)
	case "gif":
		p, err = decodeGIF(data, o)
	case "webp":
		p, orientation, err = decodeWebP(data, o)
	case "bmp":
		p, err = decodeBMP(data, o)
	case "tiff":
		p, orientation, err = decodeTIFF(data, o)
	case "pnm":
		p, err = decodePNM(data, o)
	default:
		return nil, &DecodeError{Kind: NotPicture, Detail: notPicture(data)}
	}
	if err != nil {
		return nil, decodeError(format, err)
	}
	if !o.IgnoreOrientation {
		p = p.upright(orientation)
	}
	return p, nil
}

// sniff returns the format by its first bytes.
func sniff(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("\xff\xd8\xff")):
		return "jpeg"
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		return "png"
	case bytes.HasPrefix(b, []byte("GIF87a")), bytes.HasPrefix(b, []byte("GIF89a")):
		return "gif"
	case len(b) >= 12 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP":
		return "webp"
	case isBMP(b):
		return "bmp"
	case isTIFF(b):
		return "tiff"
	case isPNM(b):
		return "pnm"
	}
	return ""
}

// notPicture says what else a file is, if that helps.
func notPicture(b []byte) string {
	what := ""
	switch {
	case len(b) >= 12 && string(b[4:8]) == "ftyp":
		what = "an HEIC or AVIF picture or a video (" + fmt.Sprintf("%q", b[8:12]) + ")"
	case bytes.HasPrefix(b, []byte("%PDF")):
		what = "a PDF document"
	case bytes.HasPrefix(b, []byte("PK\x03\x04")):
		what = "a zip archive"
	case bytes.HasPrefix(bytes.TrimSpace(b[:min(len(b), 256)]), []byte("<")):
		what = "HTML, XML or SVG text"
	default:
		what = fmt.Sprintf("it begins with % x", b[:min(len(b), 8)])
	}
	return what + "; wanted JPEG, PNG, GIF, WebP, BMP, TIFF or PNM"
}
