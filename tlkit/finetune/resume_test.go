package finetune

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/learner"
	"github.com/tlkit/transfer-learning/tlkit/optim"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// stripes writes n pictures of 40x36 pixels into dir: stripes in one direction or the other, in any
// colour, with noise.
func stripes(tb testing.TB, dir string, n int) []datasets.Item {
	tb.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 9))
	var items []datasets.Item
	for i := range n {
		img := image.NewRGBA(image.Rect(0, 0, 40, 36))
		ink, period := [3]int{rng.IntN(200), rng.IntN(200), rng.IntN(200)}, 4+rng.IntN(5)
		for y := range 36 {
			for x := range 40 {
				at, c := x, [3]int{128, 128, 128}
				if i%2 == 1 {
					at = y
				}
				if at%period < period/2 {
					c = ink
				}
				v := func(k int) uint8 { return uint8(c[k] + rng.IntN(50)) }
				img.SetRGBA(x, y, color.RGBA{v(0), v(1), v(2), 255})
			}
		}
		var buf bytes.Buffer
		if err := png.Encode(&buf, img); err != nil {
			tb.Fatal(err)
		}
		name := fmt.Sprintf("%02d.png", i)
		if err := os.WriteFile(filepath.Join(dir, name), buf.Bytes(), 0o644); err != nil {
			tb.Fatal(err)
		}
		sum := sha256.Sum256(buf.Bytes())
		items = append(items, datasets.Item{Path: filepath.Join(dir, name), Rel: name, Class: i % 2, Split: "train", SHA256: hex.EncodeToString(sum[:])})
	}
	return items
}

// job returns a small network of the formula with its fitted head and pictures.
func job(tb testing.TB, e *engine.Engine, net *zoo.Net, dir string) Data {
	tb.Helper()
	items := stripes(tb, filepath.Join(dir, "pictures"), 44)
	d := Data{Net: net, Engine: e, Train: items[:34], Valid: items[34:], Outputs: 2}
	m, err := features.Extract(context.Background(), features.Job{Items: d.Train, Preset: net.Preset, Backbone: features.FromNet(net, e)})
	if err != nil {
		tb.Fatal(err)
	}
	d.Features = head.Samples{X: m.Data, Features: m.Features, Classes: 2}
	for _, it := range d.Train {
		d.Features.Y = append(d.Features.Y, it.Class)
	}
	if d.Head, err = head.Logistic(context.Background(), d.Features, head.LogisticOptions{Strengths: []float64{1}}); err != nil {
		tb.Fatal(err)
	}
	d.Steps = d.Head.Steps
	return d
}

