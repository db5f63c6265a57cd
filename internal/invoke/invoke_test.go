package invoke

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	empty, checkout := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(checkout, "go.mod"), []byte("module "+ModulePath+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	inside := filepath.Join(checkout, "notebooks")
	if err := os.Mkdir(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	built := "/home/me/.cache/go-build/3f/3f" + strings.Repeat("a", 62) + "-d/tlkit"
	for _, c := range []struct {
		what      string
		onPath    bool
		dir, self string
		want      string
	}{
		{"installed", true, inside, built, "tlkit"},
		{"go tool in a checkout", false, inside, built, "go tool tlkit"},
		{"go tool in another module", false, empty, built, "go tool tlkit"},
		{"a cell in a checkout", false, inside, "/tmp/gonb_1/gonb_1", "go tool tlkit"},
		{"started by its path", false, empty, "/opt/tl kit/tlkit", "'/opt/tl kit/tlkit'"},
		{"the kernel's copy", false, empty, "/home/me/.local/share/tlkit/bin/tlkit-0123", "/home/me/.local/share/tlkit/bin/tlkit-0123"},
		{"somebody's program", false, empty, "/home/me/app", "go run " + ModulePath + "/cmd/tlkit"},
	} {
		if got := name(c.onPath, c.dir, c.self); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

// What Go makes of "go tool" is asked of Go itself.
func TestGoToolIsRecognised(t *testing.T) {
	out, err := exec.Command("go", "tool", "-n", "tlkit").CombinedOutput()
	if err != nil {
		t.Skipf("go tool -n: %v: %s", err, out)
	}
	if path := strings.TrimSpace(string(out)); !builtByGo(path) {
		t.Errorf("go tool runs %s, which is not taken for it", path)
	}
}

func TestHints(t *testing.T) {
	here := Name()
	if here != "tlkit" && here != "go tool tlkit" {
		t.Errorf("in the checkout: %q", here)
	}
	for message, want := range map[string]string{
		"no plugin; run: tlkit setup --cuda":          "no plugin; run: " + here + " setup --cuda",
		"tlkit models, or tlkit train -o x":           here + " models, or " + here + " train -o x",
		"in the checkout: go tool tlkit setup":        "in the checkout: go tool tlkit setup",
		"tlkit kernel: gonb ended":                    "tlkit kernel: gonb ended",
		"tlkit ran, tlkit setups":                     "tlkit ran, tlkit setups",
		"/usr/bin/tlkit setup and go-tlkit setup":     "/usr/bin/tlkit setup and go-tlkit setup",
		"Run 'tlkit --help' for usage (tlkit models)": "Run '" + here + " --help' for usage (" + here + " models)",
	} {
		if got := Hints(message); got != want {
			t.Errorf("%q became %q, want %q", message, got, want)
		}
		if got := Hints(Hints(message)); got != want {
			t.Errorf("%q twice became %q", message, got)
		}
	}
}

func TestQuote(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("another shell")
	}
	for name, want := range map[string]string{
		"a/b-1.jpg": "a/b-1.jpg", "größe.png": "größe.png", "my photo.jpg": "'my photo.jpg'", "it's.jpg": `'it'\''s.jpg'`, "$HOME": "'$HOME'",
		"a;b": "'a;b'", "*.jpg": "'*.jpg'", "-x.jpg": "./-x.jpg", `a\b`: `'a\b'`, "": "''", "~": "'~'", "a\nb": "'a\nb'",
	} {
		if got := Quote(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}
