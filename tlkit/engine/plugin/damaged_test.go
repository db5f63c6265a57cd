package plugin

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A truncated plugin is not reported as "not installed", but as damaged.
func TestDamagedPluginIsNamed(t *testing.T) {
	if len(buildsHere()) == 0 {
		t.Skip("no pinned plugin for this platform")
	}
	cache := t.TempDir()
	t.Setenv("TLKIT_CACHE", cache)
	if _, cpu, err := Find(context.Background()); cpu != nil || err != nil {
		t.Fatalf("in an empty cache: %v, %v", cpu, err)
	}
	b := buildsHere()[0].file
	path := filepath.Join(cache, "files", b.SHA256, b.Name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("\x7fELF and then the disk was full"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, cpu, err := Find(context.Background())
	if cpu != nil || err == nil || !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), "tlkit setup") {
		t.Errorf("a cut-off plugin: %v, %v", cpu, err)
	}
}
