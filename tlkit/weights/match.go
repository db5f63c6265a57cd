package weights

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/words"
)

// Want is one tensor that an architecture needs.
type Want struct {
	Name     string // key in the file, after MatchOptions.Rename
	Shape    []int  // in the file
	Layout   Layout // how it is reordered for the graph
	Optional bool   // it may be missing
	AnyType  bool   // it may have integers or booleans, such as an index table or a counter
}

// Loaded is a tensor as the graph needs it.
type Loaded struct {
	Shape []int // after the relayout
	Data  []float32
}

// MatchOptions makes [Match] less strict where an architecture needs it. The zero value is strict.
type MatchOptions struct {
	// Rename translates a key of the file to the wanted key, for architectures with several
	// naming schemes. "" leaves the tensor out.
	Rename func(key string) string

	// Ignore lists prefixes of (renamed) keys that may be in the file although they are not
	// wanted, such as "classifier." with another number of classes. Wanted tensors are still
	// loaded.
	Ignore []string

	// AllowNonFinite lists wanted names that may contain NaN or infinities.
	AllowNonFinite []string
}

// Match loads the wanted tensors and nothing else. It is strict in both directions: it fails if
// a wanted tensor is missing, if the file has a tensor that is not wanted, or if a shape, a
// type or a value (NaN, infinity) is wrong. The error lists all differences. Only
// num_batches_tracked, a counter of batch norm in training, is ignored.
//
// The report is also returned with an error. Numbers are read only if all names, shapes and
// types agree.
func Match(f *File, want []Want, o MatchOptions) (map[string]Loaded, *Report, error) {
	r := &Report{Path: f.Path, Wanted: len(want)}
	wanted := make(map[string]*Want, len(want))
	for i := range want {
		w := &want[i]
		if err := w.Layout.check(w.Shape); err != nil {
			return nil, r, fmt.Errorf("weights: wanted tensor %s: %w", words.Quote(w.Name), err)
		}
		if wanted[w.Name] != nil {
			return nil, r, fmt.Errorf("weights: tensor %s is wanted twice", words.Quote(w.Name))
		}
		wanted[w.Name] = w
	}
	have := make(map[string]Tensor, len(f.tensors))
	for _, t := range f.tensors {
		name := t.Name
		if o.Rename != nil {
			name = o.Rename(name)
		}
		w := wanted[name]
		switch {
		case w != nil:
			if earlier, twice := have[name]; twice {
				r.Ambiguous = append(r.Ambiguous, fmt.Sprintf("%s: both %s and %s of the file", words.Quote(name), words.Quote(earlier.Name), words.Quote(t.Name)))
				continue
			}
			have[name] = t
			if !slices.Equal(t.Shape, w.Shape) {
				r.WrongShape = append(r.WrongShape, Difference{name, fmt.Sprint(t.Shape), fmt.Sprint(w.Shape)})
			}
			if !isFloat(t.DType) && !(w.AnyType && converters[t.DType] != nil) {
				r.WrongType = append(r.WrongType, Difference{name, t.DType, "F32, F16, BF16 or F64"})
			}
		case name == "" || name == "num_batches_tracked" || strings.HasSuffix(name, ".num_batches_tracked"):
		case slices.ContainsFunc(o.Ignore, func(p string) bool { return strings.HasPrefix(name, p) }):
			r.Ignored = append(r.Ignored, name)
		default:
			r.Unexpected = append(r.Unexpected, name)
		}
	}
	for _, w := range want {
		if _, ok := have[w.Name]; !ok && !w.Optional {
			r.Missing = append(r.Missing, w.Name)
		}
	}
	r.Skipped = f.Skipped
	if !r.OK() {
		return nil, r, r.err()
	}
	loaded := make(map[string]Loaded, len(have))
	var failed []error
	for _, w := range want {
		t, ok := have[w.Name]
		if !ok {
			continue
		}
		data, err := t.Float32()
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if d := nonFinite(data); d != "" && !slices.Contains(o.AllowNonFinite, w.Name) {
			r.NonFinite = append(r.NonFinite, Difference{w.Name, d, "finite numbers"})
			continue
		}
		if !r.OK() || failed != nil {
			continue // look for other differences, but keep no numbers
		}
		shape, data := w.Layout.apply(slices.Clone(t.Shape), data)
		loaded[w.Name] = Loaded{shape, data}
	}
	if len(failed) > 0 {
		return nil, r, errors.Join(failed...)
	}
	if !r.OK() {
		return nil, r, r.err()
	}
	r.Loaded = len(loaded)
	return loaded, r, nil
}

// nonFinite returns a count of NaN and infinities in words, or "" if there are none.
func nonFinite(data []float32) string {
	nans, infs := 0, 0
	for _, v := range data {
		// The exponent is all ones in NaN and infinities only.
		if math.Float32bits(v)&0x7f800000 == 0x7f800000 {
			if v != v {
				nans++
			} else {
				infs++
			}
		}
	}
	if nans+infs == 0 {
		return ""
	}
	return fmt.Sprintf("%d NaN and %d infinite of %d", nans, infs, len(data))
}
