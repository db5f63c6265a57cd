// Package head fits the part of a classifier that sits on a frozen backbone: linear heads for one
// label a picture ([Logistic], [Ridge], [LDA], [SGD]), for several labels ([Logistic]) and for real
// values ([Ridge]). [KNN] is a baseline without training.
//
//	samples := head.Samples{X: x, Features: 1280, Y: y, Classes: 2}
//	fit, err := head.Logistic(ctx, samples, head.LogisticOptions{Folds: folds})
//	logits := fit.Head.Logits(valid) // [N, K]
//
// A head takes features, not pictures: X is [N, C] row-major, one row of C = Features float32
// values for each picture. Any scaling that a fit uses is folded into the returned weights, so a
// [Linear] is always logits = W·x + b on the raw features, as in PyTorch's nn.Linear. A head file
// holds the same numbers.
//
// The package is plain Go: it does not use GoMLX, open files or print. Fits are deterministic: the
// same samples and options give the same bits on the same kind of processor.
package head

import (
	"fmt"
	"math"
)

// Linear is a trained linear head on raw features. Its outputs are called logits, even if they are
// real values in the units of the targets.
type Linear struct {
	Features int       // C, the width of a feature row
	Classes  int       // K classes, labels or values
	Weight   []float32 // [K, C] row-major, PyTorch's layout of nn.Linear.weight
	Bias     []float32 // [K]
}

// Size returns the width of a feature row and the number of outputs.
func (h *Linear) Size() (features, outputs int) { return h.Features, h.Classes }

// Check reports sizes that do not fit together and weights that are not finite.
func (h *Linear) Check() error {
	if h.Features < 1 || h.Classes < 1 || len(h.Weight) != h.Features*h.Classes || len(h.Bias) != h.Classes {
		return fmt.Errorf("head: linear head of %d classes on %d features has %d weights and %d biases, want %d and %d",
			h.Classes, h.Features, len(h.Weight), len(h.Bias), h.Classes*h.Features, h.Classes)
	}
	for _, v := range [][]float32{h.Weight, h.Bias} {
		for i, w := range v {
			if f := float64(w); math.IsNaN(f) || math.IsInf(f, 0) {
				return fmt.Errorf("head: weight %d is %v, want finite numbers", i, w)
			}
		}
	}
	return nil
}

// Logits returns W·x + b for every row of x: x is [N, C] row-major, the result is
// [N, K] row-major. It returns nil when len(x) is not a multiple of C.
func (h *Linear) Logits(x []float32) []float32 {
	if h.Features < 1 || len(x)%h.Features != 0 {
		return nil
	}
	n := len(x) / h.Features
	out := make([]float32, n*h.Classes)
	for i := range n {
		row := x[i*h.Features : (i+1)*h.Features]
		for k := range h.Classes {
			out[i*h.Classes+k] = dot(h.Weight[k*h.Features:(k+1)*h.Features], row) + h.Bias[k]
		}
	}
	return out
}

// dot sums in float64 in four lanes: exact enough that the order of classes or rows never changes a
// logit, and four times as fast as one lane.
func dot(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += float64(a[i]) * float64(b[i])
		s1 += float64(a[i+1]) * float64(b[i+1])
		s2 += float64(a[i+2]) * float64(b[i+2])
		s3 += float64(a[i+3]) * float64(b[i+3])
	}
	for ; i < len(a); i++ {
		s0 += float64(a[i]) * float64(b[i])
	}
	return float32((s0 + s1) + (s2 + s3))
}

// Softmax turns logits [N, K] into probabilities [N, K]; each row sums to 1.
func Softmax(logits []float32, classes int) []float32 {
	out := make([]float32, len(logits))
	for i := 0; i+classes <= len(logits); i += classes {
		softmaxRow(out[i:i+classes], logits[i:i+classes])
	}
	return out
}

func softmaxRow(out, logits []float32) {
	top := logits[argmax(logits)]
	var sum float64
	for k, v := range logits {
		e := math.Exp(float64(v - top))
		out[k] = float32(e)
		sum += e
	}
	for k := range out {
		out[k] = float32(float64(out[k]) / sum)
	}
}

// Classes returns the class with the largest logit of each row; in a tie, the lowest class. logits
// is [N, K] for K = classes.
func Classes(logits []float32, classes int) []int {
	out := make([]int, 0, len(logits)/classes)
	for i := 0; i+classes <= len(logits); i += classes {
		out = append(out, argmax(logits[i:i+classes]))
	}
	return out
}

func argmax(row []float32) int {
	best := 0
	for k, v := range row {
		if v > row[best] {
			best = k
		}
	}
	return best
}

// LogLoss is the mean cross-entropy in nats of logits [N, K] against labels y.
func LogLoss(logits []float32, y []int, classes int) float64 {
	var sum float64
	for i, c := range y {
		row := logits[i*classes : (i+1)*classes]
		top := float64(row[argmax(row)])
		var z float64
		for _, v := range row {
			z += math.Exp(float64(v) - top)
		}
		sum += math.Log(z) - (float64(row[c]) - top)
	}
	return sum / float64(len(y))
}

// Correct counts the rows of logits [N, K] whose largest logit is at the label.
func Correct(logits []float32, y []int, classes int) int {
	n := 0
	for i, c := range y {
		if argmax(logits[i*classes:(i+1)*classes]) == c {
			n++
		}
	}
	return n
}
