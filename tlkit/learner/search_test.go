package learner

import (
	"context"
	"strings"
	"testing"
)

// Of trials that beat the head alone and cannot be told apart the one at the smallest rate is followed; a clear winner is
// followed at any rate.
func TestTheSmallestRateThatIsAsGood(t *testing.T) {
	const n = 40
	known := truth{objective: objective{k: 2}}
	for i := range n {
		known.y = append(known.y, i%2)
	}
	trial := func(rate float64, sure, wobble float32) Trial {
		out := Trial{From: "layer3", Rate: rate, Total: n}
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
		out.Loss, out.Score, out.Right = known.judge(out.logits)
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

// A network that says less about the pictures it learnt from than the head alone about unseen ones is not the result.
func TestAstray(t *testing.T) {
	e := xla(t)
	d := job(t, e, formulaNet(t, "resnet20_cifar10", 0.8), t.TempDir())
	t.Setenv("TLKIT_CACHE", t.TempDir())
	p := small("plain")
	obj, err := d.check(p)
	if err != nil {
		t.Fatal(err)
	}
	pictures, err := openPictures(context.Background(), d.Net, e, d.Train, p, p.borders(d.Net), true, d.state)
	if err != nil {
		t.Fatal(err)
	}
	defer pictures.close()
	tu, err := newTuner(d.Net, e, obj, d.Head.Head, p)
	if err != nil {
		t.Fatal(err)
	}
	defer tu.close()
	l := &loop{tuner: tu, feed: d.feeder(tu, pictures, all(len(d.Train)))}
	values, err := tu.tuned()
	if err != nil {
		t.Fatal(err)
	}
	logits, err := l.feed.logitsOf(context.Background(), tu, l.feed.rows)
	if err != nil {
		t.Fatal(err)
	}
	loss, _, _ := obj.of(d.Train, l.feed.rows).judge(logits)
	for _, c := range []struct {
		alone float64
		want  bool
	}{{loss + 0.01, false}, {loss - 0.01, true}, {nan(), true}} {
		got, why, err := l.astray(context.Background(), values, []Trial{{Loss: c.alone}})
		if err != nil || got != c.want || got != strings.Contains(why, "astray") {
			t.Errorf("its loss is %v, the head's %v: %v %q %v", loss, c.alone, got, why, err)
		}
	}
	if got, _, err := l.astray(context.Background(), values, nil); got || err != nil {
		t.Errorf("a plan that leaves nothing open: %v, %v", got, err)
	}
	for i := range values[headWeight] {
		values[headWeight][i] *= -3
	}
	if got, _, _ := l.astray(context.Background(), values, []Trial{{Loss: loss + 0.1}}); !got {
		t.Error("the values that are asked about are not those that are judged")
	}
}
