package finetune

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/optim"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// Plans that cannot work are errors before anything runs, and say what to change.
func TestImpossiblePlansAreRefused(t *testing.T) {
	net := formulaNet(t, "resnet20_cifar10", 0.8)
	for words, spoil := range map[string]func(*Plan){
		"rate 0, ":                          func(p *Plan) { p.Groups[0].Rate = 0 },
		"rate 100, ":                        func(p *Plan) { p.Groups[0].Rate = 100 },
		"rate NaN":                          func(p *Plan) { p.Groups[1].Rate = math.NaN() },
		"a stage that is to stay frozen":    func(p *Plan) { p.Groups[0].Rate = -1 },
		"decay 11":                          func(p *Plan) { p.Groups[0].Decay = 11 },
		"fewer epochs of rest than 4":       func(p *Plan) { p.Groups[0].After = 4 },
		`stage "layer4"; the stages of`:     func(p *Plan) { p.Groups[0].Stages = []string{"layer4"} },
		"is in group layer3 and in group":   func(p *Plan) { p.Groups[1].Stages = []string{HeadStage, "layer3"} },
		"has no stages":                     func(p *Plan) { p.Groups[0].Stages = nil },
		"learner.FitHead":                   func(p *Plan) { p.Groups = nil },
		"0 epochs":                          func(p *Plan) { p.Epochs = 0 },
		"batch 0":                           func(p *Plan) { p.Batch = 0 },
		"follow batches of 1 picture":       func(p *Plan) { p.Batch, p.Norms = 1, BatchNorms },
		`norms "sometimes"`:                 func(p *Plan) { p.Norms = "sometimes" },
		"smoothing 1":                       func(p *Plan) { p.Smoothing = 1 },
		"dropout NaN":                       func(p *Plan) { p.Dropout = math.NaN() },
		"mixup -1":                          func(p *Plan) { p.Mixup = -1 },
		"mix 2":                             func(p *Plan) { p.Mix = 2 },
		"adam":                              func(p *Plan) { p.Rule.Name = "adam" },
		"sawtooth":                          func(p *Plan) { p.Schedule.Kind = "sawtooth" },
		"patience and a fresh head":         func(p *Plan) { *p = small("searching"); p.Fresh = true },
		`depth "layer4"`:                    func(p *Plan) { *p = small("searching"); p.Search.Depths = []string{"layer4"} },
		"rate 100, want above 0":            func(p *Plan) { *p = small("searching"); p.Search.Rates = []float64{100} },
		"a search of 1 folds":               func(p *Plan) { *p = small("searching"); p.Search.Folds = 1 },
		"mix 0, want above 0 and at most 1": func(p *Plan) { *p = small("searching"); p.Search.Mixes = []float64{0} },
	} {
		p := small("plain")
		spoil(&p)
		if err := p.Check(net); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("want an error with %q, got %v", words, err)
		}
	}
	good := small("plain")
	if err := good.Check(net); err != nil {
		t.Error(err)
	}
}

// So are plans that cannot work with these pictures.
func TestImpossibleDataIsRefused(t *testing.T) {
	e := xla(t)
	d := job(t, e, formulaNet(t, "resnet20_cifar10", 0.8), t.TempDir())
	t.Setenv("TLKIT_CACHE", t.TempDir())
	for words, spoil := range map[string]func(*Data, *Plan){
		"a batch of 40 with 34 training pictures; take at most 34": func(_ *Data, p *Plan) { p.Batch = 40 },
		"call learner.FitHead first":                               func(d *Data, _ *Plan) { d.Head = nil },
		"want at least two classes": func(d *Data, p *Plan) {
			p.Mixup = 0.4
			d.Train = slices.Clone(d.Train)
			for i := range d.Train {
				d.Train[i].Class = 1
			}
		},
		"want pictures of at least 2 classes": func(d *Data, p *Plan) { p.Mixup, d.Outputs = 0.4, 1 },
		"has class 2": func(d *Data, _ *Plan) {
			d.Train = append(slices.Clone(d.Train[:33]), datasets.Item{Rel: "x", Class: 2})
		},
		"rows of features": func(d *Data, _ *Plan) { d.Train = d.Train[:30] },
		"the net gives 64 features": func(d *Data, _ *Plan) {
			d.Head = &head.Fit{Head: &head.Linear{Classes: 2, Features: 3, Weight: make([]float32, 6), Bias: make([]float32, 2)}}
		},
	} {
		bad, p := d, small("plain")
		spoil(&bad, &p)
		if _, err := Train(context.Background(), bad, p, nil); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("want an error with %q, got %v", words, err)
		}
	}
}

