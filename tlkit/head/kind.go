package head

import (
	"context"
	"fmt"
)

// Kind is a way to fit a head.
type Kind string

// The kinds of head.
const (
	LogisticKind Kind = "logistic" // L2 logistic regression on standardised features, see [Logistic]
	SGDKind      Kind = "sgd"      // PyTorch's tutorial: momentum SGD with a stepped rate, see [SGD]
	RidgeKind    Kind = "ridge"    // ridge regression of real values on standardised features, see [Ridge]
)

// FitAt fits a head at one L2 strength, with no choice and no history. SGD has no strength, so
// its samples are fitted by logistic regression.
func FitAt(ctx context.Context, k Kind, s Samples, strength float64) (*Fit, error) {
	switch k {
	case LogisticKind, SGDKind:
		return Logistic(ctx, s, LogisticOptions{Strengths: []float64{strength}})
	case RidgeKind:
		return Ridge(ctx, s, RidgeOptions{Strengths: []float64{strength}})
	}
	return nil, fmt.Errorf("head: kind %q, want %q, %q or %q", k, LogisticKind, SGDKind, RidgeKind)
}
