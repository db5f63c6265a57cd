package results

import "github.com/tlkit/transfer-learning/tlkit/metrics"

// Trial is the result of one way to fine-tune on folds of the training pictures. Every picture is
// predicted by a network that did not see it.
type Trial struct {
	From string  `json:"from,omitempty"` // first stage that moves; "" = the head alone
	Rate float64 `json:"rate,omitempty"`
	Mix  float64 `json:"mix,omitempty"`
	// Mean over the pictures at the temperature: cross-entropy in nats, binary for several labels;
	// for values, squared error in units of the variance.
	Loss float64 `json:"loss"`
	// What the logits are divided by, fitted on the same pictures; 1 for values.
	Temperature float64        `json:"temperature"`
	Metric      metrics.Metric `json:"metric"`
	Score       float64        `json:"score"`           // in the task's metric
	Right       int            `json:"right,omitempty"` // correct pictures of Total; accuracy only
	// Number of pictures; fewer than all if the trial was dropped after the first folds.
	Total int `json:"total"`
	// Mean loss of the head alone minus this loss, on the same pictures.
	Gain  float64 `json:"gain,omitempty"`
	Error float64 `json:"error,omitempty"` // standard error of Gain

	// Logits are those of each picture, [N, K] row-major; nil where the trial was read from a file.
	Logits []float32 `json:"-" show:"-"`
}

// RateFind is what a search for a learning rate found: see finetune.FindRate.
type RateFind struct {
	Rates  []float64 `json:"rates"`  // of the group with the largest rate, one for each step
	Losses []float64 `json:"losses"` // of the step's batch
	// Rate at which the smoothed loss falls fastest; 0 = it never fell.
	Suggested float64 `json:"suggested"`
	Why       string  `json:"why"`
}
