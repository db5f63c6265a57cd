package features

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math"
	"os"

	"github.com/gofrs/flock"

	"github.com/tlkit/transfer-learning/internal/advice"
)

type key [sha256.Size]byte

// store is an append-only file of rows: magic and width, then for each row its key, the values
// (float32, little endian) and a CRC-32C of both. It is not one of the embedded databases because
// its needs are few: a row is durable as soon as its batch is done, and a torn tail costs one
// batch.
type store struct {
	file     *os.File
	lock     *flock.Flock
	features int
	offsets  map[key]int64 // of the values of each good row
	end      int64         // where the next row goes
}

const magic = "tlkit features 1\n"

var (
	errMissing = errors.New("features: row is not in the cache")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

func (s *store) rowBytes() int { return len(key{}) + 4*s.features + 4 }

// openStore opens the file at path and reads the keys of all whole rows. A file of another kind or
// width is written over: it is a cache.
func openStore(path string, features int) (*store, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, advice.New(fmt.Errorf("features: cannot open the cache: %w", err), "set TLKIT_CACHE to a folder that can be written")
	}
	s := &store{file: file, features: features, offsets: make(map[key]int64), lock: flock.New(path + ".lock")}
	if err := s.scan(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *store) header() []byte {
	return binary.LittleEndian.AppendUint32([]byte(magic), uint32(s.features))
}

// scan reads the keys of the rows from s.end on, up to the first row that is not whole.
func (s *store) scan() error {
	head := s.header()
	if s.end == 0 {
		got := make([]byte, len(head))
		if _, err := s.file.ReadAt(got, 0); err != nil || !bytes.Equal(got, head) {
			return nil
		}
		s.end = int64(len(head))
	}
	r := bufio.NewReaderSize(io.NewSectionReader(s.file, s.end, math.MaxInt64-s.end), 1<<20)
	row := make([]byte, s.rowBytes())
	for {
		if _, err := io.ReadFull(r, row); err != nil {
			return nil // the torn tail of a killed run will be written over
		}
		body := len(row) - 4
		if crc32.Checksum(row[:body], castagnoli) != binary.LittleEndian.Uint32(row[body:]) {
			return nil
		}
		var k key
		copy(k[:], row)
		s.offsets[k] = s.end + int64(len(k))
		s.end += int64(len(row))
	}
}

func (s *store) has(k key) bool { _, ok := s.offsets[k]; return ok }

// append adds rows; values is [len(keys),features] or longer. Two processes may write at the same
// time; each first reads what the other wrote.
func (s *store) append(keys []key, values []float32) error {
	if len(values) < len(keys)*s.features {
		return fmt.Errorf("features: the backbone gave %d values for %d pictures, want %d each", len(values), len(keys), s.features)
	}
	if err := s.lock.Lock(); err != nil {
		return fmt.Errorf("features: cannot lock the cache: %w", err)
	}
	defer s.lock.Unlock()
	if err := s.scan(); err != nil {
		return err
	}
	var buf []byte
	start := s.end
	if start == 0 {
		buf = s.header()
	}
	added := make(map[key]int64, len(keys))
	for i, k := range keys {
		row := values[i*s.features : (i+1)*s.features]
		for j, v := range row {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return fmt.Errorf("features: value %d of a picture is %v: the weights are broken or the preset is wrong", j, v)
			}
		}
		if s.has(k) {
			continue
		}
		begin := len(buf)
		buf = append(buf, k[:]...)
		added[k] = start + int64(len(buf))
		for _, v := range row {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
		}
		buf = binary.LittleEndian.AppendUint32(buf, crc32.Checksum(buf[begin:], castagnoli))
	}
	if _, err := s.file.WriteAt(buf, start); err != nil {
		return advice.New(fmt.Errorf("features: cannot write the cache (%d rows of it are kept): %w", len(s.offsets), err), "free some space or set TLKIT_CACHE to another disk")
	}
	maps.Copy(s.offsets, added)
	s.end = start + int64(len(buf))
	return nil
}

func (s *store) read(k key) ([]float32, error) {
	offset, ok := s.offsets[k]
	if !ok {
		return nil, errMissing
	}
	raw := make([]byte, 4*s.features+4)
	if _, err := s.file.ReadAt(raw, offset); err != nil {
		return nil, fmt.Errorf("features: cannot read the cache: %w", err)
	}
	values := raw[:4*s.features]
	sum := crc32.Update(crc32.Checksum(k[:], castagnoli), castagnoli, values)
	if sum != binary.LittleEndian.Uint32(raw[len(values):]) {
		return nil, fmt.Errorf("features: a cached row changed on disk during the run: run again, it will be computed anew")
	}
	row := make([]float32, s.features)
	for i := range row {
		row[i] = math.Float32frombits(binary.LittleEndian.Uint32(values[4*i:]))
	}
	return row, nil
}

// sync makes the rows durable.
func (s *store) sync() error {
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("features: cannot write the cache to disk: %w", err)
	}
	return nil
}

func (s *store) close() { s.file.Close() }
