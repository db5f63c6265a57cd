package head

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
)

type familyFit struct {
	N, Features, Classes int
	Setting              float64
	Outputs              [][]float64
}

func familyGolden(t *testing.T) (g struct{ LDA, Ridge []familyFit }) {
	t.Helper()
	raw, err := os.ReadFile("testdata/families.json")
	if err == nil {
		err = json.Unmarshal(raw, &g)
	}
	if err != nil || len(g.LDA) == 0 || len(g.Ridge) == 0 {
		t.Fatal(err, len(g.LDA), len(g.Ridge))
	}
	return g
}

// The tolerance of 2e-5 covers float32 weights and the jitter on the Gram matrix.
func (g familyFit) compare(t *testing.T, outputs []float32) {
	t.Helper()
	for i, row := range g.Outputs {
		for k, want := range row {
			if got := float64(outputs[i*g.Classes+k]); math.Abs(got-want) > 2e-5 {
				t.Errorf("N %d C %d K %d: sample %d class %d: %v, scikit-learn %v", g.N, g.Features, g.Classes, i, k, got, want)
			}
		}
	}
}

func TestLDAIsScikitLearns(t *testing.T) {
	for _, g := range familyGolden(t).LDA {
		s := formula(g.N, g.Features, g.Classes)
		fit, err := LDA(t.Context(), s, LDAOptions{Shrinkages: []float64{g.Setting}})
		if err != nil {
			t.Fatal(err)
		}
		g.compare(t, Softmax(fit.Head.Logits(s.X), s.Classes))
	}
}

func TestRidgeOfClassesIsScikitLearns(t *testing.T) {
	for _, g := range familyGolden(t).Ridge {
		s := formula(g.N, g.Features, g.Classes)
		fit, err := Ridge(t.Context(), s, RidgeOptions{Strengths: []float64{g.Setting}})
		if err != nil {
			t.Fatal(err)
		}
		g.compare(t, fit.Head.Logits(s.X))
	}
}

// solvers are the families that are solved in one step.
var solvers = map[string]func(context.Context, Samples, [][]int, func(Step)) (*Fit, error){
	"lda": func(ctx context.Context, s Samples, folds [][]int, step func(Step)) (*Fit, error) {
		return LDA(ctx, s, LDAOptions{Folds: folds, Step: step})
	},
	"ridge": func(ctx context.Context, s Samples, folds [][]int, step func(Step)) (*Fit, error) {
		return Ridge(ctx, s, RidgeOptions{Folds: folds, Step: step})
	},
}

