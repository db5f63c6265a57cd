package heads

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/head"
)

// formula computes samples() of internal/golden/referee/head.py.
func formula(n, c, k int) head.Samples {
	s := head.Samples{X: make([]float32, n*c), Features: c, Y: make([]int, n), Classes: k}
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

// clouds returns classes around random directions, as features are: all positive, of different lengths.
func clouds(n, c, k int, noise float64) head.Samples {
	rng := rand.New(rand.NewPCG(3, 4))
	centre := make([]float64, k*c)
	for i := range centre {
		centre[i] = rng.ExpFloat64()
	}
	s := head.Samples{Features: c, Classes: k}
	for i := range n {
		y := i % k
		length := math.Exp(rng.NormFloat64() / 2)
		for j := range c {
			s.X = append(s.X, float32(length*math.Abs(centre[y*c+j]+noise*rng.NormFloat64())))
		}
		s.Y = append(s.Y, y)
	}
	return s
}

func dealtBy(n, k int) [][]int {
	folds := make([][]int, k)
	for i := range n {
		folds[i/3%k] = append(folds[i/3%k], i)
	}
	return folds
}

// The shares of the votes are those of KNeighborsClassifier with cosine distance and DINO's weights;
// smoothing is undone. The tolerance is that of features of length 1 in float32.
func TestNeighboursAreScikitLearns(t *testing.T) {
	raw, err := os.ReadFile("../head/testdata/families.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		KNN []struct {
			N, Features, Classes int
			Setting              float64
			Outputs              [][]float64
		}
	}
	if err := json.Unmarshal(raw, &golden); err != nil || len(golden.KNN) == 0 {
		t.Fatal(err, len(golden.KNN))
	}
	for _, g := range golden.KNN {
		all := formula(g.N, g.Features, g.Classes)
		var train, asked []int
		for i := range g.N {
			if i < g.N-10 {
				train = append(train, i)
			} else {
				asked = append(asked, i)
			}
		}
		n, err := NewNeighbours(all.Select(train), int(g.Setting))
		if err != nil {
			t.Fatal(err)
		}
		logits := n.Logits(all.Select(asked).X)
		for i, row := range g.Outputs {
			for k, want := range row {
				p := math.Exp(float64(logits[i*g.Classes+k]))
				got := (p*(g.Setting+1) - 1/float64(g.Classes)) / g.Setting
				if math.Abs(got-want) > 2e-5 {
					t.Errorf("N %d k %v: sample %d class %d has the share %v, scikit-learn %v", g.N, g.Setting, i, k, got, want)
				}
			}
		}
	}
}

// Every family: the same bits again, out-of-fold logits of every sample, a model that passes its own
// check, survives its layers and arrays, and gives probabilities.
func TestEveryFamily(t *testing.T) {
	s := clouds(60, 40, 3, 0.7)
	for _, kind := range append(Kinds(), AutoKind) {
		for _, folds := range [][][]int{nil, dealtBy(60, 4)} {
			fit := func() *Fitted {
				f, err := Fit(t.Context(), kind, s, Options{Folds: folds})
				if err != nil {
					t.Fatal(kind, err)
				}
				return f
			}
			f := fit()
			if !reflect.DeepEqual(f, fit()) {
				t.Errorf("%s: another fit of the same samples differs", kind)
			}
			if (f.OutOfFold != nil) != (folds != nil) || folds != nil && len(f.OutOfFold) != 180 {
				t.Errorf("%s: %d out-of-fold logits with %d folds", kind, len(f.OutOfFold), len(folds))
			}
			if folds != nil && head.Correct(f.OutOfFold, s.Y, 3) < 50 {
				t.Errorf("%s: %d of 60 right out of fold", kind, head.Correct(f.OutOfFold, s.Y, 3))
			}
			roundTrip(t, f.Model, s.X)
		}
	}
}

