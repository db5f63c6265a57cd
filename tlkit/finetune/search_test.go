package finetune

import (
	"context"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/head"
)

// Of trials that beat the head alone and are not distinguishable, the one with the smallest rate is
// taken; a clear winner is taken at any rate.
func TestTheSmallestRateThatIsAsGood(t *testing.T) {
	const n = 40
	known := truth{classes(2), head.Samples{Classes: 2}}
	for i := range n {
		known.samples.Y = append(known.samples.Y, i%2)
	}
	trial := func(rate float64, sure, wobble float32) Trial {
		out := Trial{From: "layer3", Rate: rate}
		for i := range n {
			z := sure
			if i%4 < 2 {
				z += wobble
			} else {
				z -= wobble
			}
			if i%2 == 0 {
				out.logits = append(out.logits, z, 0)
			} else {
				out.logits = append(out.logits, 0, z)
			}
		}
		out.judged(known, out.logits)
		return out
	}
	alone := trial(0, 0.5, 0)
	for _, c := range []struct {
		name   string
		trials []Trial
		want   int
	}{
		{"as good", []Trial{trial(3e-4, 1.95, 0.2), trial(1e-3, 2, -0.2)}, 1},
		{"better by far", []Trial{trial(3e-4, 1.2, 0.2), trial(1e-3, 3, -0.2)}, 2},
		{"no better than the head", []Trial{trial(3e-4, 0.5, 0), trial(1e-3, 0.4, 0)}, -1},
	} {
		trials := []Trial{alone}
		for _, tr := range c.trials {
			tr.Gain, tr.Error = known.paired(alone.logits, tr.logits)
			trials = append(trials, tr)
		}
		if got := choose(trials, known); got != c.want {
			t.Errorf("%s: %d, want %d: %+v", c.name, got, c.want, trials)
		}
	}
}

// A network whose loss on its own training pictures is higher than that of the head alone on unseen
// ones is not the result.
func TestAstray(t *testing.T) {
	e := xla(t)
	d := job(t, e, formulaNet(t, "resnet20_cifar10", 0.8), t.TempDir())
	t.Setenv("TLKIT_CACHE", t.TempDir())
	p := small("plain")
	obj, err := d.check(p)
	if err != nil {
		t.Fatal(err)
	}
	pictures, err := openPictures(context.Background(), d, view{items: d.Train, plan: p, borders: p.borders(d.Net), augmented: true})
	if err != nil {
		t.Fatal(err)
	}
	defer pictures.close()
	tu, err := newTuner(d.Net, e, obj, d.Head.Head, p)
	if err != nil {
		t.Fatal(err)
	}
	defer tu.close()
	l := &loop{tuner: tu, feed: newFeeder(tu, pictures, all(len(d.Train)))}
	values, err := tu.tuned()
	if err != nil {
		t.Fatal(err)
	}
	logits, err := l.feed.logitsOf(context.Background(), tu, l.feed.rows)
	if err != nil {
		t.Fatal(err)
	}
	loss, _ := obj.truthOf(d.Train, l.feed.rows).judge(logits)
	for _, c := range []struct {
		alone float64
		want  bool
	}{{loss + 0.01, false}, {loss - 0.01, true}, {nan(), true}} {
		why, err := l.broke(context.Background(), values, []Trial{{Loss: c.alone}})
		if err != nil || (why != "") != c.want {
			t.Errorf("its loss is %v, the head's %v: %q %v", loss, c.alone, why, err)
		}
	}
	if why, err := l.broke(context.Background(), values, nil); why != "" || err != nil {
		t.Errorf("a plan that leaves nothing open: %q, %v", why, err)
	}
	for i := range values[headWeight] {
		values[headWeight][i] *= -3
	}
	if why, _ := l.broke(context.Background(), values, []Trial{{Loss: loss + 0.1}}); why == "" {
		t.Error("the values that are asked about are not those that are judged")
	}
}
