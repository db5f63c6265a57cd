package run_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/formulanet"
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