func TestPlansStartWhereTheyAreTold(t *testing.T) {
	net := formulaNet(t, "resnet20_cifar10", 0.8)
	d := Data{Net: net, Train: stripes(t, t.TempDir(), 40), Outputs: 2}
	for _, name := range []Recipe{Tlkit, PytorchTutorial, KerasGuide, Fastai} {
		whole, err := NewPlan(name, d, Options{Seed: 1})
		if err != nil || whole.Epochs != name.Epochs() {
			t.Fatalf("%s: %d epochs, %v", name, whole.Epochs, err)
		}
		p, err := NewPlan(name, d, Options{Seed: 1, From: "layer3"})
		if err != nil {
			t.Fatal(err)
		}
		if p.border(net) != "layer2" {
			t.Errorf("%s: frozen up to %q, want layer2", name, p.border(net))
		}
		if !strings.Contains(p.String(), "from layer3 on: a step costs about 32 %") || strings.Contains(p.String(), "from layer2 on") {
			t.Errorf("%s says %s", name, p)
		}
		if p.Search != nil && !slices.Equal(p.Search.Depths, []string{"layer3"}) {
			t.Errorf("%s searches %v", name, p.Search.Depths)
		}
		if _, err := NewPlan(name, d, Options{From: "layer4"}); err == nil || !strings.Contains(err.Error(), "the stages of resnet20_cifar10 are stem, layer1") {
			t.Errorf("%s from layer4: %v", name, err)
		}
		last, err := NewPlan(name, d, Options{From: HeadStage})
		if moves := last.groupOf(); name != Tlkit && (err != nil || len(moves) != 1 || last.border(net) != "layer3") || name == Tlkit && err == nil {
			t.Errorf("%s from the head: %v, %v", name, moves, err)
		}
	}
	if _, err := NewPlan("quickly", d, Options{}); err == nil || !strings.Contains(err.Error(), string(Fastai)) {
		t.Errorf("an unknown plan: %v", err)
	}
	d.Train = d.Train[:3]
	p, err := NewPlan(PytorchTutorial, d, Options{})
	if err != nil || p.Batch != 3 || !strings.Contains(p.String(), "batch 3: there are no more") {
		t.Errorf("three pictures: %v, %s", err, p)
	}
}

// Values take larger steps than labels, and no crops.
func TestValuesTakeLargerSteps(t *testing.T) {
	d := Data{Net: formulaNet(t, "resnet20_cifar10", 0.8), Train: stripes(t, t.TempDir(), 40), Outputs: 2}
	labels, err := NewPlan(Tlkit, d, Options{})
	if err != nil {
		t.Fatal(err)
	}
	d.Task = task.Values{}
	for i := range d.Train {
		d.Train[i].Targets = []float64{float64(i), float64(i % 7)}
	}
	values, err := NewPlan(Tlkit, d, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if values.Batch >= labels.Batch || values.Search.Rates[0] <= labels.Search.Rates[0] || values.Augment || !labels.Augment {
		t.Errorf("values: %s\nlabels: %s", values, labels)
	}
}

// Without cached views, every epoch has new ones, which run through the frozen part too, and only
// the moving part changes.
func TestFrozenPartWithNewViews(t *testing.T) {
	e := xla(t)
	net := formulaNet(t, "resnet20_cifar10", 0.8)
	d := job(t, e, net, t.TempDir())
	t.Setenv("TLKIT_CACHE", t.TempDir())
	p := small("plain")
	p.Epochs, p.Views, p.Rule = 1, 0, optim.Rule{Name: optim.SGD}
	if p.border(net) != "" {
		t.Fatal("it would keep maps of pictures that change")
	}
	fresh, err := Train(context.Background(), d, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range fresh.Net.Changes() {
		if !strings.HasPrefix(w.Name, "layer3.") {
			t.Errorf("%s is frozen and moved", w.Name)
		}
	}
	// Without augmentation, the pictures are the same, cached or not, and so is the network, up to
	// rounding.
	p.Augment = false
	kept, err := Train(context.Background(), d, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	// No border, because the norms of all stages follow the batch: another network.
	p.Augment, p.Norms = false, DriftNorms
	if p.border(net) != "" {
		t.Fatal("norms that drift in the frozen part have no border")
	}
	drifting, err := Train(context.Background(), d, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if fingerprint(t, fresh) == fingerprint(t, kept) || len(fresh.Net.Changes()) != len(kept.Net.Changes()) {
		t.Errorf("augmented and plain pictures give the same network: %d and %d tensors", len(fresh.Net.Changes()), len(kept.Net.Changes()))
	}
	moved := 0
	for _, w := range drifting.Net.Changes() {
		if strings.HasPrefix(w.Name, "layer1.") && strings.Contains(w.Name, "running_") {
			moved++
		}
	}
	if moved == 0 {
		t.Error("the running statistics of frozen stages stand still where they should drift")
	}
}
