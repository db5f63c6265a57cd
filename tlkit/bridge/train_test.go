package bridge

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/checkpoint"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/metric"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

func xla(t testing.TB) *engine.Engine {
	t.Helper()
	e, err := engine.Open(context.Background(), engine.Options{Install: true})
	if err != nil {
		t.Skipf("needs XLA: %v", err)
	}
	t.Cleanup(e.Close)
	if e.Plugin == "" {
		t.Skip("needs XLA: " + e.Why)
	}
	return e
}

// program is a GoMLX program around a network, as its users write it.
type program struct {
	t       *testing.T
	net     *zoo.Net
	e       *engine.Engine
	store   *model.Store
	behind  string // the data are the outputs of this stage
	metrics bool
}

func (p *program) backbone() *model.Scope { return p.store.RootScope().In("backbone") }

func (p *program) head() *model.Scope { return p.store.RootScope().In("head") }

func (p *program) trainer(rate float64) *train.Trainer {
	f := func(scope *model.Scope, x *graph.Node) *graph.Node {
		var features *graph.Node
		if p.behind == "" {
			features = p.net.Graph(scope.In("backbone"), x).Features
		} else {
			features = p.net.GraphBehind(scope.In("backbone"), p.behind, x).Features
		}
		return layers.Dense(scope.In("head"), features, true, 2)
	}
	var m, v []metric.Interface
	if p.metrics {
		m = []metric.Interface{metric.NewSparseCategoricalAccuracy("batch accuracy", "acc")}
		v = []metric.Interface{metric.NewSparseCategoricalAccuracy("accuracy", "acc")}
	}
	return train.NewTrainer(p.e.Backend, p.store, f, loss.SparseCategoricalCrossEntropyLogits, optimizer.Adam().LearningRate(rate).Done(), m, v)
}

func (p *program) values() map[string][]float32 {
	out := map[string][]float32{}
	for _, w := range p.net.Declaration().Weights {
		out[w.Name] = tensors.MustCopyFlatData[float32](p.backbone().GetVariable(w.Name).MustValue())
	}
	return out
}

func (p *program) load(dir string) *checkpoint.Handler {
	h, err := checkpoint.Build(p.store).Dir(dir).Done()
	if err != nil {
		p.t.Fatal(err)
	}
	return h
}

