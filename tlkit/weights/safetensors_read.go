package weights

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"unicode/utf8"

	"github.com/tlkit/transfer-learning/internal/words"
)

const (
	maxHeader = 32 << 20 // bytes; the format allows 100 MB, and 100,000 tensors need 15 MB
	maxPairs  = 10_000   // of metadata
)

// readSafetensors reads and checks the header. github.com/maruel/safetensors is used for
// writing but not for reading: it accepts names that occur twice, entries without dtype,
// offsets with a third number and keys in another case, refuses an empty tensor with the same
// offset as its neighbour, and needs the whole file in memory. The tests compare both on every
// file.
func (f *File) readSafetensors() error {
	var length [8]byte
	if _, err := f.src.r.ReadAt(length[:], 0); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader {
		return fmt.Errorf("safetensors header of %d bytes, at most %d are allowed", n, maxHeader)
	}
	if int64(n) > f.src.size-8 {
		return fmt.Errorf("safetensors header of %d bytes in a file of %d: the file is cut off or is not safetensors", n, f.src.size)
	}
	if err := f.src.budget.Describe(int64(n)); err != nil {
		return err
	}
	header := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(f.src.r, 8, int64(n)), header); err != nil {
		return err
	}
	if !utf8.Valid(header) {
		return errors.New("the safetensors header is not valid UTF-8")
	}
	if err := boundJSON(header, 8, f.src.budget); err != nil {
		return fmt.Errorf("safetensors header: %w", err)
	}
	data := f.src.size - 8 - int64(n)
	entries, metadata, err := parseHeader(header)
	if err != nil {
		return fmt.Errorf("safetensors header: %w", err)
	}
	f.Metadata = metadata
	f.tensors = make([]Tensor, len(entries))
	for i, e := range entries {
		bytes, err := e.check(data)
		if err != nil {
			return fmt.Errorf("safetensors tensor %s: %w", words.Quote(e.name), err)
		}
		st := &storage{src: f.src, base: 8 + int64(n) + e.begin, size: bytes}
		f.tensors[i] = Tensor{Name: e.name, DType: e.dtype, Shape: e.shape, st: st}
	}
	// The tensors must cover the data exactly: with an overlap, two names would share memory,
	// and a gap or bytes after the end could hide anything.
	order := make([]int, len(entries))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool {
		x, y := entries[order[a]], entries[order[b]]
		if x.begin != y.begin {
			return x.begin < y.begin
		}
		return x.end < y.end
	})
	pos := int64(0)
	for _, i := range order {
		e := entries[i]
		if e.begin != pos {
			what := "a gap"
			if e.begin < pos {
				what = "an overlap"
			}
			return fmt.Errorf("safetensors tensor %s begins at byte %d of the data, expected %d: %s", words.Quote(e.name), e.begin, pos, what)
		}
		pos = e.end
	}
	if pos != data {
		return fmt.Errorf("safetensors data of %d bytes, but the tensors cover %d: the file is truncated or has extra bytes", data, pos)
	}
	return nil
}

type headerEntry struct {
	name       string
	dtype      string
	shape      []int
	begin, end int64
}

func (e headerEntry) check(data int64) (int64, error) {
	size, ok := itemSizes[e.dtype]
	if !ok || e.dtype == "C128" {
		return 0, fmt.Errorf("dtype %s is not known", words.Quote(e.dtype))
	}
	n, err := elements(e.shape)
	if err != nil {
		return 0, err
	}
	if e.begin < 0 || e.end < e.begin || e.end > data {
		return 0, fmt.Errorf("data_offsets [%d, %d] in %d bytes of data", e.begin, e.end, data)
	}
	if e.end-e.begin != n*int64(size) {
		return 0, fmt.Errorf("shape %v of %s needs %d bytes, data_offsets give %d", e.shape, e.dtype, n*int64(size), e.end-e.begin)
	}
	return e.end - e.begin, nil
}

