package transforms

import (
	"bytes"
	"image/jpeg"
)

func decodeJPEG(data []byte, o DecodeOptions) (*Picture, int, error) {
	cfg, err := jpeg.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, 0, err
	}
	if err := o.allow("jpeg", cfg.Width, cfg.Height); err != nil {
		return nil, 0, err
	}
	im, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, 0, err
	}
	p, err := FromImage(im)
	return p, 1, err
}
