package audit

import (
	"context"
	"os"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
)

// TLKIT_DATA=DIR go test ./tlkit/audit -run xxx -bench Quick measures what Quick adds to a run whose features
// are cached.
func BenchmarkQuick(b *testing.B) {
	if os.Getenv("TLKIT_DATA") == "" {
		b.Skip("TLKIT_DATA names no folder with pictures")
	}
	for _, name := range []string{"insects", "hymenoptera", "flowers12"} {
		set, err := datasets.Open(context.Background(), name, datasets.Options{})
		if err != nil {
			b.Fatal(err)
		}
		in := Input{Set: set, Features: featuresOf(b, set), Seed: 1}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				brief, err := in.Quick(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(brief.Counts[Leak]), "leaks")
			}
		})
	}
}
