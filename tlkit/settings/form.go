package settings

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Form is how a program is built and run. Every form computes the same function; which one is the
// fastest depends on the program and on the processor, so it is measured. The zero value is XLA as
// it is, with what the caller takes as its usual batch, one call at a time.
type Form struct {
	Runtime      Runtime
	Convolutions Convolutions // of XLA on a CPU
	Batch        int          // pictures a call; of a training step: a micro-batch
	Side         int          // calls side by side; 0 = 1
}

// Runtime is a library that runs frozen networks.
type Runtime string

// The runtimes.
const (
	XLA         Runtime = "xla" // or plain Go, where that is the engine
	ONNXRuntime Runtime = "onnxruntime"
)

// Convolutions is the library to which XLA hands convolutions on a CPU.
type Convolutions string

// The libraries of convolutions.
const (
	YNNPACK Convolutions = "" // XLA's own choice
	Eigen   Convolutions = "eigen"
)

// Bits names what of the form can change the last digits of a result. Forms with equal Bits give
// the same bits on one machine.
func (f Form) Bits() string {
	if f.runtime() == ONNXRuntime {
		return string(ONNXRuntime)
	}
	bits := fmt.Sprintf("%s batch=%d", XLA, f.Batch)
	if f.Convolutions != YNNPACK {
		bits += " convolutions=" + string(f.Convolutions) + ", YNNPACK's sums"
	}
	return bits
}

func (f Form) runtime() Runtime {
	if f.Runtime == "" {
		return XLA
	}
	return f.Runtime
}

// String returns the form as [ParseForm] reads it: "onnxruntime,batch=2,side=2".
func (f Form) String() string {
	s := string(f.runtime())
	if f.Convolutions != YNNPACK {
		s += ",convolutions=" + string(f.Convolutions)
	}
	if f.Batch > 0 {
		s += fmt.Sprintf(",batch=%d", f.Batch)
	}
	if f.Side > 1 {
		s += fmt.Sprintf(",side=%d", f.Side)
	}
	return s
}

// MarshalText writes the form as [ParseForm] reads it, and the zero value as nothing.
func (f Form) MarshalText() ([]byte, error) {
	if f == (Form{}) {
		return nil, nil
	}
	return []byte(f.String()), nil
}

// UnmarshalText reads what [ParseForm] reads, or nothing.
func (f *Form) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*f = Form{}
		return nil
	}
	*f, err = ParseForm(string(text))
	return err
}

// The limits of a form's numbers.
const (
	mostBatch = 1024
	mostSide  = 256
)

// ParseForm reads a form: a runtime (xla or onnxruntime), then any of convolutions=eigen, batch=N
// and side=N, with commas between them.
func ParseForm(s string) (Form, error) {
	fault := func(what string, args ...any) (Form, error) {
		return Form{}, advice.New(fmt.Errorf("engine: form %q: %s", s, fmt.Sprintf(what, args...)),
			"want xla or onnxruntime, then convolutions=eigen, batch=N, side=N, as in: onnxruntime,batch=2,side=2")
	}
	words := strings.Split(s, ",")
	f := Form{Runtime: Runtime(words[0])}
	if f.Runtime != XLA && f.Runtime != ONNXRuntime {
		return fault("no runtime is called %q", words[0])
	}
	for _, word := range words[1:] {
		knob, value, _ := strings.Cut(word, "=")
		n, numErr := strconv.Atoi(value)
		switch {
		case knob == "convolutions" && Convolutions(value) == Eigen && f.Runtime == XLA:
			f.Convolutions = Eigen
		case knob == "batch" && numErr == nil && n >= 1 && n <= mostBatch:
			f.Batch = n
		case knob == "side" && numErr == nil && n >= 1 && n <= mostSide:
			f.Side = n
		default:
			return fault("%q does not fit", word)
		}
	}
	return f, nil
}
