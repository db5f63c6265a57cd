package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// window reads a pickle piece by piece, so that a legacy file, in which all the weights follow
// the pickle, is not read as a whole.
type window struct {
	r     io.ReaderAt
	size  int64 // how far reading may go
	whole int64 // how far the data goes
	buf   []byte
	pos   int
}

func (w *window) take(n uint64) ([]byte, error) {
	if n <= uint64(len(w.buf)-w.pos) {
		b := w.buf[w.pos : w.pos+int(n) : w.pos+int(n)]
		w.pos += int(n)
		return b, nil
	}
	if n > uint64(w.size-int64(w.pos)) {
		if w.size < w.whole {
			return nil, fmt.Errorf("the pickle is longer than %d bytes", w.size)
		}
		return nil, io.ErrUnexpectedEOF
	}
	// n bytes are really there: read at least as many, and twice as many as before.
	more := max(int(n)-(len(w.buf)-w.pos), len(w.buf), 64<<10)
	more = min(more, int(w.size)-len(w.buf))
	grown := make([]byte, len(w.buf)+more)
	copy(grown, w.buf)
	if _, err := io.ReadFull(io.NewSectionReader(w.r, int64(len(w.buf)), int64(more)), grown[len(w.buf):]); err != nil {
		return nil, err
	}
	w.buf = grown
	return w.take(n)
}

func (w *window) byte() (byte, error) {
	b, err := w.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// uint reads a little-endian number of n bytes.
func (w *window) uint(n uint64) (uint64, error) {
	b, err := w.take(n)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:]), nil
}

// counted reads a length of n bytes and then that many bytes.
func (w *window) counted(n uint64) ([]byte, error) {
	length, err := w.uint(n)
	if err != nil {
		return nil, err
	}
	return w.take(length)
}

// line reads to the end of a line, at most 1024 bytes: names of classes.
func (w *window) line() (string, error) {
	var line []byte
	for len(line) < 1024 {
		c, err := w.byte()
		if err != nil {
			return "", err
		}
		if c == '\n' {
			return string(line), nil
		}
		line = append(line, c)
	}
	return "", errors.New("a Python name of more than 1024 bytes")
}

// long reads LONG1's two's complement of any length.
func long(b []byte) any {
	if len(b) > 8 {
		return bigInt(bytes.Clone(b))
	}
	var full [8]byte
	if len(b) > 0 && b[len(b)-1]&0x80 != 0 {
		full = [8]byte{255, 255, 255, 255, 255, 255, 255, 255}
	}
	copy(full[:], b)
	return int64(binary.LittleEndian.Uint64(full[:]))
}
