package fetch

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Small, old, and unlikely to go away.
func tinyWheel() File {
	return File{Name: "tz.py", SHA256: "fb9be0f30920fdab67562d939c4bde7b121513b4ff171055afffb65957ced680", Bytes: 701,
		Sources: []Source{{Wheel: &Wheel{Name: "toml", Version: "0.10.2",
			SHA256: "806143ae5bfb6a3c6e736a764057db0e6a0e05e338b5630894a5f779cabb4f9b", File: "toml/tz.py"}}}}
}

func tinyNPM() File {
	return File{Name: "index.js", SHA256: "0f9e8227a22ef8abaf1aee8f82d7cc802964d44c9347ed4bbbaf8c427d19a995", Bytes: 543,
		Sources: []Source{{NPM: &NPM{Name: "is-odd", Version: "3.0.1",
			SHA256: "13c23b3f1f3a5c146b8906e23c8e674f8e4a6ff44b77720e1d4bddb7b2caf312", File: "package/index.js"}}}}
}

func needPip(t *testing.T) {
	t.Helper()
	if _, err := findPython(t.Context()); err != nil {
		t.Skipf("no pip here: %v", err)
	}
}

func needNPM(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("no npm here")
	}
}

func skipWithoutNetwork(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, ErrUnreachable) {
		t.Skipf("no package index can be reached from here: %v", err)
	}
}

func TestPip(t *testing.T) {
	needPip(t)
	root := freshCache(t)
	f := tinyWheel()
	p, err := f.Get(t.Context(), Options{})
	skipWithoutNetwork(t, err)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := sumFile(t.Context(), p); err != nil || got != f.SHA256 {
		t.Errorf("content %s, %v", got, err)
	}
	if v := visible(t, root); len(v) != 1 {
		t.Errorf("visible: %v", v)
	}
	if left, _ := os.ReadDir(filepath.Join(root, "tmp")); len(left) != 0 {
		t.Errorf("left in tmp: %v", left)
	}
	t.Run("the wheel itself", func(t *testing.T) {
		w := f.Sources[0].Wheel
		g := File{Name: "toml.whl", SHA256: w.SHA256, Sources: []Source{{Wheel: &Wheel{Name: w.Name, Version: w.Version, SHA256: w.SHA256}}}}
		p, err := g.Get(t.Context(), Options{})
		skipWithoutNetwork(t, err)
		if err != nil {
			t.Fatal(err)
		}
		if err := Unpack(t.Context(), p, filepath.Join(root, "unpacked"), UnpackLimits{}); err != nil {
			t.Error(err)
		}
	})
	t.Run("wrong wheel hash", func(t *testing.T) {
		root := freshCache(t)
		g := tinyWheel()
		g.Sources[0].Wheel.SHA256 = strings.Repeat("0", 64)
		_, err := g.Get(t.Context(), Options{})
		skipWithoutNetwork(t, err)
		var h *HashError
		if !errors.As(err, &h) || h.Want != strings.Repeat("0", 64) || h.Got != f.Sources[0].Wheel.SHA256 {
			t.Errorf("err = %v, want both hashes of the wheel", err)
		}
		if v := visible(t, root); len(v) != 0 {
			t.Errorf("visible: %v", v)
		}
	})
	t.Run("wrong inner hash", func(t *testing.T) {
		freshCache(t)
		g := tinyWheel()
		g.SHA256 = strings.Repeat("0", 64)
		_, err := g.Get(t.Context(), Options{})
		skipWithoutNetwork(t, err)
		if !errors.Is(err, ErrHash) {
			t.Errorf("err = %v, want ErrHash", err)
		}
	})
	t.Run("no such version", func(t *testing.T) {
		freshCache(t)
		g := tinyWheel()
		g.Sources[0].Wheel.Version = "0.10.99"
		_, err := g.Get(t.Context(), Options{})
		skipWithoutNetwork(t, err)
		if err == nil || !strings.Contains(err.Error(), "other versions of toml") {
			t.Errorf("err = %v", err)
		}
	})
}

