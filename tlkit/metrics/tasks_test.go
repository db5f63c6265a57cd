package metrics

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
)

type taskReferee struct {
	AveragePrecision []float64 `json:"average_precision"`
	MAP              float64
	LabelPrecision   []float64  `json:"label_precision"`
	LabelRecall      []float64  `json:"label_recall"`
	LabelF1          []float64  `json:"label_f1"`
	LabelSupport     []int      `json:"label_support"`
	LabelLogLoss     float64    `json:"label_log_loss"`
	BestF1           []float64  `json:"best_f1"`
	MAPInterval      [2]float64 `json:"map_interval"`
	APInterval       [2]float64 `json:"ap_interval"`
	R2, MAE, RMSE    []float64
	R2Interval       [2][2]float64 `json:"r2_interval"`
	MeanR2Interval   [2]float64    `json:"mean_r2_interval"`

	ClusterMAPInterval      [2]float64    `json:"cluster_map_interval"`
	ClusterAPInterval       [2]float64    `json:"cluster_ap_interval"`
	ClusterR2Interval       [2][2]float64 `json:"cluster_r2_interval"`
	ClusterMeanR2Interval   [2]float64    `json:"cluster_mean_r2_interval"`
	ClusterAccuracyInterval [2]float64    `json:"cluster_accuracy_interval"`
	ClusterCompare          [3]float64    `json:"cluster_compare"` // the ends, and P
}

func readTasks(t *testing.T) (r taskReferee) {
	t.Helper()
	b, err := os.ReadFile("testdata/referee.json")
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// roundedScores have ties on purpose.
func roundedScores() (logits Matrix, positive []bool) {
	logits, _, _ = refScores()
	for i, v := range logits.Data {
		logits.Data[i] = float32(math.RoundToEven(float64(v*10)) / 10)
		positive = append(positive, math.Sin(0.7*float64(i/refK)+1.9*float64(i%refK)) > 0.4)
	}
	return logits, positive
}

func TestLabelsAgainstReferee(t *testing.T) {
	r := readTasks(t)
	logits, positive := roundedScores()
	names := []string{"a", "b", "c", "d", "e"}
	s, err := ScoreLabels(names, logits, positive, []float64{0.5, 0.3, 0.6, 0.5, 0.8})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "mAP", s.MAP, r.MAP, 1e-12)
	near(t, "log loss", s.LogLoss, r.LabelLogLoss, 1e-12)
	f1 := 0.0
	for c, l := range s.Labels {
		near(t, "AP", l.AP, r.AveragePrecision[c], 1e-12)
		near(t, "precision", l.Precision, r.LabelPrecision[c], 1e-12)
		near(t, "recall", l.Recall, r.LabelRecall[c], 1e-12)
		near(t, "F1", l.F1, r.LabelF1[c], 1e-12)
		f1 += l.F1 / refK
		if l.Support != r.LabelSupport[c] || l.Total != refN || l.Label != names[c] {
			t.Errorf("%+v, the referee counts %d", l, r.LabelSupport[c])
		}
		column, truth := make([]float32, refN), make([]bool, refN)
		for i := range refN {
			column[i], truth[i] = logits.Data[i*refK+c], positive[i*refK+c]
		}
		at, best, err := BestThreshold(column, truth)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "best F1", best, r.BestF1[c], 1e-12)
		// The returned threshold gives the returned F1.
		again, err := ScoreLabels(names[:1], Matrix{refN, 1, column}, truth, []float64{at})
		if err != nil || math.Abs(again.Labels[0].F1-best) > 1e-12 {
			t.Errorf("at %v: F1 %v, promised %v (%v)", at, again.Labels[0].F1, best, err)
		}
	}
	near(t, "macro F1", s.MacroF1, f1, 1e-12)
	ends(t, "mAP", s.Interval, r.MAPInterval)
	ends(t, "AP", s.Labels[2].Interval, r.APInterval)
	if s, err = fours.ScoreLabels(names, logits, positive, nil); err != nil {
		t.Fatal(err)
	}
	ends(t, "mAP by clusters", s.Interval, r.ClusterMAPInterval)
	ends(t, "AP by clusters", s.Labels[2].Interval, r.ClusterAPInterval)
}

// fours are the referee's clusters.
var fours = func() (c Clusters) {
	for i := range refN {
		c = append(c, i/4)
	}
	return c
}()

