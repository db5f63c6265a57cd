package ownhome

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/cachedir"
)

func TestEnter(t *testing.T) {
	old, err := os.MkdirTemp("", "tlkit-old-home-") // go env still writes there when the test has ended
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(old)
	home := t.TempDir()
	for name, value := range map[string]string{
		"HOME": old, "XDG_CONFIG_HOME": filepath.Join(old, "config"), "XDG_DATA_HOME": filepath.Join(old, "share"), "JUPYTER_DATA_DIR": old, "HF_HOME": old,
		"TORCH_HOME": old, "GOMLX_BACKEND": "nonsense", "TLKIT_OFFLINE": "1", "TLKIT_DATA": "sets", "XLA_FLAGS": "--kept", cachedir.EnvVar: "",
		"PIP_CONFIG_FILE": "", "NETRC": "", "GIT_CONFIG_GLOBAL": "", "NPM_CONFIG_USERCONFIG": "", "PYTHONUSERBASE": "",
		"GOCACHE": filepath.Join(old, "go-build"), "GOMODCACHE": "", "GOPATH": "", "GOENV": "", marker: "",
	} {
		t.Setenv(name, value) // restored after the test
	}
	pip := filepath.Join(old, "config", "pip", "pip.conf")
	if err := os.MkdirAll(filepath.Dir(pip), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(pip, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := cachedir.Root()
	if err != nil {
		t.Fatal(err)
	}
	if err := enter(home); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"HOME": home, "XDG_CONFIG_HOME": "", "XDG_DATA_HOME": "", "JUPYTER_DATA_DIR": "", "HF_HOME": "", "TORCH_HOME": "", "GOMLX_BACKEND": "", "TLKIT_OFFLINE": "",
		"TLKIT_DATA": "sets", "XLA_FLAGS": "--kept", cachedir.EnvVar: root, "PIP_CONFIG_FILE": pip, "GOCACHE": filepath.Join(old, "go-build"),
	} {
		if got := os.Getenv(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := os.Getenv("GOMODCACHE"); !strings.HasPrefix(got, old) {
		t.Errorf("GOMODCACHE is %q, want it below the old home %s", got, old)
	}
}

// counted is a testing.M that looks at the home folder.
type counted struct{ home string }

func (c *counted) Run() int { c.home = os.Getenv("HOME"); return 3 }

func TestRunOnce(t *testing.T) {
	for _, name := range []string{"HOME", cachedir.EnvVar, "GOCACHE", "GOMODCACHE", "GOPATH", "GOENV", "XDG_DATA_HOME", "JUPYTER_DATA_DIR"} {
		t.Setenv(name, os.Getenv(name))
	}
	t.Setenv(marker, "")
	var c counted
	if status := Run(&c); status != 3 {
		t.Errorf("status %d, want that of the tests", status)
	}
	if _, err := os.Stat(c.home); c.home == "" || !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", c.home, err)
	}
	first := os.Getenv("HOME")
	if Run(&c); c.home != first {
		t.Errorf("a child process moved again, to %s", c.home)
	}
}
