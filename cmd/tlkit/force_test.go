package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
)

// Every command that writes a file leaves one alone that is something else: it names --force, or asks a
// person. What tlkit wrote there itself is replaced without a word.
func TestForeignFilesStay(t *testing.T) {
	folder := testpictures.Shapes(t, []string{"discs", "bars"}, 8)
	t.Chdir(t.TempDir())
	defer func(before func() bool) { atTerminal, stdin = before, os.Stdin }(atTerminal)
	person := func(there bool, says string) {
		atTerminal, stdin = func() bool { return there }, strings.NewReader(says)
	}
	do := func(want int, args ...string) string {
		t.Helper()
		var o, e strings.Builder
		if status := execute(t.Context(), args, &o, &e); status != want {
			t.Fatalf("%v: status %d, want %d\n%s", args, status, want, e.String())
		}
		return e.String()
	}
	person(false, "")
	do(0, "train", folder, "--name", "shapes")
	train := []string{"train", folder, "--name", "shapes", "--resume", "-o"}
	for _, c := range []struct {
		name, file string // where the foreign file is
		args       []string
	}{
		{"head", "a.head.safetensors", append(train, "a.head.safetensors")},
		{"onnx", "a.onnx", []string{"export", "shapes", "--onnx", "a.onnx"}},
		{"torch", "torch/model.safetensors", []string{"export", "shapes", "--torch", "torch"}},
		{"page", "page/index.html", []string{"export", "shapes", "--page", "page"}},
		{"table", "a.csv", []string{"history", "shapes", "--csv", "a.csv"}},
		{"events", "board/valid/events.out.tfevents.tlkit", []string{"history", "shapes", "--tensorboard", "board"}},
		{"features", "b.csv", []string{"features", folder, "-o", "b.csv"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			foreign := []byte("something of mine, which is long enough to be taken for a header")
			if dir := filepath.Dir(c.file); dir != "." {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			is := func() bool {
				now, err := os.ReadFile(c.file)
				return err == nil && bytes.Equal(now, foreign)
			}
			testpictures.Write(t, c.file, foreign)
			if errs := do(1, c.args...); !strings.Contains(errs, "--force") || !is() {
				t.Errorf("nobody to ask: %s", errs)
			}
			person(true, "n\n")
			if errs := do(1, c.args...); !strings.Contains(errs, c.file+" exists and is not ") || !strings.Contains(errs, "Replace it? [y/N]") || !is() {
				t.Errorf("a person who says no: %s", errs)
			}
			person(true, "y\n")
			if do(0, c.args...); is() {
				t.Error("a person who says yes, and it is still there")
			}
			person(false, "")
			do(0, c.args...) // it is tlkit's own now
			testpictures.Write(t, c.file, foreign)
			if do(0, append(c.args, "--force")...); is() {
				t.Error("--force, and it is still there")
			}
		})
	}
}
