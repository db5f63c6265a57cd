package head

import (
	"cmp"
	"context"
	"encoding/json"
	"math"
	"os"
	"reflect"
	"runtime"
	"slices"
	"testing"
)

// formula computes samples() of internal/golden/referee/head.py.
func formula(n, c, k int) Samples {
	s := Samples{X: make([]float32, n*c), Features: c, Y: make([]int, n), Classes: k}
	for i := range n {
		s.Y[i] = (i*7 + i/5) % k
		for j := range c {
			h := uint32(i)*2654435761 + uint32(j)*40503 + 12345
			h ^= h >> 15
			h *= 2246822519
			h ^= h >> 13
			v := float32(h>>8)/(1<<23) - 1
			if j%k == s.Y[i] {
				v += 0.25
			}
			s.X[i*c+j] = v
		}
	}
	return s
}

func everyKth(n, k int) [][]int {
	folds := make([][]int, k)
	for i := range n {
		folds[i%k] = append(folds[i%k], i)
	}
	return folds
}

// A strictly convex problem has a single optimum, so ours must equal scikit-learn's.
// Tolerance 2e-5: the head's weights are float32 and the solver stops at a gradient of 1e-6.
func TestLogisticFindsScikitLearnsOptimum(t *testing.T) {
	raw, err := os.ReadFile("testdata/logistic.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Fits []struct {
			N, Features, Classes int
			Strength             float64
			Probabilities        [][]float64
		}
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	for _, g := range golden.Fits {
		s := formula(g.N, g.Features, g.Classes)
		fit, err := Logistic(context.Background(), s, LogisticOptions{Strengths: []float64{g.Strength}})
		if err != nil {
			t.Fatal(err)
		}
		p := Softmax(fit.Head.Logits(s.X), g.Classes)
		for i, row := range g.Probabilities {
			for k, want := range row {
				if got := float64(p[i*g.Classes+k]); math.Abs(got-want) > 2e-5 {
					t.Errorf("N %d C %d K %d: sample %d class %d: %v, scikit-learn %v", g.N, g.Features, g.Classes, i, k, got, want)
				}
			}
		}
	}
}

// Solving by the Gram matrix (N < C) and solving directly give the same head.
func TestGramAndDirectWaysAgree(t *testing.T) {
	s := formula(30, 50, 3)
	gram, direct := newDesign(s), newDesign(s)
	if gram.gram == nil {
		t.Fatal("30 samples of 50 features did not use the Gram matrix")
	}
	direct.gram = nil
	rows := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 20, 21, 22}
	var heads []*Linear
	for _, d := range []*design{gram, direct} {
		b := d.basis(rows)
		p, err := problem{z: b.thin(), Samples: s.pick(rows), strength: 0.1}.solve(context.Background(), descent{iterations: 500, tolerance: 1e-9})
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, b.linear(b.axes(), p, 3))
	}
	for i, w := range heads[0].Weight {
		if math.Abs(float64(w-heads[1].Weight[i])) > 1e-5 {
			t.Fatalf("weight %d: %v by the Gram matrix, %v directly", i, w, heads[1].Weight[i])
		}
	}
}

func TestOutOfFoldNeverSeesItsOwnLabel(t *testing.T) {
	// Pure noise: anything far above chance out of fold is a leak.
	s := formula(40, 200, 2)
	for i := range s.X { // undo the class shift
		if i%200%2 == s.Y[i/200] {
			s.X[i] -= 0.25
		}
	}
	fit, err := Logistic(context.Background(), s, LogisticOptions{Folds: everyKth(40, 5)})
	if err != nil {
		t.Fatal(err)
	}
	if right := Correct(fit.OutOfFold, s.Y, 2); right > 30 {
		t.Errorf("%d of 40 right out of fold on noise: the folds leak", right)
	}
	if fit.Strength < 1 {
		t.Errorf("strength %v chosen on noise, want a strong one", fit.Strength)
	}
}

func TestSameSeedSameBits(t *testing.T) {
	s := formula(50, 80, 3)
	run := func() []any {
		l, err := Logistic(context.Background(), s, LogisticOptions{Folds: everyKth(50, 5)})
		if err != nil {
			t.Fatal(err)
		}
		g, err := SGD(context.Background(), s, SGDOptions{Seed: 7, Epochs: 5, Folds: everyKth(50, 5)})
		if err != nil {
			t.Fatal(err)
		}
		return []any{l.Head, l.OutOfFold, l.Choices, g.Head, g.OutOfFold}
	}
	if a, b := run(), run(); !reflect.DeepEqual(a, b) {
		t.Error("two runs with the same seed differ")
	}
}

func TestHistoryTellsTheTruth(t *testing.T) {
	s := formula(60, 40, 2)
	var steps []Step
	fit, err := Logistic(context.Background(), s, LogisticOptions{Folds: everyKth(60, 5), Step: func(r Step) { steps = append(steps, r) }})
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) != fit.Steps || len(steps) < 3 {
		t.Fatalf("%d rows of history for %d steps", len(steps), fit.Steps)
	}
	last := steps[len(steps)-1]
	if !reflect.DeepEqual(last.Head, fit.Head) || last.FoldRight != Correct(fit.OutOfFold, s.Y, 2) {
		t.Errorf("last row %+v does not describe the fit", last)
	}
	if steps[0].TrainLoss <= last.TrainLoss {
		t.Errorf("train loss went from %v to %v", steps[0].TrainLoss, last.TrainLoss)
	}
}

