package bridge

import (
	"context"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/metric"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/tlkit/transfer-learning/tlkit/engine"
)

// Programs of train.Trainer have names that are drawn anew each time. The compile cache must not
// depend on them.
func TestTrainerHitsTheCompileCache(t *testing.T) {
	e, err := engine.Open(context.Background(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if e.CompileCache() == (engine.Stats{}) && e.Plugin == "" {
		t.Skip("no XLA here: " + e.Why)
	}
	step := func() engine.Stats {
		before := e.CompileCache()
		store := model.NewStore()
		if err := store.SetRNGStateFromSeed(1); err != nil {
			t.Fatal(err)
		}
		trainer := train.NewTrainer(e.Backend, store, func(scope *model.Scope, x *graph.Node) *graph.Node {
			return layers.Dense(scope.In("head"), x, true, 2)
		}, loss.SparseCategoricalCrossEntropyLogits, optimizer.Adam().Done(),
			[]metric.Interface{metric.NewSparseCategoricalAccuracy("accuracy", "acc")}, []metric.Interface{metric.NewSparseCategoricalAccuracy("accuracy", "acc")})
		batch := func() train.Batch {
			return train.Batch{
				Inputs: []*tensors.Tensor{tensors.FromFlatDataAndDimensions([]float32{1, 2, 3, 4, 5, 6}, 2, 3)},
				Labels: []*tensors.Tensor{tensors.FromFlatDataAndDimensions([]int32{0, 1}, 2, 1)},
			}
		}
		if _, err := trainer.TrainStep(batch()); err != nil {
			t.Fatal(err)
		}
		if _, err := trainer.EvalStep(batch()); err != nil {
			t.Fatal(err)
		}
		after := e.CompileCache()
		return engine.Stats{Hits: after.Hits - before.Hits, Misses: after.Misses - before.Misses}
	}
	t.Log(step())
	if again := step(); again.Misses > 0 || again.Hits == 0 {
		t.Errorf("the second trainer compiled %d programs and loaded %d, want none compiled", again.Misses, again.Hits)
	}
}
