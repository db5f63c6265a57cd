package export

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

func small() *Head {
	return &Head{
		Labels:   []string{"ants", `be"es, "tlkit.sha256": "` + strings.Repeat("0", 64) + `"`},
		Preset:   transforms.Preset{Name: "test", Size: 32, Geometry: transforms.GeometrySquash, Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB"},
		Backbone: Backbone{Name: "mobilenetv2", SHA256: strings.Repeat("ab", 32), Features: 5},
		Data:     Data{Name: "insects", Fingerprint: "f", Train: 10},
		Result:   Result{Split: "test", Score: metrics.Fraction{Correct: 9, Total: 10}.Score()},
		Seed:     7, Plan: []byte(`{"head":"logistic"}`), Versions: map[string]string{"go": "go1.26"},
		Linear: head.Linear{Features: 5, Classes: 2, Weight: []float32{1, 2, 3, 4, 5, -1, -2, -3, -4, -5}, Bias: []float32{0.5, -0.5}},
		Parity: []float32{1, 2, 3, 4, 5, 6},
	}
}

func TestHeadComesBackAsItWent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.head.safetensors")
	want := small()
	if err := want.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read\n%+v\nwrote\n%+v", got, want)
	}
	again := filepath.Join(t.TempDir(), "b.head.safetensors")
	if err := got.Write(again); err != nil {
		t.Fatal(err)
	}
	a, _ := os.ReadFile(path)
	b, _ := os.ReadFile(again)
	if !bytes.Equal(a, b) {
		t.Error("the same head gave different bytes")
	}
}

// After fine-tuning, the changed tensors are stored in the checkpoint's layout. A tensor that the
// backbone does not have is an error when the head is opened; one with a name of the head's own is
// an error when it is written.
func TestChangedTensorsComeAlong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.head.safetensors")
	want := small()
	want.Changed = []weights.Tensor{
		weights.FromFloat32("features.18.1.bias", []int{3}, []float32{1, 2, 3}),
		weights.FromFloat32("features.18.0.weight", []int{2, 1, 1, 1}, []float32{-1, 0.5}),
	}
	if err := want.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Changed) != 2 {
		t.Fatalf("%d changed tensors, want 2", len(got.Changed))
	}
	for _, w := range want.Changed {
		found := false
		for _, g := range got.Changed {
			found = found || reflect.DeepEqual(g, w)
		}
		if !found {
			t.Errorf("%s came back as %+v", w.Name, got.Changed)
		}
	}
	want.Changed = []weights.Tensor{weights.FromFloat32("head.bias", []int{2}, []float32{1, 2})}
	if err := want.Write(path); err == nil || !strings.Contains(err.Error(), "head.bias") {
		t.Errorf("a backbone tensor under the name of the head's own: %v", err)
	}
}

// The sha256 covers every byte of the file: labels, preset, tensors, sha256, padding.
func TestAnyFlippedBitIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.head.safetensors")
	if err := small().Write(path); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(dir, "bad.safetensors")
	for i := range whole {
		flipped := bytes.Clone(whole)
		flipped[i] ^= 1 << (i % 8)
		if err := os.WriteFile(bad, flipped, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(bad); err == nil {
			t.Fatalf("bit %d of byte %d of %d (%q) flipped and the head still opens", i%8, i, len(whole), whole[max(0, i-10):min(len(whole), i+10)])
		}
	}
	for _, n := range []int{0, 1, 7, 8, 100, len(whole) / 2, len(whole) - 1} {
		if err := os.WriteFile(bad, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(bad); err == nil {
			t.Errorf("the first %d of %d bytes open as a head", n, len(whole))
		}
	}
	if err := os.WriteFile(bad, append(bytes.Clone(whole), 0), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(bad); err == nil {
		t.Error("a byte added at the end is accepted")
	}
}

// A head with a recomputed digest must still pass Check.
func TestContentIsCheckedBehindTheDigest(t *testing.T) {
	for name, spoil := range map[string]func(*Head){
		"no labels":          func(h *Head) { h.Labels = nil },
		"a label twice":      func(h *Head) { h.Labels[1] = h.Labels[0] },
		"an empty label":     func(h *Head) { h.Labels[0] = "" },
		"another width":      func(h *Head) { h.Backbone.Features = 6 },
		"no parity":          func(h *Head) { h.Parity = nil },
		"no backbone":        func(h *Head) { h.Backbone.Name = "" },
		"a short sha256":     func(h *Head) { h.Backbone.SHA256 = "abc" },
		"a preset without":   func(h *Head) { h.Preset.Size = 0 },
		"fewer weights":      func(h *Head) { h.Linear.Weight = h.Linear.Weight[1:] },
		"an infinite weight": func(h *Head) { h.Linear.Weight[0] /= h.Linear.Weight[0] - 1 },
	} {
		h := small()
		spoil(h)
		if err := h.Write(filepath.Join(t.TempDir(), "x.safetensors")); err == nil {
			t.Errorf("a head with %s can be written", name)
		}
	}
}

func TestForeignFilesAreNamedForWhatTheyAre(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain.safetensors")
	if err := weights.WriteSafetensors(plain, []weights.Tensor{weights.FromFloat32("w", []int{2}, []float32{1, 2})}, nil); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(dir, "page.safetensors")
	if err := os.WriteFile(page, []byte("<!DOCTYPE html><html><body>404</body></html>"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, word := range map[string]string{plain: "without a head", page: "HTML", dir: "", filepath.Join(dir, "none"): "none"} {
		_, err := Read(path)
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v, want %q in it", filepath.Base(path), err, word)
		}
	}
	if _, err := Read(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v, want ErrNotExist inside", err)
	}
}
