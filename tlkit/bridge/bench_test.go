package bridge

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// BenchmarkStep is a training step of GoMLX's trainer on batches of 32: the whole of MobileNetV2, and
// its last stages behind cached maps.
func BenchmarkStep(b *testing.B) {
	ctx, e := context.Background(), xla(b)
	row, err := zoo.Find("mobilenetv2")
	if err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(b.TempDir(), "formula.safetensors")
	if err := formulanet.Write(file, row.Arch(), row.Preset.Size, 1); err != nil {
		b.Fatal(err)
	}
	net, err := zoo.Load(ctx, row.Name, zoo.Options{Weights: file})
	if err != nil {
		b.Fatal(err)
	}
	set, err := datasets.Open(ctx, testpictures.Shapes(b, []string{"bar", "disc"}, 40), datasets.Options{})
	if err != nil {
		b.Fatal(err)
	}
	stages := net.Declaration().Stages
	pick := Data{Set: set, Split: datasets.Train, Last: Drop, Forever: true}
	for _, behind := range []string{"", stages[len(stages)-3].Name, stages[len(stages)-2].Name} {
		b.Run("behind "+behind, func(b *testing.B) {
			p := &program{net: net, e: e, store: model.NewStore(), behind: behind}
			if err := net.Freeze(p.backbone(), behind); err != nil {
				b.Fatal(err)
			}
			data, err := Pictures(pick, net.Preset.Eval())
			if behind != "" {
				data, err = Maps(ctx, pick, net, e, behind)
			}
			if err != nil {
				b.Fatal(err)
			}
			defer data.Close()
			loop := train.NewLoop(p.trainer(1e-4))
			if _, err := loop.RunSteps(data, 1); err != nil { // compiles
				b.Fatal(err)
			}
			b.ResetTimer()
			if _, err := loop.RunSteps(data, b.N); err != nil {
				b.Fatal(err)
			}
		})
	}
}
