package transforms

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"io"

	"golang.org/x/image/webp"
)

// decodeWebP uses the decoder of x/image, but converts the colours itself: WebP's YCbCr has
// video range (16 to 235), unlike Go's image.YCbCr, and libwebp upsamples the chroma with
// weights 9:3:3:1.
func decodeWebP(data []byte, o DecodeOptions) (*Picture, int, error) {
	chunks, err := webpChunks(data)
	if err != nil {
		return nil, 0, err
	}
	orientation := 1
	if e := chunks["EXIF"]; e != nil {
		orientation = tiffOrientation(e)
	}
	canvas := chunks["VP8X"]
	if len(canvas) == 10 {
		w, h := 1+int24(canvas[4:]), 1+int24(canvas[7:])
		if err := o.allow("webp", w, h); err != nil {
			return nil, 0, err
		}
		if frame := chunks["ANMF"]; frame != nil {
			p, err := decodeWebPFrame(frame, w, h, o)
			return p, orientation, err
		}
	}
	p, err := decodeWebPStill(data, o)
	return p, orientation, err
}

// decodeWebPFrame decodes the first frame of an animation and puts it on a black canvas.
func decodeWebPFrame(frame []byte, w, h int, o DecodeOptions) (*Picture, error) {
	if len(frame) < 16 {
		return nil, io.ErrUnexpectedEOF
	}
	x, y := 2*int24(frame), 2*int24(frame[3:])
	fw, fh := 1+int24(frame[6:]), 1+int24(frame[9:])
	if x+fw > w || y+fh > h {
		return nil, &DecodeError{Format: "webp", Kind: Damaged, Detail: "the first frame lies outside the canvas"}
	}
	// A still picture of the same chunks. VP8X announces the alpha chunk, if there is one.
	body := []byte("WEBP")
	if bytes.HasPrefix(frame[16:], []byte("ALPH")) {
		body = append(body, "VP8X\x0a\x00\x00\x00\x10\x00\x00\x00"...)
		body = append(body, frame[6:12]...)
	}
	body = append(body, frame[16:]...)
	still := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body)))
	p, err := decodeWebPStill(append(still, body...), o)
	if err != nil || (p.Width == w && p.Height == h) {
		return p, err
	}
	if p.Width != fw || p.Height != fh {
		return nil, &DecodeError{Format: "webp", Kind: Damaged, Detail: "the first frame is not as large as it says"}
	}
	out := NewPicture(w, h)
	for r := range fh {
		copy(out.Pix[3*((y+r)*w+x):], p.Pix[3*r*fw:3*(r+1)*fw])
	}
	return out, nil
}

func decodeWebPStill(data []byte, o DecodeOptions) (*Picture, error) {
	cfg, err := webp.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if err := o.allow("webp", cfg.Width, cfg.Height); err != nil {
		return nil, err
	}
	perPixel := 2 + 1 + 3 // planes, transparency, RGB
	if cfg.ColorModel == color.NRGBAModel {
		perPixel = 3*4 + 3 // lossless: the picture and what its transforms work on
	}
	if err := o.afford("webp", cfg.Width*cfg.Height, perPixel, len(data)); err != nil {
		return nil, err
	}
	im, err := webp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	switch m := im.(type) {
	case *image.YCbCr:
		return fromVideoRange(m), nil
	case *image.NYCbCrA:
		return fromVideoRange(&m.YCbCr), nil
	}
	return FromImage(im)
}

func int24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// webpChunks finds the first chunk of each name at the top level. Chunks whose length reaches
// beyond the end are cut off; the decoder will report them.
func webpChunks(data []byte) (map[string][]byte, error) {
	if len(data) < 20 {
		return nil, io.ErrUnexpectedEOF
	}
	out := map[string][]byte{}
	for rest := data[12:]; len(rest) >= 8; {
		n := int64(binary.LittleEndian.Uint32(rest[4:]))
		name := string(rest[:4])
		rest = rest[8:]
		if out[name] == nil {
			out[name] = rest[:min(n, int64(len(rest)))]
		}
		rest = rest[min(n+n&1, int64(len(rest))):]
		if len(out) > 64 {
			break
		}
	}
	return out, nil
}

// fromVideoRange is libwebp's conversion: bilinear chroma ("fancy upsampling"), then a
// 14-bit fixed-point matrix for 16..235 luma.
func fromVideoRange(m *image.YCbCr) *Picture {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	ch := (h + 1) / 2
	out := NewPicture(w, h)
	u, v := make([]uint8, w), make([]uint8, w)
	for y := range h {
		// The nearer chroma row counts three times, the farther one once. Beyond the border the
		// nearer one is used.
		nearest := y / 2
		far := nearest - 1 + 2*(y&1)
		far = min(max(far, 0), ch-1)
		half := (w + 1) / 2
		row := func(p []uint8, r int) []uint8 { return p[r*m.CStride : r*m.CStride+half] }
		upsampleWebP(u, row(m.Cb, nearest), row(m.Cb, far))
		upsampleWebP(v, row(m.Cr, nearest), row(m.Cr, far))
		videoRow(out.Pix[3*y*w:3*(y+1)*w], m.Y[y*m.YStride:y*m.YStride+w], u, v)
	}
	return out
}

// upsampleWebP doubles a chroma row. It rounds twice as libwebp does (first the diagonal mean,
// then the mean with the nearest sample), to be equal to it.
func upsampleWebP(dst, closer, far []uint8) {
	w := len(dst)
	far = far[:len(closer)]
	dst[0] = uint8((3*int(closer[0]) + int(far[0]) + 2) >> 2)
	for i := 1; i < len(closer); i++ {
		// Two by two samples: a, b in the near row, c, d in the far one.
		a, b, c, d := int(closer[i-1]), int(closer[i]), int(far[i-1]), int(far[i])
		sum := a + b + c + d + 8
		dst[2*i-1] = uint8(((sum+2*(b+c))>>3 + a) >> 1)
		if 2*i < w {
			dst[2*i] = uint8(((sum+2*(a+d))>>3 + b) >> 1)
		}
	}
	if w > 1 && w&1 == 0 {
		n := len(closer) - 1
		dst[w-1] = uint8((3*int(closer[n]) + int(far[n]) + 2) >> 2)
	}
}

func videoRow(dst, y, u, v []uint8) {
	u, v = u[:len(y)], v[:len(y)]
	for i, yy := range y {
		l := int32(yy) * 19077 >> 8
		cb, cr := int32(u[i]), int32(v[i])
		d := dst[3*i : 3*i+3 : 3*i+3]
		d[0] = clip6(l + cr*26149>>8 - 14234)
		d[1] = clip6(l - cb*6419>>8 - cr*13320>>8 + 8708)
		d[2] = clip6(l + cb*33050>>8 - 17685)
	}
}

// clip6 drops six fraction bits and clips to a byte.
func clip6(v int32) uint8 {
	if uint32(v) < 1<<14 {
		return uint8(v >> 6)
	}
	return uint8(^(v >> 31)) // 0 below, 255 above
}
