package run

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// No score on pictures that the head has learnt from is given without a warning.
func TestFiguresNeverComeFromWhatWasLearnt(t *testing.T) {
	ctx := context.Background()
	pictures, work := testpictures.Shapes(t, []string{"discs", "bars"}, 10), t.TempDir()
	out := filepath.Join(work, "h.head.safetensors")
	spec := Spec{Data: pictures, Model: "mobilenetv2", Seed: 1}
	for _, split := range []string{"train", "Train", "training", "all", "ALL"} {
		s := spec
		s.Split = split
		if r, err := Train(ctx, s, Place{Folder: work}, nil); err == nil {
			t.Errorf("--split %s: %s", split, r.Line())
		}
	}
	folds := spec
	folds.Folds = 2
	train(t, folds, Place{Folder: work, Out: out})
	if e, err := EvaluateHead(ctx, HeadSpec{Head: out, Data: pictures}, Place{}, nil); err == nil || !strings.Contains(err.Error(), "by folds") {
		t.Errorf("a head of all pictures is measured on some of them: %+v, %v", e, err)
	}
	train(t, spec, Place{Folder: work, Out: out})
	if e, err := EvaluateHead(ctx, HeadSpec{Head: out, Data: pictures}, Place{}, nil); err != nil || e.Warning != "" || e.Total != 4 {
		t.Errorf("the very split of the training run: %+v, %v", e, err)
	}
	if e, err := EvaluateHead(ctx, HeadSpec{Head: out, Data: pictures, Split: "all"}, Place{}, nil); err != nil || !strings.Contains(e.Warning, "learnt from") {
		t.Errorf("all pictures, without a word: %+v, %v", e, err)
	}
	disc, err := os.ReadFile(filepath.Join(pictures, "discs", "04.png"))
	if err != nil {
		t.Fatal(err)
	}
	testpictures.Write(t, filepath.Join(pictures, "discs", "new.png"), append(disc, 0))
	if e, err := EvaluateHead(ctx, HeadSpec{Head: out, Data: pictures}, Place{}, nil); err != nil || e.Total != 21 || !strings.Contains(e.Warning, "too good") {
		t.Errorf("a folder that has grown, without a word: %+v, %v", e, err)
	}
}

// A rerun that fails or is killed leaves the finished run unchanged.
func TestFailedRerunLosesNothing(t *testing.T) {
	pictures, work := testpictures.Shapes(t, []string{"discs", "bars"}, 10), t.TempDir()
	spec, place := Spec{Data: pictures, Model: "mobilenetv2", Seed: 1}, Place{Folder: work, Name: "mine"}
	first := train(t, spec, place)
	before, err := os.ReadFile(filepath.Join(first.Run, "head.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	kept := func(when string) {
		t.Helper()
		after, err := os.ReadFile(filepath.Join(first.Run, "head.safetensors"))
		if err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s: the head is gone or another: %v", when, err)
		}
		if _, err := Find(work, "mine"); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	text := func(i int) string { return filepath.Join(pictures, "discs", fmt.Sprintf("text%d.jpg", i)) }
	for i := range 3 {
		testpictures.Write(t, text(i), []byte("no picture"))
	}
	if _, err := Train(context.Background(), spec, place, nil); err == nil {
		t.Fatal("three texts among twenty pictures are accepted")
	}
	kept("too many bad files")
	for i := range 3 {
		if err := os.Remove(text(i)); err != nil {
			t.Fatal(err)
		}
	}
	// Killed in the middle: the next process undoes setAside.
	f := &folder{path: first.Run}
	if err := f.setAside(); err != nil {
		t.Fatal(err)
	}
	asked := spec
	asked.Seeds = 1 // as Train sets it
	g, done, err := openFolder(place, asked, func(string) {})
	if err != nil || done == nil {
		t.Fatalf("after a kill: %v, %v", done, err)
	}
	g.close()
	kept("killed")
	train(t, spec, place)
	kept("computed anew")
	if _, err := os.Stat(f.aside()); err == nil {
		t.Error("the run that was set aside is left behind")
	}
}

// Resume accepts neither other weights nor a picture that was unreadable from the start.
func TestResumeLooksAtWhatARunWasMadeOf(t *testing.T) {
	pictures, work := testpictures.Shapes(t, []string{"discs", "bars"}, 20), t.TempDir()
	whole, err := os.ReadFile(filepath.Join(pictures, "discs", "00.png"))
	if err != nil {
		t.Fatal(err)
	}
	// Intact header, truncated body.
	testpictures.Write(t, filepath.Join(pictures, "discs", "00.png"), whole[:len(whole)/2])
	spec, place := Spec{Data: pictures, Model: "mobilenetv2", Seed: 1}, Place{Folder: work, Name: "mine"}
	r := train(t, spec, place)
	if r.Train+r.Total != 39 {
		t.Errorf("%d learnt from and %d measured, want 39 in all: one cannot be read", r.Train, r.Total)
	}
	place.Resume = true
	if _, err := Train(context.Background(), spec, place, nil); err != nil {
		t.Errorf("nothing changed: %v", err)
	}
}

func TestEqualRunsAreNotCertain(t *testing.T) {
	all := func(n int) metrics.Score { return metrics.Fraction{Correct: n, Total: n}.Score() }
	m, err := metrics.OverFolds([]metrics.Score{all(6), all(6)}, all(12))
	if err != nil || m.Interval.Low > 0.9 || m.Interval.High != 1 {
		t.Errorf("12 of 12 by folds: %+v, %v", m.Interval, err)
	}
	right := metrics.Fraction{Correct: 90, Total: 100}.Score()
	one := One{Score: right, Probe: &Probe{Score: right, GainInterval: metrics.Interval{Low: -0.03, High: 0.03}}}
	p, err := probeOver([]One{one, one, one})
	if err != nil || p.Interval.Low > 0.85 || p.GainInterval.High != 0.03 {
		t.Errorf("three seeds alike: %+v, %v", p, err)
	}
}

// A label without usable pictures is named in the error, with folds too, and also if its
// pictures turn out to be unreadable when decoded.
func TestLabelsWithoutPicturesAreNamed(t *testing.T) {
	ctx := context.Background()
	pictures := testpictures.Shapes(t, []string{"discs", "bars"}, 30)
	for i := 1; i < 30; i++ {
		if err := os.Remove(filepath.Join(pictures, "bars", fmt.Sprintf("%02d.png", i))); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(filepath.Join(pictures, "bars", "00.png"))
	if err != nil {
		t.Fatal(err)
	}
	spec := Spec{Data: pictures, Model: "mobilenetv2", Seed: 1, Folds: 2}
	refused := func(when, want string) {
		t.Helper()
		work := t.TempDir()
		if _, err := Train(ctx, spec, Place{Folder: work}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", when, err, want)
		}
		if runs, _ := filepath.Glob(filepath.Join(work, Home, "[^.]*")); len(runs) > 0 {
			t.Errorf("%s: a run that learnt nothing left %v", when, runs)
		}
	}
	refused("one picture", `"bars" has 1 picture(s) to train on`)
	testpictures.Write(t, filepath.Join(pictures, "bars", "99.png"), whole[:len(whole)/2])
	refused("and a broken one", `"bars" has 1 picture(s) to train on`)
	if err := os.RemoveAll(filepath.Join(pictures, "bars")); err != nil {
		t.Fatal(err)
	}
	refused("one label", "want at least 2")
}
