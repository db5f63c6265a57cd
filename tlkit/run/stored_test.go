package run

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// "photos|drawn": a run that had to take the second stays with it when the first arrives;
// what was trained is neither refused nor moved aside.
func TestARunStaysWithTheDataItTook(t *testing.T) {
	ctx, work, sets := context.Background(), t.TempDir(), t.TempDir()
	t.Setenv("TLKIT_DATA", sets)
	drawn := shapes(t, []string{"discs", "bars"}, 6)
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
	spec := Spec{Data: choose(place, "drawn", "cannot be had"), Model: "mobilenetv2", Seed: 1}
	first := train(t, spec, place)

	if err := os.Rename(shapes(t, []string{"discs", "bars"}, 6), filepath.Join(sets, "photos")); err != nil {
		t.Fatal(err)
	}
	spec.Data = choose(place, "drawn", "mine has learnt from drawn")
	var h heard
	if again, err := Train(ctx, spec, place, &h); err != nil || again.Correct != first.Correct || !h.has("resumed") {
		t.Errorf("the run was not taken up again: %+v, %v, %q", again, err, h.lines)
	}
	choose(Place{Folder: work, Name: "other", Offline: true}, "photos", "")
	// Nothing learnt yet: a run that failed at its first breath decides nothing.
	bare := filepath.Join(work, Home, "bare")
	write(t, filepath.Join(bare, "spec.json"), []byte(`{"data": "drawn"}`))
	choose(Place{Folder: work, Name: "bare", Offline: true}, "photos", "")
	if name, err := FirstOf(ctx, "photos", place, Silent{}); err != nil || name != "photos" {
		t.Errorf("a single name is taken as it is: %q, %v", name, err)
	}
}
