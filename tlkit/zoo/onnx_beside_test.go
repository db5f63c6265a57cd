package zoo

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// beside copies a network whose numbers are in another file, and returns the path of both.
func beside(t *testing.T) (network, numbers string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"beside.onnx", "beside.onnx.data"} {
		b, err := os.ReadFile(filepath.Join("../onnx/testdata/exports", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "beside.onnx"), filepath.Join(dir, "beside.onnx.data")
}

// The identity of a network covers the file beside it, so that features of another version of it are
// never taken from the cache.
func TestNumbersBeside(t *testing.T) {
	network, numbers := beside(t)
	load := func() (*Net, error) {
		return Load(context.Background(), network, Options{Preset: plainPreset(16)})
	}
	n, err := load()
	if err != nil {
		t.Fatal(err)
	}
	sum, err := Sum(context.Background(), network)
	if err != nil || sum != n.SHA256 {
		t.Errorf("Sum gives %s, %v, the network has %s", sum, err, n.SHA256)
	}
	b, err := os.ReadFile(numbers)
	if err != nil {
		t.Fatal(err)
	}
	b[100] ^= 1
	if err := os.WriteFile(numbers, b, 0o600); err != nil {
		t.Fatal(err)
	}
	changed, err := load()
	if err != nil || changed.Identity() == n.Identity() || changed.SHA256 == n.SHA256 {
		t.Errorf("one changed bit beside the network: %v, identity %s as before", err, n.Identity())
	}
	// Cut off, elsewhere, and not there at all.
	if err := os.WriteFile(numbers, b[:len(b)-4], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := load(); err == nil || !strings.Contains(err.Error(), "beside.onnx.data") || !strings.Contains(err.Error(), "needs bytes") {
		t.Errorf("cut off: %v", err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, b, 0o600); err != nil {
		t.Fatal(err)
	}
	os.Remove(numbers)
	if _, err := load(); err == nil || !strings.Contains(err.Error(), "beside.onnx.data") {
		t.Errorf("not there: %v", err)
	}
	if err := os.Symlink(outside, numbers); err != nil {
		t.Skip(err)
	}
	if _, err := load(); err == nil || !strings.Contains(err.Error(), "beside.onnx.data") {
		t.Errorf("a link out of the folder was followed: %v", err)
	}
}

// A network that takes bytes prepares them itself: it needs no preset, and refuses one that would
// prepare them twice.
func TestTakesBytes(t *testing.T) {
	const file = "../onnx/testdata/exports/prepared.onnx#cubic.features"
	n, err := Load(context.Background(), file, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n.Preset.Range != [2]float32{0, 255} || n.Preset.Mean != [3]float32{} || n.Preset.Std != [3]float32{1, 1, 1} || n.Preset.Channels != "RGB" || n.Preset.Size != 16 {
		t.Errorf("preset %+v", n.Preset)
	}
	if _, err := Load(context.Background(), file, Options{Preset: &n.Preset}); err != nil {
		t.Errorf("with its own preset, as a head file asks for it: %v", err)
	}
	if _, err := Load(context.Background(), file, Options{Preset: plainPreset(16)}); err == nil || !strings.Contains(err.Error(), "--statistics raw") {
		t.Errorf("with a preset that prepares: %v", err)
	}
}
