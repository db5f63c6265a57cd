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
)

type key [sha256.Size]byte

// store is an append-only file of rows: magic and width, then for each row its key, the
// values (float32, little endian) and a CRC-32C of both. It is hand-written because a row
// must be durable the moment a batch is done and a torn tail must cost one batch, which
// the embedded databases at hand buy with a server's worth of code.
type store struct {
	file     *os.File
	lock     *flock.Flock
	features int
	at       map[key]int64 // offset of the values of each good row
	end      int64         // where the next row goes
}

const magic = "tlkit features 1\n"

var (
	errMissing = errors.New("features: row is not in the cache")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

func (s *store) rowBytes() int { return len(key{}) + 4*s.features + 4 }

// openStore reads the keys of all whole rows. A file of another kind or width is started
// anew: it is a cache.
func openStore(path string, features int) (*store, error) {
	s := &store{features: features, at: make(map[key]int64), lock: flock.New(path + ".lock")}
	var err error
	if s.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("features: cannot open the cache: %w; set TLKIT_CACHE to a folder that can be written", err)
	}
	if err := s.scan(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *store) header() []byte {
	return binary.LittleEndian.AppendUint32([]byte(magic), uint32(s.features))
}

// scan indexes the rows from s.end on, up to the first that is not whole.
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
			return nil // the torn tail of a killed run is written over
		}
		body := len(row) - 4
		if crc32.Checksum(row[:body], castagnoli) != binary.LittleEndian.Uint32(row[body:]) {
			return nil
		}
		var k key
		copy(k[:], row)
		s.at[k] = s.end + int64(len(k))
		s.end += int64(len(row))
	}
}

func (s *store) has(k key) bool { _, ok := s.at[k]; return ok }

// append adds rows: values is [len(keys)+, features]. Two processes may write at the same
// time; each first takes in what the other wrote.
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
		from := len(buf)
		buf = append(buf, k[:]...)
		added[k] = start + int64(len(buf))
		for _, v := range row {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
		}
		buf = binary.LittleEndian.AppendUint32(buf, crc32.Checksum(buf[from:], castagnoli))
	}
	if _, err := s.file.WriteAt(buf, start); err != nil {
		return fmt.Errorf("features: cannot write the cache (%d rows of it are kept): %w; free some space or set TLKIT_CACHE to another disk", len(s.at), err)
	}
	for k, at := range added {
		s.at[k] = at
	}
	s.end = start + int64(len(buf))
	return nil
}

func (s *store) read(k key) ([]float32, error) {
	at, ok := s.at[k]
	if !ok {
		return nil, errMissing
	}
	raw := make([]byte, 4*s.features+4)
	if _, err := s.file.ReadAt(raw, at); err != nil {
		return nil, fmt.Errorf("features: cannot read the cache: %w", err)
	}
	values := raw[:4*s.features]
	sum := crc32.Update(crc32.Checksum(k[:], castagnoli), castagnoli, values)
	if sum != binary.LittleEndian.Uint32(raw[len(values):]) {
		return nil, fmt.Errorf("features: a cached row changed on disk while the run was going: run again, it will be computed anew")
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
