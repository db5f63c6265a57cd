package head

import (
	"context"
	"fmt"
)

// Kind names a method of fitting a head.
type Kind string

// The kinds of head.
const (
	// L2 logistic regression on standardised features, see [Logistic]
	LogisticKind Kind = "logistic"
	// PyTorch's tutorial: momentum SGD with a stepped rate, see [SGD]
	SGDKind Kind = "sgd"
	// Ridge regression on standardised features, see [Ridge]
	RidgeKind Kind = "ridge"
)

// FitAt fits a head at one L2 strength, with no choice and no history. SGD has no strength; for
// SGDKind, FitAt fits a logistic regression.
func FitAt(ctx context.Context, k Kind, s Samples, strength float64) (*Fit, error) {
	switch k {
	case LogisticKind, SGDKind:
		return Logistic(ctx, s, LogisticOptions{Strengths: []float64{strength}})
	case RidgeKind:
		return Ridge(ctx, s, RidgeOptions{Strengths: []float64{strength}})
	}
	return nil, fmt.Errorf("head: kind %q, want %q, %q or %q", k, LogisticKind, SGDKind, RidgeKind)
}
