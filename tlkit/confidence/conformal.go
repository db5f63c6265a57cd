package confidence

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/head"
)

// ErrFew is the error where too few pictures are known to promise a coverage.
var ErrFew = errors.New("confidence: too few pictures to promise the coverage")

// Quantile returns the limit that the next score does not exceed with a probability of coverage, given
// that it comes from where the scores came from: the ⌈(n+1)·coverage⌉-th smallest of n. That is split
// conformal prediction; with scores of heads that did not see their picture, cross-conformal. It is
// ErrFew if n is too small for any limit: 9 scores are the fewest for 90 %. A score that is not a
// number, and a coverage that is not between 0 and 1, are errors.
func Quantile(scores []float64, coverage float64) (float64, error) {
	if !(coverage > 0 && coverage < 1) {
		return 0, fmt.Errorf("confidence: coverage %v, want a share between 0 and 1, such as 0.9", coverage)
	}
	sorted := slices.Clone(scores)
	slices.Sort(sorted)
	if len(sorted) > 0 && math.IsNaN(sorted[0]) { // NaN sorts first
		return 0, errors.New("confidence: a score that is not a number, want finite ones")
	}
	// The product may be a rounding error above a whole number, as 0.9·10 is not; it is no other rank.
	rank := int(math.Ceil(float64(len(sorted)+1)*coverage - 1e-9))
	if rank > len(sorted) {
		need := int(math.Ceil(coverage/(1-coverage) - 1e-9))
		return 0, advice.New(fmt.Errorf("%w: %d pictures for %g %%", ErrFew, len(sorted), 100*coverage), "%d are enough", need)
	}
	return sorted[max(rank, 1)-1], nil
}

// Sets turns probabilities into sets of labels that hold the true one with a stated frequency: all labels
// whose probability is at least Least. These are the smallest sets on average (LAC, Sadinle et al. 2019).
// The promise is for pictures like those it was fitted on, over all labels together, not for each label.
type Sets struct {
	Coverage float64 `json:"coverage"` // that is promised
	Least    float64 `json:"least"`    // probability of a label in the set
	Pictures int     `json:"pictures"` // that it was fitted on
}

// FitSets fits sets on out-of-fold logits [N, K] of samples with one label a picture. Its errors are those
// of [Quantile].
func FitSets(s head.Samples, outOfFold []float32, coverage float64) (Sets, error) {
	if s.Targets != nil || s.Len() == 0 || len(outOfFold) != s.Len()*s.Classes {
		return Sets{}, fmt.Errorf("confidence: %d logits for %d samples of %d classes, want one for each class and sample with one label", len(outOfFold), s.Len(), s.Classes)
	}
	q := head.Softmax(outOfFold, s.Classes)
	scores := make([]float64, s.Len())
	for i, y := range s.Y {
		scores[i] = 1 - float64(q[i*s.Classes+y])
	}
	limit, err := Quantile(scores, coverage)
	if err != nil {
		return Sets{}, err
	}
	return Sets{Coverage: coverage, Least: 1 - limit, Pictures: s.Len()}, nil
}

// Of returns the labels of a picture's set, the most probable first. A set is empty where no label is
// probable enough: a head that is right more often than Coverage keeps the promise only so. See
// [Sets.Named].
func (s Sets) Of(probabilities []float64) []int {
	var out []int
	for k, p := range probabilities {
		if p >= s.Least {
			out = append(out, k)
		}
	}
	slices.SortStableFunc(out, func(a, b int) int {
		switch {
		case probabilities[a] > probabilities[b]:
			return -1
		case probabilities[a] < probabilities[b]:
			return 1
		}
		return 0
	})
	return out
}

// Named is [Sets.Of] for people: instead of an empty set, the most probable label. It holds the true one at
// least as often.
func (s Sets) Named(probabilities []float64) []int {
	if out := s.Of(probabilities); len(out) > 0 || len(probabilities) == 0 {
		return out
	}
	best := 0
	for k, p := range probabilities {
		if p > probabilities[best] {
			best = k
		}
	}
	return []int{best}
}

// Check reports numbers that no fit gives.
func (s Sets) Check() error {
	if !(s.Coverage > 0 && s.Coverage < 1) || !(s.Least >= 0 && s.Least <= 1) || s.Pictures < 1 {
		return fmt.Errorf("confidence: sets of %+v, want a coverage between 0 and 1, a probability and the number of pictures", s)
	}
	return nil
}

// FitMargins returns, for each real value, how far a prediction may be from the true value with a frequency
// of coverage: prediction ± margin is an interval that holds it. outOfFold is [N, K], in the units of the
// targets. Its errors are those of [Quantile].
func FitMargins(s head.Samples, outOfFold []float32, coverage float64) ([]float64, error) {
	k := s.Classes
	if s.Targets == nil || s.Len() == 0 || len(outOfFold) != len(s.Targets) {
		return nil, fmt.Errorf("confidence: %d predictions for %d targets, want one for each", len(outOfFold), len(s.Targets))
	}
	out := make([]float64, k)
	for c := range k {
		scores := make([]float64, s.Len())
		for i := range scores {
			scores[i] = math.Abs(float64(outOfFold[i*k+c]) - s.Targets[i*k+c])
		}
		var err error
		if out[c], err = Quantile(scores, coverage); err != nil {
			return nil, err
		}
	}
	return out, nil
}
