package finetune

import (
	"context"
	"math"
	"path/filepath"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/curves"
)

// testdata/interrupted was written by tlkit before fine-tuning had its own package, after 9 of the
// 16 steps of this plan. It must open, match today's plan, and continue. Fields that identify the
// machine it was written on are replaced by those of this one.
func TestCheckpointsOfEarlierVersionsResume(t *testing.T) {
	e := xla(t)
	d := job(t, e, formulaNet(t, "resnet20_cifar10", 0.8), t.TempDir())
	t.Setenv("TLKIT_CACHE", t.TempDir())
	p := small("everything at once")
	p.Groups = []Group{{Name: HeadStage, Stages: []string{HeadStage}, Rate: 2e-3, Decay: 0.01}}
	p.Norms = FrozenNorms
	straight, err := Train(context.Background(), d, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	old, err := checkpoints{"testdata/interrupted"}.list()
	if err != nil || len(old) != 2 {
		t.Fatalf("%d checkpoints, %v", len(old), err)
	}
	of, err := d.identity(p)
	if err != nil {
		t.Fatal(err)
	}
	d.Folder, d.Resume = t.TempDir(), true
	here := checkpoints{filepath.Join(d.Folder, "checkpoints")}
	for i := range old {
		s, err := old[len(old)-1-i].load()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"plan", "preset", "arithmetic"} {
			if s.Identity[key] != of[key] {
				t.Errorf("%s was\n%s\nand is\n%s", key, s.Identity[key], of[key])
			}
		}
		s.Identity = of
		if err := here.save(s); err != nil {
			t.Fatal(err)
		}
	}
	history := curves.NewRecorder(curves.Run{}, nil, 0, nil)
	got, err := Train(context.Background(), d, p, history)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(history.Run().Series(curves.Train, curves.Loss)); n != 2 || got.Steps != straight.Steps {
		t.Errorf("%d epochs after resuming and %d steps in all, want 2 and %d", n, got.Steps, straight.Steps)
	}
	for i, want := range straight.Head.Weight {
		// On another processor, the last digits of the head differ; a repeated or skipped step
		// changes a weight by 1e-3.
		if off := math.Abs(float64(got.Head.Weight[i] - want)); off > 2e-5 {
			t.Fatalf("weight %d is %v, by the uninterrupted training %v", i, got.Head.Weight[i], want)
		}
	}
}
