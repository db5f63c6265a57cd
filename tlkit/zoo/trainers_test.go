package zoo

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"github.com/tlkit/transfer-learning/internal/golden"
)

// Checkpoints that torch, timm, Lightning and Keras have written, see checkpoints.py among the
// referees: each loads and gives the features that its own framework computes, or is refused with a
// short reason.
func TestCheckpointsOfTrainers(t *testing.T) {
	folder := os.Getenv("TLKIT_CHECKPOINTS")
	if folder == "" {
		t.Skip("set TLKIT_CHECKPOINTS to the folder that internal/golden/referee/checkpoints.py has written")
	}
	text, err := os.ReadFile(filepath.Join(folder, "checkpoints.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name, Model, Entry, File string
		Size, Classes            int
		Says, Refuses            string
		Features                 []float64
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	b := pureGo(t)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			r, err := Find(c.Model)
			if err != nil {
				t.Fatal(err)
			}
			preset := r.Preset
			preset.Size = c.Size
			n, err := Load(context.Background(), c.Model, Options{Weights: filepath.Join(folder, c.File), Entry: c.Entry, Preset: &preset})
			if c.Refuses != "" {
				if err == nil {
					t.Fatalf("loaded, with notes %q", n.Notes)
				}
				t.Log(err)
				if !strings.Contains(err.Error(), c.Refuses) || len(err.Error()) > 1500 || strings.Count(err.Error(), "\n") > 15 {
					t.Errorf("the refusal does not say %q, or is long", c.Refuses)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			notes := strings.Join(n.Notes, "\n")
			t.Log(notes)
			if !strings.Contains(notes, c.Says) {
				t.Errorf("the notes do not say %q", c.Says)
			}
			if c.Classes > 0 && n.Declaration().Classes != c.Classes {
				t.Errorf("%d classes, want %d", n.Declaration().Classes, c.Classes)
			}
			if f := n.Declaration().Features; f != len(c.Features) {
				t.Errorf("%d features, %d of the referee", f, len(c.Features))
			}
			compareFeatures(t, n, b, c.Features, 1e-4)
		})
	}
}

// compareFeatures compares what a network makes of the first test picture with a referee's features, or
// the first of them, relative to the largest.
func compareFeatures(t *testing.T, n *Net, b compute.Backend, want []float64, within float64) {
	t.Helper()
	x, err := n.NewExtractor(b, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	got, _, err := x.Run(golden.Input(n.Preset.Size, 1))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) < len(want) || len(want) == 0 {
		t.Fatalf("%d features, %d of the referee", len(got), len(want))
	}
	largest, off := 0.0, 0.0
	for i, v := range want {
		largest, off = max(largest, math.Abs(v)), max(off, math.Abs(v-float64(got[i])))
	}
	t.Logf("features differ by %.1e of the largest", off/largest)
	if !(off <= within*largest) {
		t.Errorf("features are off by %g of %g", off, largest)
	}
}
