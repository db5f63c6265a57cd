// Package golden holds what foreign referees computed (PyTorch, torchvision, timm, Keras, ONNX
// Runtime), and the formula that fills their networks and ours with the same numbers. With it,
// agreement with another library is tested without shipping any weights.
//
// The values of a tensor depend on its name, its shape and the position in it, by integer hashing
// and two float32 roundings. Every language gets the same bits. internal/golden/referee/zoo.py is
// the other half of this file.
package golden

import (
	"math"
	"strings"
)

// Version is the number of the formula. The values of one version never change.
const Version = 1

// Seed is FNV-1a over the bytes of name, 64 bits.
func Seed(name string) uint64 {
	h := uint64(0xcbf29ce484222325) // FNV's offset basis
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 0x100000001b3 // FNV's prime
	}
	return h
}

// unit returns number i of the sequence of seed, in [-1, 1): the upper 24 bits of splitmix64, which
// a float32 holds exactly.
func unit(seed uint64, i int) float32 {
	z := seed + uint64(i+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return float32(int32(z>>40)-1<<23) / (1 << 23)
}

// Numbers returns the first n numbers of the sequence called name, in [-1, 1).
func Numbers(name string, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = unit(Seed(name), i)
	}
	return out
}

// Fill returns the values of the tensor called name, row-major in shape, which is that of the
// source framework. gain multiplies the spread of kernels and matrices, so that the values in deep
// networks neither explode nor vanish; it is part of a golden file.
func Fill(name string, shape []int, gain float64) []float32 {
	n := 1
	for _, d := range shape {
		n *= d
	}
	centre, spread := kind(name, shape, gain)
	seed := Seed(name)
	out := make([]float32, n)
	for i := range out {
		// The conversion keeps the compiler from fusing the two roundings into one, as on arm64.
		out[i] = centre + float32(unit(seed, i)*spread)
	}
	return out
}

// kind chooses centre and spread by the use of the tensor, which its last name and its rank tell.
func kind(name string, shape []int, gain float64) (centre, spread float32) {
	leaf := name[strings.LastIndexAny(name, "./")+1:]
	switch leaf {
	case "running_mean", "moving_mean":
		return 0, 0.125
	case "running_var", "moving_variance":
		return 1, 0.25
	}
	if len(shape) <= 1 {
		if leaf == "weight" || leaf == "gamma" {
			return 1, 0.25 // gains of normalisations
		}
		return 0, 0.125 // biases
	}
	// The numbers that go into one output: outputs are the first axis of PyTorch's kernels, the
	// last one of Keras'.
	inputs := shape[1:]
	switch leaf {
	case "kernel", "pointwise_kernel":
		inputs = shape[:len(shape)-1]
	case "depthwise_kernel":
		inputs = shape[:2]
	}
	in := 1
	for _, d := range inputs {
		in *= d
	}
	// uniform on [-a, a) has deviation a/sqrt(3), and He's initialisation wants sqrt(2/in)
	return 0, float32(gain * math.Sqrt(6/float64(in)))
}

// Picture is test picture number k, RGB bytes row by row: slow and fast ramps, products of both,
// and a disc.
func Picture(width, height, k int) []uint8 {
	out := make([]uint8, 0, width*height*3)
	r := min(width, height) / (4 + k)
	for y := range height {
		for x := range width {
			dx, dy := x-width/3, y-height/2
			for c := range 3 {
				v := x*(7+2*c) + y*(11-3*c) + x*y*(c+1+k)/32
				if dx*dx+dy*dy < r*r {
					v = 255 - v>>3
				}
				out = append(out, uint8(v))
			}
		}
	}
	return out
}

// Input is a batch of test pictures 0, 1, ... as a network takes them, [n,size,size,3]:
// (byte-128)/64, which is exact.
func Input(size, n int) []float32 {
	out := make([]float32, 0, n*size*size*3)
	for k := range n {
		for _, b := range Picture(size, size, k) {
			out = append(out, (float32(b)-128)/64)
		}
	}
	return out
}
