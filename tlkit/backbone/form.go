package backbone

import "github.com/tlkit/transfer-learning/tlkit/weights"

// form is how a framework names and stores the tensors of its layers. The graph is the same in all
// forms.
type form struct {
	kernel    string    // leaf of a convolution's or a matrix's weight
	depthwise string    // leaf of a depthwise convolution's weight
	separable [2]string // leaves of the depthwise and the pointwise part of one layer
	norm      [4]string // leaves of gain, bias, mean, variance
	asGraph   bool      // weights are stored in the layout of the graph
}

var (
	torchForm = form{
		kernel: ".weight", depthwise: ".weight", separable: [2]string{".conv1.weight", ".pointwise.weight"},
		norm: [4]string{".weight", ".bias", ".running_mean", ".running_var"},
	}
	kerasForm = form{
		kernel: ".kernel", depthwise: ".depthwise_kernel", separable: [2]string{".depthwise_kernel", ".pointwise_kernel"},
		norm:    [4]string{".gamma", ".beta", ".moving_mean", ".moving_variance"},
		asGraph: true,
	}
)

// Keras returns a builder for a checkpoint in Keras' form. The same layers then ask for tensors as
// Keras names and stores them: kernels [H,W,in,out] and matrices [in,out]. Keras writes
// "conv1_conv/kernel"; here it is "conv1_conv.kernel", because GoMLX separates scopes by slashes.
func (b *Builder) Keras() *Builder {
	out := *b
	out.form = &kerasForm
	return &out
}

// kernelWant is the kernel [side,side,in,out] of a convolution, as the file stores it.
func (f *form) kernelWant(name string, side, in, out int) weights.Want {
	if f.asGraph {
		return weights.Want{Name: name, Shape: []int{side, side, in, out}}
	}
	return weights.Want{Name: name, Shape: []int{out, in, side, side}, Layout: weights.OIHWtoHWIO}
}

// matrixWant is a matrix [in,out], as the file stores it.
func (f *form) matrixWant(name string, in, out int) weights.Want {
	if f.asGraph {
		return weights.Want{Name: name, Shape: []int{in, out}}
	}
	return weights.Want{Name: name, Shape: []int{out, in}, Layout: weights.OItoIO}
}
