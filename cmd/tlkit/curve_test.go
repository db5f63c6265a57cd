package main

import (
	"os"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/results"
)

// The curve as words, as data and as a picture, which is not written over.
func TestCurve(t *testing.T) {
	t.Chdir(t.TempDir())
	var out, errs strings.Builder
	if status := execute(t.Context(), []string{"curve", "insects-hard", "--png", "curve.png", "--json"}, &out, &errs); status != 0 {
		t.Fatal(errs.String())
	}
	c := one[results.LearningCurve](t, out.String())
	if len(c.Points) < 6 || c.Twice == nil || c.Twice.Train != 2*c.Points[len(c.Points)-1].Train {
		t.Errorf("%s", out.String())
	}
	if info, err := os.Stat("curve.png"); err != nil || info.Size() > 150_000 {
		t.Errorf("the picture: %v %v", info, err)
	}
	errs.Reset()
	if status := execute(t.Context(), []string{"curve", "insects-hard", "--png", "curve.png"}, &out, &errs); status != 1 || !strings.Contains(errs.String(), "--force") {
		t.Errorf("written over: %s", errs.String())
	}
}
