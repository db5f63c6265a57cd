package onnxruntime

import (
	_ "embed"
	"fmt"
)

// checkModel is a convolution of 16 channels with weights of 0.5, and a ReLU.
//
//go:embed check.onnx
var checkModel []byte

// Check runs a small network whose result is known.
func (r *Runtime) Check() error {
	s, err := r.Session(checkModel, SessionOptions{Threads: 1})
	if err != nil {
		return err
	}
	defer s.Close()
	ones := make([]float32, 16*8*8)
	for i := range ones {
		ones[i] = 1
	}
	out, err := s.Run(Tensor{Shape: []int{1, 16, 8, 8}, Float32: ones})
	if err != nil {
		return err
	}
	// At a corner, 2 x 2 of the 3 x 3 weights of each channel meet the picture; inside, all of them.
	if y := out[0].Float32; len(y) != 32*8*8 || y[0] != 16*4*0.5 || y[9] != 16*9*0.5 {
		return fmt.Errorf("onnxruntime: ONNX Runtime %s opens and computes wrongly: a convolution gave %d numbers, %v", r.Version(), len(y), y[:min(len(y), 10)])
	}
	return nil
}
