package run

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/bitrot"
	"github.com/tlkit/transfer-learning/tlkit/curves"
)

// A history that rots between two parts of a training is set aside, and said; the training goes on.
func TestDamagedHistoryIsSetAside(t *testing.T) {
	dir := t.TempDir()
	said := &heard{}
	tr := &training{spec: Spec{Model: "m", Data: "d"}, folder: &folder{path: dir}, progress: said, first: true}
	write := func(want int) {
		t.Helper()
		r, err := tr.startHistory()
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Add(curves.Point{Step: 1, Metric: curves.Loss, Value: 0.5}); err != nil {
			t.Fatal(err)
		}
		if n := len(r.Run().Points); n != want {
			t.Errorf("%d points, want %d", n, want)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write(1)
	write(2)
	path := filepath.Join(dir, "history.jsonl")
	if err := bitrot.Flip(path, -60); err != nil {
		t.Fatal(err)
	}
	write(1)
	if all := strings.Join(said.lines, "\n"); len(said.lines) != 1 || !strings.Contains(all, "damaged") || !strings.Contains(all, path+".damaged") {
		t.Errorf("said %q", said.lines)
	}
	if _, err := os.Stat(path + ".damaged"); err != nil {
		t.Error(err)
	}
}
