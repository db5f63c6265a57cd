package transforms

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"io"
)

// decodePNG uses the standard decoder and drops alpha without compositing: training code also
// saw the colours of transparent pixels. Of 16 bits it keeps the high 8.
func decodePNG(data []byte, o DecodeOptions) (*Picture, int, error) {
	cfg, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, 0, err
	}
	if err := o.allow("png", cfg.Width, cfg.Height); err != nil {
		return nil, 0, err
	}
	// The decoder allocates what the header says. Deflate compresses at most 1032 to 1, and a
	// pixel has at least 1 bit, so a short file with a huge size is rejected first.
	if len(data) < cfg.Width/8*cfg.Height/1032 {
		return nil, 0, &DecodeError{Format: "png", Kind: Truncated,
			Detail: "so few bytes cannot hold the picture the header announces"}
	}
	if err := o.afford("png", cfg.Width*cfg.Height, pngBytes(cfg.ColorModel), len(data)); err != nil {
		return nil, 0, err
	}
	im, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		if pngChunk(data, "IEND") == nil {
			err = io.ErrUnexpectedEOF
		}
		return nil, 0, err
	}
	if m, ok := im.(*image.Paletted); ok {
		p, err := fromPalette(m.Pix, m.Stride, cfg.Width, cfg.Height, paletteRGB(m.Palette))
		return p, pngOrientation(data), err
	}
	p, err := FromImage(im)
	return p, pngOrientation(data), err
}

// pngBytes is what a pixel takes while it is decoded: as the file has it, and as RGB.
func pngBytes(m color.Model) int {
	switch m {
	case color.GrayModel:
		return 1 + 3
	case color.Gray16Model:
		return 2 + 3
	case color.RGBA64Model, color.NRGBA64Model:
		return 8 + 3
	case color.RGBAModel, color.NRGBAModel:
		return 4 + 3
	}
	return 1 + 3 // a palette
}

func pngOrientation(data []byte) int { return tiffOrientation(pngChunk(data, "eXIf")) }

// pngChunk returns the contents of the first complete chunk with a name, or nil.
func pngChunk(data []byte, name string) []byte {
	for rest := data[8:]; len(rest) >= 12; {
		n := uint64(binary.BigEndian.Uint32(rest))
		if n+12 > uint64(len(rest)) {
			return nil
		}
		if string(rest[4:8]) == name {
			return rest[8 : 8+n : 8+n]
		}
		rest = rest[n+12:]
	}
	return nil
}
