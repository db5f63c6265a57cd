package doctor

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOlder(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"go1.26.5", "go1.26.5", true}, {"go1.26.5", "go1.26.10", true}, {"go1.26.5", "go1.27", true},
		{"go1.26.5", "go1.26.4", false}, {"go1.26.5", "go1.9.7", false}, {"go1.26.5", "devel +abc", true},
	} {
		if got := older(c.a, c.b); got != c.want {
			t.Errorf("older(%s, %s) is %v", c.a, c.b, got)
		}
	}
}

// A machine without anything still gets an answer, with a repair for each line.
func TestNothingOnThePath(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("TLKIT_CACHE", t.TempDir())
	r := Run(context.Background(), Probes{Engine: "/does/not/exist"})
	for _, c := range r.Checks {
		if c.Value == "" || !c.OK && c.Repair == "" {
			t.Errorf("check %+v has no value or no repair", c)
		}
	}
	text := r.Text()
	for _, word := range []string{"no go command", "none found", "tlkit setup", "FAIL  engine"} {
		if !strings.Contains(text, word) {
			t.Errorf("%q is not in\n%s", word, text)
		}
	}
	if r.OK {
		t.Error("a machine whose engine does not open is fine")
	}
}

func TestCacheThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TLKIT_CACHE", filepath.Join(file, "below"))
	if c := cache(); c.OK || !strings.Contains(c.Repair, "TLKIT_CACHE") {
		t.Errorf("%+v", c)
	}
}
