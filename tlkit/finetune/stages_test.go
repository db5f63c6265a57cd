package finetune

import (
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// No network has a stage with the name that stands for the head: it would be in two groups, and the
// network could not be fine-tuned.
func TestNoStageIsCalledHead(t *testing.T) {
	seen := 0
	for _, row := range zoo.Rows() {
		d, err := backbone.Declare(row.Arch(), row.Preset.Size)
		if err != nil {
			continue // the architecture is inside the ONNX file
		}
		for _, s := range d.Stages {
			seen++
			if s.Name == HeadStage {
				t.Errorf("%s has a stage %q", row.Name, s.Name)
			}
		}
	}
	if seen < 100 {
		t.Errorf("%d stages in all", seen)
	}
}
