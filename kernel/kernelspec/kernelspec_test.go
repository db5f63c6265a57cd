package kernelspec

import (
	"errors"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// alone gives the test a home of its own.
func alone(t *testing.T) (home string) {
	home = t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_DATA_HOME", "")
	t.Setenv("JUPYTER_DATA_DIR", filepath.Join(home, "jupyter data"))
	return home
}

func TestWriteFindRemove(t *testing.T) {
	home := alone(t)
	if _, err := Find(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "tlkit setup") {
		t.Errorf("nothing installed: %v, want fs.ErrNotExist with what to type", err)
	}
	want := New("/opt/tlkit-0123", map[string]string{RootVar: "/src/<tl kit>"})
	path, err := Write(want)
	if err != nil {
		t.Fatal(err)
	}
	if path != filepath.Join(home, "jupyter data", "kernels", "tlkit", "kernel.json") {
		t.Errorf("written to %s", path)
	}
	got, err := Find()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Find = %+v, %v, want %+v", got, err, want)
	}
	if got.DisplayName != "Go (tlkit)" || got.Argv[len(got.Argv)-1] != "{connection_file}" {
		t.Errorf("Jupyter would see %+v", got)
	}
	for name, side := range map[string]int{"logo-32x32.png": 32, "logo-64x64.png": 64} {
		f, err := os.Open(filepath.Join(filepath.Dir(path), name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if size, err := png.DecodeConfig(f); err != nil || size.Width != side || size.Height != side {
			t.Errorf("%s is %dx%d, %v", name, size.Width, size.Height, err)
		}
	}
	if svg, err := os.ReadFile(filepath.Join(filepath.Dir(path), "logo-svg.svg")); err != nil || !strings.HasPrefix(string(svg), "<svg") {
		t.Errorf("logo-svg.svg: %.20s, %v", svg, err)
	}
	if dir, err := Remove(); err != nil || dir != filepath.Dir(path) {
		t.Errorf("Remove = %s, %v", dir, err)
	}
	if dir, err := Remove(); err != nil || dir != "" {
		t.Errorf("a second Remove = %q, %v, want nothing", dir, err)
	}
}

func TestWriteRefusesWhatJupyterCannotStart(t *testing.T) {
	alone(t)
	if _, err := Write(New("tlkit", nil)); err == nil {
		t.Error("a relative program was accepted")
	}
}

func TestADamagedSpecSaysSo(t *testing.T) {
	alone(t)
	path, err := Write(New("/opt/tlkit", nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(`{"argv": ["/opt`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("half a kernel.json: %v", err)
	}
}

func TestKeepNamesCopiesByContent(t *testing.T) {
	home := alone(t)
	bin := filepath.Join(home, "tlkit")
	write := func(s string) {
		if err := os.WriteFile(bin, []byte(s), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	one, err := Keep(bin)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Keep(bin); err != nil || again != one {
		t.Errorf("the same content: %s, %v, want %s", again, err, one)
	}
	if err := os.WriteFile(one, []byte("o"), 0o755); err != nil { // half written by somebody else
		t.Fatal(err)
	}
	if _, err := Keep(bin); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(one); string(text) != "one" {
		t.Errorf("a cut copy was not repaired: %q", text)
	}
	write("two")
	two, err := Keep(bin)
	if err != nil || two == one {
		t.Fatalf("new content, same name %s, %v", two, err)
	}
	if info, _ := os.Stat(two); info.Mode().Perm()&0o100 == 0 {
		t.Errorf("the copy cannot be run: %v", info.Mode())
	}
	release := Use(one)
	if gone, err := Forget(two); err != nil || len(gone) != 0 {
		t.Errorf("a copy that a kernel runs from went: %v, %v", gone, err)
	}
	release()
	gone, err := Forget(two)
	if err != nil || len(gone) != 1 || gone[0] != one {
		t.Errorf("Forget = %v, %v, want %s", gone, err, one)
	}
	if _, err := os.Stat(two); err != nil {
		t.Errorf("the copy in use went too: %v", err)
	}
}

func TestCheckoutAbove(t *testing.T) {
	root := t.TempDir()
	deep := filepath.Join(root, "notebooks", "x")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if got := CheckoutAbove(deep); got != "" {
		t.Errorf("no go.mod, got %s", got)
	}
	os.WriteFile(filepath.Join(root, "go.mod"), []byte("// ours\nmodule "+ModulePath+"\n\ngo 1.26.5\n"), 0o644)
	os.WriteFile(filepath.Join(root, "notebooks", "go.mod"), []byte("module example.org/other\n"), 0o644)
	if got := CheckoutAbove(deep); got != root {
		t.Errorf("got %s, want %s: somebody else's module in between does not count", got, root)
	}
	m, err := FindModule(deep)
	if err != nil || m.Root != root {
		t.Errorf("FindModule = %+v, %v", m, err)
	}
}
