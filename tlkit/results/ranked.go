package results

import "github.com/tlkit/transfer-learning/tlkit/metrics"

// Ranked is the result of one backbone.
type Ranked struct {
	Model         string `json:"model"`
	metrics.Score        // of a linear probe: the task's default head on the frozen features
	// Seconds per picture from file to features on this machine, in batches of the engine's size;
	// the fastest of several runs.
	Seconds  float64 `json:"seconds_per_picture"`
	Took     float64 `json:"took_seconds"`          // for the comparison: less if features were cached
	Fitting  float64 `json:"fit_seconds,omitempty"` // of the head, if scored on training pictures
	Bytes    int64   `json:"bytes"`                 // size of the weights file
	Features int     `json:"features"`              // width of a feature row
	Size     int     `json:"size"`                  // side of the prepared picture, in pixels
	Licence  string  `json:"licence"`
	// Parameters are those of the whole checkpoint; 0 = unknown.
	Parameters int `json:"parameters,omitempty"`

	// Gap is the difference to the first of the ranking, on the same pictures; nil for the first
	// itself.
	Gap *Gap `json:"gap,omitempty"`
	// Tied means no worse than the first: the interval of the difference contains 0.
	Tied bool `json:"tied"`
	// Frontier means that no other backbone is as good and as fast, and better in one of them.
	Frontier bool `json:"frontier"`
	// TooSlow means that a picture takes longer than Spec.Latency.
	TooSlow     bool `json:"too_slow,omitempty"`
	Recommended bool `json:"recommended"` // see Pick

	// Logits are those of each scored picture, [N, K] row-major, where it was compared here.
	Logits []float32 `json:"-" show:"-"`
	// Busy means that other programs used the processors while it was timed.
	Busy bool `json:"-" show:"-"`
}

// Gap is the difference between a backbone and the first of the ranking.
type Gap struct {
	Difference float64          `json:"difference"`  // score minus that of the first
	Interval   metrics.Interval `json:"interval"`    // 95 % of the difference, paired
	P          float64          `json:"p,omitempty"` // exact McNemar test, for accuracy only
	Clear      bool             `json:"clear"`       // the interval does not contain 0
}
