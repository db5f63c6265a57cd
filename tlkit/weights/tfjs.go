package weights

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/words"
)

const (
	maxModelJSON = 8 << 20 // bytes; the largest of Keras' networks has 2 MB
	maxShards    = 500     // files open at once
)

// tfjsModel is the part of a TensorFlow.js model.json that lists the weights.
type tfjsModel struct {
	Format          string          `json:"format"`
	ModelTopology   json.RawMessage `json:"modelTopology"`
	WeightsManifest []struct {
		Paths   []string    `json:"paths"`
		Weights tfjsWeights `json:"weights"`
	} `json:"weightsManifest"`
}

type tfjsWeight struct {
	Name         string `json:"name"`
	Shape        []int  `json:"shape"`
	DType        string `json:"dtype"`
	Quantization *struct {
		DType string   `json:"dtype"`
		Min   *float64 `json:"min"`
		Scale *float64 `json:"scale"`
	} `json:"quantization"`
}

// tfjsWeights stops decoding at the first invalid entry: an entry in memory is fifty times as
// large as a {} in a hostile list.
type tfjsWeights []tfjsWeight

func (l *tfjsWeights) UnmarshalJSON(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return errors.New("weights is not a list")
	}
	for dec.More() {
		var w tfjsWeight
		if err := dec.Decode(&w); err != nil {
			return err
		}
		if w.Name == "" || len(w.Name) > maxName || len(*l) == maxTensors {
			return fmt.Errorf("weight %d has a name of %d bytes, at most %d are allowed, and %d weights", len(*l), len(w.Name), maxName, maxTensors)
		}
		*l = append(*l, w)
	}
	return nil
}

var tfjsTypes = map[string]string{"float32": "F32", "float16": "F16", "int32": "I32", "uint8": "U8", "uint16": "U16", "bool": "BOOL", "complex64": "C64"}

// readTFJS reads a layers model of TensorFlow.js: model.json and, in the same folder, groups of
// files with the numbers. Both may be wrapped as JavaScript (model.min.js), see bundled.
func (f *File) readTFJS() error {
	if f.src.size > maxModelJSON {
		return fmt.Errorf("model.json has %d bytes, at most %d are read", f.src.size, maxModelJSON)
	}
	text := make([]byte, f.src.size)
	if _, err := f.src.r.ReadAt(text, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	bundle := isBundle(text[:min(len(text), 1024)])
	if bundle {
		var err error
		text, err = bundled(text)
		if err != nil {
			return err
		}
	}
	if err := boundJSON(text, maxConfigDepth, f.src.budget); err != nil {
		return fmt.Errorf("model.json: %w", err)
	}
	var m tfjsModel
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("this begins like a TensorFlow.js model.json, but: %w", err)
	}
	if m.Format == "graph-model" {
		return errors.New("this is a TensorFlow.js graph model: its layers are dissolved into operations, so that no network here has its weights. Take the layers model, or the SavedModel that it was made from")
	}
	if len(m.WeightsManifest) == 0 {
		return errors.New("this TensorFlow.js model.json lists no weights (weightsManifest)")
	}
	f.Metadata = map[string]string{}
	order := map[string]int{}
	if len(m.ModelTopology) > 0 && string(m.ModelTopology) != "null" {
		names, err := f.readConfig(m.ModelTopology)
		if err != nil {
			return err
		}
		for i, name := range names {
			order[name] = i
		}
	}
	layers := map[string]*kerasLayer{}
	shards := 0
	for _, group := range m.WeightsManifest {
		shards += len(group.Paths)
		if shards > maxShards {
			return fmt.Errorf("more than %d files of weights", maxShards)
		}
		all, err := f.openShards(group.Paths, bundle)
		if err != nil {
			return err
		}
		pos := int64(0)
		for _, w := range group.Weights {
			t, n, err := w.tensor(all, pos)
			if err != nil {
				return fmt.Errorf("tensor %s: %w", words.Quote(w.Name), err)
			}
			pos += n
			if len(f.tensors) == maxTensors {
				return fmt.Errorf("more than %d tensors", maxTensors)
			}
			f.tensors = append(f.tensors, t)
			dir, leaf := path.Split(w.Name)
			dir = strings.TrimSuffix(dir, "/")
			l := layers[dir]
			if l == nil {
				l = &kerasLayer{name: path.Base(dir)}
				layers[dir] = l
				f.keras = append(f.keras, l)
			}
			l.keys, l.leaves = append(l.keys, w.Name), append(l.leaves, leaf)
		}
		if pos != all.size {
			return fmt.Errorf("the files %s have %d bytes, model.json describes %d: one of them is cut off or belongs to another model", words.Quote(strings.Join(group.Paths, ", ")), all.size, pos)
		}
	}
	// The converter of TensorFlow.js sorts weights by name, but layers without a name of their own
	// differ only in their order in the model.
	slices.SortStableFunc(f.keras, func(a, b *kerasLayer) int { return cmp.Compare(order[a.name], order[b.name]) })
	return nil
}