func (p *program) data(split datasets.Split, batch int) *Dataset {
	d, err := Pictures(Data{Set: shapes(p.t), Split: split, Batch: batch, Shuffle: split == datasets.Train, Forever: split == datasets.Train}, p.net.Preset.Eval())
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

// In every order of calls, the same weights are trainable, a step moves those and no others, and a
// resumed program keeps frozen what was frozen when it was saved.
func TestFreezeInAnyOrder(t *testing.T) {
	e, net := xla(t), small(t)
	stages := net.Declaration().Stages
	through := stages[2].Name
	frozen := map[string]bool{}
	for _, s := range stages[:3] {
		frozen[s.Name] = true
	}
	step := func(p *program) {
		data := p.data(datasets.Train, 4)
		if _, err := train.NewLoop(p.trainer(0.01)).RunSteps(data, 1); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	first := &program{t: t, net: net, e: e, store: model.NewStore()}
	handler := first.load(dir)
	if err := net.Freeze(first.backbone(), through); err != nil {
		t.Fatal(err)
	}
	step(first)
	if err := handler.Save(); err != nil {
		t.Fatal(err)
	}
	kept := first.values()

	for _, order := range []string{
		"freeze", "variables freeze", "freeze variables", "freeze variables variables", "unfreeze freeze", "freeze freeze",
		"load", "load variables", "load freeze", "load variables freeze", "variables load", "freeze load", "variables freeze load", "load unfreeze freeze", "load clone", "load variables clone",
	} {
		t.Run(order, func(t *testing.T) {
			p := &program{t: t, net: net, e: e, store: model.NewStore()}
			for call := range strings.FieldsSeq(order) {
				var err error
				switch call {
				case "freeze":
					err = net.Freeze(p.backbone(), through)
				case "unfreeze":
					err = net.Unfreeze(p.backbone())
				case "variables":
					err = net.Variables(p.backbone())
				case "load":
					p.load(dir)
				case "clone":
					p.store, err = p.store.Clone()
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := net.Variables(p.backbone()); err != nil {
				t.Fatal(err)
			}
			before := p.values()
			step(p)
			after, moved := p.values(), 0
			for _, w := range net.Declaration().Weights {
				if strings.Contains(order, "load") && !slices.Equal(before[w.Name], kept[w.Name]) {
					t.Fatalf("%s is not that of the checkpoint", w.Name)
				}
				want := w.Trainable && !frozen[w.Stage]
				if got := p.backbone().GetVariable(w.Name).Trainable; got != want {
					t.Errorf("%s of stage %s: trainable %v, want %v", w.Name, w.Stage, got, want)
				}
				if same := slices.Equal(before[w.Name], after[w.Name]); !same {
					moved++
					if !want {
						t.Errorf("%s of stage %s moved", w.Name, w.Stage)
					}
				}
			}
			if moved < 10 {
				t.Errorf("only %d weights moved", moved)
			}
		})
	}
	if err := net.Freeze(model.NewStore().RootScope(), "layer9"); err == nil || !strings.Contains(err.Error(), through) {
		t.Errorf("a stage that is not there: %v, want the stages that are", err)
	}
}

// Unfreezing later moves what was frozen.
func TestUnfreezeLater(t *testing.T) {
	p := &program{t: t, net: small(t), e: xla(t), store: model.NewStore()}
	all := p.net.Declaration().Stages
	if err := p.net.Freeze(p.backbone(), all[len(all)-1].Name); err != nil {
		t.Fatal(err)
	}
	trainer, data := p.trainer(0.01), p.data(datasets.Train, 4)
	run := func() map[string][]float32 {
		if _, err := train.NewLoop(trainer).RunSteps(data, 1); err != nil {
			t.Fatal(err)
		}
		return p.values()
	}
	one := run()
	for name, v := range one {
		if before, _, _ := p.net.Tensor(name); !slices.Equal(before, v) {
			t.Errorf("%s moved although everything is frozen", name)
		}
	}
	if err := p.net.Unfreeze(p.backbone()); err != nil {
		t.Fatal(err)
	}
	trainer.ResetComputationGraphs()
	moved := 0
	for name, v := range run() {
		if !slices.Equal(one[name], v) {
			moved++
		}
	}
	if moved < 40 {
		t.Errorf("%d weights moved after Unfreeze", moved)
	}
}

// Training behind cached maps moves the last stages as training on the pictures with the first ones
// frozen does.
func TestMapsTrainAsPicturesDo(t *testing.T) {
	e, net := xla(t), small(t)
	ends := map[string]map[string][]float32{}
	for _, behind := range []string{"", "layer2"} {
		p := &program{t: t, net: net, e: e, store: model.NewStore(), behind: behind}
		if err := p.store.SetRNGStateFromSeed(7); err != nil {
			t.Fatal(err)
		}
		if err := net.Freeze(p.backbone(), "layer2"); err != nil {
			t.Fatal(err)
		}
		data := p.data(datasets.Train, 6)
		if behind != "" {
			var err error
			data, err = Maps(context.Background(), data.data, net, e, behind)
			if err != nil {
				t.Fatal(err)
			}
			defer data.Close()
		}
		if _, err := train.NewLoop(p.trainer(0.001)).RunSteps(data, 3); err != nil {
			t.Fatal(err)
		}
		ends[behind] = p.values()
	}
	moved := 0
	for name, want := range ends[""] {
		got := ends["layer2"][name]
		before, _, _ := net.Tensor(name)
		if !slices.Equal(before, got) {
			moved++
		}
		for i := range want {
			// Adam divides by the size of a gradient, so one that is nearly 0 may turn around: three steps.
			if math.Abs(float64(want[i]-got[i])) > 6e-3 {
				t.Fatalf("%s: %g behind the maps, %g on the pictures", name, got[i], want[i])
			}
		}
		var off, path float64
		for i := range want {
			off += math.Abs(float64(want[i] - got[i]))
			path += math.Abs(float64(want[i] - before[i]))
		}
		if off > 0.02*path {
			t.Errorf("%s: moved by %g on the pictures, and %g elsewhere behind the maps", name, path, off)
		}
	}
	if moved < 10 {
		t.Errorf("%d weights moved", moved)
	}
	if _, err := Maps(context.Background(), Data{Set: shapes(t)}, net, e, "layer9"); err == nil || !strings.Contains(err.Error(), "layer2") {
		t.Errorf("a stage that is not there: %v", err)
	}
}

// The curve has what the loop computed: losses averaged between points, accuracies, the validation
// pictures once an epoch; and it goes on with a second run and in a file.
func TestAttach(t *testing.T) {
	p := &program{t: t, net: small(t), e: xla(t), store: model.NewStore(), metrics: true}
	if err := p.net.Freeze(p.backbone(), "layer3"); err != nil {
		t.Fatal(err)
	}
	trainer := p.trainer(0.01)
	loop, file := train.NewLoop(trainer), filepath.Join(t.TempDir(), "curves.jsonl")
	var losses []float64
	loop.OnStep("watch", 0, func(_ *train.Loop, m []*tensors.Tensor) error {
		losses = append(losses, float64(tensors.ToScalar[float32](m[0])))
		return nil
	})
	valid := p.data(datasets.Valid, 4)
	curve := Attach(loop, CurveOptions{Name: "shapes", File: file, Valid: valid, Every: 3})
	train := p.data(datasets.Train, 3) // 6 steps an epoch
	for range 2 {
		if _, err := loop.RunSteps(train, 6); err != nil {
			t.Fatal(err)
		}
	}
	run := curve.Run()
	got := run.Series(curves.Train, curves.Loss)
	if len(got) != 4 {
		t.Fatalf("%d points of the training loss, want 4: %+v", len(got), got)
	}
	for i, point := range got {
		want := (losses[3*i] + losses[3*i+1] + losses[3*i+2]) / 3
		if math.Abs(point.Value-want) > 1e-6 || point.Step != 3*(i+1) || point.Epoch != float64(i+1)/2 {
			t.Errorf("point %d: %+v, want loss %g", i, point, want)
		}
	}
	accuracy := run.Series(curves.Valid, curves.Accuracy)
	if len(accuracy) != 2 || accuracy[0].N != valid.Len() || accuracy[1].Epoch != 2 {
		t.Errorf("validation accuracies: %+v, want 2 of %d pictures", accuracy, valid.Len())
	}
	measured, err := trainer.Eval(valid)
	if err != nil {
		t.Fatal(err)
	}
	if want := float64(tensors.ToScalar[float32](measured[1])); math.Abs(accuracy[1].Value-want) > 1e-6 {
		t.Errorf("the last validation accuracy is %g, the trainer measures %g", accuracy[1].Value, want)
	}
	kept, err := curves.ReadFile(file)
	if err != nil || len(kept.Points) != len(run.Points) {
		t.Errorf("the file has %d points, want %d: %v", len(kept.Points), len(run.Points), err)
	}
	var picture bytes.Buffer
	if err := curve.Figure().PNG(&picture); err != nil || picture.Len() == 0 {
		t.Errorf("no figure: %v", err)
	}
}

// A loop that fails leaves a curve that another run continues.
func TestAttachAfterAFailure(t *testing.T) {
	p := &program{t: t, net: small(t), e: xla(t), store: model.NewStore()}
	if err := p.net.Freeze(p.backbone(), "layer3"); err != nil {
		t.Fatal(err)
	}
	loop := train.NewLoop(p.trainer(0.01))
	curve := Attach(loop, CurveOptions{Every: 1})
	data := p.data(datasets.Train, 4)
	stop := true
	loop.OnStep("fail", 0, func(l *train.Loop, _ []*tensors.Tensor) error {
		if stop && l.LoopStep == 2 {
			return os.ErrClosed
		}
		return nil
	})
	if _, err := loop.RunSteps(data, 6); err == nil {
		t.Fatal("no error")
	}
	stop = false
	if _, err := loop.RunSteps(data, 2); err != nil {
		t.Fatal(err)
	}
	if n := len(curve.Run().Series(curves.Train, curves.Loss)); n != 4 {
		t.Errorf("%d points, want 2 before the failure and 2 after it", n)
	}
}

// A head file from a store opens elsewhere and computes what the store computes.
func TestHeadFile(t *testing.T) {
	e := xla(t)
	weights := filepath.Join(t.TempDir(), "formula.safetensors")
	net := smallIn(t, weights)
	p := &program{t: t, net: net, e: e, store: model.NewStore()}
	if err := net.Freeze(p.backbone(), "layer2"); err != nil {
		t.Fatal(err)
	}
	if _, err := train.NewLoop(p.trainer(0.01)).RunSteps(p.data(datasets.Train, 6), 10); err != nil {
		t.Fatal(err)
	}
	set := shapes(t)
	trained := Trained{Net: net, Engine: e, Backbone: p.backbone(), Head: p.head(), Set: set, Seed: 5}
	h, err := trained.HeadFile(context.Background())
	if err != nil {
		t.Fatal(err)
	}

	// From a checkpoint that another program loads, it is the same.
	dir := t.TempDir()
	if err := p.load(dir).Save(); err != nil {
		t.Fatal(err)
	}
	resumed := &program{t: t, net: net, e: e, store: model.NewStore()}
	resumed.load(dir)
	trained.Backbone, trained.Head = resumed.backbone(), resumed.head()
	loaded, err := trained.HeadFile(context.Background())
	if err != nil || !slices.Equal(loaded.Parity, h.Parity) || len(loaded.Changed) != len(h.Changed) {
		t.Errorf("the head file from a loaded checkpoint is another one: %v", err)
	}

	file := filepath.Join(t.TempDir(), "mine.head.safetensors")
	if err := h.Write(file); err != nil {
		t.Fatal(err)
	}
	again, err := export.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range again.Changed {
		if strings.HasPrefix(c.Name, "layer1") || strings.Contains(c.Name, "running") {
			t.Errorf("%s is said to have changed", c.Name)
		}
	}
	classifier, err := again.Open(context.Background(), e, export.Options{Zoo: zoo.Options{Weights: weights}})
	if err != nil {
		t.Fatal(err)
	}
	exec := model.MustNewExec(e.Backend, p.store, func(scope *model.Scope, x *graph.Node) *graph.Node {
		return graph.Softmax(layers.Dense(scope.In("head"), net.Graph(scope.In("backbone"), x).Features, true, 2), -1)
	})
	for _, item := range set.In(set.Evaluation()) {
		x, err := net.Preset.Eval().LoadFile(nil, item.Path, transforms.DecodeOptions{}, transforms.Rand{})
		if err != nil {
			t.Fatal(err)
		}
		want := tensors.MustCopyFlatData[float32](exec.MustCall1(tensors.FromFlatDataAndDimensions(x.Data, 1, 32, 32, 3)))
		got, err := classifier.Classify(context.Background(), []string{item.Path})
		if err != nil {
			t.Fatal(err)
		}
		for k, label := range set.Labels {
			if off := math.Abs(got[0].Probabilities[label] - float64(want[k])); off > 2e-5 {
				t.Errorf("%s: probability of %s off by %g", item.Rel, label, off)
			}
		}
	}
	for name, bad := range map[string]Trained{
		"nothing":         {},
		"another scope":   {Net: net, Engine: e, Backbone: p.head(), Head: p.head(), Set: set},
		"the whole store": {Net: net, Engine: e, Backbone: p.backbone(), Head: p.store.RootScope(), Set: set},
		"no head":         {Net: net, Engine: e, Backbone: p.backbone(), Head: p.store.RootScope().In("none"), Set: set},
	} {
		if _, err := bad.HeadFile(context.Background()); err == nil || !strings.HasPrefix(err.Error(), "bridge: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
