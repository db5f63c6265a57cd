package tlkit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit"
)

func init() {
	programs["compare"] = func() {
		r := tlkit.Compare("pictures", "mobilenetv2", "resnet152")
		tlkit.Show("best: " + r[0].Model)
	}
	programs["compare nothing"] = func() { tlkit.Compare("pictures", "no-such-model") }
}

func TestCompare(t *testing.T) {
	trains(t)
	dir := t.TempDir()
	draw(t, dir, 6, 100)
	out, status := start(t, dir, "compare", "TORCH_HOME="+dir)
	if status != 0 {
		t.Fatalf("status %d\n%s", status, out)
	}
	for _, words := range []string{"behind the first", "skipped resnet152: ", "offline", "mobilenetv2 is the only one here", "best: mobilenetv2"} {
		if !strings.Contains(out, words) {
			t.Errorf("no %q in\n%s", words, out)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, ".tlkit", "compare-pictures", "compare.png")); err != nil || info.Size() == 0 {
		t.Error(err)
	}
	if out, status := start(t, dir, "compare nothing"); status != 1 || !strings.Contains(out, "✗ Compare could not be done") || !strings.Contains(out, "→ nearest are") {
		t.Errorf("status %d\n%s", status, out)
	}
}
