package transforms

import (
	"bytes"
	"encoding/binary"
)

// tiffOrientation reads tag 0x0112 of the TIFF structure in EXIF data: 1 to 8. As every viewer
// does, it returns 1 (as stored) if anything is wrong.
func tiffOrientation(t []byte) int {
	t = bytes.TrimPrefix(t, []byte("Exif\x00\x00"))
	if len(t) < 8 {
		return 1
	}
	var o binary.ByteOrder
	switch string(t[:4]) {
	case "II*\x00":
		o = binary.LittleEndian
	case "MM\x00*":
		o = binary.BigEndian
	default:
		return 1
	}
	pos := uint64(o.Uint32(t[4:]))
	if pos < 8 || pos+2 > uint64(len(t)) {
		return 1
	}
	n := int(o.Uint16(t[pos:]))
	entries := t[pos+2:]
	for ; n > 0 && len(entries) >= 12; n-- {
		// An entry is tag, type, count, value; type 3 is a 16-bit number.
		if o.Uint16(entries) == 0x0112 && o.Uint16(entries[2:]) == 3 {
			if v := int(o.Uint16(entries[8:])); v >= 1 && v <= 8 {
				return v
			}
			return 1
		}
		entries = entries[12:]
	}
	return 1
}

// upright turns a stored picture as the camera was held. The eight values: 1 as stored, 2
// mirrored, 3 turned by 180 degrees, 4 flipped, 5 transposed, 6 to be turned right, 7
// transversed, 8 to be turned left.
func (p *Picture) upright(orientation int) *Picture {
	if orientation < 2 || orientation > 8 {
		return p
	}
	w, h := p.Width, p.Height
	// Output pixel (x, y) comes from start + x*dx + y*dy, counted in pixels.
	var start, dx, dy int
	ow, oh := w, h
	switch orientation {
	case 2:
		start, dx, dy = w-1, -1, w
	case 3:
		start, dx, dy = w*h-1, -1, -w
	case 4:
		start, dx, dy = w*(h-1), 1, -w
	case 5:
		ow, oh, start, dx, dy = h, w, 0, w, 1
	case 6:
		ow, oh, start, dx, dy = h, w, w*(h-1), -w, 1
	case 7:
		ow, oh, start, dx, dy = h, w, w*h-1, -w, -1
	case 8:
		ow, oh, start, dx, dy = h, w, w-1, w, -1
	}
	out := NewPicture(ow, oh)
	for y := range oh {
		dst := out.Pix[3*y*ow : 3*(y+1)*ow]
		pos := start + y*dy
		for i := 0; i+3 <= len(dst); i += 3 {
			s := p.Pix[3*pos : 3*pos+3]
			dst[i], dst[i+1], dst[i+2] = s[0], s[1], s[2]
			pos += dx
		}
	}
	return out
}
