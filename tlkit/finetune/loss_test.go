package finetune

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/optim"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// asking gives a job's pictures other targets: the direction of the stripes and a random one, as
// labels or as values of any unit.
func asking(tb testing.TB, d Data, kind task.Task, unit, zero float64) Data {
	tb.Helper()
	d.Task, d.Outputs = kind, 2
	known := func(items []datasets.Item) []datasets.Item {
		out := append([]datasets.Item(nil), items...)
		for i := range out {
			a, b := float64(out[i].Class), float64(i%3/2)
			if kind.Name() == datasets.Values {
				a, b = zero+unit*(a+0.1*float64(i%5)), zero-unit*b
			}
			out[i].Class, out[i].Targets = datasets.Unlabelled, []float64{a, b}
		}
		return out
	}
	d.Train, d.Valid = known(d.Train), known(d.Valid)
	d.Features.Classes, d.Features.Y, d.Features.Targets = 2, nil, nil
	for _, it := range d.Train {
		d.Features.Targets = append(d.Features.Targets, it.Targets...)
	}
	var err error
	if kind.Name() == datasets.Values {
		d.Head, err = head.Ridge(context.Background(), d.Features, head.RidgeOptions{Strengths: []float64{1}})
	} else {
		d.Head, err = head.Logistic(context.Background(), d.Features, head.LogisticOptions{Strengths: []float64{0.1}})
	}
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func TestTasksAreFineTuned(t *testing.T) {
	e := xla(t)
	net := formulaNet(t, "resnet20_cifar10", 0.8)
	base := job(t, e, net, t.TempDir())
	t.Setenv("TLKIT_CACHE", t.TempDir())
	ctx := context.Background()
	for _, kind := range []task.Task{task.Labels{}, task.Values{}} {
		metric := kind.Metric()
		t.Run(string(kind.Name()), func(t *testing.T) {
			d := asking(t, base, kind, 250, 1000)
			p := small("plain")
			p.Epochs, p.Groups[0].Rate = 6, 3e-3
			history := curves.NewRecorder(curves.Run{}, nil, 0, nil)
			out, err := Train(ctx, d, p, history)
			if err != nil {
				t.Fatal(err)
			}
			run := history.Run()
			loss := run.Series(curves.Train, curves.Loss)
			if n := len(loss); n != 6 || !(loss[n-1].Value < loss[0].Value) {
				t.Errorf("it does not learn: %v", loss)
			}
			scores := run.Series(curves.Valid, metric)
			if len(scores) != 6 || len(run.Series(curves.Valid, curves.Accuracy)) > 0 {
				t.Errorf("%d scores of %s, and accuracies: %v", len(scores), metric, run.Points)
			}
			// The last entry of the history is the score of the returned network, in the pictures'
			// own units.
			logits := judgedBy(t, e, out, d.Valid)
			o, err := newObjective(d)
			if err != nil {
				t.Fatal(err)
			}
			score, err := kind.Measure(kind.Samples(d.Valid, nil, 2), logits)
			if err != nil || math.Abs(score.Value-scores[5].Value) > 1e-4 {
				t.Errorf("%s %v at the end of the history, %v by the network, %v", metric, scores[5].Value, score.Value, err)
			}

			// By folds: every training picture is predicted once, by a network that did not see it.
			p = small("searching")
			p.Search.Rates = []float64{3e-3}
			out, err = Train(ctx, d, p, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(out.Trials) != 3 || out.Trials[0].Metric != metric || out.Trials[0].Right != 0 || out.Trials[0].Total != len(d.Train) || !strings.Contains(out.Why, brief(out.Trials[0])) {
				t.Errorf("%+v, %q", out.Trials, out.Why)
			}
			if out.Pays != (out.OutOfFold != nil) || out.Pays && len(out.OutOfFold) != 2*len(d.Train) {
				t.Errorf("pays %v, %d numbers out of fold", out.Pays, len(out.OutOfFold))
			}
			// In units other than those of training, it is tens of thousands.
			if l := out.Trials[0].Loss; !(l < 3) {
				t.Errorf("the head alone has loss %v", l)
			}
			// Without any information, the best prediction is the mean.
			if kind.Name() == datasets.Values {
				zero := make([]float32, 2*len(d.Train))
				loss, score := o.truthOf(d.Train, all(len(d.Train))).judge(zero)
				if math.Abs(loss-1) > 1e-9 || math.Abs(score.Value) > 1e-9 {
					t.Errorf("the mean has loss %v, R² %v, want 1 and 0", loss, score.Value)
				}
			}
		})
	}
}

// judgedBy runs a complete fine-tuned network over pictures, as every later process does.
func judgedBy(t *testing.T, e *engine.Engine, out *Result, items []datasets.Item) []float32 {
	t.Helper()
	items = append([]datasets.Item(nil), items...)
	for i := range items {
		items[i].Class = 0 // not used
	}
	p := Plan{Name: "judge", Batch: 8, Epochs: 1, Norms: FrozenNorms, Groups: []Group{{Name: "all", Stages: stages(out.Net), Rate: 1}}, Rule: optim.Rule{Name: optim.SGD}}
	tu, err := newTuner(out.Net, e, classes(out.Head.Classes), out.Head, p)
	if err != nil {
		t.Fatal(err)
	}
	defer tu.close()
	pictures, err := openPictures(context.Background(), Data{Net: out.Net, Engine: e}, view{items: items, plan: p})
	if err != nil {
		t.Fatal(err)
	}
	logits, err := newFeeder(tu, pictures, all(len(items))).logitsOf(context.Background(), tu, all(len(items)))
	if err != nil {
		t.Fatal(err)
	}
	return logits
}

// In a unit 1024 times as small, the network is the same, and the head predicts the same in the
// other unit. Scaling by a power of two is exact, so the bits agree on every processor. With 1000
// they would not: a value that is rounded differently may cross the kink of a ReLU.
func TestUnitsChangeNothing(t *testing.T) {
	e := xla(t)
	net := formulaNet(t, "resnet20_cifar10", 0.8)
	base := job(t, e, net, t.TempDir())
	t.Setenv("TLKIT_CACHE", t.TempDir())
	var heads []*head.Linear
	var tensors []map[string][]float32
	p := small("plain")
	for _, unit := range []float64{1, 1024} {
		out, err := Train(context.Background(), asking(t, base, task.Values{}, unit, 5*unit), p, nil)
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, out.Head)
		changed := map[string][]float32{}
		for _, c := range out.Net.Changes() {
			if changed[c.Name], err = c.Float32(); err != nil {
				t.Fatal(err)
			}
		}
		tensors = append(tensors, changed)
	}
	if len(tensors[0]) < 10 {
		t.Fatalf("%d tensors changed", len(tensors[0]))
	}
	same := func(name string, a, b []float32, times float32) {
		t.Helper()
		for i := range a {
			if a[i]*times != b[i] {
				t.Errorf("%s: number %d is %v and in the other unit %v, want %v", name, i, a[i], b[i], a[i]*times)
				return
			}
		}
	}
	for name, v := range tensors[0] {
		same(name, v, tensors[1][name], 1)
	}
	same("head", heads[0].Weight, heads[1].Weight, 1024)
	same("bias", heads[0].Bias, heads[1].Bias, 1024)
}

// Every task has a score of the training pictures in each epoch, so that its curve goes on where
// fine-tuning begins.
func TestTrainingPicturesHaveAScoreInEveryEpoch(t *testing.T) {
	e := xla(t)
	base := job(t, e, formulaNet(t, "resnet20_cifar10", 0.8), t.TempDir())
	t.Setenv("TLKIT_CACHE", t.TempDir())
	for _, kind := range []task.Task{task.Labels{}, task.Values{}} {
		d, p := asking(t, base, kind, 1, 0), small("plain")
		record := curves.NewRecorder(curves.Run{}, nil, 0, nil)
		if _, err := Train(context.Background(), d, p, record); err != nil {
			t.Fatal(err)
		}
		got := record.Run().Series(curves.Train, kind.Metric())
		if len(got) != p.Epochs || !(got[len(got)-1].Value > got[0].Value) {
			t.Errorf("%s: %s of the training pictures %v, want one in each of %d epochs, rising", kind.Name(), kind.Metric(), got, p.Epochs)
		}
	}
}

func TestWhatATaskCannotTake(t *testing.T) {
	e := xla(t)
	base := job(t, e, formulaNet(t, "resnet20_cifar10", 0.8), t.TempDir())
	p := small("plain")
	weighted, smooth := p, p
	weighted.ClassWeights, smooth.Smoothing = true, 0.1
	labels, values := asking(t, base, task.Labels{}, 1, 0), asking(t, base, task.Values{}, 1, 0)
	change := func(d Data, v ...float64) Data {
		d.Train = append([]datasets.Item(nil), d.Train...)
		d.Train[3].Targets = v
		return d
	}
	constant := values
	constant.Train = append([]datasets.Item(nil), values.Train...)
	for i := range constant.Train {
		constant.Train[i].Targets = []float64{7, constant.Train[i].Targets[1]}
	}
	for _, c := range []struct {
		d    Data
		p    Plan
		says string
	}{
		{labels, weighted, "class weights"},
		{values, smooth, "does not apply to real values"},
		{change(labels, 0.5, 1), p, "03.png has target 0.5, want 0 or 1"},
		{change(labels, 1), p, "03.png has 1 targets, want 2"},
		{change(values, 1, math.Inf(1)), p, "finite number"},
		{constant, p, "value 0 is 7 in every training picture"},
	} {
		if _, err := Train(context.Background(), c.d, c.p, nil); err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "finetune: ") {
			t.Errorf("want an error with %q, got %v", c.says, err)
		}
	}
	smooth.Name = "of labels"
	if o, err := labels.check(smooth); err != nil || o.task.Name() != datasets.Labels {
		t.Errorf("smoothed labels: %v", err)
	}
}