func fingerprint(tb testing.TB, t *Result) string {
	tb.Helper()
	h := sha256.New()
	binary.Write(h, binary.LittleEndian, t.Head.Weight)
	binary.Write(h, binary.LittleEndian, t.Head.Bias)
	for _, c := range t.Net.Changes() {
		v, err := c.Float32()
		if err != nil {
			tb.Fatal(err)
		}
		fmt.Fprintln(h, c.Name)
		binary.Write(h, binary.LittleEndian, v)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// small returns a plan whose steps take milliseconds: it trains the last stage of a CIFAR network.
func small(name Recipe) Plan {
	p := Plan{Name: name, Epochs: 4, Batch: 8, Norms: FrozenNorms, Mix: 1, Augment: true, Views: 2, Seed: 5,
		Rule: optim.Rule{Name: optim.AdamW, Clip: 1}, Schedule: optim.Schedule{Kind: optim.Cosine, Warmup: 0.2},
		Groups: []Group{{Name: "layer3", Stages: []string{"layer3"}, Rate: 1e-3, Decay: 0.01}, {Name: HeadStage, Stages: []string{HeadStage}, Rate: 2e-3, Decay: 0.01}}}
	switch name {
	case "everything at once":
		p.Rule = optim.Rule{Name: optim.SGD, Momentum: 0.9, Nesterov: true}
		p.Schedule = optim.Schedule{Kind: optim.Plateau, Drop: 0.5}
		p.Norms, p.Average, p.Mixup, p.Dropout, p.Smoothing, p.ClassWeights, p.Patience = BatchNorms, 0.9, 0.4, 0.2, 0.1, true, 2
		p.Groups[0].After = 1
	case "statistics anew":
		p.Norms = Reestimated
	case "searching":
		p.Epochs, p.Views = 2, 0
		p.Search = &Search{Folds: 2, Depths: []string{"layer3"}, Rates: []float64{1e-3, 1e-2}, Mixes: []float64{0.5, 1}, LayerDecay: 0.5, HeadRate: 1}
	case "whole network":
		p.Groups = []Group{{Name: "everything", Stages: []string{"stem", "layer1", "layer2", "layer3", HeadStage}, Rate: 1e-3}}
		p.Norms, p.Epochs = BatchNorms, 1
	}
	return p
}

// interrupting runs a plan, interrupts it after each so many steps, and continues with the same
// call, until it is done.
func interrupting(t *testing.T, d Data, p Plan, every int, to learner.Recorder) (*Result, int) {
	t.Helper()
	for n := 0; ; n++ {
		ctx, cancel := context.WithCancel(context.Background())
		seen := 0
		d.State = func(what string, done, total int) {
			if what == "fine-tuning" || what == "choosing how to fine-tune" {
				if seen++; seen == every {
					cancel()
				}
			}
		}
		d.Resume = n > 0
		out, err := Train(ctx, d, p, to)
		cancel()
		if err == nil {
			return out, n
		}
		if !errors.Is(err, ErrInterrupted) || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "--resume") || n > 100 {
			t.Fatalf("interruption %d: %v", n, err)
		}
		if seen != every {
			t.Errorf("it took %d more steps after the interrupt", seen-every)
		}
	}
}

// The promise of checkpoints: a training that was interrupted anywhere ends with the same bits as
// an uninterrupted one.
func TestResumedIsTheSameToTheBit(t *testing.T) {
	e := xla(t)
	net := formulaNet(t, "resnet20_cifar10", 0.8)
	d := job(t, e, net, t.TempDir())
	t.Setenv("TLKIT_CACHE", t.TempDir())
	for name, every := range map[string]int{"plain": 7, "everything at once": 4, "statistics anew": 5, "searching": 15, "whole network": 2} {
		t.Run(name, func(t *testing.T) {
			p := small(Recipe(name))
			d.Folder = ""
			straightHistory := curves.NewRecorder(curves.Run{}, nil, 0, nil)
			straight, err := Train(context.Background(), d, p, straightHistory)
			if err != nil {
				t.Fatal(err)
			}
			d.Folder = t.TempDir()
			history := curves.NewRecorder(curves.Run{}, nil, 0, nil)
			resumed, n := interrupting(t, d, p, every, history)
			if n < 2 {
				t.Fatalf("only %d interruptions: the test tests nothing", n)
			}
			if a, b := fingerprint(t, straight), fingerprint(t, resumed); a != b || straight.Pays != resumed.Pays || straight.Why != resumed.Why {
				t.Errorf("straight %.12s (%s), resumed %.12s (%s) after %d interruptions", a, straight.Why, b, resumed.Why, n)
			}
			a, b := straightHistory.Run(), history.Run()
			for _, split := range []string{curves.Train, curves.Valid, curves.Folds} {
				x, y := a.Series(split, curves.Loss), b.Series(split, curves.Loss)
				if fmt.Sprint(x) != fmt.Sprint(y) {
					t.Errorf("%s loss: straight %v, resumed %v", split, x, y)
				}
			}
			if straight.Pays && (len(a.Series(curves.Train, curves.Accuracy)) < 1 || len(a.Series("", curves.Rate)) < 1) {
				t.Errorf("history: %v", a.Points)
			}
			for _, w := range net.Declaration().Weights {
				before, _, _ := net.Tensor(w.Name)
				after, _, _ := resumed.Net.Tensor(w.Name)
				moved := fmt.Sprint(before) != fmt.Sprint(after)
				if frozen := name != "whole network" && w.Stage != "layer3" || !w.Trainable && p.Norms == FrozenNorms; moved && frozen {
					t.Errorf("%s is frozen and moved", w.Name)
				}
				if !w.Trainable && w.Stage == "layer3" && p.Norms != FrozenNorms && !moved {
					t.Errorf("%s should follow the pictures and stands still", w.Name)
				}
			}
		})
	}
}

// A damaged checkpoint is skipped in favour of the previous one, and a sentence reports it. A
// checkpoint of another plan is an error that lists the differences.
func TestDamagedCheckpointsAreSkipped(t *testing.T) {
	e := xla(t)
	d := job(t, e, formulaNet(t, "resnet20_cifar10", 0.8), t.TempDir())
	t.Setenv("TLKIT_CACHE", t.TempDir())
	p := small("plain")
	straight, err := Train(context.Background(), d, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	stop := func(t *testing.T, after int) checkpoints {
		d.Folder, d.Every, d.Resume = t.TempDir(), 2, false
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		seen := 0
		d.State = func(what string, _, _ int) {
			if seen++; what == "fine-tuning" && seen >= after {
				cancel()
			}
		}
		if _, err := Train(ctx, d, p, nil); !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
		d.State, d.Resume = nil, true
		return checkpoints{filepath.Join(d.Folder, "checkpoints")}
	}
	for name, damage := range map[string]func([]byte) []byte{
		"cut":     func(b []byte) []byte { return b[:len(b)/2] },
		"empty":   func([]byte) []byte { return nil },
		"flipped": func(b []byte) []byte { b[len(b)-7] ^= 16; return b },
		"zeros":   func(b []byte) []byte { return make([]byte, len(b)) },
	} {
		t.Run(name, func(t *testing.T) {
			c := stop(t, 12)
			files, err := c.list()
			if err != nil || len(files) != keptCheckpoints {
				t.Fatalf("%d checkpoints, %v, want %d", len(files), err, keptCheckpoints)
			}
			raw, err := os.ReadFile(files[0].path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(files[0].path, damage(raw), 0o644); err != nil {
				t.Fatal(err)
			}
			var said []string
			d.Say = func(s string) { said = append(said, s) }
			got, err := Train(context.Background(), d, p, nil)
			if err != nil {
				t.Fatal(err)
			}
			if fingerprint(t, got) != fingerprint(t, straight) {
				t.Error("the network differs from that of the uninterrupted run")
			}
			if all := strings.Join(said, "\n"); !strings.Contains(all, "skipped") || !strings.Contains(all, "damaged") || !strings.Contains(all, "set aside as") || !strings.Contains(all, "continuing after step") {
				t.Errorf("said %q", said)
			}
		})
	}
	c := stop(t, 6)
	other := p
	other.Groups = append([]Group(nil), p.Groups...)
	other.Groups[0].Rate = 5e-4
	if _, err := Train(context.Background(), d, other, nil); !errors.Is(err, errOtherPlan) || !strings.Contains(err.Error(), "0.0005") {
		t.Errorf("another plan: %v", err)
	}
	// A failed save leaves the previous checkpoint intact.
	if err := c.save(&saved{Cursor: cursor{Step: 9}, tensors: map[string][]float32{"w": {float32(nan())}}}); err == nil {
		t.Error("a state that is not finite is saved")
	}
	if s, _, err := c.newest(nil); err == nil && s != nil {
		t.Error("a checkpoint of something else is taken")
	}
}

func nan() float64 { z := 0.0; return z / z }

// A diverging training is caught in the step where it happens, with the pictures named; the saved
// state is the one before that step.
func TestDivergence(t *testing.T) {
	e := xla(t)
	d := job(t, e, formulaNet(t, "resnet20_cifar10", 0.8), t.TempDir())
	t.Setenv("TLKIT_CACHE", t.TempDir())
	d.Folder = t.TempDir()
	p := small("plain")
	p.Rule = optim.Rule{Name: optim.SGD, Momentum: 0.9}
	p.Epochs, p.Groups[0].Rate, p.Groups[1].Rate = 30, 10, 10
	p.Schedule = optim.Schedule{Kind: optim.Constant}
	_, err := Train(context.Background(), d, p, nil)
	var diverged *DivergedError
	if !errors.As(err, &diverged) {
		t.Fatalf("got %v", err)
	}
	if len(diverged.Files) == 0 || diverged.Rate != 10 || !diverged.Saved || !strings.Contains(err.Error(), ".png") || !strings.Contains(err.Error(), "half the rate") {
		t.Errorf("says %v", err)
	}
	of, err := d.identity(p)
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := checkpoints{filepath.Join(d.Folder, "checkpoints")}.newest(of)
	if err != nil || s == nil || s.Cursor.Step != diverged.Step {
		t.Fatalf("the last good state: %+v, %v, want step %d", s, err, diverged.Step)
	}
	for name, v := range s.tensors {
		for _, x := range v {
			if !finite(float64(x)) {
				t.Fatalf("%s is not finite", name)
			}
		}
	}
}

var kills = flag.Int("kills", 2, "how often TestKill kills")

const killDir = "TLKIT_TUNE_CHILD"

// TestKillChild is the process that TestKill kills.
func TestKillChild(t *testing.T) {
	dir := os.Getenv(killDir)
	if dir == "" {
		t.Skip("only for TestKill")
	}
	e := xla(t)
	t.Setenv("TLKIT_CACHE", filepath.Join(dir, "cache"))
	net, err := zoo.Load(context.Background(), "resnet20_cifar10", zoo.Options{Weights: filepath.Join(dir, "formula.safetensors")})
	if err != nil {
		t.Fatal(err)
	}
	d := job(t, e, net, dir)
	d.Folder, d.Resume, d.Every = filepath.Join(dir, "run"), true, 3
	p := small("plain")
	p.Epochs, p.Average = 20, 0.9
	out, err := Train(context.Background(), d, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "hash"), []byte(fingerprint(t, out)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestKill kills a training with SIGKILL at random moments, also while it writes, and restarts it
// until it is done. The final weights must equal those of an uninterrupted training, and no state
// may be unreadable.
//
//	go test ./tlkit/finetune -run Kill -v -kills 200
func TestKill(t *testing.T) {
	xla(t)
	if testing.Short() {
		t.Skip("starts a dozen processes")
	}
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	child := func(dir string, limit time.Duration) (killed bool) {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestKillChild$")
		cmd.Env = append(os.Environ(), killDir+"="+dir)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(limit, func() { cmd.Process.Kill() })
		err := cmd.Wait()
		if !timer.Stop() && err != nil {
			return true
		}
		if err != nil {
			t.Fatalf("the training failed on its own: %v\n%s", err, out.String())
		}
		return false
	}
	fresh := func() string {
		dir := t.TempDir()
		writeFormula(t, "resnet20_cifar10", 0.8, filepath.Join(dir, "formula.safetensors"))
		return dir
	}
	hash := func(dir string) string {
		raw, err := os.ReadFile(filepath.Join(dir, "hash"))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	straight := fresh()
	began := time.Now()
	child(straight, time.Hour)
	whole := time.Since(began)
	want := hash(straight)
	runs := 0
	for done := 0; done < *kills; runs++ {
		dir := fresh()
		for {
			limit := time.Duration(rng.Float64() * 1.2 * float64(whole))
			if done >= *kills {
				limit = time.Hour
			}
			if !child(dir, limit) {
				break
			}
			done++
		}
		if got := hash(dir); got != want {
			t.Fatalf("after %d kills the weights are %.12s, a training left alone has %.12s", done, got, want)
		}
	}
	t.Logf("%d kills in %d trainings of %.1f s, every one with the weights of the straight one", *kills, runs, whole.Seconds())
}

// The suggested rate lies where the loss falls, and finding it leaves no trace.
func TestFindRate(t *testing.T) {
	e := xla(t)
	net := formulaNet(t, "resnet20_cifar10", 0.8)
	d := job(t, e, net, t.TempDir())
	t.Setenv("TLKIT_CACHE", t.TempDir())
	p := small("plain")
	p.Fresh = true // with a fitted head, the loss could not fall
	p.Batch = 24   // a batch of few says too little
	before := fmt.Sprint(d.Head.Head.Weight[:4])
	f, err := FindRate(context.Background(), d, p)
	if err != nil {
		t.Fatal(err)
	}
	last := f.Rates[len(f.Rates)-1]
	if len(f.Rates) < 20 || !(f.Suggested > findFrom && f.Suggested < last) || !strings.Contains(f.Why, "fastest") {
		t.Errorf("%d points up to %v: suggests %v, %s", len(f.Rates), last, f.Suggested, f.Why)
	}
	if fmt.Sprint(d.Head.Head.Weight[:4]) != before || net.Changes() != nil {
		t.Error("the finder leaves traces")
	}
	p.Epochs, p.Views = 6, 0
	loss := func(rate float64) float64 {
		q := p
		q.Groups = []Group{{Name: "layer3", Stages: []string{"layer3"}, Rate: rate / 2}, {Name: HeadStage, Stages: []string{HeadStage}, Rate: rate}}
		r := curves.NewRecorder(curves.Run{}, nil, 0, nil)
		if _, err := Train(context.Background(), d, q, r); err != nil {
			t.Fatal(err)
		}
		s := r.Run()
		points := s.Series(curves.Train, curves.Loss)
		return points[len(points)-1].Value
	}
	if good, tiny := loss(f.Suggested), loss(1e-6); !(good < tiny) {
		t.Errorf("the suggested rate %v ends at loss %v, a rate of 1e-6 at %v", f.Suggested, good, tiny)
	}
	flat := &rateFind{}
	for i := range 30 {
		flat.Rates, flat.Losses = append(flat.Rates, math.Pow(10, float64(i)/5-6)), append(flat.Losses, float64(i))
	}
	if flat.suggest(); flat.Suggested != 0 || !strings.Contains(flat.Why, "never fell") {
		t.Errorf("a loss that only rises suggests %v", flat.Suggested)
	}
	// From a fitted head: level but for noise, then away. A dip within the noise is no reason.
	noisy := &rateFind{}
	for i := range 60 {
		loss := 0.06 + 0.03*math.Sin(float64(i*i)) + math.Pow(10, float64(i-55)/5)
		noisy.Rates, noisy.Losses = append(noisy.Rates, math.Pow(10, float64(i)/12-6)), append(noisy.Losses, loss)
	}
	if noisy.suggest(); noisy.Suggested != 0 || !strings.Contains(noisy.Why, "no usable rate") {
		t.Errorf("noise suggests %v: %s", noisy.Suggested, noisy.Why)
	}
}

func TestFormulaPicturesAreLearnt(t *testing.T) {
	// The tests above mean something only if training improves the network.
	e := xla(t)
	d := job(t, e, formulaNet(t, "resnet20_cifar10", 0.8), t.TempDir())
	t.Setenv("TLKIT_CACHE", t.TempDir())
	r := curves.NewRecorder(curves.Run{}, nil, 0, nil)
	p := small("plain")
	p.Epochs = 12
	if _, err := Train(context.Background(), d, p, r); err != nil {
		t.Fatal(err)
	}
	run := r.Run()
	loss := run.Series(curves.Train, curves.Loss)
	if first, last := loss[0].Value, loss[len(loss)-1].Value; !(last < first/2) {
		t.Errorf("loss went from %v to %v", first, last)
	}
	if x, ok := run.Unfrozen(); !ok || x != float64(d.Steps) {
		t.Errorf("the backbone moves from %v on, want %d", x, d.Steps)
	}
	if _, why, ok := run.Kept(); !ok || why != curves.Chosen {
		t.Errorf("kept: %v", why)
	}
}
