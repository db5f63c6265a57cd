package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/kernel/kernelspec"
)

// ownHome gives a test a home of its own, with nothing in it.
func ownHome(t *testing.T) string {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_DATA_HOME", filepath.Join(home, "share"))
	t.Setenv("JUPYTER_DATA_DIR", filepath.Join(home, "jupyter"))
	t.Setenv(cachedir.EnvVar, filepath.Join(home, "cache"))
	t.Setenv("GOBIN", "")
	return home
}

func TestTheCommandIsPlacedRenewedAndTakenAway(t *testing.T) {
	home := ownHome(t)
	self, bin := filepath.Join(home, "built"), filepath.Join(home, "bin")
	os.WriteFile(self, []byte("one"), 0o755)
	ctx := context.Background()
	do := func() error {
		s := commandStep(bin, self)
		if _, done := s.Done(ctx); done {
			return nil
		}
		_, err := s.Do(ctx, nil)
		return err
	}
	for _, content := range []string{"one", "two"} {
		os.WriteFile(self, []byte(content), 0o755)
		if err := do(); err != nil {
			t.Fatal(err)
		}
		if text, _ := os.ReadFile(filepath.Join(bin, "tlkit")); string(text) != content {
			t.Errorf("the command is %q, want %q", text, content)
		}
	}
	c := &command{json: true}
	if got := c.chooseBin(""); got != bin {
		t.Errorf("next time: %q, want the place of this time", got)
	}
	gone, err := uninstall(false)
	if err != nil || len(gone) < 2 {
		t.Errorf("uninstall: %v, %v", gone, err)
	}
	if _, err := os.Lstat(filepath.Join(bin, "tlkit")); err == nil {
		t.Error("the command is still there")
	}
	if dir, _ := kernelspec.HomeDir(); dir != "" {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is still there", dir)
		}
	}
}

func TestSomebodyElsesCommandIsLeftAlone(t *testing.T) {
	home := ownHome(t)
	self := filepath.Join(home, "built")
	os.WriteFile(self, []byte("one"), 0o755)
	os.WriteFile(filepath.Join(home, "tlkit"), []byte("theirs"), 0o755)
	if _, err := commandStep(home, self).Do(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "--bin DIR") {
		t.Errorf("%v", err)
	}
	if text, _ := os.ReadFile(filepath.Join(home, "tlkit")); string(text) != "theirs" {
		t.Error("it was overwritten")
	}
}

func TestUninstallKeepsWhatWasTrained(t *testing.T) {
	home := ownHome(t)
	for _, f := range []string{"cache/kernel/tools-1/bin/gonb", "cache/files/abc", ".tlkit/run/plan.json"} {
		path := filepath.Join(home, f)
		os.MkdirAll(filepath.Dir(path), 0o700)
		os.WriteFile(path, nil, 0o600)
	}
	if _, err := kernelspec.Write(kernelspec.New("/gone", nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := uninstall(false); err != nil {
		t.Fatal(err)
	}
	there := func(f string) bool { _, err := os.Stat(filepath.Join(home, f)); return err == nil }
	if there("cache/kernel") || there("jupyter/kernels/tlkit") || !there("cache/files/abc") || !there(".tlkit/run/plan.json") {
		t.Error("too little or too much went")
	}
	if _, err := uninstall(true); err != nil || there("cache") || !there(".tlkit/run/plan.json") {
		t.Errorf("--all: %v", err)
	}
}

func TestDoctorSaysWhatIsWrongWithTheKernel(t *testing.T) {
	ownHome(t)
	status, out, _ := tlkit(t, "doctor", "--json")
	if !strings.Contains(out, `"not set up"`) || status != 0 {
		t.Errorf("status %d, never set up is a note: %s", status, out)
	}
	if _, err := kernelspec.Write(kernelspec.New("/gone/tlkit-0", map[string]string{kernelspec.ToolsVar: "/gone"})); err != nil {
		t.Fatal(err)
	}
	status, out, _ = tlkit(t, "doctor", "--json")
	if status == 0 || !strings.Contains(out, "its program is gone: /gone/tlkit-0") || !strings.Contains(out, "gonb is not where") {
		t.Errorf("status %d, a kernel that lost its program: %s", status, out)
	}
}

// Nothing named: the checkout's own notebooks inside it; in an empty folder copies of them;
// in a folder that has notebooks, that folder.
func TestWhatLabOpens(t *testing.T) {
	ctx := context.Background()
	c := &command{out: io.Discard, err: io.Discard}
	dir, page, err := c.labPage(ctx, nil)
	if err != nil || filepath.Base(dir) != "notebooks" || !strings.HasPrefix(page, "01_") {
		t.Errorf("in the checkout: %s, %s, %v", dir, page, err)
	}
	empty := t.TempDir()
	t.Chdir(empty)
	for range 2 {
		if dir, page, err = c.labPage(ctx, nil); err != nil || dir != empty || page != tutorials+"/01_ants_and_bees.ipynb" {
			t.Fatalf("in an empty folder: %s, %s, %v", dir, page, err)
		}
		if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "image/png") {
			t.Errorf("the tutorial came without its pictures: %v", err)
		}
	}
	t.Chdir(tutorials)
	if dir, page, err = c.labPage(ctx, nil); err != nil || dir != filepath.Join(empty, tutorials) || page != "" {
		t.Errorf("in a folder with notebooks: %s, %q, %v", dir, page, err)
	}
	t.Chdir(t.TempDir())
	if path, err := c.notebook(ctx, "notebooks/01_ants_and_bees.ipynb"); err != nil || path != filepath.Join(tutorials, "01_ants_and_bees.ipynb") {
		t.Errorf("tlkit run of a tutorial in an empty folder: %q, %v", path, err)
	}
	if path, err := c.notebook(ctx, "nowhere.ipynb"); err == nil {
		t.Errorf("nowhere.ipynb is %s", path)
	}
}
