package run_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// A complete job on pictures that tlkit draws itself. The weights here are made up, so that nothing
// is downloaded; without Weights, Train uses the published ones.
func ExampleTrain() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	row, err := zoo.Find("resnet20_cifar10")
	if err != nil {
		log.Fatal(err)
	}
	weights := filepath.Join(dir, "weights.safetensors")
	if err := formulanet.Write(weights, row.Arch(), row.Preset.Size, 1); err != nil {
		log.Fatal(err)
	}
	spec := run.Spec{Data: "insects-few", Model: row.Name, Weights: weights, Seed: 1}
	result, err := run.Train(context.Background(), spec, run.Place{Folder: dir, Name: "example"}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Metric, "of", result.Total, "pictures of", result.Split)
	for _, name := range []string{"plan.json", "history.jsonl", "curves.png", "confusion.png", "head.safetensors", "result.json"} {
		if _, err := os.Stat(filepath.Join(result.Run, name)); err != nil {
			log.Fatal(err)
		}
	}
	// Output: accuracy of 200 pictures of test
}

// A plan of your own, from the data to a head file that predicts like any other.
func ExampleSpec_TunedHead() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	row, err := zoo.Find("resnet20_cifar10")
	if err != nil {
		log.Fatal(err)
	}
	weights := filepath.Join(dir, "weights.safetensors") // made up, so that nothing is downloaded
	if err := formulanet.Write(weights, row.Arch(), row.Preset.Size, 1); err != nil {
		log.Fatal(err)
	}
	ctx, spec := context.Background(), run.Spec{Data: "insects-few", Model: row.Name, Weights: weights, Seed: 1}

	d, err := run.Prepare(ctx, spec, run.Place{}, nil)
	if err != nil {
		log.Fatal(err)
	}
	plan, err := finetune.NewPlan(finetune.KerasGuide, d, finetune.Options{Epochs: 1, From: "layer3", Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	plan.Smoothing = 0.1 // whatever you like to change
	tuned, err := finetune.Train(ctx, d, plan, nil)
	if err != nil {
		log.Fatal(err)
	}
	h, err := spec.TunedHead(ctx, d, tuned, run.Place{})
	if err != nil {
		log.Fatal(err)
	}
	file := filepath.Join(dir, "mine.head.safetensors")
	if err := h.Write(file); err != nil {
		log.Fatal(err)
	}

	h, err = export.Read(file)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(h.Labels, h.Result.Metric, "of", h.Result.Total, "pictures of", h.Result.Split)
	fmt.Println(len(h.Changed), "tensors changed")
	// Output:
	// [ants bees] accuracy of 200 pictures of test
	// 18 tensors changed
}
