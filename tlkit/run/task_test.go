package run

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// scene draws n pictures: a disc at some height, with or without a bar, or nothing; and writes
// their labels and values into labels.csv and values.csv.
func scene(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(3, 8))
	labels, values := "path,labels,split\n", "height_mm,path,split,length\n"
	for i := range n {
		disc, bar := rng.IntN(4) > 0, rng.IntN(2) == 0
		cy, r := 8+rng.IntN(40), 5+rng.IntN(10)
		img := image.NewGray(image.Rect(0, 0, 64, 56))
		for y := range 56 {
			for x := range 64 {
				v := uint8(170 + rng.IntN(30))
				if dx, dy := x-22, y-cy; disc && dx*dx+dy*dy < r*r {
					v = uint8(20 + rng.IntN(20))
				}
				if bar && x > 48 && x < 56 {
					v = uint8(90 + rng.IntN(20))
				}
				img.SetGray(x, y, color.Gray{v})
			}
		}
		var buf bytes.Buffer
		if err := png.Encode(&buf, img); err != nil {
			t.Fatal(err)
		}
		name, split := fmt.Sprintf("p/%03d.png", i), "train"
		if i%3 == 2 {
			split = "test"
		}
		testpictures.Write(t, filepath.Join(dir, filepath.FromSlash(name)), buf.Bytes())
		var is []string
		if disc {
			is = append(is, "disc")
			values += fmt.Sprintf("%g,%s,%s,%d\n", 1000+2.5*float64(cy), name, split, r)
		}
		if bar {
			is = append(is, "bar")
		}
		labels += fmt.Sprintf("%s,%s,%s\n", name, strings.Join(is, ";"), split)
	}
	testpictures.Write(t, filepath.Join(dir, "labels.csv"), []byte(labels))
	testpictures.Write(t, filepath.Join(dir, "values.csv"), []byte(values))
	return dir
}

