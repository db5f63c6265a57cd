package metrics

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// JSON omits what a metric does not have, and writes a count of 0.
func TestScoresInJSON(t *testing.T) {
	type record struct {
		Name string `json:"name"`
		Score
	}
	for _, c := range []struct {
		score         Score
		holds, absent string
	}{
		{Fraction{0, 5}.Score(), `"metric":"accuracy","score":0,`, ""},
		{Fraction{0, 5}.Score(), `"total":5,"accuracy":0,"correct":0`, ""},
		{NewScore(MAP, 0.5, Unknown(), 7), `"metric":"map","score":0.5,"interval":null,"total":7}`, "correct"},
		{NewScore(R2, -0.25, Interval{-1, 0.5}, 7), `"metric":"r2","score":-0.25,"interval":[-1,0.5],"total":7}`, "accuracy"},
	} {
		raw, err := json.Marshal(record{"x", c.score})
		if err != nil || !strings.Contains(string(raw), c.holds) || c.absent != "" && strings.Contains(string(raw), c.absent) {
			t.Errorf("%s, %v; want %s and no %q", raw, err, c.holds, c.absent)
		}
		var back record
		if err := json.Unmarshal(raw, &back); err != nil {
			t.Fatal(err)
		}
		back.Upgrade()
		if back.String() != c.score.String() || back.Metric != c.score.Metric || back.Correct != c.score.Correct {
			t.Errorf("%+v came back as %+v", c.score, back.Score)
		}
	}
}

// Scores of files written before 0.1.0.
func TestOldScoresAreRead(t *testing.T) {
	for text, want := range map[string]string{
		`{"accuracy":0.9,"correct":9,"total":10,"interval":[0.5,1]}`:                             "accuracy 90.0 % (9 of 10, 95 % 59.6-98.2)",
		`{"correct":9,"total":10}`:                                                               "accuracy 90.0 % (9 of 10, 95 % 59.6-98.2)",
		`{"metric":"accuracy","score":0.9,"accuracy":0.9,"correct":9,"total":10}`:                "accuracy 90.0 % (9 of 10, 95 % 59.6-98.2)",
		`{"metric":"map","score":0.9,"total":10}`:                                                "mAP 90.0 % (10 pictures)",
		`{"metric":"mAP","score":0.9,"total":10,"interval":[0.5,1]}`:                             "mAP 90.0 % (95 % 50.0-100.0, 10 pictures)",
		`{"metric":"R²","score":0.1,"total":10,"interval":[-0.5,1]}`:                             "R² 0.100 (95 % -0.500 to 1.000, 10 pictures)",
		`{"metric":"accuracy","score":0.95,"accuracy":0.95,"correct":9,"total":10,"seeds":true}`: "accuracy 90.0 % (9 of 10, 95 % 59.6-98.2)",
	} {
		var s Score
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		s.Upgrade()
		if s.String() != want {
			t.Errorf("%s reads %q, want %q", text, s, want)
		}
	}
}

func TestScoresOverRuns(t *testing.T) {
	equal, err := OverSeeds([]Score{Fraction{9, 10}.Score(), Fraction{9, 10}.Score()})
	if err != nil || equal.Value != 0.9 || equal.Interval != Wilson(9, 10) || equal.Correct != 9 {
		t.Errorf("equal seeds: %+v, %v", equal, err)
	}
	far, err := OverSeeds([]Score{Fraction{5, 10}.Score(), Fraction{10, 10}.Score()})
	if err != nil || far.Value != 0.75 || far.Interval.Low != 0 || far.Interval.High != 1 || float64(far.Accuracy) != 0.75 {
		t.Errorf("Student's t knows no bounds, an accuracy does: %+v, %v", far, err)
	}
	folds, err := OverFolds([]Score{Fraction{4, 5}.Score(), Fraction{3, 5}.Score()}, Fraction{7, 10}.Score())
	if err != nil || math.Abs(folds.Value-0.7) > 1e-12 || folds.Correct != 7 || folds.Total != 10 {
		t.Errorf("folds: %+v, %v", folds, err)
	}
	if g := (Gain{0.054, Interval{0.034, 0.073}}).Describe(Accuracy); g != "gain +5.4 points (95 % +3.4 to +7.3)" {
		t.Error(g)
	}
	if g := (Gain{0.732, Interval{0.716, 0.749}}).Describe(R2); g != "gain +0.732 (95 % +0.716 to +0.749)" {
		t.Error(g)
	}
}
