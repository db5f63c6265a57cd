// Package parts computes features of more pictures than one process should hold, part by part.
//
// A manifest lists the pictures in parts of a few hundred to a few thousand. [Job.Extract] computes one
// part and writes one file, a shard, whose name is known beforehand; a whole shard that is there is left
// alone. So whatever runs the parts may run them again, in any order, on any machine, twice at the same
// time: every picture counts once. xargs, Slurm arrays and Kubernetes Indexed Jobs need nothing else.
//
//	m, err := parts.Write(ctx, "manifest", "photos", parts.Options{})
//	for k := range m.Parts { ... job.Extract(ctx, k) ... }
//	all, err := parts.Gather("shards", m)
//
// The name of a shard holds what is computed (weights, preset and the pictures of the part), not where:
// processor and threads are recorded inside. Features of different machines agree to 2e-5.
package parts

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
)

// Picture is a line of a manifest.
type Picture struct {
	Path  string         `json:"path"` // slash path below Manifest.Root
	Label string         `json:"label,omitempty"`
	Split datasets.Split `json:"split,omitempty"`
}

// Manifest says how many parts there are and where their pictures lie. It is the file manifest.json of
// its folder, beside a file of JSON lines for each part.
type Manifest struct {
	Version  int    `json:"version"` // of the format: 1
	Source   string `json:"source"`  // what was listed, as it was typed
	Root     string `json:"root"`    // absolute folder that the paths are below
	Size     int    `json:"size"`    // pictures in a part; the last one may have fewer
	Parts    int    `json:"parts"`
	Pictures int    `json:"pictures"`
	Sum      string `json:"sum"` // sha256 over the parts, in order

	dir string
}

// Options say how pictures are divided.
type Options struct {
	Size int // pictures in a part, 1 to 100,000; 0 = 1,000
}

const (
	version     = 1
	usualSize   = 1000
	largestSize = 100_000
	file        = "manifest.json"
)

// Part is some pictures that are computed together.
type Part struct {
	Index    int
	Pictures []Picture
	Sum      string // sha256 of the part's file
}

func partFile(dir string, k int) string {
	return filepath.Join(dir, fmt.Sprintf("part-%06d.jsonl", k))
}

// Write lists the pictures of a folder, a CSV file or, for "-", standard input (see [List]), and writes
// their manifest into the folder dir. Memory does not grow with their number. The file manifest.json
// comes last: a folder without it is no manifest.
//
// It is an error if dir has another manifest, or if there is no picture.
func Write(ctx context.Context, dir, source string, o Options) (*Manifest, error) {
	if o.Size == 0 {
		o.Size = usualSize
	}
	if o.Size < 1 || o.Size > largestSize {
		return nil, advice.New(fmt.Errorf("parts: %d pictures in a part, want 1 to %d", o.Size, largestSize), "1,000 is usual")
	}
	root, err := rootOf(source)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("parts: %w", err)
	}
	w := &writer{m: Manifest{Version: version, Source: source, Root: root, Size: o.Size, dir: dir}, all: sha256.New()}
	if err := List(ctx, source, w.add); err != nil {
		return nil, err
	}
	return w.close()
}

// writer writes parts as they fill.
type writer struct {
	m    Manifest
	part bytes.Buffer
	n    int // pictures in part
	all  interface {
		io.Writer
		Sum([]byte) []byte
	}
}

func (w *writer) add(p Picture) error {
	line, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("parts: %s: %w", p.Path, err)
	}
	w.part.Write(append(line, '\n'))
	if w.n++; w.n == w.m.Size {
		return w.flush()
	}
	return nil
}

