package backbone

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Norms says what batch norms do with their statistics. The zero value keeps them frozen: every
// norm uses those of the checkpoint and none moves, even while its gain and bias are trained.
// Nothing else ever touches statistics.
type Norms struct {
	// Batch reports, for the key of a norm ("features.0.1"), whether it normalises by the mean and
	// variance of the batch at hand and lets its running statistics follow, as PyTorch's norms do
	// in train mode. nil = no norm does.
	Batch func(key string) bool
	// Momentum is the share of the batch in the new running statistics, a scalar; nil = 0.1,
	// PyTorch's. One over the number of batches seen makes the running statistics their plain mean.
	Momentum *graph.Node
	// Rows [N] is 1 for a picture and 0 for a row that only fills up the batch; such rows have no
	// part in the statistics. nil = all rows are pictures.
	Rows *graph.Node
}

const torchMomentum = 0.1

// BatchNorm normalises the channels of x: y = gain (x - mean) / sqrt(variance + eps) + bias. It
// uses the statistics of the checkpoint, which stay as they are unless [Part] says otherwise, see
// [Norms]. Its tensors are NAME.weight, .bias, .running_mean and .running_var, each [C]; in Keras'
// form NAME.gamma, .beta, .moving_mean and .moving_variance.
//
// There is no default for eps, because it belongs to the family: 1e-5 in PyTorch, 1e-3 in
// TensorFlow. A checkpoint run with the other one is a few percent off without looking wrong.
func (b *Builder) BatchNorm(name string, x *graph.Node, eps float64) *graph.Node {
	c := x.Shape().Dim(-1)
	leaves := b.form.norm
	statistic := func(leaf string) *graph.Node {
		return b.Weight(x, weights.Want{Name: name + leaf, Shape: []int{c}}, false)
	}
	gain, bias := b.ofNorm(x, name+leaves[0], c), b.ofNorm(x, name+leaves[1], c)
	mean, variance := statistic(leaves[2]), statistic(leaves[3])
	byBatch := false
	if n := b.walk.norms; n.Batch != nil && !b.walk.uncomputed(x) && n.Batch(b.key(name)) {
		mean, variance = b.batchStatistics(name, x, mean, variance)
		byBatch = true
	}
	scale := graph.Div(gain, graph.Sqrt(graph.AddScalar(variance, eps))) // [C]
	shift := graph.Sub(bias, graph.Mul(mean, scale))
	if conv, ok := b.walk.products[x]; ok && !byBatch {
		// The scale goes into the weights of the convolution in front. The gradient of the gain is
		// then a sum over those and not over the whole map, and one pass over the map is saved. The
		// first product is never computed.
		if conv.bias != nil {
			shift = graph.Add(shift, graph.Mul(conv.bias, scale))
		}
		return graph.Add(conv.build(graph.Mul(conv.weight, perChannel(scale))), perChannel(shift))
	}
	return graph.Add(graph.Mul(x, perChannel(scale)), perChannel(shift))
}

func perChannel(v *graph.Node) *graph.Node { return graph.Reshape(v, 1, 1, 1, -1) }

// batchStatistics returns mean and variance of each channel over the rows that count, and lets the
// running statistics follow. As in PyTorch the batch is normalised by its own variance (divided by
// n), while the running estimate is fed the unbiased one (divided by n-1). The gradient flows
// through mean and variance.
func (b *Builder) batchStatistics(name string, x, runningMean, runningVar *graph.Node) (mean, variance *graph.Node) {
	n := b.walk.norms
	g, d := x.Graph(), x.Shape().Dimensions
	if len(d) != 4 {
		panic(fmt.Errorf("backbone: batch norm %q of %s, want [N,H,W,C]", b.key(name), x.Shape()))
	}
	count := graph.Scalar(g, x.DType(), d[0]*d[1]*d[2])
	rows := n.Rows
	if rows != nil {
		rows = graph.Reshape(graph.ConvertDType(rows, x.DType()), -1, 1, 1, 1)
		count = graph.MulScalar(graph.ReduceAllSum(rows), d[1]*d[2])
	}
	average := func(v *graph.Node) *graph.Node {
		if rows != nil {
			v = graph.Mul(v, rows)
		}
		return graph.Div(graph.ReduceSum(v, 0, 1, 2), count)
	}
	mean = average(x)
	// The derivative of the variance by the mean is zero, so the mean needs no gradient here: one
	// pass over the map less.
	centred := graph.Sub(x, perChannel(graph.StopGradient(mean)))
	variance = average(graph.Mul(centred, centred))

	momentum := n.Momentum
	if momentum == nil {
		momentum = graph.Scalar(g, x.DType(), torchMomentum)
	}
	follow := func(key string, running, now *graph.Node) {
		// Written like this, a momentum of 1 gives now to the bit.
		kept := graph.Mul(running, graph.OneMinus(momentum))
		b.walk.weights.update(b.key(key), graph.Add(kept, graph.Mul(graph.StopGradient(now), momentum)))
	}
	unbiased := graph.Mul(variance, graph.Div(count, graph.MaxScalar(graph.AddScalar(count, -1), 1)))
	leaves := b.form.norm
	follow(name+leaves[2], runningMean, mean)
	follow(name+leaves[3], runningVar, unbiased)
	return mean, variance
}
