package weights

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Want is one tensor that an architecture needs.
type Want struct {
	Name     string // key in the file, after MatchOptions.Rename
	Shape    []int  // in the file
	Layout   Layout // how it is handed over
	Optional bool   // may be missing
	AnyType  bool   // integers and booleans will do: an index table, a counter
}

// Loaded is a tensor as the graph wants it.
type Loaded struct {
	Shape []int // after the relayout
	Data  []float32
}

// MatchOptions loosens the strictness of Match where a family needs it.
type MatchOptions struct {
	// Rename translates a key of the file into the key that is wanted, for
	// families with two dialects. "" leaves the tensor out.
	Rename func(key string) string

	// Ignore lists prefixes of (renamed) keys that may be in the file though
	// nobody wants them: "classifier." of another number of classes. What is
	// wanted is loaded all the same.
	Ignore []string

	// AllowNonFinite lists wanted names that may hold NaN or infinities.
	AllowNonFinite []string
}

// Match loads the wanted tensors and nothing else. It is strict both ways: a
// wanted tensor that is missing, a tensor in the file that nobody wants, a
// shape, a type or a value (NaN, infinity) that is wrong each fail the whole file,
// and the error lists every difference at once, not the first. Only
// num_batches_tracked, which batch norm counts while training, is passed over.
//
// The report is returned with the error as well. Numbers are read only after
// all names, shapes and types agree.
func Match(f *File, want []Want, o MatchOptions) (map[string]Loaded, *Report, error) {
	r := &Report{Path: f.Path, Wanted: len(want)}
	wanted := make(map[string]*Want, len(want))
	for i := range want {
		w := &want[i]
		if err := w.Layout.check(w.Shape); err != nil {
			return nil, r, fmt.Errorf("weights: wanted tensor %s: %w", printable(w.Name), err)
		}
		if wanted[w.Name] != nil {
			return nil, r, fmt.Errorf("weights: tensor %s is wanted twice", printable(w.Name))
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
				r.Ambiguous = append(r.Ambiguous, fmt.Sprintf("%s: both %s and %s of the file", printable(name), printable(earlier.Name), printable(t.Name)))
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
			continue // keep looking for what else is wrong, but hold no memory for it
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

// nonFinite counts what is no number, "" when everything is.
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
