package evaluate

import (
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/results"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Channels draws the values of a prepared picture, channel by channel; see [results.Channels].
func Channels(x transforms.Tensor) (plots.Figure, error) { return results.Channels(x) }