// The out-of-fold outputs are what a head that never saw the fold says: fitted by hand without it, they
// are the same up to the common factor, for fewer samples than features and for more.
func TestClosedFormsOutOfFold(t *testing.T) {
	for name, fit := range solvers {
		for _, s := range []Samples{formula(40, 90, 3), formula(120, 12, 3)} {
			folds := everyKth(s.Len(), 4)
			var steps []Step
			got, err := fit(t.Context(), s, folds, func(s Step) { steps = append(steps, s) })
			if err != nil {
				t.Fatal(name, err)
			}
			if again, err := fit(t.Context(), s, folds, nil); err != nil || !reflect.DeepEqual(again, got) {
				t.Errorf("%s: a fit without a history is another one (%v)", name, err)
			}
			best := lowest(got.Choices)
			if len(steps) != len(got.Choices) || got.Strength != got.Choices[best].Strength || got.Steps != best+1 {
				t.Fatalf("%s: %d steps, %d choices, chosen %v at step %d", name, len(steps), len(got.Choices), got.Strength, got.Steps)
			}
			if loss := LogLoss(got.OutOfFold, s.Y, s.Classes); math.Abs(loss-got.Choices[best].Loss) > 1e-6 {
				t.Errorf("%s: out-of-fold loss %v, the choice says %v", name, loss, got.Choices[best].Loss)
			}
			var train []int
			for i := range s.Len() {
				if i%4 != 0 {
					train = append(train, i)
				}
			}
			var alone *Fit
			if name == "lda" {
				alone, err = LDA(t.Context(), s.Select(train), LDAOptions{Shrinkages: []float64{got.Strength}})
			} else { // standardised over all samples, so only nearly the same
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			one, other, ratio := alone.Head.Logits(s.Row(0)), alone.Head.Logits(s.Row(4)), 0.0 // of the same fold
			held := func(row, class int) float64 { return float64(got.OutOfFold[row*s.Classes+class]) }
			for k := 1; k < s.Classes; k++ { // differences of classes and rows drop what is the same for all
				d := float64(other[k]-other[0]) - float64(one[k]-one[0])
				if math.Abs(d) < 0.1 {
					continue
				}
				r := (held(4, k) - held(4, 0) - held(0, k) + held(0, 0)) / d
				if ratio != 0 && math.Abs(r/ratio-1) > 1e-3 {
					t.Errorf("%s: factors %v and %v between out-of-fold logits and those of a head without the fold", name, ratio, r)
				}
				ratio = r
			}
			if ratio == 0 {
				t.Error("no logits to compare")
			}
		}
	}
}

// The factor is where the log loss has no slope.
func TestCalibrate(t *testing.T) {
	s := formula(60, 5, 3)
	outputs := away(5, 3).Logits(s.X)
	for i, y := range s.Y {
		outputs[i*3+y] += 0.5
	}
	factor, loss := s.Calibrate(outputs)
	for _, by := range []float64{0.97, 1.03} {
		other := make([]float32, len(outputs))
		for i, v := range outputs {
			other[i] = float32(float64(v) * factor * by)
		}
		if l := LogLoss(other, s.Y, 3); l <= loss {
			t.Errorf("factor %v gives %v, %v times as much gives %v", factor, loss, by, l)
		}
	}
	if factor < 0.01 || factor > 100 {
		t.Errorf("factor %v", factor)
	}
}

// On noise, chance is all there is out of fold: the factor makes the probabilities say so.
func TestClosedFormsOnNoise(t *testing.T) {
	s := formula(60, 200, 2)
	for i := range s.Y {
		s.Y[i] = (i / 3) % 2
	}
	for name, fit := range solvers {
		got, err := fit(t.Context(), s, everyKth(60, 5), nil)
		if err != nil {
			t.Fatal(err)
		}
		if loss := LogLoss(got.OutOfFold, s.Y, 2); loss > 0.75 || loss < 0.5 {
			t.Errorf("%s: out-of-fold loss %v on noise, want about %v", name, loss, math.Ln2)
		}
	}
}

func TestLDAErrors(t *testing.T) {
	same := formula(6, 4, 2)
	for i := range same.X {
		same.X[i] = float32(same.Y[i/4])
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for want, c := range map[string]struct {
		ctx context.Context
		s   Samples
		o   LDAOptions
	}{
		"equal within": {t.Context(), same, LDAOptions{}},
		"at most 1":    {t.Context(), formula(20, 5, 2), LDAOptions{Shrinkages: []float64{1.5}}},
		"Targets":      {t.Context(), valued(20, 5, 2), LDAOptions{}},
		"0 folds":      {t.Context(), formula(20, 5, 2), LDAOptions{Shrinkages: []float64{0.5, 0.1}}},
		"canceled":     {stopped, formula(20, 5, 2), LDAOptions{Folds: everyKth(20, 2)}},
	} {
		if _, err := LDA(c.ctx, c.s, c.o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// A picture of each label is enough for one scale, and tells standard deviations nothing.
func TestOneScale(t *testing.T) {
	right := map[bool]int{}
	const features = 200
	for draw := range 20 {
		s := formula(2+60, features, 2)
		train, rest := s.Select([]int{2 * draw, 2*draw + 1}), s
		if train.Y[0] == train.Y[1] {
			continue
		}
		for i := range train.X { // a few features are large and tell the classes apart
			train.X[i] *= large(i % features)
		}
		rest = s.Select(s.all())
		for i := range rest.X {
			rest.X[i] *= large(i % features)
		}
		for _, one := range []bool{false, true} {
			fit, err := Logistic(t.Context(), train, LogisticOptions{Strengths: []float64{0.1}, OneScale: one})
			if err != nil {
				t.Fatal(err)
			}
			right[one] += Correct(fit.Head.Logits(rest.X), rest.Y, 2)
		}
	}
	if right[true] == 0 || right[true] <= right[false] {
		t.Errorf("right with one scale %d, with one for each feature %d", right[true], right[false])
	}
}

func large(feature int) float32 {
	if feature < 10 {
		return 1
	}
	return 0.01
}
