package confidence

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/head"
)

const width = 40

// two draws features of two classes that vary along a few directions, and of others far from both.
func two(r *rand.Rand, n int, strange bool) head.Samples {
	s := head.Samples{Features: width, Classes: 2}
	for i := range n {
		y := i % 2
		row := make([]float32, width)
		for c := range row {
			row[c] = float32(3 + 0.1*r.NormFloat64())
		}
		for c := range 5 {
			row[c] += float32(2*y) + float32(r.NormFloat64())
		}
		if strange {
			for c := 20; c < 30; c++ {
				row[c] += 2
			}
		}
		s.X, s.Y = append(s.X, row...), append(s.Y, y)
	}
	return s
}

func dealt(n int) [][]int {
	folds := make([][]int, 5)
	for i := range n {
		folds[i%5] = append(folds[i%5], i)
	}
	return folds
}

// Strange pictures are found, and the false alarms on fresh ones are as many as was said.
func TestFamiliar(t *testing.T) {
	alarms, found, total := 0, 0, 0
	for draw := range 20 {
		r := rand.New(rand.NewPCG(4, uint64(draw)))
		s := two(r, 200, false)
		f, err := FitFamiliar(s, nil, dealt(200), FalseAlarms)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Check(width); err != nil {
			t.Fatal(err)
		}
		count := func(s head.Samples) (n int) {
			for i := range s.Len() {
				if _, unlike := f.Unlike(s.Row(i), nil); unlike {
					n++
				}
			}
			return n
		}
		alarms, found, total = alarms+count(two(r, 200, false)), found+count(two(r, 200, true)), total+200
	}
	// 5 % are promised; the limits of 20 draws spread by 0.4 % around it, and heads of folds know less than
	// that of all pictures, so that there may be fewer.
	if rate := float64(alarms) / float64(total); rate < 0.03 || rate > 0.063 {
		t.Errorf("%.3f false alarms, want 0.05", rate)
	}
	if share := float64(found) / float64(total); share < 0.99 {
		t.Errorf("%.3f of the strange pictures are found", share)
	}
}

// What is kept computes the same as what was fitted: the parts of a held-out picture are those that the
// kept numbers give.
func TestKeptFamiliarity(t *testing.T) {
	s := two(rand.New(rand.NewPCG(5, 5)), 60, false)
	j := newFamiliarising(s, nil, dealt(60))
	all := make([]int, 60)
	for i := range all {
		all[i] = i
	}
	fit, err := j.fit(all)
	if err != nil {
		t.Fatal(err)
	}
	f := &Familiar{Rate: .05, Limit: 1, Scale: [3][2]float64{{0, 1}, {0, 1}}}
	if err := j.keep(f); err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		p := fit.parts(i)
		want := weights[0]*p[0] + weights[1]*p[1]
		if got := f.Strangeness(s.Row(i), nil); math.Abs(got-want) > 1e-3*want { // kept in float32
			t.Errorf("picture %d has the strangeness %v, want %v", i, got, want)
		}
	}
}

// An unsure head adds to the strangeness.
func TestUnsure(t *testing.T) {
	s := two(rand.New(rand.NewPCG(6, 6)), 100, false)
	var logits []float32
	for i := range 100 {
		logits = append(logits, float32(i%7), float32(-i%5))
	}
	f, err := FitFamiliar(s, logits, dealt(100), FalseAlarms)
	if err != nil {
		t.Fatal(err)
	}
	if sure, unsure := f.Strangeness(s.Row(0), []float32{9, 0}), f.Strangeness(s.Row(0), []float32{0.1, 0}); !(unsure > sure) {
		t.Errorf("strangeness %v with a sure head, %v with an unsure one", sure, unsure)
	}
}

func TestFamiliarOfLittle(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	if _, err := FitFamiliar(two(r, 10, false), nil, dealt(10), FalseAlarms); !errors.Is(err, ErrFew) {
		t.Errorf("10 pictures: %v", err)
	}
	if _, err := FitFamiliar(two(r, 100, false), nil, nil, FalseAlarms); !errors.Is(err, ErrFew) {
		t.Errorf("no folds: %v", err)
	}
	same := head.Samples{X: make([]float32, 40*width), Features: width, Classes: 2, Y: make([]int, 40)}
	for i := range same.X {
		same.X[i] = 1
	}
	if _, err := FitFamiliar(same, nil, dealt(40), FalseAlarms); err == nil {
		t.Error("equal pictures are familiar")
	}
}
