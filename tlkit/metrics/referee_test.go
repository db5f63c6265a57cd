package metrics

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// The scores of internal/golden/referee/metrics.py, computed by the same formula.
const refN, refK = 120, 5

func refScores() (logits Matrix, labels []int, other []int) {
	logits = Matrix{Rows: refN, Cols: refK, Data: make([]float32, refN*refK)}
	labels, other = make([]int, refN), make([]int, refN)
	for i := range refN {
		labels[i] = (i*i + i/50) % refK
		best := math.Inf(-1)
		for k := range refK {
			v := math.Sin(1.3*float64(i)+2.1*float64(k)+0.37*float64(i)*float64(k)) * 3
			if k == labels[i] {
				v += 1.5
			}
			logits.Data[i*refK+k] = float32(v)
			if w := float64(float32(v)) + math.Cos(0.9*float64(i)*float64(k+1)); w > best {
				best, other[i] = w, k
			}
		}
	}
	return logits, labels, other
}

type referee struct {
	Correct          int
	TopK             []float64
	CrossEntropy     float64 `json:"cross_entropy"`
	LogLoss          float64 `json:"log_loss"`
	Brier            float64
	Confusion        [][]int
	Precision        []float64
	Recall           []float64
	F1               []float64
	Support          []int
	Balanced         float64
	MacroF1          float64   `json:"macro_f1"`
	BinAccuracy      []float64 `json:"bin_accuracy"`
	BinConfidence    []float64 `json:"bin_confidence"`
	ECE              float64
	AveragePrecision []float64 `json:"average_precision"`
	MAP              float64
	Wilson           [][4]float64
	Mean             []struct {
		Values               []float64
		Value, SD, Low, High float64
	}
	Compare struct {
		OnlyA                    int `json:"only_a"`
		OnlyB                    int `json:"only_b"`
		Difference, Low, High, P float64
	}
	McNemar [][3]float64
}

