package engine

import (
	"fmt"
	"strings"

	"github.com/go-logr/logr"
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"k8s.io/klog/v2"
)

// caught runs f and returns its panic as an error: backends panic where Go
// programs return errors.
func caught(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if e, ok := r.(error); ok {
				err = e
			} else {
				err = fmt.Errorf("%v", r)
			}
		}
	}()
	return f()
}

// quietly keeps the log of go-xla off standard error while a backend is opened. What matters
// is in the error.
func quietly(open func() (compute.Backend, error)) (compute.Backend, error) {
	state := klog.CaptureState()
	defer state.Restore()
	klog.SetLogger(logr.Discard())
	return open()
}

// cause returns an error without the stack traces that the libraries below attach, so that
// printing it with %+v stays readable.
func cause(err error) error { return plainError{oneLine(err), err} }

type plainError struct {
	text string
	err  error
}

func (e plainError) Error() string { return e.text }
func (e plainError) Unwrap() error { return e.err }

// Format prints the text of the error for every verb.
func (e plainError) Format(s fmt.State, _ rune) { fmt.Fprint(s, e.text) }

// oneLine returns an error's text without line breaks, shortened to a readable length.
func oneLine(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > 600 {
		text = strings.ToValidUTF8(text[:600], "") + " ..."
	}
	return text
}

// smoke compiles and runs one small program: 1 + 1.
func smoke(b compute.Backend) error {
	return caught(func() error {
		builder := b.Builder("smoke")
		main := builder.Main()
		x, err := main.Parameter("x", shapes.Make(dtypes.Float32), nil)
		if err != nil {
			return err
		}
		sum, err := main.Add(x, x)
		if err != nil {
			return err
		}
		if err := main.Return([]compute.Value{sum}, nil); err != nil {
			return err
		}
		exec, err := builder.Compile()
		if err != nil {
			return err
		}
		defer exec.Finalize()
		buffer, err := b.BufferFromFlatData(0, []float32{1}, shapes.Make(dtypes.Float32))
		if err != nil {
			return err
		}
		out, err := exec.Execute([]compute.Buffer{buffer}, nil, 0)
		if err != nil {
			return err
		}
		got := []float32{0}
		if err := out[0].ToFlatData(got); err != nil {
			return err
		}
		if got[0] != 2 {
			return fmt.Errorf("1 + 1 gave %g", got[0])
		}
		return nil
	})
}
