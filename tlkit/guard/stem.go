package guard

import (
	"math"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/onnx"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// stem is the first convolution of a network, and what the batch norm behind it remembers of
// training: mean and variance of each output. An output is a weighted sum of pixels, so the two tell
// how the pictures were prepared.
type stem struct {
	height, width int // of the kernel
	colours       int // that the kernel reads: 3, or 1 for networks of grey pictures
	outputs       []output
	norm          string // the tensor with the remembered means
}

// output is one channel of the convolution.
type output struct {
	kernel         [3][]float64 // of each channel of a picture, row by row
	sum            [3]float64   // of the kernel: what a constant adds
	bias           float64
	mean, variance float64 // remembered
}

// mostOutputs bounds the work for wide stems: as many outputs, evenly spread, tell as much as all.
const mostOutputs = 64

// found are the tensors of a stem by their keys; bias, mean and variance may be "".
type found struct{ kernel, bias, mean, variance string }

// readStem returns the stem of a network. nil = the network does not begin with a convolution of the
// pictures and a batch norm.
func readStem(net *zoo.Net) *stem {
	var f found
	if own, ok := net.Row.Arch().(*onnx.Net); ok {
		conv, norm := own.Stem()
		if len(conv) == 0 {
			return nil
		}
		f.kernel = conv[0]
		if len(conv) > 1 {
			f.bias = conv[1]
		}
		if len(norm) == 4 {
			f.mean, f.variance = norm[2], norm[3]
		}
	} else if f = declaredStem(net.Declaration()); f.kernel == "" {
		return nil
	}
	return newStem(net, f)
}

// declaredStem finds the stem of an architecture of the table. It asks for its weights in the order
// of computing, so those of a norm right behind the first convolution follow its kernel.
func declaredStem(d *backbone.Declaration) (f found) {
	list := d.Weights
	k := list[0]
	if len(k.GraphShape) != 4 {
		i := slices.IndexFunc(list, func(w backbone.Weight) bool { return len(w.GraphShape) == 4 })
		// Tokens and positions may be asked for before the patches are; they do not read pictures.
		if i < 0 || slices.ContainsFunc(list[:i], func(w backbone.Weight) bool { return len(w.GraphShape) == 1 }) {
			return f
		}
		k = list[i]
	}
	f.kernel = k.Name
	layer := k.Name[:strings.LastIndexByte(k.Name, '.')+1]
	at := slices.IndexFunc(list, func(w backbone.Weight) bool { return w.Name == k.Name })
	var statistics []string
	for _, w := range list[at+1:] {
		if len(w.GraphShape) != 1 || w.GraphShape[0] != k.GraphShape[3] || w.Stage != k.Stage || len(statistics) == 2 {
			break
		}
		switch {
		case w.Name == layer+"bias":
			f.bias = w.Name
		case !w.Trainable:
			statistics = append(statistics, w.Name)
		}
	}
	if len(statistics) == 2 {
		f.mean, f.variance = statistics[0], statistics[1]
	}
	return f
}

func newStem(net *zoo.Net, f found) *stem {
	kernel, shape, ok := net.Tensor(f.kernel)
	if !ok || len(shape) != 4 || shape[2] != 3 && shape[2] != 1 {
		return nil
	}
	s := &stem{height: shape[0], width: shape[1], colours: shape[2]}
	all := shape[3]
	vector := func(key string) []float32 {
		v, _, ok := net.Tensor(key)
		if !ok || len(v) != all {
			return nil
		}
		return v
	}
	bias, mean, variance := vector(f.bias), vector(f.mean), vector(f.variance)
	if mean == nil || variance == nil {
		return nil
	}
	s.norm = f.mean
	n := min(all, mostOutputs)
	for i := range n {
		o := i * all / n
		var out output
		for c := range 3 {
			out.kernel[c] = make([]float64, s.height*s.width)
			if c >= s.colours {
				continue
			}
			for t := range out.kernel[c] {
				w := float64(kernel[(t*s.colours+c)*all+o])
				out.kernel[c][t] = w
				out.sum[c] += w
			}
		}
		if bias != nil {
			out.bias = float64(bias[o])
		}
		out.mean, out.variance = float64(mean[o]), float64(variance[o])
		s.outputs = append(s.outputs, out)
	}
	s.dropDead()
	if len(s.outputs) < fewestOutputs {
		return nil
	}
	return s
}

// fewestOutputs is how many outputs have to be alive for a stem to tell anything.
const fewestOutputs = 4

// dropDead drops outputs that training switched off: their kernel is almost nothing, or what they
// remember never varied.
func (s *stem) dropDead() {
	strengths, variances := make([]float64, len(s.outputs)), make([]float64, len(s.outputs))
	for i, o := range s.outputs {
		for c := range 3 {
			for _, w := range o.kernel[c] {
				strengths[i] += w * w
			}
		}
		variances[i] = o.variance
	}
	weak, still := median(strengths)*1e-3, median(variances)*1e-3
	i := -1
	s.outputs = slices.DeleteFunc(s.outputs, func(o output) bool {
		i++
		return !(strengths[i] > weak) || !(o.variance > still) || math.IsInf(strengths[i]+o.variance+o.mean, 0)
	})
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)/2]
}
