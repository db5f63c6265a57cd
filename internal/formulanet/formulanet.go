// Package formulanet fills an architecture with the weights that the formula of package golden
// makes, for tests and measurements that need a network but no download.
package formulanet

import (
	"fmt"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Tensors returns the weights of arch for pictures of size pixels, in the order in which it asks
// for them and in the file's layout. gain multiplies the spread of kernels and matrices, see
// golden.Fill.
func Tensors(arch backbone.Arch, size int, gain float64) ([]weights.Tensor, error) {
	d, err := backbone.Declare(arch, size)
	if err != nil {
		return nil, fmt.Errorf("formulanet: %w", err)
	}
	made := make([]weights.Tensor, len(d.Weights))
	for i, w := range d.Weights {
		made[i] = weights.FromFloat32(w.Name, w.Shape, golden.Fill(w.Name, w.Shape, gain))
	}
	return made, nil
}

// Write writes Tensors to path as a safetensors file, which any loader of weights reads.
func Write(path string, arch backbone.Arch, size int, gain float64) error {
	made, err := Tensors(arch, size, gain)
	if err != nil {
		return err
	}
	return weights.WriteSafetensors(path, made, nil)
}