// A mirrored picture has its x on the other side, so plans do not augment pictures with values, and
// say so.
func TestNumbersAreNotAugmented(t *testing.T) {
	net := formulaNet(t, "resnet20_cifar10", 0.8)
	items := make([]datasets.Item, 40)
	for i := range items {
		items[i] = datasets.Item{SHA256: string(rune('a' + i)), Class: datasets.Unlabelled, Targets: []float64{float64(i % 2), float64(i)}}
	}
	for _, name := range []Recipe{Tlkit, PytorchTutorial, KerasGuide, Fastai} {
		p, err := NewPlan(name, Data{Net: net, Task: task.Values{}, Train: items, Outputs: 2}, Options{})
		if err != nil || p.Augment || p.Views != 0 || !strings.Contains(p.String(), "no crops and flips") || strings.Contains(p.String(), "views") {
			t.Errorf("%s: %v, %s", name, err, p)
		}
	}
	for i := range items {
		items[i].Targets[1] = float64(i / 3 % 2) // labels are 0 or 1
	}
	if p, err := NewPlan(Tlkit, Data{Net: net, Task: task.Labels{}, Train: items, Outputs: 2}, Options{}); err != nil || !p.Augment || p.Views == 0 {
		t.Errorf("labels: %v, %s", err, p)
	}
}