// Without a network pip is not waited for, and the message says what to do.
func TestPipWithoutNetwork(t *testing.T) {
	needPip(t)
	root := freshCache(t)
	t.Setenv("PIP_INDEX_URL", "https://127.0.0.1:9/simple")
	t.Setenv("PIP_EXTRA_INDEX_URL", "")
	t.Setenv("PIP_FIND_LINKS", "")
	start := time.Now()
	_, err := tinyWheel().Get(t.Context(), Options{})
	if !errors.Is(err, ErrUnreachable) {
		t.Errorf("err = %v, want ErrUnreachable", err)
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("took %s to give up", d)
	}
	for _, want := range []string{"tz.py", "toml-0.10.2-*.whl", filepath.Join(root, "incoming")} {
		if err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("the message lacks %q: %s", want, err)
		}
	}
}

func TestNoPython(t *testing.T) {
	freshCache(t)
	t.Setenv(PythonVar, "/nowhere/python3")
	_, err := tinyWheel().Get(t.Context(), Options{})
	if err == nil || !strings.Contains(err.Error(), PythonVar) {
		t.Errorf("err = %v, want one that names %s", err, PythonVar)
	}
	t.Setenv(PythonVar, "")
	t.Setenv("PATH", t.TempDir())
	_, err = tinyWheel().Get(t.Context(), Options{})
	if err == nil || !strings.Contains(err.Error(), "no python3 in PATH") {
		t.Errorf("err = %v", err)
	}
	_, err = tinyNPM().Get(t.Context(), Options{})
	if err == nil || !strings.Contains(err.Error(), "no npm in PATH") {
		t.Errorf("err = %v", err)
	}
}

func TestNPM(t *testing.T) {
	needNPM(t)
	root := freshCache(t)
	f := tinyNPM()
	p, err := f.Get(t.Context(), Options{})
	skipWithoutNetwork(t, err)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := sumFile(t.Context(), p); err != nil || got != f.SHA256 {
		t.Errorf("content %s, %v", got, err)
	}
	if v := visible(t, root); len(v) != 1 {
		t.Errorf("visible: %v", v)
	}
	g := tinyNPM()
	g.Name, g.SHA256 = "other.js", strings.Repeat("0", 64)
	g.Sources[0].NPM.SHA256 = strings.Repeat("0", 64)
	if _, err := g.Get(t.Context(), Options{}); !errors.Is(err, ErrHash) && !errors.Is(err, ErrUnreachable) {
		t.Errorf("wrong hash of the tgz: err = %v", err)
	}
}

func TestNPMWithoutNetwork(t *testing.T) {
	needNPM(t)
	freshCache(t)
	t.Setenv("npm_config_registry", "http://127.0.0.1:9/")
	start := time.Now()
	_, err := tinyNPM().Get(t.Context(), Options{})
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "is-odd-3.0.1.tgz") {
		t.Errorf("err = %v, want ErrUnreachable and the archive's name", err)
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("took %s to give up", d)
	}
}

// A wheel that is named by its tags comes, whatever Python and system are here.
func TestPipFetchesTheWheelOfOtherTags(t *testing.T) {
	needPip(t)
	freshCache(t)
	w := Wheel{Name: "MarkupSafe", Version: "2.1.5", Tags: "cp37-cp37m-macosx_10_9_x86_64", File: "markupsafe/_speedups.cpython-37m-darwin.so",
		SHA256: "c8b29db45f8fe46ad280a7294f5c3ec36dbac9491f2d1c17345be8e69cc5928f"}
	f := File{Name: "speedups.so", SHA256: "d4bd0b509bd302129c8794da15c1ed25cc99b4b3fbdb8e7fe7460a75dd919e5d", Bytes: 35008, Sources: []Source{{Wheel: &w}}}
	p, err := f.Get(t.Context(), Options{})
	skipWithoutNetwork(t, err)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := sumFile(t.Context(), p); err != nil || got != f.SHA256 {
		t.Errorf("content %s, %v", got, err)
	}
}
