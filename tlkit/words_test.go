package tlkit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The verbs and fields that look at a network and change how it is trained, as a Go program.
func TestWordsOfALearner(t *testing.T) {
	trains(t)
	dir := t.TempDir()
	draw(t, dir, 12, 100)
	write(t, filepath.Join(dir, "words.txt"), "no picture")
	out, status := start(t, dir, "words")
	if status != 0 {
		t.Fatalf("status %d\n%s", status, out)
	}
	for _, words := range []string{
		"rare classes weighed up",
		"features.18    7 x 7 x 1280", "1, frozen", "batch norms", "moves if that pays", "2 223 872", "head                      2       2 562  moves",
		"Loss against learning rate", "suggested ",
		"predicted 00.png ants false", "predicted 11.png bees false", "predicted words.txt  true",
		"Predictions: 14 pictures", "written: history.csv", "written: logs",
	} {
		if !strings.Contains(out, words) {
			t.Errorf("no %q in\n%s", words, out)
		}
	}
	if n := strings.Count(out, "\npredicted "); n != 14 {
		t.Errorf("%d predictions, want 14", n)
	}
	table, err := os.ReadFile(filepath.Join(dir, "history.csv"))
	if err != nil || !strings.HasPrefix(string(table), "run,step,epoch,") || strings.Count(string(table), "\n") < 10 {
		t.Errorf("history.csv: %v\n%.300s", err, table)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "logs", "*", "*tfevents*")); len(found) < 3 {
		t.Errorf("event files %v, want those of train, folds and valid", found)
	}

	runs := func() int {
		found, _ := filepath.Glob(filepath.Join(dir, ".tlkit", "few*", "result.json"))
		return len(found)
	}
	if out, status := start(t, dir, "otherwise"); status != 1 || !strings.Contains(out, "Retrain: true") || strings.Contains(out, "delete") {
		t.Errorf("the name is taken: status %d\n%s", status, out)
	}
	// Without class weights the settings are others: the run is moved aside. Then they are the same.
	for i, want := range []int{2, 2} {
		if out, status := start(t, dir, "again"); status != 0 || strings.Contains(out, "resumed") || !accuracy.MatchString(lastLine(out)) || runs() != want {
			t.Errorf("retrained, time %d: status %d, %d runs, want %d\n%s", i+1, status, runs(), want, out)
		}
	}
	if out, status := start(t, dir, "other-seed"); status != 0 || !strings.Contains(out, "had another run, which is now") || runs() != 3 {
		t.Errorf("retrained with another seed: status %d, %d runs\n%s", status, runs(), out)
	}
	if out, status := start(t, dir, "folds"); status != 0 || !strings.Contains(out, "3 folds of 24 pictures") {
		t.Errorf("folds: status %d\n%s", status, out)
	}
}

func TestFieldsThatMakeNoSenseTogether(t *testing.T) {
	dir := t.TempDir()
	draw(t, dir, 3, 100)
	for name, words := range map[string]string{
		"tune-folds": "→ leave Folds out",
		"sgd-rate":   "→ leave out Rate and Batch",
		"bad-rate":   "learning rate -1, want above 0",
	} {
		if out, status := start(t, dir, name); status != 1 || !strings.Contains(out, words) {
			t.Errorf("%s: status %d, no %q in\n%s", name, status, words, out)
		}
	}
}

// The verbs that show what the network sees and what it is wrong about, before and after training.
func TestLookOfALearner(t *testing.T) {
	trains(t)
	dir := t.TempDir()
	draw(t, dir, 12, 100)
	out, status := start(t, dir, "look")
	if status != 0 {
		t.Fatalf("status %d\n%s", status, out)
	}
	for _, words := range []string{
		"Map of pictures: a map of 24 pictures of 2 labels: ants 12, bees 12", "Precision, recall and F1 of 2 labels", "ROC and precision-recall curves of 2 labels",
		"ight about: ", "00.png: ants ", "Grad-CAM behind features.18", "nearest training pictures: ", "training picture",
		"other against few: ", "on the same ",
	} {
		if !strings.Contains(out, words) {
			t.Errorf("no %q in\n%s", words, out)
		}
	}
}
