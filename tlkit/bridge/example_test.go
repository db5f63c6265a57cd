package bridge_test

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/tlkit/bridge"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// A GoMLX training loop on a backbone whose first stages are frozen, up to the head file. With
// zoo.Load(ctx, "resnet18", zoo.Options{}) the same program trains on published weights.
func Example() {
	ctx := context.Background()
	net, set, done := material(ctx)
	defer done()
	e, err := engine.Open(ctx, engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()

	store := model.NewStore()
	backbone, head := store.RootScope().In("backbone"), store.RootScope().In("head")
	if err := net.Freeze(backbone, "layer2"); err != nil { // layer3 and the head learn
		log.Fatal(err)
	}
	pictures, err := bridge.Pictures(bridge.Data{Set: set, Split: datasets.Train, Batch: 4, Shuffle: true, Forever: true}, net.Preset.Train(1))
	if err != nil {
		log.Fatal(err)
	}
	trainer := train.NewTrainer(e.Backend, store, func(scope *model.Scope, images *graph.Node) *graph.Node {
		features := net.Graph(scope.In("backbone"), images).Features
		return layers.Dense(scope.In("head"), features, true, len(set.Labels))
	}, loss.SparseCategoricalCrossEntropyLogits, optimizer.Adam().LearningRate(0.001).Done(), nil, nil)
	loop := train.NewLoop(trainer)
	curve := bridge.Attach(loop, bridge.CurveOptions{Every: 2})
	if _, err := loop.RunSteps(pictures, 4); err != nil {
		log.Fatal(err)
	}
	fmt.Println("points of the loss:", len(curve.Run().Series(curves.Train, curves.Loss)))

	file, err := bridge.Trained{Net: net, Engine: e, Backbone: backbone, Head: head, Set: set}.HeadFile(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("labels of the head:", file.Labels)
	fmt.Println("layer2 changed:", changed(file.Changed, "layer2."), " layer3 changed:", changed(file.Changed, "layer3."))
	// Output:
	// points of the loss: 2
	// labels of the head: [dark light]
	// layer2 changed: false  layer3 changed: true
}

// material draws a dozen pictures, and makes a small network with weights made by a formula.
func material(ctx context.Context) (*zoo.Net, *datasets.Dataset, func()) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	for i := range 12 {
		label := []string{"dark", "light"}[i%2]
		p := transforms.NewPicture(32, 32)
		for k := range p.Pix {
			p.Pix[k] = uint8(150*(i%2) + k*(i+1)%90)
		}
		path := filepath.Join(dir, "pictures", label, fmt.Sprintf("%d.png", i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			log.Fatal(err)
		}
		if err := writePNG(path, p); err != nil {
			log.Fatal(err)
		}
	}
	set, err := datasets.Open(ctx, filepath.Join(dir, "pictures"), datasets.Options{})
	if err != nil {
		log.Fatal(err)
	}
	row, err := zoo.Find("resnet20_cifar10")
	if err != nil {
		log.Fatal(err)
	}
	weights := filepath.Join(dir, "formula.safetensors")
	if err := formulanet.Write(weights, row.Arch(), row.Preset.Size, 1); err != nil {
		log.Fatal(err)
	}
	net, err := zoo.Load(ctx, row.Name, zoo.Options{Weights: weights})
	if err != nil {
		log.Fatal(err)
	}
	return net, set, func() { os.RemoveAll(dir) }
}

func writePNG(path string, p image.Image) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := png.Encode(f, p); err != nil {
		return err
	}
	return f.Close()
}

func changed(tensors []weights.Tensor, stage string) bool {
	return slices.ContainsFunc(tensors, func(t weights.Tensor) bool { return strings.HasPrefix(t.Name, stage) })
}
