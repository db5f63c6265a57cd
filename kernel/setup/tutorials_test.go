package setup

import (
	"archive/zip"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/kernel/kernelspec"
)

// release puts a module like ours, of one version, into a proxy made of files, and lets Go
// know no other.
func release(t *testing.T, version string, files map[string]string) {
	t.Helper()
	proxy := filepath.Join(t.TempDir(), "proxy")
	at := filepath.Join(proxy, filepath.FromSlash(kernelspec.ModulePath), "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	files["go.mod"] = "module " + kernelspec.ModulePath + "\n"
	for name, text := range map[string]string{"list": version + "\n", version + ".info": `{"Version":"` + version + `","Time":"2026-01-01T00:00:00Z"}`, version + ".mod": files["go.mod"]} {
		if err := os.WriteFile(filepath.Join(at, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Create(filepath.Join(at, version+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for name, text := range files {
		w, err := z.Create(kernelspec.ModulePath + "@" + version + "/" + name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	t.Setenv("GOPROXY", "file://"+filepath.ToSlash(proxy))
	t.Setenv("GONOSUMDB", kernelspec.ModulePath)
	t.Setenv("GOMODCACHE", filepath.Join(t.TempDir(), "mod"))
	t.Cleanup(func() { // Go makes its module cache read-only
		filepath.WalkDir(os.Getenv("GOMODCACHE"), func(path string, e os.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				os.Chmod(path, 0o700)
			}
			return nil
		})
	})
}

func TestTutorialsOfARelease(t *testing.T) {
	ctx := context.Background()
	release(t, "v1.2.3", map[string]string{"notebooks/01_a.ipynb": "one", "notebooks/02_b.ipynb": "two", "notebooks/curves.png": "not one"})
	from, err := Tutorials(ctx, kernelspec.Module{Version: "v1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "tutorials")
	names, copied, err := CopyTutorials(from, to)
	if err != nil || copied != 2 || strings.Join(names, " ") != "01_a.ipynb 02_b.ipynb" {
		t.Fatalf("%v, %d copied, %v", names, copied, err)
	}
	// A person works on one, throws the other away, and comes back.
	if err := os.WriteFile(filepath.Join(to, "01_a.ipynb"), []byte("mine"), 0o600); err != nil {
		t.Fatalf("a copied tutorial cannot be saved: %v", err)
	}
	if err := os.Remove(filepath.Join(to, "02_b.ipynb")); err != nil {
		t.Fatal(err)
	}
	if _, copied, err = CopyTutorials(from, to); err != nil || copied != 1 {
		t.Errorf("again: %d copied, %v", copied, err)
	}
	for name, want := range map[string]string{"01_a.ipynb": "mine", "02_b.ipynb": "two"} {
		if text, _ := os.ReadFile(filepath.Join(to, name)); string(text) != want {
			t.Errorf("%s holds %q, want %q", name, text, want)
		}
	}
	if _, err := Tutorials(ctx, kernelspec.Module{Version: "v9.9.9"}); err == nil || !strings.Contains(err.Error(), "release v9.9.9") {
		t.Errorf("a release that is not there: %v", err)
	}
}
