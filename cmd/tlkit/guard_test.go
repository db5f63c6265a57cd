package main

import (
	"encoding/json"
	"image/png"
	"os"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
)

// The exit status says whether pictures fit: 0, 3, or 1 where that is not known for an error.
func TestGuard(t *testing.T) {
	folder := testpictures.Shapes(t, []string{"discs", "bars"}, 6)
	t.Chdir(t.TempDir())
	do := func(want int, args ...string) (out, errs string) {
		t.Helper()
		var o, e strings.Builder
		if status := execute(t.Context(), args, &o, &e); status != want {
			t.Fatalf("%v: status %d, want %d\n%s%s", args, status, want, o.String(), e.String())
		}
		return o.String(), e.String()
	}
	out, _ := do(0, "guard", folder)
	if !strings.Contains(out, "The pictures are prepared as mobilenetv2 learnt to see them") || !strings.Contains(out, "* imagenet") {
		t.Error(out)
	}
	out, _ = do(3, "guard", folder, "--statistics", "half", "--json", "--png", "values.png")
	var v struct {
		OK         *bool
		Verdict    string
		Best       string
		Confidence float64
		Pictures   int
		Candidates []struct {
			Name  string
			Score *float64
		}
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if v.OK == nil || *v.OK || v.Verdict != "[-1,1] for ImageNet" || v.Best != "imagenet" || v.Confidence < 0.95 || v.Confidence > 1 || v.Pictures != 12 {
		t.Errorf("%+v", v)
	}
	if len(v.Candidates) < 10 || v.Candidates[0].Name != "imagenet" || v.Candidates[0].Score == nil {
		t.Errorf("%+v", v.Candidates)
	}
	f, err := os.Open("values.png")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := png.Decode(f); err != nil {
		t.Error(err)
	}
	_, errs := do(3, "guard", folder, "--statistics", "caffe")
	if !strings.Contains(errs, "no /255") {
		t.Error(errs)
	}
	for _, args := range [][]string{{"guard"}, {"guard", "nowhere"}, {"guard", folder, "--model", "nonesuch"}, {"guard", folder, "--statistics", "nonesuch"}} {
		do(1, args...)
	}
}