func TestBadSamplesAreNamed(t *testing.T) {
	good := formula(10, 4, 2)
	bad := map[string]func(*Samples){
		"label out of range": func(s *Samples) { s.Y = append([]int{2}, s.Y[1:]...) },
		"negative label":     func(s *Samples) { s.Y = append([]int{-1}, s.Y[1:]...) },
		"an empty class":     func(s *Samples) { s.Y = make([]int, 10) },
		"one class":          func(s *Samples) { s.Y, s.Classes = make([]int, 10), 1 },
		"short features":     func(s *Samples) { s.X = s.X[1:] },
		"no samples":         func(s *Samples) { s.X, s.Y = nil, nil },
		"a NaN": func(s *Samples) {
			s.X = append([]float32{float32(math.NaN())}, s.X[1:]...)
		},
	}
	for name, spoil := range bad {
		s := good
		spoil(&s)
		if _, err := Logistic(context.Background(), s, LogisticOptions{Strengths: []float64{1}}); err == nil {
			t.Errorf("logistic accepts %s", name)
		}
		if _, err := SGD(context.Background(), s, SGDOptions{}); err == nil {
			t.Errorf("SGD accepts %s", name)
		}
		if _, err := KNN(s, good.X, 3); err == nil {
			t.Errorf("k-NN accepts %s", name)
		}
	}
	if _, err := Logistic(context.Background(), good, LogisticOptions{}); err == nil {
		t.Error("a choice of strengths without folds is accepted")
	}
	if _, err := Logistic(context.Background(), good, LogisticOptions{Folds: [][]int{{0, 1}, {1, 2}}}); err == nil {
		t.Error("overlapping folds are accepted")
	}
	if _, err := SGD(context.Background(), good, SGDOptions{Rate: 1e38}); err == nil {
		t.Error("a diverging fit is accepted")
	}
}

func TestInterruptedFitsStop(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := formula(60, 40, 2)
	_, err := Logistic(ctx, s, LogisticOptions{Strengths: []float64{1e-3}, Step: func(r Step) {
		if r.Step == 2 {
			cancel()
		}
	}})
	if err != context.Canceled {
		t.Errorf("logistic after cancel: %v", err)
	}
	if _, err := SGD(ctx, s, SGDOptions{}); err != context.Canceled {
		t.Errorf("SGD after cancel: %v", err)
	}
}

// The neighbours are those of a stable sort, also where many samples are equally near, and whichever
// processor looks for them.
func TestKNNWithTies(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	train, x := formula(400, 8, 5), formula(700, 8, 5).X
	for i := range train.X {
		train.X[i] = float32(math.Round(float64(train.X[i]))) // few different directions
	}
	for _, k := range []int{1, 7, 400} {
		got, err := KNN(train, x, k)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 700 {
			near := make([]neighbour, train.Len())
			row := x[i*8 : (i+1)*8]
			for j := range near {
				near[j] = neighbour{float64(dot(row, train.Row(j))) / (length(row) * length(train.Row(j))), j}
			}
			slices.SortStableFunc(near, func(a, b neighbour) int { return cmp.Compare(b.similarity, a.similarity) })
			want := make([]float32, 5)
			vote(want, train, near[:k])
			if !slices.Equal(got[i*5:(i+1)*5], want) {
				t.Fatalf("k %d, row %d: %v, want %v", k, i, got[i*5:(i+1)*5], want)
			}
		}
	}
}

func TestKNNFindsTheNearest(t *testing.T) {
	train := Samples{X: []float32{1, 0, 0, 1, -1, 0}, Features: 2, Y: []int{0, 1, 2}, Classes: 3}
	p, err := KNN(train, []float32{5, 0.1, -0.2, 9, 0, 0}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := Classes(p, 3)[:2]; !reflect.DeepEqual(got, []int{0, 1}) {
		t.Errorf("nearest classes %v, want [0 1]", got)
	}
}

// Duplicated pictures make the Gram matrix singular in more than the one usual direction.
func TestDuplicatesDoNotBreakTheFactorisation(t *testing.T) {
	s := formula(20, 64, 2)
	s.X = append(s.X, s.X...)
	s.Y = append(s.Y, s.Y...)
	fit, err := Logistic(context.Background(), s, LogisticOptions{Folds: everyKth(40, 4)})
	if err != nil {
		t.Fatal(err)
	}
	if right := Correct(fit.Head.Logits(s.X), s.Y, 2); right < 36 {
		t.Errorf("%d of 40 right", right)
	}
}

func BenchmarkLogistic244x1280(b *testing.B) {
	s := formula(244, 1280, 2)
	for b.Loop() {
		if _, err := Logistic(context.Background(), s, LogisticOptions{Folds: everyKth(244, 5)}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLogistic720x1280x13(b *testing.B) {
	s := formula(720, 1280, 13)
	for b.Loop() {
		if _, err := Logistic(context.Background(), s, LogisticOptions{Folds: everyKth(720, 5)}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSGD25Epochs(b *testing.B) {
	s := formula(244, 1280, 2)
	for b.Loop() {
		if _, err := SGD(context.Background(), s, SGDOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
