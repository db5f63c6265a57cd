package plots

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// sine is a cheap, seeded stand-in for noise: the same everywhere.
func sine(i int, seed float64) float64 {
	return math.Sin(12.9898*float64(i)+78.233*seed) * math.Cos(4.1414*float64(i)*seed+1)
}

// fineTuned is a run of 8 epochs, frozen for three of them.
func fineTuned(name string, seed float64) curves.Run {
	r := curves.Run{Name: name, Marks: []curves.Mark{{Kind: curves.Unfreeze, Step: 120, Epoch: 3}}}
	const per, epochs = 40, 8
	for i := 0; i <= per*epochs; i++ {
		e := float64(i) / per
		phase := curves.Head
		if e > 3 {
			phase = curves.Finetune
		}
		v := 0.09 + 1.75*math.Exp(-e*1.1) + sine(i, seed)*0.25*math.Exp(-e*0.35)
		r.Points = append(r.Points, curves.Point{Step: i, Epoch: e, Phase: phase, Split: curves.Train, Metric: curves.Loss, Value: math.Max(0.02, v)})
		rate, p := 0.0, e/epochs
		if p < 0.25 {
			rate = 0.04 + 0.96*(1-math.Cos(math.Pi*p/0.25))/2
		} else {
			rate = (1 + math.Cos(math.Pi*(p-0.25)/0.75)) / 2
		}
		r.Points = append(r.Points, curves.Point{Step: i, Epoch: e, Phase: phase, Split: curves.Train, Metric: curves.Rate, Value: rate * 1e-3})
	}
	loss := []float64{0.78, 0.46, 0.335, 0.262, 0.231, 0.219, 0.228, 0.236}
	correct := []int{121, 133, 138, 141, 143, 144, 143, 144}
	for i := range loss {
		phase := curves.Head
		if i >= 3 {
			phase = curves.Finetune
		}
		p := curves.Point{Step: per * (i + 1), Epoch: float64(i + 1), Phase: phase, Split: curves.Valid, N: 153}
		p.Metric, p.Value = curves.Loss, loss[i]*(1+0.4*(seed-1)*sine(i, seed))
		r.Points = append(r.Points, p)
		p.Metric, p.Value = curves.Accuracy, float64(correct[i]-int(7*(seed-1)*math.Abs(sine(i, seed))))/153
		r.Points = append(r.Points, p)
	}
	return r
}

// logistic is a head fitted by L2 logistic regression: one point an iteration,
// chosen out of fold, validation only drawn.
func logistic() curves.Run {
	r := curves.Run{Name: "hymenoptera", Axis: curves.Iterations}
	for i := 1; i <= 34; i++ {
		e := float64(i)
		add := func(split, metric string, v float64, n int) {
			r.Points = append(r.Points, curves.Point{Step: i, Phase: curves.Head, Split: split, Metric: metric, Value: v, N: n})
		}
		add(curves.Train, curves.Loss, 0.02+0.67*math.Exp(-e/4), 0)
		add(curves.Folds, curves.Loss, 0.15+0.54*math.Exp(-e/5)+0.0007*e, 0)
		add(curves.Folds, curves.Accuracy, math.Round(244*(0.957-0.44*math.Exp(-e/3)-0.0003*e))/244, 244)
		add(curves.Valid, curves.Accuracy, math.Round(153*(0.955-0.42*math.Exp(-e/3)))/153, 153)
	}
	r.Marks = []curves.Mark{{Kind: curves.Chosen, Step: 18}}
	return r
}

// confused is a matrix of k classes whose neighbours in a shuffled order are
// taken for each other.
func confused(k, each int) metrics.Confusion {
	c := metrics.Confusion{Counts: make([][]int, k)}
	for i := range c.Counts {
		c.Labels = append(c.Labels, fmt.Sprintf("class %d", i))
		c.Counts[i] = make([]int, k)
		c.Counts[i][i] = each
	}
	at := func(i int) int { return (i*7 + 3) % k }
	for i := range k {
		wrong := int(math.Abs(sine(i, 1.7)) * float64(each) * 0.4)
		c.Counts[at(i)][at(i)] -= wrong
		c.Counts[at(i)][at((i+1)%k)] += wrong - wrong/4
		c.Counts[at(i)][at((i+k-1)%k)] += wrong / 4
	}
	return c
}

func gallery() map[string]Figure {
	seeds := []curves.Run{fineTuned("a", 1), fineTuned("a", 1.4), fineTuned("a", 1.9), fineTuned("a", 2.3)}
	var rivals []curves.Run
	for i, n := range []string{"mobilenetv2", "efficientnet_lite0", "resnet18", "resnet50"} {
		r := fineTuned(n, 1+0.8*float64(i))
		rivals = append(rivals, r)
	}
	return map[string]Figure{
		"curves":          Curves(fineTuned("ants-and-bees", 1)),
		"curves-logistic": Curves(logistic()),
		"curves-seeds":    Curves(seeds...),
		"curves-rivals":   Curves(rivals...),
		"confusion-2":     Confusion(metrics.Confusion{Labels: []string{"ants", "bees"}, Counts: [][]int{{65, 5}, {3, 80}}}),
		"confusion-5":     Confusion(metrics.Confusion{Labels: []string{"bread", "curry", "fruit", "rice dishes", "sweets"}, Counts: [][]int{{31, 2, 0, 1, 4}, {1, 44, 0, 5, 0}, {0, 0, 27, 0, 2}, {2, 6, 0, 38, 0}, {5, 0, 1, 0, 33}}}),
		"confusion-12":    Confusion(confused(12, 20)),
		"confusion-20":    Confusion(confused(20, 50)),
		"confusion-37":    Confusion(confused(37, 100)),
		"confusion-1000":  Confusion(confused(1000, 50)),
	}
}

// TestGallery writes every picture where a person can look at it, when
// TLKIT_GALLERY names a folder.
func TestGallery(t *testing.T) {
	folder := os.Getenv("TLKIT_GALLERY")
	if folder == "" {
		t.Skip("set TLKIT_GALLERY to a folder to look at the pictures")
	}
	for name, f := range gallery() {
		for ext, write := range map[string]func(*os.File) error{
			".png": func(w *os.File) error { return f.PNG(w) },
			".svg": func(w *os.File) error { return f.SVG(w) },
		} {
			w, err := os.Create(filepath.Join(folder, name+ext))
			if err != nil {
				t.Fatal(err)
			}
			if err := write(w); err != nil {
				t.Errorf("%s%s: %v", name, ext, err)
			}
			w.Close()
		}
		fmt.Fprintln(os.Stderr, name+":", f.Text())
	}
}
