//go:build cgo && unix

package onnxruntime

import (
	"fmt"
	"runtime"

	ort "github.com/yalue/onnxruntime_go"
)

// built reports whether this program can open the library.
const built = true

// load opens the library and returns its version. Nothing is written to standard error.
func load(path string) (version string, err error) {
	ort.SetSharedLibraryPath(path)
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return "", err
	}
	return ort.GetVersion(), nil
}

// native is a session of the library.
type native struct{ session *ort.DynamicAdvancedSession }

func newNative(model []byte, s *Session, threads int) (native, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return native{}, err
	}
	defer options.Destroy()
	for _, set := range []func() error{
		func() error { return options.SetIntraOpNumThreads(threads) },
		func() error { return options.SetInterOpNumThreads(1) },
		func() error { return options.SetGraphOptimizationLevel(ort.GraphOptimizationLevelEnableAll) },
		// Threads that wait must not take the processor from decoding, or from another session.
		func() error { return options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0") },
		func() error { return options.SetLogSeverityLevel(ort.LoggingLevelFatal) },
	} {
		if err := set(); err != nil {
			return native{}, err
		}
	}
	session, err := ort.NewDynamicAdvancedSessionWithONNXData(model, names(s.inputs), names(s.outputs), options)
	return native{session}, err
}

func names(values []Value) []string {
	var all []string
	for _, v := range values {
		all = append(all, v.Name)
	}
	return all
}

func (n native) close() { _ = n.session.Destroy() }

func (n native) run(inputs []Tensor, outputs int) ([]Tensor, error) {
	in, out := make([]ort.Value, 0, len(inputs)), make([]ort.Value, outputs)
	// The binding hands the slices to C, which keeps them until the values are destroyed.
	var pins runtime.Pinner
	defer pins.Unpin()
	defer func() {
		for _, v := range append(in, out...) {
			if v != nil {
				_ = v.Destroy()
			}
		}
	}()
	for _, t := range inputs {
		v, err := t.value(&pins)
		if err != nil {
			return nil, err
		}
		in = append(in, v)
	}
	if err := n.session.Run(in, out); err != nil {
		return nil, err
	}
	results := make([]Tensor, outputs)
	for i, v := range out {
		shape := make([]int, len(v.GetShape()))
		for axis, n := range v.GetShape() {
			shape[axis] = int(n)
		}
		switch v := v.(type) {
		case *ort.Tensor[float32]:
			results[i] = Tensor{Shape: shape, Float32: v.GetData()}
		case *ort.Tensor[uint8]:
			results[i] = Tensor{Shape: shape, Uint8: v.GetData()}
		default:
			return nil, fmt.Errorf("output %d is neither %s nor %s", i, Float32, Uint8)
		}
	}
	return results, nil
}

// value makes a value of the library out of the tensor's own memory.
func (t Tensor) value(pins *runtime.Pinner) (ort.Value, error) {
	shape := make(ort.Shape, len(t.Shape))
	for axis, n := range t.Shape {
		shape[axis] = int64(n)
	}
	if t.Uint8 != nil {
		pins.Pin(&t.Uint8[0])
		return ort.NewTensor(shape, t.Uint8)
	}
	pins.Pin(&t.Float32[0])
	return ort.NewTensor(shape, t.Float32)
}
