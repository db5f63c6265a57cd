package zoo

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/internal/machine"
)

// Files that are almost those of a network, written by torch and timm themselves, see misfits.py among
// the referees: each is refused with everything that is wrong and the row that it fits, in less than two
// seconds of processor time; or it loads, says what it left out, and computes what the framework
// computes. Set TLKIT_ONNX_PYTHON to a Python that has them; that takes about 2 GB in the folder of
// temporary files. Or set TLKIT_CHECKPOINTS to the folder that misfits.py has written.
func TestMisfits(t *testing.T) {
	folder := os.Getenv("TLKIT_CHECKPOINTS")
	if _, err := os.Stat(filepath.Join(folder, "misfits.json")); err != nil {
		python := os.Getenv("TLKIT_ONNX_PYTHON")
		if python == "" {
			t.Skip("TLKIT_ONNX_PYTHON is not set: no Python with torch, torchvision and timm to write the files")
		}
		folder = t.TempDir()
		write := exec.CommandContext(t.Context(), python, "misfits.py", "--out", folder)
		write.Dir = "../../internal/golden/referee"
		if out, err := write.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	text, err := os.ReadFile(filepath.Join(folder, "misfits.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []misfit
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			if len(c.Refuses) > 0 {
				c.refused(t, folder)
			} else {
				c.loads(t, folder)
			}
		})
	}
}

// misfit is a line of misfits.json.
type misfit struct {
	Name, Model, File string
	Says, Refuses     []string
	Size              int
	Features          []float64
}

func (c misfit) refused(t *testing.T, folder string) {
	began := machine.ProcessorTime()
	n, err := Load(context.Background(), c.Model, Options{Weights: filepath.Join(folder, c.File), Offline: true})
	took := machine.ProcessorTime() - began
	var load *LoadError
	if !errors.As(err, &load) {
		t.Fatalf("%v; loaded %v", err, n)
	}
	t.Log(took, err)
	for _, want := range c.Refuses {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if len(err.Error()) > 1800 || strings.Count(err.Error(), "\n") > 15 {
		t.Errorf("%d bytes", len(err.Error()))
	}
	if took > 2*time.Second {
		t.Errorf("%v of processor time", took)
	}
}

func (c misfit) loads(t *testing.T, folder string) {
	r, err := Find(c.Model)
	if err != nil {
		t.Fatal(err)
	}
	preset := r.Preset
	preset.Size = c.Size
	n, err := Load(context.Background(), c.Model, Options{Weights: filepath.Join(folder, c.File), Preset: &preset, Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range c.Says {
		if !strings.Contains(strings.Join(n.Notes, "\n"), want) {
			t.Errorf("the notes do not say %q: %q", want, n.Notes)
		}
	}
	if dropped := strings.HasPrefix(c.Name, "three_classes"); dropped && (n.Declaration().Classes != 0 || n.Row.Classes != "") {
		t.Errorf("%d classes of %q are left", n.Declaration().Classes, n.Row.Classes)
	}
	compareFeatures(t, n, pureGo(t), c.Features, 1e-4)
}