// Accuracy and the difference of two models by clusters.
func TestClustersAgainstReferee(t *testing.T) {
	r := readTasks(t)
	logits, labels, other := refScores()
	predicted, err := logits.Argmax()
	if err != nil {
		t.Fatal(err)
	}
	s, err := fours.Accuracy(labels, predicted)
	if err != nil {
		t.Fatal(err)
	}
	ends(t, "accuracy by clusters", s.Interval, r.ClusterAccuracyInterval)
	d, err := fours.Compare(labels, predicted, other)
	if err != nil {
		t.Fatal(err)
	}
	ends(t, "difference by clusters", d.Interval, [2]float64(r.ClusterCompare[:2]))
	near(t, "P by clusters", d.P, r.ClusterCompare[2], 1e-9)
}

// ends compares the ends of an interval: quantiles of Student's t agree to 1e-10.
func ends(t *testing.T, what string, got Interval, want [2]float64) {
	t.Helper()
	if !(math.Abs(got.Low-want[0]) <= 1e-8 && math.Abs(got.High-want[1]) <= 1e-8) {
		t.Errorf("interval of %s: %v, the referee says %v", what, got, want)
	}
}

func TestValuesAgainstReferee(t *testing.T) {
	r := readTasks(t)
	logits, _, _ := refScores()
	truth := make([]float64, len(logits.Data))
	scale, offset, noise := []float64{1, 100, 1e-3, 1, 1}, []float64{0, 5000, 0, -3, 0}, []float64{0.3, 1, 0.7, 4, 0}
	for i, v := range logits.Data {
		row, c := float64(i/refK), i%refK
		truth[i] = (float64(v)+math.Cos(1.7*row*float64(c+1)+float64(c))*noise[c])*scale[c] + offset[c]
		logits.Data[i] = float32(float64(v)*scale[c] + offset[c])
	}
	s, err := ScoreValues([]string{"a", "b", "c", "d", "e"}, logits, truth)
	if err != nil {
		t.Fatal(err)
	}
	mean := 0.0
	for c, v := range s.Values {
		near(t, "R2", v.R2, r.R2[c], 1e-11)
		near(t, "MAE", v.MAE, r.MAE[c], 1e-11)
		near(t, "RMSE", v.RMSE, r.RMSE[c], 1e-11)
		near(t, "R2 by RMSE and SD", 1-v.RMSE*v.RMSE/(v.SD*v.SD), r.R2[c], 1e-9)
		mean += r.R2[c] / refK
	}
	near(t, "mean R2", s.R2, mean, 1e-12)
	ends(t, "R2, small noise", s.Values[0].Interval, r.R2Interval[0])
	ends(t, "R2, large noise", s.Values[3].Interval, r.R2Interval[1])
	ends(t, "mean R2", s.Interval, r.MeanR2Interval)
	by, err := fours.ScoreValues([]string{"a", "b", "c", "d", "e"}, logits, truth)
	if err != nil {
		t.Fatal(err)
	}
	ends(t, "R2 by clusters", by.Values[3].Interval, r.ClusterR2Interval[1])
	ends(t, "mean R2 by clusters", by.Interval, r.ClusterMeanR2Interval)
	again, _ := ScoreValues([]string{"a", "b", "c", "d", "e"}, logits, truth)
	if again.Interval != s.Interval {
		t.Error("the same pictures gave another interval")
	}
}

