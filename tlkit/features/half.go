package features

import (
	"encoding/binary"
	"math"

	"github.com/gomlx/compute/dtypes/float16"
)

// A row of float16 begins with an exponent, int32, by which its numbers are scaled so that the
// largest is in [2^14,2^15). So none overflows, and those too small for float16 are below 2^-28 of
// the largest.
const halfTop = 15

// halfBytes is the length of a row of n numbers.
func halfBytes(n int) int { return 4 + 2*n }

// exponentOf returns the exponent that scales a row.
func exponentOf(row []float32) int {
	var largest float64
	for _, v := range row {
		largest = max(largest, math.Abs(float64(v)))
	}
	if largest == 0 || math.IsInf(largest, 0) || math.IsNaN(largest) {
		return 0
	}
	_, e := math.Frexp(largest) // largest is in [2^(e-1),2^e)
	if math.Ldexp(largest, halfTop-e) >= 1<<halfTop-8 {
		e++ // it would be rounded up to 2^15, and the row read back would get another exponent
	}
	return e - halfTop
}

// appendHalf appends a row.
func appendHalf(buf []byte, row []float32) []byte {
	e := exponentOf(row)
	buf = binary.LittleEndian.AppendUint32(buf, uint32(int32(e)))
	scale := math.Ldexp(1, -e)
	for _, v := range row {
		buf = binary.LittleEndian.AppendUint16(buf, float16.FromFloat32(float32(float64(v)*scale)).Bits())
	}
	return buf
}

// readHalf reads a row that appendHalf has written.
func readHalf(row []float32, raw []byte) {
	scale := math.Ldexp(1, int(int32(binary.LittleEndian.Uint32(raw))))
	for i := range row {
		row[i] = float32(float64(float16.FromBits(binary.LittleEndian.Uint16(raw[4+2*i:])).Float32()) * scale)
	}
}

// roundHalf makes of a row what the cache makes of it.
func roundHalf(row []float32) { readHalf(row, appendHalf(make([]byte, 0, halfBytes(len(row))), row)) }
