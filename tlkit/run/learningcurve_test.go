package run

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/results"
)

// The curve ends where a training ends, and more pictures bring something where the head still learns.
func TestLearningCurve(t *testing.T) {
	s := Spec{Data: "insects-hard", Model: "mobilenetv2", Seed: 1}
	place := Place{Folder: t.TempDir()}
	c, err := s.LearningCurve(t.Context(), place, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Train(t.Context(), s, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	first, last := c.Points[0], c.Points[len(c.Points)-1]
	if len(c.Points) < 6 || first.Train > 20 || last.Train != r.Train || last.Mean != r.Score.Value || len(first.Scores) != curveDraws || len(last.Scores) != 1 {
		t.Errorf("points %+v, trained on %d with %s", c.Points, r.Train, r.Score)
	}
	for _, p := range c.Points {
		if !p.Interval.Contains(p.Mean) {
			t.Errorf("%d pictures: %v is not within %v", p.Train, p.Mean, p.Interval)
		}
	}
	if first.Mean > last.Mean-0.05 {
		t.Errorf("from %d to %d pictures the score goes from %v to %v", first.Train, last.Train, first.Mean, last.Mean)
	}
	for _, f := range []*results.Forecast{c.More, c.Twice} {
		if f == nil || !(f.Interval.Low < f.Gain && f.Gain < f.Interval.High) || !(f.Gain > 0 && f.Gain < 1-last.Mean) {
			t.Fatalf("forecast %+v", f)
		}
	}
	if c.Twice.Train != 2*last.Train || c.More.Train != last.Train+100 || c.More.Gain > c.Twice.Gain {
		t.Errorf("forecasts %+v, %+v", c.More, c.Twice)
	}
	if text := c.Text(); !strings.Contains(text, "twice as many (488) would bring about +") {
		t.Errorf("%s", text)
	}
}

// Where the labels are dealt at random, no number of pictures helps, and the curve says that it cannot tell.
func TestLearningCurveOfNothing(t *testing.T) {
	dir := scrambled(t)
	c, err := Spec{Data: dir, Model: "mobilenetv2", Seed: 1}.LearningCurve(t.Context(), Place{Folder: t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Twice.Interval.Low > 0.005 || math.Abs(c.Points[len(c.Points)-1].Mean-0.5) > 0.15 {
		t.Errorf("on noise: %s", c.Text())
	}
}

func TestLearningCurveRefuses(t *testing.T) {
	few, err := Spec{Data: testpictures.Shapes(t, []string{"discs", "bars"}, 7), Model: "mobilenetv2", Seed: 1}.LearningCurve(t.Context(), Place{Folder: t.TempDir()}, nil)
	if err != nil || few.Twice != nil || !strings.Contains(few.Text(), "too few sizes for a forecast") {
		t.Errorf("%v, %+v", err, few)
	}
	for want, s := range map[string]Spec{
		"with folds":   {Data: "insects", Model: "mobilenetv2", Folds: 5, Seed: 1},
		"fine-tuning":  {Data: "insects", Model: "mobilenetv2", Finetune: 1, Seed: 1},
		"no data set ": {Data: "insects-nowhere", Model: "mobilenetv2", Seed: 1},
	} {
		if _, err := s.LearningCurve(t.Context(), Place{Folder: t.TempDir()}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// scrambled copies insects into folders that say nothing about them.
func scrambled(t *testing.T) string {
	t.Helper()
	set, err := datasets.Open(t.Context(), "insects", datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir, rng := t.TempDir(), rand.New(rand.NewPCG(4, 2))
	for i, item := range set.Items[:600] {
		raw, err := os.ReadFile(item.Path)
		if err != nil {
			t.Fatal(err)
		}
		testpictures.Write(t, filepath.Join(dir, []string{"heads", "tails"}[rng.IntN(2)], fmt.Sprintf("%04d.png", i)), raw)
	}
	return dir
}
