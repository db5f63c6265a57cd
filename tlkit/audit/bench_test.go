package audit

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
)

// BenchmarkRun audits 10,000 pictures with 1,280 features each; what is cached is not computed again:
//
//	go test ./tlkit/audit -run xxx -bench Run -benchtime 1x
func BenchmarkRun(b *testing.B) {
	set, err := datasets.Open(context.Background(), testpictures.Shapes(b, []string{"bar", "disc"}, 5000), datasets.Options{})
	if err != nil {
		b.Fatal(err)
	}
	m, r := &features.Matrix{Features: 1280}, rand.New(rand.NewPCG(1, 2))
	for i, item := range set.Items {
		m.Items = append(m.Items, i)
		for k := range m.Features {
			v := float32(r.NormFloat64())
			if k < 5 {
				v += float32(item.Class)
			}
			m.Data = append(m.Data, v)
		}
	}
	in := Input{Set: set, Features: m}
	if _, err := Run(context.Background(), in); err != nil { // the prints
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Run(context.Background(), in); err != nil {
			b.Fatal(err)
		}
	}
}
