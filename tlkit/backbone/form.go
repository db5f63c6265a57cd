package backbone

// form is how a framework names the tensors of its layers. The graph is the same; so are the axes of its weights after
// loading.
type form struct {
	kernel    string    // of a convolution or a matrix
	depthwise string    // of a convolution of each channel for itself
	separable [2]string // depthwise and pointwise part of one layer
	norm      [4]string // gain, bias, mean, variance
}

var (
	torchForm = form{
		kernel: ".weight", depthwise: ".weight", separable: [2]string{".conv1.weight", ".pointwise.weight"},
		norm: [4]string{".weight", ".bias", ".running_mean", ".running_var"},
	}
	kerasForm = form{
		kernel: ".kernel", depthwise: ".depthwise_kernel", separable: [2]string{".depthwise_kernel", ".pointwise_kernel"},
		norm: [4]string{".gamma", ".beta", ".moving_mean", ".moving_variance"},
	}
)

// Keras gives the builder for a checkpoint in Keras' form: the same layers ask for tensors as Keras names and stores
// them, kernels [H,W,in,out] and matrices [in,out]. Keras writes "conv1_conv/kernel"; here it is "conv1_conv.kernel",
// because GoMLX keeps the slash for its scopes.
func (b *Builder) Keras() *Builder {
	return &Builder{prefix: b.prefix, keras: true, walk: b.walk}
}

func (b *Builder) form() *form {
	if b.keras {
		return &kerasForm
	}
	return &torchForm
}
