package metrics

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"
)

// Areas, curves and the interval against scikit-learn and SciPy, on scores with ties.
func TestRankingsAgainstReferee(t *testing.T) {
	b, err := os.ReadFile("testdata/referee.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		AUC         []float64 `json:"roc_auc"`
		AP          []float64 `json:"average_precision"`
		ROC, PR     [2][]float64
		AUCInterval [2]float64 `json:"auc_interval"`
		APInterval  [2]float64 `json:"ap_interval"`
	}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	scores, positive := roundedScores()
	got, err := scores.Rankings([]string{"a", "b", "c", "d", "e"}, positive)
	if err != nil {
		t.Fatal(err)
	}
	for c, r := range got {
		near(t, "AUC", r.AUC, want.AUC[c], 1e-12)
		near(t, "AP", r.AP, want.AP[c], 1e-12)
	}
	for curve, pair := range map[*[][2]float64][2][]float64{&got[1].ROC: want.ROC, &got[1].PR: want.PR} {
		if len(*curve) != len(pair[0]) {
			t.Fatalf("%d points, the referee has %d", len(*curve), len(pair[0]))
		}
		for i, p := range *curve {
			near(t, "x", p[0], pair[0][i], 1e-12)
			near(t, "y", p[1], pair[1][i], 1e-12)
		}
	}
	// Quantiles of Student's t agree to 1e-10.
	for what, ends := range map[string][2][2]float64{
		"AUC": {{got[2].AUCInterval.Low, got[2].AUCInterval.High}, want.AUCInterval},
		"AP":  {{got[2].APInterval.Low, got[2].APInterval.High}, want.APInterval},
	} {
		for i := range 2 {
			if d := math.Abs(ends[0][i] - ends[1][i]); d > 1e-8 {
				t.Errorf("%s interval %v, the referee has %v", what, ends[0], ends[1])
			}
		}
	}
}

// Five copies of each picture say no more than one of each, if they are known to belong together.
func TestRankingsOfClusters(t *testing.T) {
	scores, positive := roundedScores()
	names := []string{"a", "b", "c", "d", "e"}
	copies, truth := Matrix{Cols: refK}, []bool(nil)
	var together Clusters
	for i := range refN {
		for range 5 {
			copies.Rows++
			copies.Data = append(copies.Data, scores.Row(i)...)
			truth, together = append(truth, positive[i*refK:(i+1)*refK]...), append(together, i)
		}
	}
	one, err := scores.Rankings(names, positive)
	if err != nil {
		t.Fatal(err)
	}
	apart, err := copies.Rankings(names, truth)
	if err != nil {
		t.Fatal(err)
	}
	clustered, err := together.Rankings(names, copies, truth)
	if err != nil {
		t.Fatal(err)
	}
	width := func(i Interval) float64 { return i.High - i.Low }
	for c, r := range clustered {
		if w := width(r.AUCInterval) / width(one[c].AUCInterval); w < 0.95 || w > 1.05 {
			t.Errorf("%s: %.2f times as wide as of one copy", r.Label, w)
		}
		if w := width(apart[c].AUCInterval) / width(r.AUCInterval); w > 0.6 {
			t.Errorf("%s: as wide as %.2f without clusters", r.Label, w)
		}
	}
	if _, err := together[1:].Rankings(names, copies, truth); err == nil {
		t.Error("a picture without its cluster is no error")
	}
}

func TestRankingsOfOddClasses(t *testing.T) {
	scores := Matrix{Rows: 4, Cols: 4, Data: []float32{
		9, 1, 1, 5,
		8, 1, 2, 5,
		1, 1, 3, 5,
		0, 1, 4, 5,
	}}
	positive := []bool{
		true, false, true, true,
		true, false, true, false,
		false, false, true, true,
		false, false, true, false,
	}
	got, err := scores.Rankings([]string{"flawless", "none", "all", "equal"}, positive)
	if err != nil {
		t.Fatal(err)
	}
	if r := got[0]; r.AUC != 1 || r.AP != 1 || r.AUCInterval.Low != Wilson(2, 2).Low || r.AUCInterval.High != 1 {
		t.Errorf("flawless: %+v", r)
	}
	for _, r := range got[1:3] {
		if r.Known() || r.AUC != 0 || r.AUCInterval.Known() || r.ROC != nil {
			t.Errorf("%s: %+v", r.Label, r)
		}
	}
	if r := got[3]; r.AUC != 0.5 || r.AP != 0.5 || len(r.ROC) != 2 || len(r.PR) != 1 {
		t.Errorf("equal scores: %+v", r)
	}
	for _, bad := range []struct {
		labels   []string
		positive []bool
	}{{[]string{"a"}, positive}, {[]string{"a", "b", "c", "d"}, positive[:3]}} {
		if _, err := scores.Rankings(bad.labels, bad.positive); err == nil {
			t.Errorf("%d labels and %d truths are no error", len(bad.labels), len(bad.positive))
		}
	}
}

func ExampleMatrix_Rankings() {
	scores := Matrix{Rows: 5, Cols: 1, Data: []float32{0.9, 0.8, 0.7, 0.3, 0.2}}
	all, err := scores.Rankings([]string{"bees"}, []bool{true, true, false, true, false})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("AUC %.3f, average precision %.3f of %d pictures\n", all[0].AUC, all[0].AP, all[0].Positive)
	// Output: AUC 0.833, average precision 0.917 of 3 pictures
}
