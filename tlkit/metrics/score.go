package metrics

import (
	"fmt"
	"math"
)

// Score is the result of a model on some pictures, in the metric of its task. Its JSON form is
// flat, so that it can be embedded in the record of a run, an evaluation or a fold.
type Score struct {
	Metric Metric `json:"metric"`
	// Fraction in 0..1, or R² up to 1; of several runs, the mean.
	Value    float64  `json:"score"`
	Interval Interval `json:"interval"` // 95 %; unknown if none was computed
	Total    int      `json:"total"`    // pictures
	// The groups of pictures that the interval takes into account; 0 = each picture is by itself.
	Clusters int `json:"clusters,omitempty"`

	// Only accuracy has these two. In other metrics they are -1, and absent from the JSON.
	Accuracy Share `json:"accuracy,omitzero"` // equal to Value
	// Pictures; of several seeds, those of the first; of folds, those of all together.
	Correct Count `json:"correct,omitzero"`
}

// Share is a number in 0..1, or -1 if absent.
type Share float64

// IsZero reports whether the share is absent, so that JSON omits it. A share of 0 is written.
func (s Share) IsZero() bool { return s < 0 }

// Count is a number of pictures, or -1 if absent.
type Count int

// IsZero reports whether the count is absent, so that JSON omits it. A count of 0 is written.
func (c Count) IsZero() bool { return c < 0 }

// NewScore returns the score of a metric that is not a count of pictures, such as MAP or R2. total
// is the number of pictures.
func NewScore(m Metric, value float64, i Interval, total int) Score {
	return Score{Metric: m, Value: value, Interval: i, Total: total, Accuracy: -1, Correct: -1}
}

// Score returns the fraction as an accuracy, with Wilson's interval.
func (f Fraction) Score() Score {
	return Score{Metric: Accuracy, Value: f.Value(), Interval: f.Interval(), Total: f.Total, Accuracy: Share(f.Value()), Correct: Count(f.Correct)}
}

// Fraction returns the counts behind an accuracy, and the zero Fraction for other metrics.
func (s Score) Fraction() Fraction {
	if !s.Metric.Counts() {
		return Fraction{}
	}
	return Fraction{Correct: int(s.Correct), Total: s.Total}
}

// Upgrade completes a score read from JSON, which omits what the metric does not have. Files
// written before 0.1.0 have neither metric nor value for accuracy.
func (s *Score) Upgrade() {
	absent := s.Interval == Interval{}
	if s.Metric != "" && s.Metric != Accuracy {
		s.Accuracy, s.Correct = -1, -1
		if absent {
			s.Interval = unknown
		}
		return
	}
	if absent {
		s.Interval = Wilson(int(s.Correct), s.Total)
	}
	if s.Metric == "" {
		s.Metric = Accuracy
		s.Value = float64(s.Accuracy)
		if s.Value == 0 {
			s.Value = s.Fraction().Value()
		}
	}
	s.Accuracy = Share(s.Value)
}

// String formats the score with its interval and counts: "accuracy 94.8 % (145 of 153, 95 %
// 90.0-97.3)", "R² 0.844 (95 % 0.829-0.858, 1000 pictures)".
func (s Score) String() string {
	switch f := s.Fraction(); {
	case s.Clusters > 0 && s.Metric.Counts():
		return s.Describe(fmt.Sprintf("%d of %d", f.Correct, f.Total))
	case s.Metric.Counts():
		return s.Metric.Title() + " " + f.String()
	}
	return s.Describe(fmt.Sprintf("%d pictures", s.Total))
}

// Describe formats the score with its interval and a subject: "accuracy 87.2 % (95 % 79.4-95.0,
// mean of 5 folds)".
func (s Score) Describe(subject string) string {
	interval := ""
	if s.Interval.Known() {
		interval = "95 % " + s.Metric.unit().ends(s.Interval) + s.by() + ", "
	} else if s.Clusters == 1 {
		interval = "one cluster, so no interval, "
	}
	return fmt.Sprintf("%s %s (%s%s)", s.Metric.Title(), s.Metric.Format(s.Value), interval, subject)
}

// by says what the interval is by, if not by single pictures.
func (s Score) by() string {
	if s.Clusters == 0 {
		return ""
	}
	return fmt.Sprintf(" by %d clusters", s.Clusters)
}

// Brief formats the score without its interval, for use in a sentence: "140 of 153", "mAP 61.2 %".
func (s Score) Brief() string {
	if s.Metric.Counts() {
		f := s.Fraction()
		return fmt.Sprintf("%d of %d", f.Correct, f.Total)
	}
	return s.Metric.Title() + " " + s.Metric.Format(s.Value)
}

// OverSeeds is the mean score of several runs on the same pictures, with Student's t interval. The
// counts are those of the first run. If all runs are equal, the interval is that of the first run:
// the uncertainty due to the choice of pictures remains.
func OverSeeds(runs []Score) (Score, error) {
	return meanScore(runs, func() Interval { return runs[0].Interval })
}

// OverFolds is the mean score over the folds of one set, with Student's t interval. together is the
// score of all held-out pictures; it supplies the counts and, if all folds are equal, the interval.
func OverFolds(folds []Score, together Score) (Score, error) {
	mean, err := meanScore(folds, func() Interval { return together.Interval })
	mean.Total, mean.Correct = together.Total, together.Correct
	return mean, err
}

func meanScore(runs []Score, pictureInterval func() Interval) (Score, error) {
	values := make([]float64, len(runs))
	for i, r := range runs {
		values[i] = r.Value
	}
	m, err := MeanOf(values)
	if err != nil {
		return Score{}, err
	}
	out := runs[0]
	out.Value, out.Interval = m.Value, m.Interval
	if m.SD == 0 {
		out.Interval = pictureInterval()
	} else {
		out.Clusters = 0 // the interval is that of runs
	}
	if out.Metric.Counts() {
		out.Accuracy = Share(m.Value)
	}
	out.Interval = out.Metric.within(out.Interval)
	return out, nil
}

// within clips a Student's t interval, which has no bounds, to the range of the metric.
func (m Metric) within(i Interval) Interval {
	if !i.Known() {
		return i
	}
	low := 0.0
	if m == R2 {
		low = math.Inf(-1)
	}
	return Interval{Low: max(i.Low, low), High: min(i.High, 1)}
}
