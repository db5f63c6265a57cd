package finetune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/bitrot"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/optim"
)

// Of trials that beat the head alone by more than chance, the one with the highest score is taken; a
// trial that was dropped, or has a lower score than the head alone, is not.
func TestChoose(t *testing.T) {
	alone := Trial{Total: 40, Loss: 0.5, Score: 0.8}
	trial := func(loss, err, score float64) Trial {
		return Trial{Total: 40, Loss: loss, Gain: alone.Loss - loss, Error: err, Score: score}
	}
	dropped := trial(0.1, 0.01, 1)
	dropped.Total = 14
	for name, c := range map[string]struct {
		trials []Trial
		want   int
	}{
		"the highest score":        {[]Trial{trial(0.2, 0.05, 0.9), trial(0.3, 0.05, 0.92)}, 2},
		"the lower of two losses":  {[]Trial{trial(0.3, 0.05, 0.9), trial(0.2, 0.05, 0.9)}, 2},
		"no better than chance":    {[]Trial{trial(0.4, 0.06, 0.9)}, -1},
		"a lower score":            {[]Trial{trial(0.2, 0.05, 0.7), trial(0.3, 0.05, 0.8)}, 2},
		"dropped on the way":       {[]Trial{dropped}, -1},
		"nothing but worse trials": {[]Trial{trial(0.6, 0.01, 0.9), trial(nan(), nan(), 0.9)}, -1},
	} {
		if got := choose(append([]Trial{alone}, c.trials...)); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// The search ends at the first rate that pays.
func TestSearchEndsWhereItPays(t *testing.T) {
	d := job(t, xla(t), formulaNet(t, "resnet20_cifar10", 0.8), t.TempDir())
	d.Folder, d.Resume = t.TempDir(), true
	p := small("searching")
	p.Search.Rates = []float64{1e-4, 1e-3, 1e-2}
	j, err := newTraining(d, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	// What an earlier process found: the first rate is no better than the head, the others are.
	found := openSearch(d.Folder, j.identity, false, nil)
	for _, rate := range p.Search.Rates {
		for f, held := range datasets.Folds(d.Train, p.Search.Folds, p.Seed) {
			logits := make([]float32, 2*len(held))
			for i, item := range held {
				if rate > 1e-4 {
					logits[2*i+d.Train[item].Class] = 5
				}
			}
			if err := found.add(part{From: "layer3", Rate: rate, Fold: f, Logits: [][]float32{logits, logits}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	trials, err := j.search(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	best := choose(trials)
	if best < 0 || trials[best].Rate != 1e-3 || trials[len(trials)-1].Rate != 1e-3 {
		t.Errorf("chosen %d of %+v, want the search to end at 1e-3", best, trials)
	}
}

// The trainings on folds have at least as many steps as the final one, and less than an epoch more.
func TestFoldsTrainAsLongAsTheFinalTraining(t *testing.T) {
	d := job(t, xla(t), formulaNet(t, "resnet20_cifar10", 0.8), t.TempDir())
	t.Setenv("TLKIT_CACHE", t.TempDir())
	p, total := small("searching"), 0
	p.Search.Rates = p.Search.Rates[:1]
	ctx, cancel := context.WithCancel(context.Background())
	d.State = func(what string, _, n int) {
		if what == "choosing how to fine-tune" {
			total = n
			cancel()
		}
	}
	if _, err := Train(ctx, d, p, nil); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	// 17 of 34 pictures are 3 steps of 8; the final training has 2 epochs of 5 steps.
	if total != 2*12 {
		t.Errorf("%d steps on two folds, want 12 each", total)
	}
}

// The temperature is the factor by which logits are too large, and no probabilities, no temperature.
func TestTemperature(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n = 4000
	for _, scale := range []float32{0.5, 1, 4} {
		known, logits := truth{classes(3), head.Samples{Classes: 3}}, []float32{}
		for range n {
			var p [3]float64
			sum := 0.
			for c := range p {
				z := 2 * rng.NormFloat64()
				logits = append(logits, scale*float32(z))
				p[c] = math.Exp(z)
				sum += p[c]
			}
			u, y := rng.Float64()*sum, 0
			for y < 2 && u > p[y] {
				u -= p[y]
				y++
			}
			known.samples.Y = append(known.samples.Y, y)
		}
		got := known.temperature(logits)
		if math.Abs(got/float64(scale)-1) > 0.08 {
			t.Errorf("logits that are %g times too large have temperature %g", scale, got)
		}
		best, _ := known.judge(divided(logits, got))
		for _, other := range []float64{got / 1.05, got * 1.05} {
			if loss, _ := known.judge(divided(logits, other)); loss < best {
				t.Errorf("scale %g: loss %g at %g, %g at %g", scale, best, got, loss, other)
			}
		}
	}
	if got := (truth{objective: objective{loss: &valueLoss{}}}).temperature([]float32{1, 2}); got != 1 {
		t.Errorf("values have temperature %g", got)
	}
}

// A training that broke the network is repeated at a smaller rate, which gives what that rate gives,
// also when it is interrupted. After the last repetition the head alone is kept.
func TestABrokenTrainingStartsAgain(t *testing.T) {
	e := xla(t)
	d := job(t, e, formulaNet(t, "resnet20_cifar10", 0.8), t.TempDir())
	t.Setenv("TLKIT_CACHE", t.TempDir())
	wild := small("plain")
	wild.Rule = optim.Rule{Name: optim.SGD, Momentum: 0.9}
	final := func(p Plan, alone float64, steps int) (*Result, string, error) {
		var said []string
		d.Say = func(s string) { said = append(said, s) }
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		d.State = func(what string, _, _ int) {
			if what == "fine-tuning" {
				if steps--; steps == 0 {
					cancel()
				}
			}
		}
		j, err := newTraining(d, p, nil)
		if err != nil {
			t.Fatal(err)
		}
		train, err := openPictures(context.Background(), d, view{items: d.Train, plan: p, borders: p.borders(d.Net), augmented: true})
		if err != nil {
			t.Fatal(err)
		}
		defer train.close()
		out := &Result{Plan: p, Net: d.Net, Head: d.Head.Head, Pays: true, Trials: []Trial{{Loss: alone}}}
		err = j.final(ctx, out, train)
		return out, strings.Join(said, "\n"), err
	}
	at := func(rate float64) Plan {
		p := wild
		p.Groups = slices.Clone(wild.Groups)
		for i := range p.Groups {
			p.Groups[i].Rate = rate
		}
		return p
	}
	want, said, err := final(at(0.3*brokenRate), 1e6, 0)
	if err != nil || !want.Pays || said != "" {
		t.Fatalf("a sound rate: %v, %s, %v", want.Pays, said, err)
	}
	straight, said, err := final(at(brokenRate), 1e6, 0)
	if err != nil || !straight.Pays || !strings.Contains(said, "again at 0.3 of the rate") || !strings.Contains(straight.Why, "0.3 of the rate") {
		t.Fatalf("a wild rate: %v, %q, %s, %v", straight.Pays, straight.Why, said, err)
	}
	for i, w := range want.Head.Weight {
		if diff := math.Abs(float64(w - straight.Head.Weight[i])); diff > 1e-4 {
			t.Fatalf("weight %d is %g after the repetition, %g at its rate", i, straight.Head.Weight[i], w)
		}
	}
	d.Folder, d.Every = t.TempDir(), 2
	var resumed *Result
	for n := 0; ; n++ {
		if resumed, _, err = final(at(brokenRate), 1e6, 3); err == nil {
			break
		}
		if d.Resume = true; !errors.Is(err, ErrInterrupted) || n > 40 {
			t.Fatal(n, err)
		}
	}
	if a, b := fingerprint(t, straight), fingerprint(t, resumed); a != b {
		t.Errorf("straight %.12s, resumed %.12s", a, b)
	}
	d.Folder, d.Resume = "", false
	lost, said, err := final(at(0.3*brokenRate), 1e-9, 0)
	if err != nil || lost.Pays || lost.Plan.Mix != 0 || strings.Count(said, "starts again") != retries || len(lost.Net.Changes()) > 0 {
		t.Errorf("nothing is good enough: %v, %s, %s, %v", lost.Pays, lost.Why, said, err)
	}
}

// brokenRate diverges on the pictures of job; 0.3 of it does not.
const brokenRate = 0.1

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

// One flipped bit anywhere in search.json: it is said, set aside, and the search begins again.
func TestDamagedSearch(t *testing.T) {
	identity := map[string]string{"plan": "a"}
	folder := t.TempDir()
	silent := func(string, ...any) {}
	if err := openSearch(folder, identity, true, silent).add(part{From: "block", Rate: 1e-3, Logits: [][]float32{{1, 2}}}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "search.json")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if s := openSearch(folder, identity, true, silent); len(s.Parts) != 1 {
		t.Fatalf("a whole file gives %+v", s)
	}
	for at := range whole {
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := bitrot.Flip(path, int64(at)); err != nil {
			t.Fatal(err)
		}
		var said string
		s := openSearch(folder, identity, true, func(format string, a ...any) { said = fmt.Sprintf(format, a...) })
		if len(s.Parts) != 0 || !strings.Contains(said, "damaged") || !strings.Contains(said, path+".damaged") {
			t.Fatalf("byte %d: %d parts, said %q", at, len(s.Parts), said)
		}
	}
}
