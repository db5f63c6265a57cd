package compare

import (
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// One size for all networks; those that cannot take it are skipped, with the sizes that they take.
func TestCompareAtAnotherSize(t *testing.T) {
	folder := testpictures.Shapes(t, []string{"discs", "bars"}, 6)
	c, err := Run(t.Context(), Spec{Data: folder, Models: []string{"mobilenetv2", "vit_small_patch16_224.dino"}, Seed: 1, Size: 90}, run.Place{Folder: t.TempDir(), Offline: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Ranked) != 1 || c.Ranked[0].Size != 90 {
		t.Errorf("ranked %+v", c.Ranked)
	}
	if len(c.Skipped) != 1 || !strings.Contains(c.Skipped[0].Skipped, "80 or 96") {
		t.Errorf("skipped %+v", c.Skipped)
	}
}