// parseHeader reads the JSON token by token: with Go structs, encoding/json would accept
// duplicates, unknown fields, other case and null.
func parseHeader(header []byte) ([]headerEntry, map[string]string, error) {
	if len(header) == 0 || header[0] != '{' {
		return nil, nil, errors.New("it does not begin with {")
	}
	p := &headerParser{dec: json.NewDecoder(bytes.NewReader(header))}
	p.dec.UseNumber()
	var entries []headerEntry
	var metadata map[string]string
	seen := map[string]bool{}
	err := p.object(func(name string) error {
		if seen[name] {
			return fmt.Errorf("%s occurs twice", words.Quote(name))
		}
		seen[name] = true
		if len(name) > maxName {
			return fmt.Errorf("name %s of %d bytes, at most %d are allowed", words.Quote(name), len(name), maxName)
		}
		if name == "__metadata__" {
			metadata = map[string]string{}
			return p.object(func(key string) error {
				if _, twice := metadata[key]; twice {
					return fmt.Errorf("metadata %s occurs twice", words.Quote(key))
				}
				if len(metadata) == maxPairs {
					return fmt.Errorf("more than %d pairs of metadata", maxPairs)
				}
				value, err := p.text()
				metadata[key] = value
				return err
			})
		}
		if len(entries) == maxTensors {
			return fmt.Errorf("more than %d tensors", maxTensors)
		}
		e, err := p.entry(name)
		if err != nil {
			return fmt.Errorf("tensor %s: %w", words.Quote(name), err)
		}
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if rest := bytes.Trim(header[p.dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return nil, nil, errors.New("something follows the closing }")
	}
	return entries, metadata, nil
}

type headerParser struct{ dec *json.Decoder }

func (p *headerParser) token() (json.Token, error) {
	t, err := p.dec.Token()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return t, err
}

func (p *headerParser) delim(want json.Delim) error {
	t, err := p.token()
	if err == nil && t != want {
		err = fmt.Errorf("expected %v, got %v", want, describe(t))
	}
	return err
}

func (p *headerParser) text() (string, error) {
	t, err := p.token()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", fmt.Errorf("expected a string, got %v", describe(t))
	}
	return s, nil
}

func (p *headerParser) object(each func(key string) error) error {
	if err := p.delim('{'); err != nil {
		return err
	}
	for p.dec.More() {
		key, err := p.text()
		if err != nil {
			return err
		}
		if err := each(key); err != nil {
			return err
		}
	}
	return p.delim('}')
}

// numbers reads an array of up to most non-negative integers.
func (p *headerParser) numbers(most int) ([]int64, error) {
	if err := p.delim('['); err != nil {
		return nil, err
	}
	var out []int64
	for p.dec.More() {
		t, err := p.token()
		if err != nil {
			return nil, err
		}
		number, ok := t.(json.Number)
		if !ok {
			return nil, fmt.Errorf("expected a number, got %v", describe(t))
		}
		n, err := strconv.ParseInt(number.String(), 10, 64)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%s is not a size", words.Quote(number.String()))
		}
		if len(out) == most {
			return nil, fmt.Errorf("more than %d numbers", most)
		}
		out = append(out, n)
	}
	return out, p.delim(']')
}

func (p *headerParser) entry(name string) (headerEntry, error) {
	e := headerEntry{name: name}
	seen := map[string]bool{}
	err := p.object(func(field string) (err error) {
		if seen[field] {
			return fmt.Errorf("field %s occurs twice", words.Quote(field))
		}
		seen[field] = true
		switch field {
		case "dtype":
			e.dtype, err = p.text()
		case "shape":
			var sizes []int64
			sizes, err = p.numbers(maxRank)
			if err != nil {
				return fmt.Errorf("shape: %w", err)
			}
			e.shape, err = toInts(sizes)
		case "data_offsets":
			var pos []int64
			pos, err = p.numbers(2)
			if err != nil || len(pos) != 2 {
				return fmt.Errorf("data_offsets must be two sizes (%w)", err)
			}
			e.begin, e.end = pos[0], pos[1]
		default:
			err = fmt.Errorf("unknown field %s", words.Quote(field))
		}
		return err
	})
	if err == nil && len(seen) != 3 {
		err = errors.New("it needs dtype, shape and data_offsets")
	}
	return e, err
}

// toInts narrows sizes to int, which has 32 bits on small machines.
func toInts(sizes []int64) ([]int, error) {
	out := make([]int, len(sizes))
	for i, n := range sizes {
		out[i] = int(n)
		if int64(out[i]) != n {
			return nil, fmt.Errorf("size %d is too large for this machine", n)
		}
	}
	return out, nil
}

func describe(t json.Token) string {
	switch t := t.(type) {
	case nil:
		return "null"
	case string:
		return words.Quote(t)
	}
	return fmt.Sprint(t)
}