func readReferee(t *testing.T) (r referee) {
	t.Helper()
	b, err := os.ReadFile("testdata/referee.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*math.Max(1, math.Abs(want))) {
		t.Errorf("%s: got %.12g, the referee says %.12g", what, got, want)
	}
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestScoresAgainstReferee(t *testing.T) {
	r := readReferee(t)
	logits, labels, _ := refScores()
	prob := must[Matrix](t)(Softmax(logits))
	for k := 1; k <= refK; k++ {
		a := must[Fraction](t)(TopK(logits, labels, k))
		near(t, "top-k", a.Value(), r.TopK[k-1], 1e-12)
		if k == 1 && a.Correct != r.Correct {
			t.Errorf("correct: got %d, the referee says %d", a.Correct, r.Correct)
		}
	}
	near(t, "cross entropy", must[float64](t)(CrossEntropy(logits, labels)), r.CrossEntropy, 1e-12)
	// These start from float32 probabilities, whose last bit differs between exp implementations.
	near(t, "log loss", must[float64](t)(LogLoss(prob, labels)), r.LogLoss, 2e-6)
	near(t, "Brier", must[float64](t)(Brier(prob, labels)), r.Brier, 1e-6)

	c := must[Calibration](t)(Reliability(prob, labels, 10))
	near(t, "ECE", c.ECE, r.ECE, 1e-6)
	filled := 0
	for _, b := range c.Bins {
		if b.Count == 0 {
			continue
		}
		near(t, "bin accuracy", float64(b.Correct)/float64(b.Count), r.BinAccuracy[filled], 1e-12)
		near(t, "bin confidence", b.Confidence, r.BinConfidence[filled], 1e-6)
		if b.Confidence < b.Low || b.Confidence > b.High {
			t.Errorf("mean confidence %g outside its bin %g-%g", b.Confidence, b.Low, b.High)
		}
		filled++
	}
	if filled != len(r.BinAccuracy) {
		t.Errorf("%d filled bins, the referee has %d", filled, len(r.BinAccuracy))
	}
}

func TestConfusionAgainstReferee(t *testing.T) {
	r := readReferee(t)
	logits, labels, other := refScores()
	predicted := must[[]int](t)(logits.Argmax())
	c := must[Confusion](t)(NewConfusion([]string{"a", "b", "c", "d", "e"}, labels, predicted))
	for i, row := range r.Confusion {
		for j, n := range row {
			if c.Counts[i][j] != n {
				t.Errorf("count [%d, %d]: got %d, the referee says %d", i, j, c.Counts[i][j], n)
			}
		}
	}
	for i, p := range c.PerClass() {
		near(t, "precision", p.Precision, r.Precision[i], 1e-12)
		near(t, "recall", p.Recall, r.Recall[i], 1e-12)
		near(t, "F1", p.F1, r.F1[i], 1e-12)
		near(t, "support", float64(p.Support), float64(r.Support[i]), 0)
		for name, in := range map[string]bool{"precision": p.PrecisionInterval.Contains(p.Precision),
			"recall": p.RecallInterval.Contains(p.Recall), "F1": p.F1Interval.Contains(p.F1)} {
			if !in {
				t.Errorf("class %s: the interval of %s leaves out its value: %+v", p.Label, name, p)
			}
		}
	}
	near(t, "balanced", c.Balanced(), r.Balanced, 1e-12)
	near(t, "macro F1", c.MacroF1(), r.MacroF1, 1e-12)

	d := must[Comparison](t)(Compare(labels, predicted, other))
	if d.OnlyA != r.Compare.OnlyA || d.OnlyB != r.Compare.OnlyB || d.Both+d.OnlyA+d.OnlyB+d.Neither != refN {
		t.Errorf("compare: got %+v, the referee says %+v", d, r.Compare)
	}
	near(t, "difference", d.Difference, r.Compare.Difference, 1e-12)
	near(t, "difference, low", d.Interval.Low, r.Compare.Low, 1e-12)
	near(t, "difference, high", d.Interval.High, r.Compare.High, 1e-12)
	near(t, "McNemar", d.P, r.Compare.P, 1e-9)
	for _, m := range r.McNemar {
		x, y := int(m[0]), int(m[1])
		near(t, "McNemar table", binomialHalf(min(x, y), x+y), m[2], 1e-9)
	}
}

func TestIntervalsAgainstReferee(t *testing.T) {
	r := readReferee(t)
	for _, w := range r.Wilson {
		i := Wilson(int(w[0]), int(w[1]))
		near(t, "Wilson low", i.Low, w[2], 1e-12)
		near(t, "Wilson high", i.High, w[3], 1e-12)
	}
	for _, m := range r.Mean {
		got := must[Mean](t)(MeanOf(m.Values))
		near(t, "mean", got.Value, m.Value, 1e-12)
		near(t, "sd", got.SD, m.SD, 1e-12)
		near(t, "t low", got.Interval.Low, m.Low, 1e-9)
		near(t, "t high", got.Interval.High, m.High, 1e-9)
	}
}

func TestAveragePrecisionAgainstReferee(t *testing.T) {
	r := readReferee(t)
	logits, _, _ := refScores()
	positive := make([]bool, len(logits.Data))
	for i := range positive {
		n, k := float64(i/refK), float64(i%refK)
		positive[i] = math.Sin(0.7*n+1.9*k) > 0.4
		// numpy.round rounds half to even and multiplies in float32.
		logits.Data[i] = float32(math.RoundToEven(float64(logits.Data[i]*10))) / 10
	}
	mean, counted, err := MeanAveragePrecision(logits, positive)
	if err != nil || counted != refK {
		t.Fatal(counted, err)
	}
	near(t, "mAP", mean, r.MAP, 1e-12)
	for k := range refK {
		var s []float32
		var p []bool
		for i := range refN {
			s, p = append(s, logits.Data[i*refK+k]), append(p, positive[i*refK+k])
		}
		near(t, "AP", must[float64](t)(AveragePrecision(s, p)), r.AveragePrecision[k], 1e-12)
	}
}
