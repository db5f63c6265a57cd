package engine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/internal/cachedir"
)

func TestKeptForms(t *testing.T) {
	root := t.TempDir()
	t.Setenv(cachedir.EnvVar, root)
	setenv(t, BackendVar, "go")
	e := open4test(t, Options{})
	if k, ok := e.Kept("net a"); ok {
		t.Fatalf("kept in an empty cache: %+v", k)
	}
	want := Kept{Name: "net a", Form: Form{Runtime: ONNXRuntime, Batch: 2, Side: 2}, When: time.Unix(1e9, 0).UTC(), Witness: []float32{0.1, -3e-20},
		Trials: []Trial{{Form: Form{Runtime: XLA, Batch: 8}, Rate: 55}, {Form: Form{Runtime: ONNXRuntime, Batch: 2, Side: 2}, Rate: 112}}}
	if err := e.Keep("net a", want); err != nil {
		t.Fatal(err)
	}
	got, ok := e.Kept("net a")
	if !ok || got.Form != want.Form || got.Rate() != 112 || got.Witness[1] != want.Witness[1] || got.On != e.Device {
		t.Fatalf("kept %+v, %v", got, ok)
	}
	if _, ok := e.Kept("net b"); ok {
		t.Error("another program has the form of net a")
	}
	all, err := AllKept()
	if err != nil || len(all) != 1 || all[0].Name != "net a" {
		t.Errorf("AllKept: %+v, %v", all, err)
	}

	// Every byte of the file counts: with any of them changed, or a part missing, there is no form.
	files, _ := filepath.Glob(filepath.Join(root, "forms", "*.json"))
	if len(files) != 1 {
		t.Fatalf("files %q", files)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) - 2 {
		damaged := append([]byte(nil), whole...)
		if n%2 == 0 {
			damaged = damaged[:n]
		} else {
			damaged[n] ^= 1
		}
		if err := os.WriteFile(files[0], damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if k, ok := e.Kept("net a"); ok {
			t.Fatalf("damaged at byte %d it is read as %+v", n, k)
		}
	}
}
