package run

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// A run that is repeated gives the same bits: it takes the form that it recorded, whatever would be
// chosen today, and a form that is not possible here is chosen anew.
func TestARepeatedRunKeepsItsForm(t *testing.T) {
	folder, work := testpictures.Shapes(t, []string{"discs", "bars"}, 12), t.TempDir()
	t.Setenv(engine.BackendVar, "") // both runtimes
	// Weights of its own: no other test has left rows in the cache.
	row, err := zoo.Find("resnet20_cifar10")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(work, "weights.safetensors")
	if err := formulanet.Write(file, row.Arch(), row.Preset.Size, 0.5+0.25*rand.Float64()); err != nil {
		t.Fatal(err)
	}
	spec := Spec{Data: folder, Model: row.Name, Weights: file, Seed: 1}
	weights := func(r *Result) []float32 {
		t.Helper()
		h, err := export.Read(r.Head)
		if err != nil {
			t.Fatal(err)
		}
		return h.Linear.Weight
	}
	place := Place{Folder: work, Name: "free"}
	free := train(t, spec, place)
	pinned := spec
	pinned.Form = engine.Form{Runtime: engine.XLA, Batch: 2}
	want := train(t, pinned, Place{Folder: work, Name: "pinned"})
	if want.Form != pinned.Form {
		t.Errorf("--form %s gave %s", pinned.Form, want.Form)
	}
	file = filepath.Join(free.Run, formFile)
	record := func(change func(*keptForm)) {
		t.Helper()
		data, err := os.ReadFile(file)
		var k keptForm
		if err == nil {
			err = json.Unmarshal(data, &k)
		}
		if err != nil {
			t.Fatal(err)
		}
		change(&k)
		data, _ = json.Marshal(k)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if free.Form.Runtime != engine.ONNXRuntime {
		t.Skipf("the run has the form %s, whose bits need not differ", free.Form)
	}
	if slices.Equal(weights(free), weights(want)) {
		t.Fatal("both runs have the same bits: the test shows nothing")
	}
	record(func(k *keptForm) { k.Form = pinned.Form })
	if r := train(t, spec, place); r.Form != pinned.Form || !slices.Equal(weights(r), weights(want)) {
		t.Errorf("repeated with a record of %s: form %s, other bits than --form gives", pinned.Form, r.Form)
	}
	// A record of another machine, or one that is torn, does not count.
	record(func(k *keptForm) { k.Engine = strings.Replace(k.Engine, "processor", "another processor", 1) })
	if r := train(t, spec, place); r.Form != free.Form || !slices.Equal(weights(r), weights(free)) {
		t.Errorf("with the record of another machine: form %s, want %s", r.Form, free.Form)
	}
	if err := os.WriteFile(file, []byte(`{"form": "xla,ba`), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := train(t, spec, place); r.Form != free.Form {
		t.Errorf("with a torn record: form %s, want %s", r.Form, free.Form)
	}
}