func TestTasksOutOfNothing(t *testing.T) {
	// A label on no picture has no AP and is left out of the mean; a constant value has no R².
	l, err := ScoreLabels([]string{"a", "b"}, Matrix{3, 2, []float32{1, 2, -1, 0, 3, 1}}, []bool{true, false, false, false, true, false}, nil)
	if err != nil || l.MAP != 1 || l.Counted != 1 || l.Labels[1].Interval.Known() || l.Labels[1].AP != 0 || l.Labels[1].Predicted != 3 || l.MacroF1 != l.Labels[0].F1 {
		t.Errorf("%+v, %v", l, err)
	}
	// Two out of two is not certainty.
	if l.Interval != Wilson(2, 2) || l.Labels[0].Interval != Wilson(2, 2) {
		t.Errorf("intervals of a flawless score: %v, %v", l.Interval, l.Labels[0].Interval)
	}
	v, err := ScoreValues([]string{"a", "b"}, Matrix{3, 2, []float32{1, 2, 2, 2, 3, 3}}, []float64{1, 7, 2, 7, 3, 7})
	if err != nil || v.R2 != 1 || v.Counted != 1 || v.Values[1].Interval.Known() || v.Values[1].R2 != 0 || v.Values[1].MAE < 4 {
		t.Errorf("%+v, %v", v, err)
	}
	if b, err := json.Marshal([]any{l, v}); err != nil || !strings.Contains(string(b), `"interval":null`) {
		t.Errorf("%s, %v", b, err)
	}
	for name, c := range map[string]struct {
		want string
		err  func() error
	}{
		"labels for columns": {"1 labels", func() error {
			_, e := ScoreLabels([]string{"a"}, Matrix{1, 2, []float32{1, 2}}, []bool{true, true}, nil)
			return e
		}},
		"thresholds": {"1 thresholds", func() error {
			_, e := ScoreLabels([]string{"a", "b"}, Matrix{1, 2, []float32{1, 2}}, []bool{true, true}, []float64{1})
			return e
		}},
		"truths": {"1 truths", func() error {
			_, e := ScoreLabels([]string{"a", "b"}, Matrix{1, 2, []float32{1, 2}}, []bool{true}, nil)
			return e
		}},
		"no support": {"no class of 1", func() error {
			_, e := ScoreLabels([]string{"a"}, Matrix{1, 1, []float32{1}}, []bool{false}, nil)
			return e
		}},
		"NaN truth": {"truth [0, 1]", func() error {
			_, e := ScoreValues([]string{"a", "b"}, Matrix{1, 2, []float32{1, 2}}, []float64{1, math.NaN()})
			return e
		}},
		"NaN prediction": {"[0, 0] is NaN", func() error {
			_, e := ScoreValues([]string{"a"}, Matrix{1, 1, []float32{float32(math.NaN())}}, []float64{1})
			return e
		}},
		"constant": {"same in all 2", func() error {
			_, e := ScoreValues([]string{"a"}, Matrix{2, 1, []float32{1, 2}}, []float64{4, 4})
			return e
		}},
		"values": {"3 truths", func() error {
			_, e := ScoreValues([]string{"a"}, Matrix{2, 1, []float32{1, 2}}, []float64{4, 4, 4})
			return e
		}},
		"threshold": {"at least one positive", func() error { _, _, e := BestThreshold([]float32{1}, []bool{false}); return e }},
	} {
		if err := c.err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestResampledScores(t *testing.T) {
	// A picture of weight 2 counts as two pictures.
	predicted, truth := Matrix{4, 1, []float32{1, 5, 2, 8}}, []float64{2, 4, 2, 9}
	twice, truths := Matrix{5, 1, []float32{1, 1, 2, 8, 8}}, []float64{2, 2, 2, 9, 9}
	a, ok := rSquared(predicted, truth, 0, 3, []int{2, 0, 1, 2})
	b, _ := rSquared(twice, truths, 0, -1, nil)
	// errors 1+1+0+1+1; squares around 4.8: 3 x 2.8² + 2 x 4.2²
	if !ok || math.Abs(a-b) > 1e-12 || math.Abs(b-(1-4/58.8)) > 1e-12 {
		t.Errorf("R2 %v by weights, %v by rows", a, b)
	}
	if _, ok := rSquared(predicted, truth, 0, 3, []int{3, 0, 1, 0}); ok {
		t.Error("the variance of one number")
	}
	scores := Matrix{4, 1, []float32{0.9, 0.8, 0.8, 0.1}}
	x, _ := rank(scores, []bool{true, false, true, true}, 0).precision([]int{1, 2, 0, 3})
	y, err := AveragePrecision([]float32{0.9, 0.8, 0.8, 0.1, 0.1, 0.1}, []bool{true, false, false, true, true, true})
	if err != nil || math.Abs(x-y) > 1e-12 {
		t.Errorf("AP %v by weights, %v by rows", x, y)
	}
	// The first picture alone and all four give the same F1. The second cut, -1, is nearer to 0
	// than 8.5.
	at, f1, err := BestThreshold([]float32{9, 8, 1, 0}, []bool{true, false, false, true})
	if err != nil || f1 != 2./3 || math.Abs(at-1/(1+math.E)) > 1e-12 {
		t.Errorf("threshold %v, F1 %v, %v", at, f1, err)
	}
}
