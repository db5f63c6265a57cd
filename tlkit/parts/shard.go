package parts

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Function is what a shard holds of its pictures: everything that its numbers depend on, but for
// rounding. It is part of the shard's name.
type Function struct {
	Model    string `json:"model"`    // row of the zoo, for people
	Weights  string `json:"weights"`  // see zoo.Net.Identity
	Preset   string `json:"preset"`   // digest of how pictures are prepared
	Features int    `json:"features"` // C, numbers of a picture
}

// digest identifies the function, and the version of what computes it.
func (f Function) digest() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "tlkit features 1\n%s\n%s\n%d\n", f.Weights, f.Preset, f.Features))
	return hex.EncodeToString(sum[:])
}

// Row is a picture of a shard.
type Row struct {
	Picture
	SHA256 string `json:"sha256"` // of the file
}

// Bad is a picture of a part that has no row, and why.
type Bad struct {
	Path string `json:"path"`
	Why  string `json:"why"`
}

// Shard is the features of a part. It is a safetensors file with the tensor "features", float32 [N,C],
// and the rest as JSON in the metadata entry "tlkit_shard".
type Shard struct {
	Function Function `json:"function"`
	Part     int      `json:"part"`
	Parts    string   `json:"part_sum"` // of the part, see Part.Sum
	Manifest string   `json:"manifest"` // see Manifest.Sum
	Root     string   `json:"root"`     // of the manifest
	Of       int      `json:"of"`       // parts of the manifest
	Machine  string   `json:"machine"`  // where it was computed, for people
	Rows     []Row    `json:"rows"`
	Bad      []Bad    `json:"bad,omitempty"`
	Sum      string   `json:"sum"` // sha256 over the features and everything else here

	Features []float32 `json:"-"` // [len(Rows), C]
}

const (
	tensor = "features"
	record = "tlkit_shard"
	ending = ".shard.safetensors"
)

// name returns the name of the shard of a part.
func (f Function) name(p *Part) string {
	sum := sha256.Sum256([]byte(f.digest() + p.Sum))
	return fmt.Sprintf("part-%06d-%s%s", p.Index, hex.EncodeToString(sum[:8]), ending)
}

// sum is the checksum of a shard.
func (s Shard) sum() (string, error) {
	s.Sum = ""
	text, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("parts: %w", err)
	}
	h := sha256.New()
	h.Write(text)
	buffer := make([]byte, 0, 1<<16)
	for i, v := range s.Features {
		buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(v))
		if len(buffer) == cap(buffer) || i == len(s.Features)-1 {
			h.Write(buffer)
			buffer = buffer[:0]
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// write publishes the shard as a whole, under its name. Two writers of one shard write the same.
func (s *Shard) write(path string) (err error) {
	if s.Sum, err = s.sum(); err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("parts: %w", err)
	}
	rows, columns := len(s.Rows), s.Function.Features
	data := s.Features
	if rows == 0 { // the format has no empty tensors
		rows, data = 1, make([]float32, columns)
	}
	all := []weights.Tensor{weights.FromFloat32(tensor, []int{rows, columns}, data)}
	if err := weights.WriteSafetensors(path, all, map[string]string{record: string(text)}); err != nil {
		return advice.New(fmt.Errorf("parts: %w", err), "free some space, and run the part again")
	}
	return nil
}

// Read reads a shard and checks it. A file that is torn, changed or no shard is an error.
func Read(path string) (*Shard, error) {
	damaged := func(format string, args ...any) error {
		return advice.New(fmt.Errorf("parts: %s is damaged: %w", path, fmt.Errorf(format, args...)), "delete it, and run its part again")
	}
	in, err := weights.Open(path)
	if err != nil {
		return nil, damaged("%w", err)
	}
	defer in.Close()
	text := in.Metadata[record]
	if text == "" {
		return nil, advice.New(fmt.Errorf("parts: %s is not a shard", path), "name a folder that tlkit extract wrote into")
	}
	s := &Shard{}
	if err := json.Unmarshal([]byte(text), s); err != nil {
		return nil, damaged("%w", err)
	}
	t, ok := in.Tensor(tensor)
	shape := t.Shape
	if !ok || len(shape) != 2 || shape[1] != s.Function.Features || shape[0] != max(len(s.Rows), 1) {
		return nil, damaged("%d rows of %d numbers for a tensor %v", len(s.Rows), s.Function.Features, shape)
	}
	values, err := t.Float32()
	if err != nil {
		return nil, damaged("%w", err)
	}
	s.Features = values[:len(s.Rows)*s.Function.Features]
	want, err := s.sum()
	if err != nil {
		return nil, err
	}
	if s.Sum != want {
		return nil, damaged("its checksum is another")
	}
	return s, nil
}

// whole reports whether the shard of a part is there, and reads it.
func whole(dir string, f Function, p *Part) (*Shard, bool) {
	s, err := Read(filepath.Join(dir, f.name(p)))
	if err != nil || s.Parts != p.Sum || s.Part != p.Index || s.Function.digest() != f.digest() {
		return nil, false
	}
	return s, true
}
