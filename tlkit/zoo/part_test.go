package zoo

import (
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
)

// A network of each family can be cut behind its last stage but one, as fine-tuning and maps cut it:
// whatever an architecture computes, it computes in the part where it belongs.
func TestEveryFamilyCanBeCut(t *testing.T) {
	least := map[string]Row{}
	for _, r := range table {
		if _, ok := r.arch.(onnxFile); ok {
			continue // TestONNXRow
		}
		if old, ok := least[r.Family]; !ok || r.Params < old.Params {
			least[r.Family] = r
		}
	}
	for family, r := range least {
		t.Run(family, func(t *testing.T) {
			arch := r.arch
			if r.small != nil {
				arch = r.small
			}
			d, err := backbone.Declare(arch, r.Preset.Size)
			if err != nil {
				t.Fatal(err)
			}
			b, err := gobackend.New("")
			if err != nil {
				t.Fatal(err)
			}
			defer b.Finalize()
			store := model.NewStore()
			for _, w := range d.Weights {
				zeros := tensors.FromFlatDataAndDimensions(make([]float32, w.Size()), w.GraphShape...)
				if _, err := store.RootScope().CreateVariable(w.Name, zeros); err != nil {
					t.Fatal(err)
				}
			}
			g := graph.NewGraph(b, family)
			defer g.Finalize()
			cut := d.Stages[len(d.Stages)-2]
			pictures := graph.Zeros(g, shapes.Make(dtypes.Float32, 1, r.Preset.Size, r.Preset.Size, 3))
			front := backbone.Part{To: cut.Name}.Graph(arch, store.RootScope(), pictures).Map
			if got := front.Shape().Dimensions[1:]; !slices.Equal(got, cut.Shape) {
				t.Errorf("the part up to %s gives %v, want %v", cut.Name, got, cut.Shape)
			}
			rest := backbone.Part{From: cut.Name, Size: r.Preset.Size}.Graph(arch, store.RootScope(), front)
			if f := rest.Features; f == nil || f.Graph() != g || f.Shape().Dim(-1) != d.Features {
				t.Errorf("the part behind %s gives %v, want %d features", cut.Name, f, d.Features)
			}
		})
	}
}
