package run

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
)

// "photos|drawn": a run that had to take the second keeps it when the first becomes available;
// its results are neither refused nor moved aside.
func TestARunStaysWithTheDataItTook(t *testing.T) {
	ctx, work, sets := context.Background(), t.TempDir(), t.TempDir()
	t.Setenv("TLKIT_DATA", sets)
	drawn := testpictures.Shapes(t, []string{"discs", "bars"}, 6)
	if err := os.Rename(drawn, filepath.Join(sets, "drawn")); err != nil {
		t.Fatal(err)
	}
	place := Place{Folder: work, Name: "mine", Keep: true, Resume: true, Offline: true}
	choose := func(p Place, want, sentence string) string {
		t.Helper()
		var h heard
		got, err := FirstOf(ctx, "photos | drawn", p, &h)
		if err != nil || got != want || sentence != "" && !h.has(sentence) || sentence == "" && len(h.lines) > 0 {
			t.Errorf("%q, want %q with %q: %v, %q", got, want, sentence, err, h.lines)
		}
		return got
	}
	spec := Spec{Data: choose(place, "drawn", "is not available"), Model: "mobilenetv2", Seed: 1}
	first := train(t, spec, place)

	if err := os.Rename(testpictures.Shapes(t, []string{"discs", "bars"}, 6), filepath.Join(sets, "photos")); err != nil {
		t.Fatal(err)
	}
	spec.Data = choose(place, "drawn", "mine continues with drawn")
	var h heard
	if again, err := Train(ctx, spec, place, &h); err != nil || again.Correct != first.Correct || !h.has("resumed") {
		t.Errorf("the run was not taken up again: %+v, %v, %q", again, err, h.lines)
	}
	choose(Place{Folder: work, Name: "other", Offline: true}, "photos", "")
	// A run that failed before it learnt anything decides nothing.
	bare := filepath.Join(work, Home, "bare")
	testpictures.Write(t, filepath.Join(bare, "spec.json"), []byte(`{"data": "drawn"}`))
	choose(Place{Folder: work, Name: "bare", Offline: true}, "photos", "")
	if name, err := FirstOf(ctx, "photos", place, nil); err != nil || name != "photos" {
		t.Errorf("a single name is taken as it is: %q, %v", name, err)
	}
}

// A finished run with truncated files reports them; intact files still work.
func TestHalfWrittenRun(t *testing.T) {
	ctx, work := context.Background(), t.TempDir()
	spec, place := Spec{Data: testpictures.Shapes(t, []string{"discs", "bars"}, 6), Model: "mobilenetv2", Seed: 1}, Place{Folder: work, Name: "mine", Keep: true, Resume: true}
	first := train(t, spec, place)
	for name, words := range map[string]string{
		"history.jsonl":    "", // its history is an error, see below
		"spec.json":        "give this run another name",
		"head.safetensors": "train it again with --retrain",
		"report.txt":       "",
		"plan.json":        "",
		"result.json":      "",
	} {
		path := filepath.Join(first.Run, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		half := whole[:len(whole)/2]
		if name == "history.jsonl" { // where no line looks truncated
			half = whole[:bytes.LastIndexByte(half, '\n')+1]
		}
		testpictures.Write(t, path, half)
		again, err := Train(ctx, spec, place, nil)
		if (err == nil) != (words == "") || err != nil && !strings.Contains(err.Error(), words) || err == nil && again.Correct != first.Correct {
			t.Errorf("half a %s: %+v, %v", name, again, err)
		}
		if name == "history.jsonl" {
			s, err := Find(work, "mine")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.History(); err == nil || !strings.Contains(err.Error(), "points; the head is not affected") {
				t.Errorf("a truncated history is accepted: %v", err)
			}
		}
		testpictures.Write(t, path, whole)
	}
	s, err := Find(work, "mine")
	if err != nil {
		t.Fatal(err)
	}
	if h, err := s.History(); err != nil || len(h.Points) != s.Result.Steps || s.Result.Steps == 0 {
		t.Errorf("the whole history: %d points of %d, %v", len(h.Points), s.Result.Steps, err)
	}
	place.Name = strings.Repeat("n", 300)
	if _, err := Train(ctx, spec, place, nil); err == nil || !strings.Contains(err.Error(), "300 bytes") || len(err.Error()) > 200 {
		t.Errorf("a name of 300 letters: %v", err)
	}
}
