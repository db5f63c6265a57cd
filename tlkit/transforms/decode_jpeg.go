package transforms

import (
	"bytes"
	"errors"

	"github.com/tlkit/transfer-learning/tlkit/transforms/internal/jpeg"
)

func decodeJPEG(data []byte, o DecodeOptions) (*Picture, int, error) {
	f, err := openJPEG(data, o)
	if err != nil {
		return nil, 0, err
	}
	p := NewPicture(f.Width, f.Height)
	if err := f.Decode(p.Pix, p.Bounds()); err != nil {
		return nil, 0, jpegError(err)
	}
	return p, tiffOrientation(f.Exif), nil
}

// openJPEG reads and checks the header.
func openJPEG(data []byte, o DecodeOptions) (*jpeg.File, error) {
	f, err := jpeg.Open(data)
	if err != nil {
		return nil, jpegError(err)
	}
	if err := o.allow("jpeg", f.Width, f.Height); err != nil {
		return nil, err
	}
	if err := o.afford("jpeg", f.Width*f.Height, f.Memory()/(f.Width*f.Height), len(bytes.TrimRight(data, "\x00"))); err != nil {
		return nil, err
	}
	return f, jpegError(f.Plausible())
}

func jpegError(err error) error {
	var u jpeg.UnsupportedError
	if errors.As(err, &u) {
		return &DecodeError{Format: "jpeg", Kind: Unsupported, Detail: "save it as a usual JPEG or as PNG", Err: err}
	}
	return err
}