func TestTasks(t *testing.T) {
	ctx := context.Background()
	dir, work := scene(t, 120), t.TempDir()
	for _, c := range []struct {
		task               datasets.Task
		metric             metrics.Metric
		figure             string
		least, leastBase   float64
		curve              metrics.Metric
		notInJSON          string
		perLabel, perValue int
		otherHead          head.Kind
		wantName           string
	}{
		{datasets.Labels, metrics.MAP, "labels.png", 0.9, 0.5, curves.MAP, "accuracy", 2, 0, "ridge", "disc"},
		{datasets.Values, metrics.R2, "values.png", 0.5, 0.1, curves.R2, "log_loss", 0, 2, "logistic", "height_mm"},
	} {
		t.Run(string(c.task), func(t *testing.T) {
			csv := filepath.Join(dir, string(c.task)+".csv")
			out := filepath.Join(work, string(c.task)+".head.safetensors")
			spec := Spec{Data: csv, Model: "mobilenetv2", Seed: 1}
			r, err := Train(ctx, spec, Place{Folder: work, Out: out}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.Task != c.task || r.Metric != c.metric || r.Value < c.least || !r.Interval.Contains(r.Value) || r.Baseline.Value < c.leastBase || r.Split != "test" {
				t.Errorf("%+v\n%s", r, r.Details)
			}
			if len(r.PerLabel) != c.perLabel || len(r.PerValue) != c.perValue || len(r.Choices) != 10 || r.Strength <= 0 {
				t.Errorf("%d labels, %d values, %d choices, strength %v", len(r.PerLabel), len(r.PerValue), len(r.Choices), r.Strength)
			}
			history, err := curves.ReadFile(filepath.Join(r.Run, "history.jsonl"))
			if err != nil || len(history.Series(curves.Folds, c.curve)) < 2 || len(history.Series("test", c.curve)) < 2 {
				t.Errorf("history: %v, %d points", err, len(history.Points))
			}
			for _, name := range []string{"curves.png", c.figure, "report.txt", "plan.json", "head.safetensors"} {
				if info, err := os.Stat(filepath.Join(r.Run, name)); err != nil || info.Size() == 0 {
					t.Errorf("%s: %v", name, err)
				}
			}
			b, err := json.Marshal(r)
			top := map[string]any{}
			if err == nil {
				err = json.Unmarshal(b, &top)
			}
			if err != nil || top["metric"] != string(c.metric) || top["score"] != r.Value || top["task"] != string(c.task) {
				t.Errorf("%s, %v", b, err)
			}
			for _, name := range []string{c.notInJSON, "accuracy", "correct"} {
				if v, there := top[name]; there {
					t.Errorf("%s is %v in the JSON of %s", name, v, c.task)
				}
			}
			back := &Result{}
			if err := json.Unmarshal(b, back); err != nil || back.Value != r.Value || back.Line() != r.Line() {
				t.Errorf("%v: %q, was %q", err, back.Line(), r.Line())
			}

			// A new process gives the same score as this one, and predictions that match it.
			e, err := EvaluateHead(ctx, HeadSpec{Head: out, Data: csv}, Place{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if e.Value != r.Value || e.Interval != r.Interval || e.Total != r.Total || *e.Parity > zoo.Tolerance { // training may have used another form
				t.Errorf("evaluate: %+v, train said %v %v of %d", e, r.Score, r.Interval, r.Total)
			}
			set, err := datasets.Open(ctx, csv, datasets.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var paths []string
			for _, it := range set.In("test") {
				paths = append(paths, it.Path)
			}
			said, err := Predict(ctx, HeadSpec{Head: out}, paths, Place{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			miss, right := 0.0, 0
			for i, it := range set.In("test") {
				if !strings.Contains(said[i].Words(), c.wantName) && c.task == datasets.Values {
					t.Errorf("%q", said[i].Words())
				}
				for k, l := range set.Labels {
					if c.task == datasets.Values {
						miss += math.Abs(said[i].Values[l]-it.Targets[k]) / float64(len(paths))
					} else if (it.Targets[k] == 1) == strings.Contains(strings.Join(said[i].Labels, " "), l) {
						right++
					}
				}
			}
			want, correct := 0.0, 0
			for _, v := range r.PerValue {
				want += v.MAE
			}
			for _, l := range r.PerLabel {
				correct += l.Total - l.Support - l.Predicted + 2*l.Correct
			}
			if math.Abs(miss-want) > 1e-4*want || right != correct {
				t.Errorf("predictions miss by %v, the report says %v; %d labels right, the report says %d", miss, want, right, correct)
			}

			t.Run("folds and seeds", func(t *testing.T) {
				s := spec
				s.Folds = 3
				f, err := Train(ctx, s, Place{Folder: work}, nil)
				if err != nil {
					t.Fatal(err)
				}
				mean := 0.0
				for _, one := range f.Folds {
					mean += one.Value / 3
				}
				if len(f.Folds) != 3 || math.Abs(mean-f.Value) > 1e-9 || f.Value < c.least-0.15 || !strings.Contains(f.Line(), "mean of 3 folds") {
					t.Errorf("%+v", f)
				}
				s.Folds, s.Seeds = 0, 2
				n, err := Train(ctx, s, Place{Folder: work}, nil)
				if err != nil || len(n.Runs) != 2 || n.Runs[0].Value != r.Value || math.Abs((n.Runs[0].Value+n.Runs[1].Value)/2-n.Value) > 1e-12 {
					t.Errorf("%v %+v", err, n)
				}
			})
			t.Run("fine-tuning", func(t *testing.T) { finetuned(t, c.task, csv, c.metric, c.curve) })
			t.Run("refuses", func(t *testing.T) {
				for what, s := range map[string]Spec{
					"leave --head out": {Data: csv, Model: "mobilenetv2", Seed: 1, Head: c.otherHead},
				} {
					if _, err := Train(ctx, s, Place{Folder: work}, nil); err == nil || !strings.Contains(err.Error(), what) {
						t.Errorf("%v, want %q", err, what)
					}
				}
				if _, err := EvaluateModel(ctx, Spec{Data: csv, Model: "efficientnet_lite0", Seed: 1}, "", Place{}, nil); err == nil || !strings.Contains(err.Error(), "pretrained classifier is for one label") {
					t.Error(err)
				}
				other := filepath.Join(dir, map[datasets.Task]string{datasets.Labels: "values.csv", datasets.Values: "labels.csv"}[c.task])
				if _, err := EvaluateHead(ctx, HeadSpec{Head: out, Data: other}, Place{}, nil); err == nil || !strings.Contains(err.Error(), "pictures of its own kind") {
					t.Error(err)
				}
			})
		})
	}
}

// finetuned trains the last stage of a small network with made-up weights for a task, and checks
// the result and what is reported about it.
func finetuned(t *testing.T, task datasets.Task, csv string, metric, curve metrics.Metric) {
	ctx, work := context.Background(), t.TempDir()
	frozen := Spec{Data: csv, Model: "resnet20_cifar10", Weights: formula(t, "resnet20_cifar10"), Seed: 1}
	alone := train(t, frozen, Place{Folder: work})
	s := frozen
	s.Finetune, s.From, s.Plan = 3, "layer3", finetune.Fastai
	out := filepath.Join(work, "tuned.safetensors")
	r := train(t, s, Place{Folder: work, Out: out})
	p := r.Probe
	if p == nil || p.Metric != metric || p.Value != alone.Value || p.Interval != alone.Interval || p.Total != r.Total || math.Abs(r.Value-p.Value-p.Gain) > 1e-12 || !p.GainInterval.Contains(p.Gain) {
		t.Fatalf("probe %+v, the head alone %v, tuned %v", p, alone.Value, r.Value)
	}
	if r.Finetune == nil || !r.Finetune.Pays || r.Finetune.Changed < 20 || !strings.Contains(r.Line(), "; the head alone ") || !strings.Contains(r.Line(), ", gain ") {
		t.Errorf("%q, %+v", r.Line(), r.Finetune)
	}
	history, err := curves.ReadFile(filepath.Join(r.Run, "history.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	at, tuning := history.Unfrozen()
	for _, p := range history.Points {
		if p.Phase == curves.Head && history.X(p) > at {
			t.Fatalf("the head learns at %v, the rest from %v on", history.X(p), at)
		}
	}
	scores := history.Series("test", curve)
	if last := scores[len(scores)-1]; !tuning || last.Epoch != at+3 || math.Abs(last.Value-r.Value) > 1e-4 {
		t.Errorf("the history ends with %+v, the result is %v", last, r.Value)
	}
	b, err := json.Marshal(r)
	var top struct {
		Probe map[string]any
		Runs  []any
	}
	if err == nil {
		err = json.Unmarshal(b, &top)
	}
	if _, there := top.Probe["accuracy"]; err != nil || there || top.Probe["score"] != p.Value || top.Probe["metric"] != string(metric) {
		t.Errorf("%v, %v", top.Probe, err)
	}
	e, err := EvaluateHead(ctx, HeadSpec{Head: out, Data: csv, Weights: frozen.Weights}, Place{Folder: work}, nil)
	if err != nil || math.Abs(e.Value-r.Value) > 1e-6 || e.Total != r.Total {
		t.Errorf("evaluate says %v of %d, train %v of %d: %v", e.Value, e.Total, r.Value, r.Total, err)
	}
	h, err := export.Read(out)
	if err != nil || len(h.Changed) != r.Finetune.Changed || h.Task != task {
		t.Errorf("%v, %d changed", err, len(h.Changed))
	}

	// Fine-tuning by hand gives the same network, and seeds have a mean score.
	d, err := Prepare(ctx, frozen, Place{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := finetune.NewPlan(finetune.Fastai, d, finetune.Options{Epochs: 3, From: "layer3", Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if tuned, err := finetune.Train(ctx, d, plan, nil); err != nil || !slices.Equal(tuned.Head.Weight, h.Linear.Weight) {
		t.Errorf("fine-tuning by hand gives another head: %v", err)
	}
	s.Seeds, s.Finetune = 2, 1
	n := train(t, s, Place{Folder: work})
	if len(n.Runs) != 2 || math.Abs((n.Runs[0].Probe.Value+n.Runs[1].Probe.Value)/2-n.Probe.Value) > 1e-12 || math.Abs((n.Runs[0].Value+n.Runs[1].Value)/2-n.Value) > 1e-12 || math.Abs(n.Value-n.Probe.Value-n.Probe.Gain) > 1e-9 {
		t.Errorf("two seeds: %+v, %+v", n.Runs, n.Probe)
	}
}
