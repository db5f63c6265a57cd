// Package metrics turns scores and labels into values that carry their
// uncertainty: a fraction comes with its counts and its 95 % interval, a mean
// over runs with its t interval, and a comparison of two models with the
// interval of the difference.
//
// Scores are a [Matrix] of shape [N, K]: N pictures, K classes. A function says in its parameter's
// name whether it takes logits (any real number) or probabilities (each row sums to 1); [Softmax]
// turns the first into the second. Labels are class numbers in 0..K-1. Accuracy and its relatives
// are fractions in 0..1; only String methods print percent. The type [Score] is something else: the
// result of a model on some pictures, in the metric of its task.
//
// No function panics on bad input: NaN, a wrong length or a label outside the
// classes is returned as an error that names the row.
//
// Use [TopK], [NewConfusion] and [Reliability] for one label a picture, [ScoreLabels] for
// several labels, and [ScoreValues] for real values.
//
// The values are checked against scikit-learn and SciPy; the script that computes
// the reference values is internal/golden/referee/metrics.py.
package metrics