// flush writes the part. The same part again leaves its file as it is; another one is refused, because
// shards of it may be under way.
func (w *writer) flush() error {
	path := partFile(w.m.dir, w.m.Parts)
	have, err := os.ReadFile(path)
	switch {
	case err == nil && !bytes.Equal(have, w.part.Bytes()):
		return advice.New(fmt.Errorf("parts: %s has a manifest of other pictures", w.m.dir), "write into another folder, or remove it")
	case errors.Is(err, fs.ErrNotExist):
		err = atomicfile.WriteBytes(path, w.part.Bytes(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("parts: %w", err)
	}
	sum := sha256.Sum256(w.part.Bytes())
	w.all.Write(sum[:])
	w.m.Parts++
	w.m.Pictures += w.n
	w.n = 0
	w.part.Reset()
	return nil
}

func (w *writer) close() (*Manifest, error) {
	if w.n > 0 {
		if err := w.flush(); err != nil {
			return nil, err
		}
	}
	m := &w.m
	if m.Pictures == 0 {
		return nil, advice.New(fmt.Errorf("parts: no picture in %s", m.Source), "name a folder of pictures, or a CSV file with the columns path and label")
	}
	m.Sum = hex.EncodeToString(w.all.Sum(nil))
	if old, err := Open(m.dir); err == nil && old.Sum != m.Sum {
		return nil, advice.New(fmt.Errorf("parts: %s has a manifest of other pictures (%d, now %d)", m.dir, old.Pictures, m.Pictures), "write into another folder, or remove it")
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("parts: %w", err)
	}
	if err := atomicfile.WriteBytes(filepath.Join(m.dir, file), append(text, '\n'), 0o644); err != nil {
		return nil, fmt.Errorf("parts: %w", err)
	}
	return m, nil
}

// Open opens the manifest in a folder.
func Open(dir string) (*Manifest, error) {
	text, err := os.ReadFile(filepath.Join(dir, file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, advice.New(fmt.Errorf("parts: %s is not a manifest: it has no %s", dir, file), "make one: tlkit parts PICTURES --out %s", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("parts: %w", err)
	}
	m := &Manifest{dir: dir}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, advice.New(fmt.Errorf("parts: %s is damaged: %w", filepath.Join(dir, file), err), "make it anew: tlkit parts PICTURES --out DIR")
	}
	if m.Version != version || m.Parts < 1 || m.Size < 1 || m.Size > largestSize {
		return nil, advice.New(fmt.Errorf("parts: %s is of version %d with %d parts of %d pictures, want version %d with some", filepath.Join(dir, file), m.Version, m.Parts, m.Size, version), "make it anew: tlkit parts PICTURES --out DIR")
	}
	return m, nil
}

// Part reads a part, counted from 0.
func (m *Manifest) Part(k int) (*Part, error) {
	if k < 0 || k >= m.Parts {
		return nil, advice.New(fmt.Errorf("parts: part %d of %d", k, m.Parts), "parts are counted from 0 to %d", m.Parts-1)
	}
	text, err := os.ReadFile(partFile(m.dir, k))
	if err != nil {
		return nil, advice.New(fmt.Errorf("parts: %w", err), "make the manifest anew: tlkit parts PICTURES --out DIR")
	}
	sum := sha256.Sum256(text)
	p := &Part{Index: k, Sum: hex.EncodeToString(sum[:])}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		var one Picture
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil || one.Path == "" {
			return nil, advice.New(fmt.Errorf("parts: line %d of %s is damaged: %q", len(p.Pictures)+1, partFile(m.dir, k), lines.Text()), "make the manifest anew: tlkit parts PICTURES --out DIR")
		}
		if !filepath.IsLocal(filepath.FromSlash(one.Path)) {
			return nil, fmt.Errorf("parts: %s names %q, which is not below the manifest's root", partFile(m.dir, k), one.Path)
		}
		p.Pictures = append(p.Pictures, one)
	}
	if want := min(m.Size, m.Pictures-k*m.Size); len(p.Pictures) != want {
		return nil, advice.New(fmt.Errorf("parts: %s has %d pictures, want %d", partFile(m.dir, k), len(p.Pictures), want), "make the manifest anew: tlkit parts PICTURES --out DIR")
	}
	return p, nil
}
