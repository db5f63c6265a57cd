package weights

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/maruel/safetensors"

	"github.com/tlkit/transfer-learning/internal/atomicfile"

	"github.com/tlkit/transfer-learning/internal/words"
)

// WriteSafetensors writes tensors and metadata to the file at path. It replaces an older file
// only after the new one is complete on disk. Python reads the file with
// safetensors.torch.load_file; transformers and timm need the entry "format": "pt" in metadata.
//
// The same tensors and metadata give the same bytes, in whatever order they come. Tensors may
// come from an opened [File]; their element types are kept.
func WriteSafetensors(path string, tensors []Tensor, metadata map[string]string) error {
	prepared, err := prepare(tensors, metadata)
	if err != nil {
		return fmt.Errorf("weights: %s: %w", path, err)
	}
	if err := atomicfile.Write(path, 0o644, prepared.Serialize); err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	return nil
}

// EncodeSafetensors writes to w what [WriteSafetensors] writes to a file.
func EncodeSafetensors(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	prepared, err := prepare(tensors, metadata)
	if err == nil {
		err = prepared.Serialize(w)
	}
	if err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	return nil
}

// prepare checks everything before the first byte is written, so that Open accepts what is written.
func prepare(tensors []Tensor, metadata map[string]string) (*safetensors.File, error) {
	if len(tensors) == 0 {
		return nil, errors.New("there are no tensors to write")
	}
	if len(tensors) > maxTensors {
		return nil, fmt.Errorf("%d tensors, at most %d are written", len(tensors), maxTensors)
	}
	for k, v := range metadata {
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return nil, fmt.Errorf("metadata %s is not valid UTF-8", words.Quote(k))
		}
	}
	// Large elements first: every tensor then begins at a multiple of its element
	// size, because maruel's header is padded to 8 bytes and its data is not.
	sorted := slices.Clone(tensors)
	slices.SortStableFunc(sorted, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(itemSizes[b.DType], itemSizes[a.DType]), cmp.Compare(a.Name, b.Name))
	})
	out := &safetensors.File{Metadata: metadata, Tensors: make([]safetensors.Tensor, len(sorted))}
	seen := make(map[string]bool, len(sorted))
	for i, t := range sorted {
		switch {
		case seen[t.Name]:
			return nil, fmt.Errorf("two tensors are named %s", words.Quote(t.Name))
		case t.Name == "" || t.Name == "__metadata__" || len(t.Name) > maxName || !utf8.ValidString(t.Name):
			return nil, fmt.Errorf("%s is not a name for a tensor, want 1 to %d bytes of valid UTF-8, and not __metadata__", words.Quote(t.Name), maxName)
		case len(t.Shape) > maxRank:
			return nil, fmt.Errorf("tensor %s has %d axes, at most %d are written", words.Quote(t.Name), len(t.Shape), maxRank)
		}
		seen[t.Name] = true
		dtype := safetensors.DType(t.DType)
		if dtype.WordSize() == 0 {
			return nil, fmt.Errorf("tensor %s has elements of type %s, which safetensors does not store", words.Quote(t.Name), t.DType)
		}
		b, err := t.Bytes()
		if err != nil {
			return nil, err
		}
		shape := make([]uint64, len(t.Shape)) // never nil: a scalar's shape is [], not null
		for d, n := range t.Shape {
			shape[d] = uint64(n)
		}
		out.Tensors[i] = safetensors.Tensor{Name: t.Name, DType: dtype, Shape: shape, Data: b}
	}
	return out, nil
}
