package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
)

// Sets that nothing can be learnt from are named by every command that opens them, with what to do, or measured
// with a warning; nothing panics.
func TestBadPictures(t *testing.T) {
	good := testpictures.Shapes(t, []string{"discs", "bars"}, 12)
	t.Chdir(t.TempDir())
	head := "good.head.safetensors"
	do := func(args ...string) (status int, all string) {
		var o, e strings.Builder
		status = execute(t.Context(), args, &o, &e)
		return status, o.String() + e.String()
	}
	if status, text := do("train", good, "-o", head); status != 0 {
		t.Fatal(text)
	}
	one, err := os.ReadFile(filepath.Join(good, "discs", "00.png"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := os.ReadFile(filepath.Join(good, "bars", "00.png"))
	if err != nil {
		t.Fatal(err)
	}
	folder := func(name string, discs, bars [][]byte) {
		for label, all := range map[string][][]byte{"discs": discs, "bars": bars} {
			for i, raw := range all {
				testpictures.Write(t, filepath.Join(name, label, string(rune('a'+i))+".png"), raw)
			}
		}
	}
	times := func(raw []byte, n int) (all [][]byte) {
		for range n {
			all = append(all, raw)
		}
		return all
	}
	folder("one", times(one, 1), nil)
	folder("equal", times(one, 8), times(one, 8))
	folder("copies", times(one, 8), times(two, 8))
	folder("broken", times(one[:20], 8), times(two[:20], 8))
	for _, c := range []struct {
		set, command string
		status       int
		words        string
	}{
		{"one", "train", 1, `has 1 label(s) ["discs"], want at least 2; put the pictures of each label`},
		{"one", "compare", 1, `has 1 label(s) ["discs"], want at least 2; put the pictures of each label`},
		{"one", "audit", 0, "there is one picture, and nothing to compare it with; add pictures"},
		{"one", "guard", 0, "1 were looked at"},
		{"one", "evaluate", 0, "1 of 1"},
		{"equal", "train", 1, "the 16 pictures of equal are copies of 1, which cannot be both learnt from and measured on; add other pictures"},
		{"equal", "compare", 1, "copies of 1, which cannot be both"},
		{"equal", "audit", 3, "16 files with the same content"},
		{"equal", "guard", 0, "all 16 pictures are the same"},
		{"equal", "evaluate", 0, "the 16 pictures are exact copies of 1, and each counts: intervals are too narrow"},
		{"copies", "train", 1, "copies of 2, which cannot be both"},
		{"copies", "audit", 0, "8 files with the same content"},
		{"broken", "train", 1, "16 of 16 files are not usable pictures"},
		{"broken", "compare", 1, "16 of 16 files are not usable pictures"},
		{"broken", "audit", 1, "no picture in"},
		{"broken", "guard", 1, "none of the pictures can be read"},
		{"broken", "evaluate", 1, "16 of 16 files are not usable pictures"},
	} {
		args := []string{c.command, c.set}
		switch c.command {
		case "evaluate":
			args = []string{c.command, head, c.set}
		case "compare":
			args = append(args, "mobilenetv2")
		}
		if status, text := do(args...); status != c.status || !strings.Contains(text, c.words) {
			t.Errorf("%v: status %d, want %d and %q\n%s", args, status, c.status, c.words, text)
		}
	}
}
