package bench

import (
	"errors"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

func TestQuantile(t *testing.T) {
	v := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for q, want := range map[float64]float64{0: 1, 0.5: 6, 0.99: 10, 1: 10} {
		if got := quantile(v, q); got != want {
			t.Errorf("%v: %v, want %v", q, got, want)
		}
	}
}

// The soak's bomb is refused for its size, not for being damaged.
func TestBomb(t *testing.T) {
	_, err := transforms.Decode(bomb(), transforms.DecodeOptions{})
	var d *transforms.DecodeError
	if !errors.As(err, &d) || d.Kind != transforms.TooLarge {
		t.Error(err)
	}
}

// An answer counts as right only if label and probabilities are those of predict.
func TestWrongAnswersAreSeen(t *testing.T) {
	b := &serving{want: []export.Prediction{{Label: "a", Probability: 0.75, Probabilities: map[string]float64{"a": 0.75, "b": 0.25}}}}
	for answer, want := range map[string]bool{
		`{"predictions":[{"label":"a","probabilities":{"a":0.75,"b":0.25}}]}`:    true,
		`{"predictions":[{"label":"a","probabilities":{"a":0.75001,"b":0.25}}]}`: true,
		`{"predictions":[{"label":"b","probabilities":{"a":0.75,"b":0.25}}]}`:    false,
		`{"predictions":[{"label":"a","probabilities":{"a":0.76,"b":0.24}}]}`:    false,
		`{"predictions":[{"label":"a","probabilities":{"a":0.75}}]}`:             false,
		`{"predictions":[{"values":{"a":0.75}}]}`:                                false,
		`{"predictions":[]}`: false, `{}`: false, `x`: false,
	} {
		if got := b.same(0, []byte(answer)); got != want {
			t.Errorf("%s: %v, want %v", answer, got, want)
		}
	}
}