func roundTrip(t *testing.T, m Model, x []float32) {
	t.Helper()
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	layers, parts := Layers(m), Parts(m)
	if layers == nil {
		layers = []Layer{{Kind: head.LogisticKind}}
	}
	c, k := m.Size()
	again, err := Read(layers, c, k, func(i int, name string, shape ...int) ([]float32, error) {
		for _, p := range parts[i] {
			if p.Name == name && slices.Equal(p.Shape, shape) {
				return p.Values, nil
			}
		}
		t.Fatalf("no array %s of shape %v in layer %d", name, shape, i)
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := m.Logits(x); !slices.Equal(again.Logits(x), want) {
		t.Errorf("%T: other logits after reading", m)
	}
	if m.Logits(x[:c+1]) != nil && len(m.Logits(x[:c+1])) > 0 {
		t.Errorf("%T: logits of a row and a bit", m)
	}
}

func TestMeanIsOfProbabilities(t *testing.T) {
	s := clouds(30, 10, 2, 0.5)
	a, err := NewNeighbours(s, 3)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Fit(t.Context(), head.LogisticKind, s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := &Mean{[]Model{a, f.Model}}
	roundTrip(t, m, s.X)
	got, pa, pb := m.Logits(s.X), head.Softmax(a.Logits(s.X), 2), head.Softmax(f.Model.Logits(s.X), 2)
	for i := range got {
		if math.Abs(math.Exp(float64(got[i]))-float64(pa[i]+pb[i])/2) > 1e-6 {
			t.Fatalf("probability %d: %v of %v and %v", i, got[i], pa[i], pb[i])
		}
	}
	for _, bad := range []*Mean{{}, {[]Model{a}}, {[]Model{a, m}}, {[]Model{a, &head.Linear{Features: 9, Classes: 2}}}} {
		if bad.Check() == nil {
			t.Errorf("a mean of %d models passes", len(bad.Of))
		}
	}
}

// Only the direction of a picture's features counts.
func TestLengthDoesNotCount(t *testing.T) {
	s := clouds(30, 10, 2, 0.5)
	longer := slices.Clone(s.X)
	for i := range longer {
		longer[i] *= 32
	}
	for _, kind := range []head.Kind{KNNKind, CosineKind} {
		f, err := Fit(t.Context(), kind, s, Options{Folds: dealtBy(30, 3)})
		if err != nil {
			t.Fatal(err)
		}
		want := f.Model.Logits(s.X)
		for i, v := range f.Model.Logits(longer) {
			if math.Abs(float64(v-want[i])) > 1e-5 {
				t.Fatalf("%s: logit %d is %v, of longer features %v", kind, i, want[i], v)
			}
		}
		if zero := f.Model.Logits(make([]float32, 10)); math.IsNaN(float64(zero[0])) {
			t.Errorf("%s: logits %v of a row of zeros", kind, zero)
		}
	}
}

// A class that surrounds the other cannot be told by a plane: neighbours are clearly better, and chosen.
// On classes that a plane tells apart, and on noise, the logistic head stays.
func TestChoiceOfFamily(t *testing.T) {
	ring := head.Samples{Features: 2, Classes: 2}
	rng := rand.New(rand.NewPCG(8, 9))
	for i := range 240 {
		angle := math.Pi / 2 * rng.Float64() // directions, as cosine sees them
		y := 0
		if angle > math.Pi/6 && angle < math.Pi/3 {
			y = 1
		}
		ring.X = append(ring.X, float32(math.Cos(angle)), float32(math.Sin(angle)))
		ring.Y = append(ring.Y, y)
		_ = i
	}
	noise := formula(120, 20, 2)
	for i := range noise.Y {
		noise.Y[i] = (i / 2) % 2
	}
	for name, c := range map[string]struct {
		s       head.Samples
		planeOK bool
	}{"ring": {ring, false}, "clouds": {clouds(120, 30, 2, 0.3), true}, "noise": {noise, true}} {
		f, err := Fit(t.Context(), AutoKind, c.s, Options{Folds: dealtBy(c.s.Len(), 5)})
		if err != nil {
			t.Fatal(err)
		}
		chosen := slices.IndexFunc(f.Families, func(t Tried) bool { return t.Chosen })
		if chosen < 0 || f.Kind != f.Families[chosen].Family {
			t.Fatalf("%s: kind %s, families %+v", name, f.Kind, f.Families)
		}
		if stays := f.Kind == head.LogisticKind; stays != c.planeOK {
			t.Errorf("%s: %s", name, Line(f.Families))
		}
		if got := head.LogLoss(f.OutOfFold, c.s.Y, c.s.Classes); math.Abs(got-f.Families[chosen].Loss) > 1e-9 {
			t.Errorf("%s: out-of-fold loss %v of the logits, %v of the choice", name, got, f.Families[chosen].Loss)
		}
		if !strings.Contains(Line(f.Families), "chosen by folds") || len(f.Families) != len(Kinds())+1 {
			t.Errorf("%s: %d families: %s", name, len(f.Families), Line(f.Families))
		}
	}
}

// What cannot be fitted is left out of the choice, and said.
func TestChoiceLeavesOut(t *testing.T) {
	s := clouds(40, 10, 2, 0.5)
	f, err := Fit(t.Context(), AutoKind, s, Options{Folds: dealtBy(40, 4), ClassWeights: true})
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, one := range f.Families {
		if one.Failed != "" {
			failed++
		}
	}
	if failed != 3 || strings.Count(Line(f.Families), "left out") != 3 {
		t.Errorf("%d families left out with class weights, want ridge, lda and knn: %s", failed, Line(f.Families))
	}
}

func TestErrors(t *testing.T) {
	s := clouds(20, 5, 2, 0.5)
	values := head.Samples{X: s.X, Features: 5, Classes: 1, Targets: make([]float64, 20)}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for want, c := range map[string]struct {
		ctx  context.Context
		kind head.Kind
		s    head.Samples
		o    Options
	}{
		"want one of":   {t.Context(), "forest", s, Options{}},
		"Targets":       {t.Context(), KNNKind, values, Options{}},
		"class weights": {t.Context(), LDAKind, s, Options{ClassWeights: true}},
		"canceled":      {stopped, KNNKind, s, Options{Folds: dealtBy(20, 3)}},
		"0 samples":     {t.Context(), AutoKind, head.Samples{Features: 1, Classes: 2}, Options{}},
	} {
		if _, err := Fit(c.ctx, c.kind, c.s, c.o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	n, err := NewNeighbours(s, 3)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Neighbours){
		"k": func(n *Neighbours) { n.K = 21 }, "class": func(n *Neighbours) { n.Y[3] = 2 }, "length": func(n *Neighbours) { n.X[0] += 1 },
		"factor": func(n *Neighbours) { n.Factor = math.NaN() }, "rows": func(n *Neighbours) { n.X = n.X[1:] }, "number": func(n *Neighbours) { n.X[0] = float32(math.NaN()) },
	} {
		bad := *n
		bad.X, bad.Y = slices.Clone(n.X), slices.Clone(n.Y)
		spoil(&bad)
		if bad.Check() == nil {
			t.Errorf("neighbours with a wrong %s pass", name)
		}
	}
}

// BenchmarkFit compares the search of today, for the strength of a logistic head, with that among all
// families: 720 pictures, 1,280 features, 12 classes.
func BenchmarkFit(b *testing.B) {
	s := clouds(720, 1280, 12, 3)
	folds := dealtBy(720, 5)
	for _, kind := range append(Kinds(), AutoKind) {
		b.Run(string(kind), func(b *testing.B) {
			for b.Loop() {
				if _, err := Fit(b.Context(), kind, s, Options{Folds: folds}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
