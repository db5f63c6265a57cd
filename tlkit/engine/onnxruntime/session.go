package onnxruntime

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Tensor is numbers with a shape. Exactly one of Float32 and Uint8 is set; an empty tensor may have
// neither.
type Tensor struct {
	Shape   []int
	Float32 []float32
	Uint8   []uint8
}

// SessionOptions for [Runtime.Session]. The zero value uses every processor and returns every output.
type SessionOptions struct {
	// Threads compute one run together, 0 = as many as there are processors. With 1 a run stays on the
	// caller's thread, so several runs at the same time use several processors.
	Threads int
	// Outputs are the names of the outputs that Run returns, in this order; nil = all of the model.
	Outputs []string
}

// Session is a model that is ready to run. Its methods may be called by several goroutines at once.
type Session struct {
	inputs, outputs []Value
	fewest          int // rows of a run, see filled

	mu     sync.RWMutex // held by runs, so that Close waits for them
	native native
	closed bool
}

var errClosed = errors.New("onnxruntime: the session is closed")

// Session prepares a model, the content of an ONNX file that holds all its weights. The library copies
// what it needs: model may be reused as soon as Session returns.
func (r *Runtime) Session(model []byte, o SessionOptions) (*Session, error) {
	m, err := readSignature(model)
	if err != nil {
		return nil, advice.New(fmt.Errorf("onnxruntime: these %d bytes are no ONNX model: %w", len(model), err), "want the content of an .onnx file")
	}
	if o.Threads < 0 {
		return nil, fmt.Errorf("onnxruntime: %d threads, want 1 or more, or 0 for every processor", o.Threads)
	}
	if o.Threads == 0 {
		o.Threads = runtime.NumCPU()
	}
	if o.Outputs != nil {
		if m.outputs, err = chosen(m.outputs, o.Outputs); err != nil {
			return nil, err
		}
	}
	s := &Session{inputs: m.inputs, outputs: m.outputs}
	if m.reduces && m.byRow() {
		s.fewest = max(2, o.Threads)
	}
	s.native, err = newNative(model, s, o.Threads)
	if err != nil {
		return nil, fmt.Errorf("onnxruntime: ONNX Runtime %s refuses the model: %w", r.Version(), tidy(err))
	}
	return s, nil
}

// chosen returns the values with those names.
func chosen(values []Value, names []string) ([]Value, error) {
	var out []Value
	for _, name := range names {
		i := slices.IndexFunc(values, func(v Value) bool { return v.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("onnxruntime: the model has no output %q; it has %s", name, listed(values))
		}
		out = append(out, values[i])
	}
	if len(out) == 0 {
		return nil, errors.New("onnxruntime: no output is asked for, want at least one")
	}
	return out, nil
}

func listed(values []Value) string {
	var all []string
	for _, v := range values {
		all = append(all, v.String())
	}
	return strings.Join(all, ", ")
}

// Inputs returns what Run takes, in order.
func (s *Session) Inputs() []Value { return slices.Clone(s.inputs) }

// Outputs returns what Run returns, in order.
func (s *Session) Outputs() []Value { return slices.Clone(s.outputs) }

// Run computes the outputs for the inputs, both in the order of [Session.Inputs] and
// [Session.Outputs]. It returns new slices and keeps none of the given ones.
//
// Where the first axis of everything is the batch, of any length, the bits of a row's outputs do not
// depend on how many rows are computed together, on Threads, nor on what runs at the same time.
func (s *Session) Run(inputs ...Tensor) ([]Tensor, error) {
	if len(inputs) != len(s.inputs) {
		return nil, fmt.Errorf("onnxruntime: %d inputs, want %d: %s", len(inputs), len(s.inputs), listed(s.inputs))
	}
	for i, t := range inputs {
		if err := t.check(s.inputs[i]); err != nil {
			return nil, fmt.Errorf("onnxruntime: input %s: %w", s.inputs[i].Name, err)
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, errClosed
	}
	given := inputs
	if len(inputs) == 1 && inputs[0].Shape[0] < s.fewest {
		inputs = []Tensor{inputs[0].filled(s.fewest)}
	}
	out, err := s.native.run(inputs, len(s.outputs))
	if err != nil {
		return nil, fmt.Errorf("onnxruntime: %w", tidy(err))
	}
	for i := range out {
		if len(inputs) == 1 && inputs[0].Shape[0] != given[0].Shape[0] {
			out[i] = out[i].first(given[0].Shape[0], s.fewest)
		}
	}
	return out, nil
}

// filled returns the tensor with its last row repeated until there are so many. ONNX Runtime adds along
// an axis in another order where the rows are fewer than two, or than the threads: a picture alone would
// have other last digits than in a batch.
func (t Tensor) filled(rows int) Tensor {
	n := t.Shape[0]
	shape := append([]int{rows}, t.Shape[1:]...)
	if t.Uint8 != nil {
		return Tensor{Shape: shape, Uint8: repeated(t.Uint8, n, rows)}
	}
	return Tensor{Shape: shape, Float32: repeated(t.Float32, n, rows)}
}

func repeated[T any](values []T, n, rows int) []T {
	one := len(values) / n
	out := make([]T, 0, rows*one)
	out = append(out, values...)
	for range rows - n {
		out = append(out, values[(n-1)*one:]...)
	}
	return out
}

// first returns what belongs to the first n of the rows.
func (t Tensor) first(n, rows int) Tensor {
	t.Shape = append([]int{t.Shape[0] / rows * n}, t.Shape[1:]...)
	t.Float32, t.Uint8 = t.Float32[:len(t.Float32)/rows*n], t.Uint8[:len(t.Uint8)/rows*n]
	return t
}

// Close frees the session, after the runs that have begun. It may be called twice.
func (s *Session) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.native.close()
	}
}

// check returns an error unless the tensor is complete and can be v.
func (t Tensor) check(v Value) error {
	got, have := Float32, len(t.Float32)
	if t.Uint8 != nil {
		got, have = Uint8, len(t.Uint8)
	}
	switch {
	case t.Float32 != nil && t.Uint8 != nil:
		return errors.New("both Float32 and Uint8 are set, want one")
	case got != v.Type:
		return fmt.Errorf("the tensor is %s, want %s", got, v.Type)
	case !v.fits(t.Shape):
		return fmt.Errorf("shape %s, want %s", axes(t.Shape), axes(v.Shape))
	}
	want := 1
	for _, n := range t.Shape {
		if n < 1 || want > math.MaxInt/n {
			return fmt.Errorf("shape %s, want every axis 1 or longer", axes(t.Shape))
		}
		want *= n
	}
	if have != want || len(t.Shape) == 0 {
		return fmt.Errorf("shape %s with %d numbers, want %d", axes(t.Shape), have, want)
	}
	return nil
}

// tidy takes the library's own source positions and line breaks out of an error.
func tidy(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > 600 {
		text = strings.ToValidUTF8(text[:600], "") + " ..."
	}
	return errors.New(text)
}
