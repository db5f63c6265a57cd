package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/robot"
	"github.com/tlkit/transfer-learning/tlkit/rollout"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// PyTorch learns from the demonstrations that were written, and acts in closed loop, the same way twice.
// Set TLKIT_ONNX_PYTHON to a Python that has torch and torchvision.
func TestClone(t *testing.T) {
	ctx := t.Context()
	lab, err := robot.Open(ctx, robot.Spec{Task: robotTask, Model: robotModel, Demos: robotDemos}, run.Place{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer lab.Close()
	r := &robotBench{session: &session{Options: Options{Progress: silent{}}}, tlkit: &tlkit{dir: t.TempDir()}, lab: lab, steps: 20}
	if c, err := r.clone(ctx); c != nil || err != nil {
		t.Fatalf("without Python: %v, %v", c, err)
	}
	frames, err := writeDemos(ctx, lab, r.tlkit.dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, bytes := range map[string]int{"pixels": robotSide * robotSide * 3, "states": 4 * len(lab.Robot.State), "actions": 4 * len(lab.Robot.Action)} {
		if info, err := os.Stat(filepath.Join(r.tlkit.dir, name)); err != nil || frames < 100 || info.Size() != int64(frames*bytes) {
			t.Errorf("%s of %d frames: %v, %v", name, frames, info, err)
		}
	}
	if r.Python = os.Getenv("TLKIT_ONNX_PYTHON"); r.Python == "" {
		t.Skip("TLKIT_ONNX_PYTHON is not set: no Python with torch and torchvision to compare with")
	}
	var tries [2]*rollout.Try
	for i := range tries {
		c, err := r.clone(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(c.By, "torch ") || c.seconds <= 0 {
			t.Errorf("%+v", c.fitted)
		}
		tries[i], err = c.try(ctx, rollout.Scenes(2))
		c.close()
		if err != nil || len(tries[i].Episodes) != 2 {
			t.Fatal(tries[i], err)
		}
	}
	if a, b := tries[0].Episodes[1], tries[1].Episodes[1]; a != b {
		t.Errorf("%+v, the second time %+v", a, b)
	}
}
