package run

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/export"
)

// A user's own ONNX file works throughout: a head is trained on it; the head file has its sha256
// and the place of the cut; it is found next to the head or given by --weights; another file is
// refused; and its backbone can be trained.
func TestOwnONNX(t *testing.T) {
	network, err := os.ReadFile("../onnx/testdata/mobile.onnx")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "mine.onnx")
	testpictures.Write(t, file, network)
	data := testpictures.Shapes(t, []string{"disc", "bar"}, 12)
	pictures := []string{filepath.Join(data, "disc", "00.png"), filepath.Join(data, "bar", "00.png")}
	place := Place{Folder: dir, Name: "own", Offline: true}
	s := Spec{Data: data, Model: file, Seed: 1}
	if _, err := Train(context.Background(), s, place, nil); err == nil || !strings.Contains(err.Error(), "--statistics") {
		t.Fatalf("the preset of an ONNX file without --statistics: %v", err)
	}
	s.Statistics = "half"
	r := train(t, s, place)
	h, err := export.Read(r.Head)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%x", sha256.Sum256(network)); h.Backbone.SHA256 != want || h.Backbone.Name != "mine.onnx#hidden" || h.Backbone.Features != 12 || r.Model != "mine.onnx#hidden" {
		t.Errorf("the head stands on %+v, want mine.onnx#hidden with sha256 %s", h.Backbone, want)
	}
	if h.Preset.Size != 18 || h.Preset.Mean != [3]float32{0.5, 0.5, 0.5} {
		t.Errorf("preset %+v", h.Preset)
	}
	// Its bare name is looked up in the current folder; elsewhere, it has to be given.
	if _, err := Predict(context.Background(), HeadSpec{Head: r.Head}, pictures, place, nil); err == nil || !strings.Contains(err.Error(), "--weights") {
		t.Errorf("without the network: %v", err)
	}
	elsewhere := filepath.Join(dir, "renamed.onnx")
	testpictures.Write(t, elsewhere, network)
	answers, err := Predict(context.Background(), HeadSpec{Head: r.Head, Weights: elsewhere}, pictures, place, nil)
	if err != nil || len(answers) != 2 || answers[0].Label == "" {
		t.Fatalf("%+v, %v", answers, err)
	}
	t.Chdir(dir)
	again, err := Predict(context.Background(), HeadSpec{Head: r.Head}, pictures, place, nil)
	if err != nil || again[0].Probability != answers[0].Probability {
		t.Errorf("%+v, then %+v, %v", answers, again, err)
	}
	// A changed bit of a weight makes another network, also when a finished run is resumed.
	place.Resume = true
	if _, err := Train(context.Background(), s, place, nil); err != nil {
		t.Errorf("read back: %v", err)
	}
	changed := slices.Clone(network)
	changed[bytes.LastIndex(changed, []byte("expand.weight"))+100] ^= 1
	testpictures.Write(t, file, changed)
	if _, err := Predict(context.Background(), HeadSpec{Head: r.Head}, pictures, place, nil); err == nil || !strings.Contains(err.Error(), "sha256") {
		t.Errorf("another file of that name: %v", err)
	}
	if _, err := Train(context.Background(), s, place, nil); err == nil || !strings.Contains(err.Error(), "is not the weights file") {
		t.Errorf("a finished run with another file: %v", err)
	}
	testpictures.Write(t, file, network)

	s.Finetune, s.Plan = 1, "keras_guide"
	place.Name, place.Resume = "tuned", false
	tuned := train(t, s, place)
	if h, err = export.Read(tuned.Head); err != nil || len(h.Changed) < 10 {
		t.Fatalf("%d changed tensors, %v", len(h.Changed), err)
	}
	if answers, err = Predict(context.Background(), HeadSpec{Head: tuned.Head}, pictures, place, nil); err != nil || answers[1].Label == "" {
		t.Errorf("the tuned network: %+v, %v", answers, err)
	}
}
