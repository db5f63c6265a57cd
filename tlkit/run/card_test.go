package run

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/export"
)

// cardOf returns the Markdown of a head's card.
func cardOf(t *testing.T, head string, place Place) string {
	t.Helper()
	c, err := HeadSpec{Head: head}.Card(place)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.HTML(); err != nil {
		t.Error(err)
	}
	return string(c.Markdown())
}

func wants(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("the card has no %q:\n%s", w, text)
		}
	}
}

// A card states what the run measured. With the head file alone, it states what that holds, and what is
// missing; no path of this machine is in it.
func TestCard(t *testing.T) {
	dir, apart := t.TempDir(), t.TempDir()
	folder := testpictures.Shapes(t, []string{"di_scs", "<b>ars"}, 12)
	testpictures.Write(t, filepath.Join(folder, "di_scs", "torn.png"), []byte("\x89PNG torn"))
	file := filepath.Join(dir, "mine.onnx")
	network, err := os.ReadFile("../onnx/testdata/mobile.onnx")
	if err != nil {
		t.Fatal(err)
	}
	testpictures.Write(t, file, network)
	place := Place{Folder: dir, Name: "own", Offline: true, BadLimit: 0.5, Out: filepath.Join(dir, "my.head.safetensors")}
	r := train(t, Spec{Data: folder, Model: file, Statistics: "half", Seed: 1}, place)
	h, err := export.Read(r.Head)
	if err != nil {
		t.Fatal(err)
	}
	known := []string{
		"# " + strings.ReplaceAll(h.Data.Name, "_", `\_`) + " on mine.onnx#hidden", `| \<b\>ars | ` + fmt.Sprint(h.Data.PerLabel[0]) + " |", `| di\_scs | ` + fmt.Sprint(h.Data.PerLabel[1]) + " |",
		fmt.Sprintf("learnt from** | %d pictures", h.Data.Train), h.Result.Score.String(), h.Data.Fingerprint, h.Backbone.SHA256, "18 x 18 pixels", "0.5, 0.5, 0.5",
		"What it must not be used for", "every picture gets one of them", "that of the file", "logistic regression", "Fine-tuning was not tried",
	}
	ofRun := []string{
		"1 unreadable picture,", "splits** | ", fmt.Sprintf("valid %d", r.Total), "Calibration: ", "k-NN", "folds of the training pictures chose", "recall %", "Confusion matrix", "drawn by chance",
		"What was noticed about them", "**guard** | ",
	}
	text := cardOf(t, place.Out, place)
	wants(t, text, append(known, ofRun...)...)
	if h.Data.PerLabel[0]+h.Data.PerLabel[1] != h.Data.Train {
		t.Errorf("%v pictures of the labels, %d in all", h.Data.PerLabel, h.Data.Train)
	}
	if same := cardOf(t, "own", place); strings.ReplaceAll(same, "head.safetensors", "my.head.safetensors") != text {
		t.Errorf("by the run's name:\n%s", same)
	}
	for _, name := range cardFiles { // every run has it
		raw, err := os.ReadFile(filepath.Join(r.Run, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"What was noticed about them", "What it must not be used for", "written by tlkit"} {
			if !strings.Contains(string(raw), want) {
				t.Errorf("%s of the run has no %q", name, want)
			}
		}
		if strings.Contains(string(raw), dir) || strings.Contains(string(raw), folder) {
			t.Errorf("%s of the run has a path", name)
		}
	}
	if strings.Contains(text, dir) || strings.Contains(text, folder) || strings.Contains(text, "does not know") {
		t.Errorf("paths, or something missing:\n%s", text)
	}
	// Far from its run.
	moved := filepath.Join(apart, "moved.safetensors")
	data, err := os.ReadFile(place.Out)
	if err != nil {
		t.Fatal(err)
	}
	testpictures.Write(t, moved, data)
	alone := cardOf(t, moved, Place{Folder: apart})
	wants(t, alone, append(known, "What this card does not know", "splits, duplicates", "calibration")...)
	for _, w := range ofRun[:5] {
		if strings.Contains(alone, w) {
			t.Errorf("the card of the head file alone has %q", w)
		}
	}
	// A run of another head beside it is not its run.
	testpictures.Write(t, filepath.Join(r.Run, headFile), append(data[:len(data)-1:len(data)-1], data[len(data)-1]^1))
	wants(t, cardOf(t, place.Out, place), "What this card does not know")
	if err := (HeadSpec{Head: moved}).ExportCard(filepath.Join(apart, "moved.safetensors"), true, Place{}); err == nil || !strings.Contains(err.Error(), ".html") {
		t.Errorf("a card over the head: %v", err)
	}
}

// With fine-tuning, the card has what was tried and whether it paid.
func TestCardOfFinetuning(t *testing.T) {
	dir := t.TempDir()
	file, err := filepath.Abs("../onnx/testdata/mobile.onnx")
	if err != nil {
		t.Fatal(err)
	}
	place := Place{Folder: dir, Name: "tuned", Offline: true}
	r := train(t, Spec{Data: testpictures.Shapes(t, []string{"discs", "bars"}, 12), Model: file, Statistics: "half", Seed: 1, Finetune: 1}, place)
	h, err := export.Read(r.Head)
	if err != nil {
		t.Fatal(err)
	}
	text := cardOf(t, "tuned", place)
	if r.Finetune.Pays {
		wants(t, text, "fine-tuned network mobile.onnx", fmt.Sprintf("%d tensors changed", len(h.Changed)))
	} else {
		wants(t, text, "frozen network mobile.onnx", "was tried and did not pay")
	}
	wants(t, text, "What was tried, on folds", "the head alone", r.Probe.GainLine(), "logistic regression")
	if n := strings.Count(text, "| the head alone |") + strings.Count(text, fmt.Sprintf("| %s |", r.Finetune.Trials[len(r.Finetune.Trials)-1].From)); n == 0 || len(r.Finetune.Trials) < 2 {
		t.Errorf("%d trials:\n%s", len(r.Finetune.Trials), text)
	}
}

// Heads of several labels and of values have cards with their own figures, and licences that forbid
// commercial use are said first.
func TestCardOfTasks(t *testing.T) {
	place := Place{Folder: t.TempDir(), Name: "told", Offline: true}
	file, err := filepath.Abs("../onnx/testdata/mobile.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for set, words := range map[string][]string{
		"insects-labels": {"mAP on test", "reaches its threshold", "from this probability on", "Apache-2.0, as tlkit", "AP %", "| wings |", "pipeline_tag: \"image-classification\""},
		"insects-values": {"R² on test", "In the units of the training data", "standard deviation", "RMSE", "gives numbers for any picture", "image-regression", "ridge regression"},
	} {
		r := train(t, Spec{Data: set, Model: file, Statistics: "half", Seed: 1}, place)
		words = append(words, r.Score.String())
		for i, w := range words {
			words[i] = strings.Replace(w, "In the units", "in the units", 1)
		}
		wants(t, cardOf(t, "told", place), words...)
	}
	f := &cardFacts{head: &export.Head{}}
	if f.warnings() != nil {
		t.Error("a warning of nothing")
	}
}

// What cannot be read in the folder of a run is an error with its name, and no half card.
func TestCardOfATornRun(t *testing.T) {
	file, err := filepath.Abs("../onnx/testdata/mobile.onnx")
	if err != nil {
		t.Fatal(err)
	}
	place := Place{Folder: t.TempDir(), Name: "torn", Offline: true}
	r := train(t, Spec{Data: testpictures.Shapes(t, []string{"discs", "bars"}, 12), Model: file, Statistics: "half", Seed: 1}, place)
	for _, name := range []string{dataFile, reportFile, "result.json"} {
		whole, err := os.ReadFile(filepath.Join(r.Run, name))
		if err != nil {
			t.Fatal(err)
		}
		testpictures.Write(t, filepath.Join(r.Run, name), whole[:len(whole)/2])
		if _, err := (HeadSpec{Head: "torn"}).Card(place); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("half of %s: %v", name, err)
		}
		testpictures.Write(t, filepath.Join(r.Run, name), whole)
	}
	if _, err := (HeadSpec{Head: "torn"}).Card(place); err != nil {
		t.Error(err)
	}
	// Exports bring it.
	out := filepath.Join(place.Folder, "a.onnx")
	if _, err := (HeadSpec{Head: "torn", Weights: file}).ExportONNX(context.Background(), out, export.ONNXOptions{}, place, nil); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(place.Folder, "a.card.md"))
	if err != nil {
		t.Fatal(err)
	}
	wants(t, string(text), `library_name: "onnx"`, "tlkit verify a.onnx", `InferenceSession("a.onnx")`, "Calibration: ")
	testpictures.Write(t, filepath.Join(place.Folder, "b.card.html"), []byte("mine"))
	if _, err := (HeadSpec{Head: "torn", Weights: file}).ExportONNX(context.Background(), filepath.Join(place.Folder, "b.onnx"), export.ONNXOptions{}, place, nil); err == nil || !strings.Contains(err.Error(), "b.card.html") {
		t.Errorf("a card in the way: %v", err)
	}
	if _, err := os.Stat(filepath.Join(place.Folder, "b.onnx")); err == nil {
		t.Error("the export was written nevertheless")
	}
}
