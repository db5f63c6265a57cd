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
	"math"
	"os"

	"github.com/gofrs/flock"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/fetch"
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
	half     bool          // the values are float16, behind an exponent; see half.go
	offsets  map[key]int64 // of the values of each good row
	bad      []int64       // where rows begin whose checksum is wrong; new rows are written over them
	end      int64         // where the next row goes
	aside    string        // where a damaged file is now that was replaced by this one; "" = there was none
}

const (
	magic     = "tlkit features 1\n"
	magicHalf = "tlkit features 1 float16\n"
)

var (
	errMissing = errors.New("features: row is not in the cache")
	errHeader  = errors.New("features: not a file of rows of this width")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

func (s *store) rowBytes() int { return len(key{}) + s.valueBytes() + 4 }

// valueBytes is the length of the values of a row.
func (s *store) valueBytes() int {
	if s.half {
		return halfBytes(s.features)
	}
	return 4 * s.features
}

// openStore opens the file at path and reads the keys of all whole rows. A file with another header
// is set aside: either its header is damaged, or it is no such file.
func openStore(path string, features int, half bool) (*store, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, advice.New(fmt.Errorf("features: cannot open the cache: %w", err), "set TLKIT_CACHE to a folder that can be written")
	}
	s := &store{file: file, features: features, half: half, offsets: make(map[key]int64), lock: flock.New(path + ".lock")}
	if err := s.open(path); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// open reads the file under the lock, so that rows that another process is writing are not taken
// for damaged ones.
func (s *store) open(path string) error {
	if err := s.lock.Lock(); err != nil {
		return fmt.Errorf("features: cannot lock the cache: %w", err)
	}
	defer s.lock.Unlock()
	err := s.scan()
	if !errors.Is(err, errHeader) {
		return err
	}
	s.aside, err = fetch.SetAside(path)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("features: cannot open the cache: %w", err)
	}
	s.file.Close() // nothing was written to it
	s.file = file
	return nil
}

// damage says what was found wrong with the file, "" if nothing was.
func (s *store) damage() string {
	switch n := len(s.bad); {
	case s.aside != "":
		return fmt.Sprintf("the cached features in %s were damaged, the file was set aside, and they are computed anew", s.aside)
	case n > 0:
		return fmt.Sprintf("%d of %d rows of cached features in %s were damaged and are computed anew", n, n+len(s.offsets), s.file.Name())
	}
	return ""
}

func (s *store) header() []byte {
	if s.half {
		return binary.LittleEndian.AppendUint32([]byte(magicHalf), uint32(s.features))
	}
	return binary.LittleEndian.AppendUint32([]byte(magic), uint32(s.features))
}

// scan reads the keys of the rows from s.end on. Rows with a wrong checksum are listed in s.bad. A
// last row that is not whole was left by a killed run; it will be written over. The error is
// errHeader for a file with another header.
func (s *store) scan() error {
	head := s.header()
	if s.end == 0 {
		got := make([]byte, len(head))
		switch n, _ := s.file.ReadAt(got, 0); {
		case n < len(head) && bytes.HasPrefix(head, got[:n]):
			return nil // empty, or left by a killed run
		case !bytes.Equal(got, head):
			return errHeader
		}
		s.end = int64(len(head))
	}
	r := bufio.NewReaderSize(io.NewSectionReader(s.file, s.end, math.MaxInt64-s.end), 1<<20)
	row := make([]byte, s.rowBytes())
	for {
		if _, err := io.ReadFull(r, row); err != nil {
			return nil
		}
		if k, ok := s.check(row); ok {
			s.offsets[k] = s.end + int64(len(k))
		} else {
			s.bad = append(s.bad, s.end)
		}
		s.end += int64(len(row))
	}
}

// check returns the key of a row and whether its checksum is right.
func (s *store) check(row []byte) (k key, ok bool) {
	body := len(row) - 4
	copy(k[:], row)
	return k, crc32.Checksum(row[:body], castagnoli) == binary.LittleEndian.Uint32(row[body:])
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
	var fresh [][]byte
	queued := make(map[key]bool, len(keys))
	for i, k := range keys {
		row := values[i*s.features : (i+1)*s.features]
		for j, v := range row {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return fmt.Errorf("features: value %d of a picture is %v: the weights are broken or the preset is wrong", j, v)
			}
		}
		if s.has(k) || queued[k] {
			continue
		}
		queued[k] = true
		buf := append(make([]byte, 0, s.rowBytes()), k[:]...)
		if s.half {
			buf = appendHalf(buf, row)
		} else {
			for _, v := range row {
				buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
			}
		}
		fresh = append(fresh, binary.LittleEndian.AppendUint32(buf, crc32.Checksum(buf, castagnoli)))
	}
	return s.write(fresh)
}

// write puts rows in the places of damaged ones, and the rest at the end.
func (s *store) write(rows [][]byte) error {
	for len(rows) > 0 && len(s.bad) > 0 {
		at := s.bad[0]
		old := make([]byte, s.rowBytes())
		if _, err := s.file.ReadAt(old, at); err != nil {
			return fmt.Errorf("features: cannot read the cache: %w", err)
		}
		if k, ok := s.check(old); ok { // another process was here first
			s.offsets[k] = at + int64(len(k))
		} else if err := s.writeAt(rows[:1], at); err != nil {
			return err
		} else {
			rows = rows[1:]
		}
		s.bad = s.bad[1:]
	}
	start := s.end
	if start == 0 {
		head := s.header()
		if _, err := s.file.WriteAt(head, 0); err != nil {
			return s.full(err)
		}
		start = int64(len(head))
	}
	if err := s.writeAt(rows, start); err != nil {
		return err
	}
	s.end = start + int64(len(rows)*s.rowBytes())
	return nil
}

// writeAt writes rows one after the other in one go.
func (s *store) writeAt(rows [][]byte, at int64) error {
	if _, err := s.file.WriteAt(bytes.Join(rows, nil), at); err != nil {
		return s.full(err)
	}
	for i, row := range rows {
		s.offsets[key(row[:len(key{})])] = at + int64(i*s.rowBytes()+len(key{}))
	}
	return nil
}

func (s *store) full(err error) error {
	return advice.New(fmt.Errorf("features: cannot write the cache (%d rows of it are kept): %w", len(s.offsets), err), "free some space or set TLKIT_CACHE to another disk")
}

func (s *store) read(k key) ([]float32, error) {
	offset, ok := s.offsets[k]
	if !ok {
		return nil, errMissing
	}
	raw := make([]byte, s.valueBytes()+4)
	if _, err := s.file.ReadAt(raw, offset); err != nil {
		return nil, fmt.Errorf("features: cannot read the cache: %w", err)
	}
	values := raw[:s.valueBytes()]
	sum := crc32.Update(crc32.Checksum(k[:], castagnoli), castagnoli, values)
	if sum != binary.LittleEndian.Uint32(raw[len(values):]) {
		return nil, advice.New(fmt.Errorf("features: a row of cached features in %s was damaged during the run", s.file.Name()), "run again: it is computed anew")
	}
	row := make([]float32, s.features)
	if s.half {
		readHalf(row, values)
		return row, nil
	}
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
