package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/parts"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// The way from the shell: pictures in parts, their features one part at a time, and a head of them, which
// is the head of the folder to the bit.
func TestPartsFromTheShell(t *testing.T) {
	folder := testpictures.Shapes(t, []string{"discs", "bars"}, 8)
	t.Chdir(t.TempDir())
	do := func(want int, args ...string) (out, errs string) {
		t.Helper()
		var o, e strings.Builder
		if status := execute(t.Context(), args, &o, &e); status != want {
			t.Fatalf("%v: status %d, want %d\n%s", args, status, want, e.String())
		}
		return o.String(), e.String()
	}
	out, _ := do(0, "parts", folder, "--size", "6", "--out", "manifest", "--json")
	if m := one[parts.Manifest](t, out); m.Parts != 3 || m.Pictures != 16 {
		t.Fatalf("%s", out)
	}
	t.Setenv("TASK", "1")
	do(0, "extract", "manifest", "--index-env", "TASK", "--out", "shards")
	if _, errs := do(3, "gather", "shards"); !strings.Contains(errs, "--only 0,2") {
		t.Errorf("what is missing is not said: %s", errs)
	}
	if _, errs := do(1, "train", "--features", "shards"); !strings.Contains(errs, "2 part(s) have no shard") {
		t.Errorf("a head of a part of the pictures: %s", errs)
	}
	do(0, "extract", "manifest", "--only", "0,2", "--out", "shards")
	out, _ = do(0, "extract", "manifest", "--out", "shards", "--json")
	for _, d := range one[[]parts.Done](t, out) {
		if !d.There {
			t.Errorf("part %d was computed again", d.Part)
		}
	}
	out, _ = do(0, "gather", "shards", "--parts", "manifest", "--json")
	if g := one[parts.Gathered](t, out); g.Rows != 16 || g.Shards != 3 || len(g.Missing) != 0 {
		t.Errorf("%s", out)
	}
	out, _ = do(0, "train", "--features", "shards", "-o", "of_shards.safetensors", "--json")
	if r := one[run.Result](t, out); r.Train != 12 || r.Score.Total != 4 {
		t.Errorf("%s", out)
	}
	do(0, "train", folder, "-o", "of_folder.safetensors")
	a, errA := os.ReadFile("of_shards.safetensors")
	b, errB := os.ReadFile("of_folder.safetensors")
	if n := min(len(a), 10000); errA != nil || errB != nil || !bytes.Equal(a[len(a)-n:], b[len(b)-n:]) {
		t.Error("the heads differ", errA, errB)
	}

	for want, args := range map[string][]string{
		"0 to 2":                       {"extract", "manifest", "--only", "3", "--out", "shards"},
		"NOT_SET is not set":           {"extract", "manifest", "--index-env", "NOT_SET", "--out", "shards"},
		"no pictures":                  {"train", "--features", "shards", "--finetune", "1"},
		"is not a manifest":            {"extract", folder, "--out", "shards"},
		"manifest of other pictures":   {"parts", folder, "--size", "5", "--out", "manifest"},
		"no folder for the shards":     {"extract", "manifest"},
		"and the network is mobilenet": {"train", "--features", "shards", "--statistics", "half"},
		"no shard that counts":         {"gather", folder},
	} {
		if _, errs := do(1, args...); !strings.Contains(errs, want) {
			t.Errorf("%v: %s, want %q", args, errs, want)
		}
	}
}
