package finetune_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// A plan is plain data: it can be printed and changed before it runs.
func ExampleNewPlan() {
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
	net, err := zoo.Load(context.Background(), row.Name, zoo.Options{Weights: weights})
	if err != nil {
		log.Fatal(err)
	}
	train := make([]datasets.Item, 64)
	plan, err := finetune.NewPlan(finetune.Fastai, finetune.Data{Net: net, Train: train, Outputs: 2}, finetune.Options{Epochs: 3, From: "layer3", Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	plan.Groups[0].Rate = 5e-4
	for _, g := range plan.Groups {
		fmt.Printf("%v at %g\n", g.Stages, g.Rate)
	}
	fmt.Println("norms", plan.Norms, "epochs", plan.Epochs)
	// Output:
	// [layer3] at 0.0005
	// [head] at 0.001
	// norms batch epochs 3
}
