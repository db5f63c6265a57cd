//go:build !tlkit_worker

package tlkit

import (
	"os"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/robot"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// A folder beside the notebook is a data set. Cells that do not read any are not made larger by what does,
// and are told what to import.
func TestRobotOfAFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("cube", 0o755); err != nil {
		t.Fatal(err)
	}
	notebook, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	s := Robot{Name: "cube", Task: notebook + "/cube", Tip: [2]string{"u", "v"}, Edges: [4]float64{0, 2, 0, 1}, Gripper: "claw", Camera: "top"}.spec()
	if s.Task != notebook+"/cube" || s.Data != (robot.Data{Camera: "top", Tip: [2]string{"u", "v"}, Edges: [4]float64{0, 2, 0, 1}, Gripper: "claw"}) {
		t.Errorf("%+v", s)
	}
	if s := (Robot{Task: "bench/sort"}).spec(); s.Task != "bench/sort" || s.Data != (robot.Data{}) {
		t.Errorf("%+v", s)
	}
	lab, err := robot.Open(t.Context(), Robot{Task: "cube"}.spec(), run.Place{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer lab.Close()
	if _, err := lab.Fit(t.Context()); err == nil || !strings.Contains(err.Error(), "tlkit/episodes") {
		t.Errorf("%v, want what to import", err)
	}
}