// tensor checks an entry against the bytes of its group: it begins at pos and has n bytes.
func (w tfjsWeight) tensor(all *storage, pos int64) (t Tensor, n int64, err error) {
	dtype, stored := tfjsTypes[w.DType], tfjsTypes[w.DType]
	if q := w.Quantization; q != nil {
		switch stored = tfjsTypes[q.DType]; {
		case q.DType == "float16" && dtype == "F32":
			dtype = "F16"
		case q.DType != "uint8" && q.DType != "uint16" || dtype != "F32" && dtype != "I32":
			return t, 0, fmt.Errorf("%s quantised to %s", words.Quote(w.DType), words.Quote(q.DType))
		case q.Min == nil || q.Scale == nil:
			return t, 0, errors.New("it is quantised, but min or scale is missing")
		}
	}
	if stored == "" || w.Quantization == nil && (w.DType == "uint16" || w.DType == "float16") {
		return t, 0, fmt.Errorf("dtype %s is not read", words.Quote(w.DType))
	}
	if len(w.Shape) > maxRank {
		return t, 0, fmt.Errorf("%d axes, at most %d are read", len(w.Shape), maxRank)
	}
	count, err := elements(w.Shape)
	if err != nil {
		return t, 0, err
	}
	n = count * int64(itemSizes[stored])
	if n > all.size-pos {
		return t, 0, fmt.Errorf("shape %v of %s needs %d bytes, the files have %d left", w.Shape, stored, n, all.size-pos)
	}
	t = Tensor{Name: w.Name, DType: dtype, Shape: w.Shape, st: &storage{src: all.src, part: all, base: pos, size: n}}
	if t.Shape == nil {
		t.Shape = []int{}
	}
	if dtype == stored {
		return t, n, nil
	}
	packed, low, step := t.st, *w.Quantization.Min, *w.Quantization.Scale
	t.st = &storage{src: all.src, size: count * 4, make: func() ([]byte, error) {
		return unquantise(packed, itemSizes[stored], dtype == "I32", low, step)
	}}
	return t, n, nil
}

// unquantise converts 8- or 16-bit numbers to float32 or int32 as TensorFlow.js does: in double
// precision, then rounded.
func unquantise(packed *storage, wide int, whole bool, low, step float64) ([]byte, error) {
	r, finish, err := packed.reader(0, packed.size)
	if err != nil {
		return nil, err
	}
	b := make([]byte, packed.size)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	out := make([]byte, len(b)/wide*4)
	for i := range len(b) / wide {
		q := float64(b[i*wide])
		if wide == 2 {
			q = float64(binary.LittleEndian.Uint16(b[2*i:]))
		}
		v := float64(q*step) + low // the conversion keeps the two roundings apart
		bits := math.Float32bits(float32(v))
		if whole {
			bits = uint32(int32(max(math.MinInt32, min(math.MaxInt32, math.Floor(v+0.5)))))
		}
		binary.LittleEndian.PutUint32(out[4*i:], bits)
	}
	return out, finish()
}

// openShards makes one storage of several files.
func (f *File) openShards(paths []string, bundle bool) (*storage, error) {
	var parts joined
	for _, p := range paths {
		if !filepath.IsLocal(p) || strings.ContainsAny(p, "\\:\x00") {
			return nil, fmt.Errorf("model.json names the file %s, which is not beside it: only files of its own folder are opened", words.Quote(p))
		}
		if bundle {
			p += bundleSuffix
		}
		r, size, err := f.src.beside(p)
		if err == nil && bundle {
			var b []byte
			b, err = bundledShard(r, size)
			r, size = bytes.NewReader(b), int64(len(b))
		}
		if err != nil {
			return nil, fmt.Errorf("the model needs the file %s beside it: %w", words.Quote(p), err)
		}
		parts = append(parts, shard{r, parts.size(), size})
	}
	return &storage{src: &source{name: f.src.name, r: parts, size: parts.size(), files: f.src.files}, size: parts.size()}, nil
}

type shard struct {
	r         io.ReaderAt
	pos, size int64
}

// joined reads several files as one.
type joined []shard

func (j joined) size() int64 {
	if len(j) == 0 {
		return 0
	}
	last := j[len(j)-1]
	return last.pos + last.size
}

func (j joined) ReadAt(b []byte, off int64) (n int, err error) {
	for _, s := range j {
		if off >= s.pos+s.size || len(b) == n {
			continue
		}
		k, err := s.r.ReadAt(b[n:min(len(b), n+int(min(s.pos+s.size-off, int64(len(b)-n))))], off-s.pos)
		n, off = n+k, off+int64(k)
		if err != nil && !(errors.Is(err, io.EOF) && off == s.pos+s.size) {
			return n, err
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}
