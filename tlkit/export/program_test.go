package export

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/card"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// withGo skips tests where there is no go, and returns the checkout.
func withGo(t *testing.T) (root string) {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go on the PATH")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// The written program builds without cgo, as a static file with everything inside, and predicts what
// this process predicts: heads of each task, frozen and fine-tuned.
func TestWriteGo(t *testing.T) {
	root := withGo(t)
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, test := range []struct {
		task  datasets.Task
		tuned bool
	}{{datasets.Classes, true}, {datasets.Labels, false}, {datasets.Values, true}} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			h := onMobile(t, test.task, presets["torch"])
			if test.tuned {
				h.Changed = []weights.Tensor{weights.FromFloat32("hidden.bias", []int{12}, []float32{5, 4, 3, 2, 1, 0, -1, -2, -3, -4, -5, -6})}
			}
			c := opened(t, e, h)
			dir := filepath.Join(t.TempDir(), "My Program!")
			f, err := c.WriteGo(t.Context(), dir, GoOptions{Root: root, Card: &card.Card{Title: "mine"}})
			if err != nil {
				t.Fatal(err)
			}
			if f.Unchecked != "" || f.Binary == 0 || f.Pictures != ParityPictures || f.Program != "my-program" {
				t.Fatalf("%+v", f)
			}
			if n := len(strings.Split(string(mainGo), "\n")); n > 60 {
				t.Errorf("main.go has %d lines, want at most 60", n)
			}
			paths, _ := photos(t, h.Preset)
			want, err := c.Classify(t.Context(), paths)
			if err != nil {
				t.Fatal(err)
			}
			// Built once more as its README says, and run where there is nothing.
			build(t, dir)
			missing := filepath.Join(t.TempDir(), "none.png")
			cmd := exec.Command(filepath.Join(dir, f.Program), append(paths, missing)...)
			cmd.Env = []string{"TMPDIR=" + t.TempDir()}
			var errs strings.Builder
			cmd.Stderr = &errs
			out, err := cmd.Output()
			if status := (*exec.ExitError)(nil); !errors.As(err, &status) || status.ExitCode() != 2 || !strings.Contains(errs.String(), "none.png") {
				t.Fatalf("%v: %s", err, errs.String())
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if len(lines) != len(want) {
				t.Fatalf("%q", lines)
			}
			for i, p := range want {
				if line := p.Path + "\t" + p.Words(); lines[i] != line {
					t.Errorf("%q, want %q", lines[i], line)
				}
			}
			for file, words := range map[string][]string{
				"README.md": {"# mine", "CGO_ENABLED=0 go build", "./my-program PICTURE…", "predicted 3 test pictures", "-dropreplace"},
				"card.html": {"<h1>mine</h1>"},
			} {
				text, err := os.ReadFile(filepath.Join(dir, file))
				if err != nil {
					t.Fatal(err)
				}
				for _, w := range words {
					if !strings.Contains(string(text), w) {
						t.Errorf("%s has no %q", file, w)
					}
				}
			}
		})
	}
}

// build builds the program as a user does, without a network.
func build(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.Command("go", "build")
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0", "GOPROXY=off", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// What is in the way stays, an earlier export is replaced as a whole, and a program that does not
// predict the same is not written.
func TestWriteGoReplaces(t *testing.T) {
	root := withGo(t)
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	c := opened(t, e, onMobile(t, datasets.Classes, presets["torch"]))
	dir := t.TempDir()
	write := func(o GoOptions) error {
		o.Root = root
		_, err := c.WriteGo(t.Context(), dir, o)
		return err
	}
	testpictures.Write(t, filepath.Join(dir, "go.mod"), []byte("module mine\n"))
	if err := write(GoOptions{}); err == nil || !strings.Contains(err.Error(), "go.mod exists") {
		t.Fatalf("over another module: %v", err)
	}
	testpictures.Write(t, filepath.Join(dir, "notes.txt"), []byte("mine"))
	if err := write(GoOptions{Force: true, Card: &card.Card{Title: "mine"}}); err != nil {
		t.Fatal(err)
	}
	// The files of the export before are gone, and those of others stay.
	testpictures.Write(t, filepath.Join(dir, "model", "weights.pt"), []byte("old"))
	testpictures.Write(t, filepath.Join(dir, "model", packingList), []byte(`{"weights": "weights.pt", "files": ["weights.pt"]}`))
	if err := write(GoOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"model/weights.pt": false, "model/weights.onnx": true, "card.html": false, "notes.txt": true, "README.md": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	testpictures.Write(t, filepath.Join(dir, "main.go"), append([]byte("// changed\n"), mainGo...))
	if err := write(GoOptions{}); err == nil || !strings.Contains(err.Error(), "main.go exists") {
		t.Errorf("over a changed program: %v", err)
	}
	// Another head than the one that the classifier predicts with.
	c.Head.Linear.Bias[0] += 3
	other := filepath.Join(t.TempDir(), "other")
	if _, err := c.WriteGo(t.Context(), other, GoOptions{Root: root}); err == nil {
		t.Error("a head whose recorded outputs are others was written")
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("the folder is there all the same")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.WriteGo(ctx, other, GoOptions{Root: root}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := c.WriteGo(t.Context(), other, GoOptions{}); err == nil || !strings.Contains(err.Error(), "Version") {
		t.Errorf("without a version: %v", err)
	}
}

// A folder that was tampered with opens nothing, and writes nowhere else.
func TestOpenFS(t *testing.T) {
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	h := onMobile(t, datasets.Classes, presets["torch"])
	c := opened(t, e, h)
	file := filepath.Join(t.TempDir(), "h.safetensors")
	if err := h.Write(file); err != nil {
		t.Fatal(err)
	}
	head, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	network, err := os.ReadFile(backboneFile)
	if err != nil {
		t.Fatal(err)
	}
	whole := func() fstest.MapFS {
		return fstest.MapFS{
			"model/files.json":       {Data: []byte(`{"weights": "weights.onnx", "files": ["weights.onnx"]}`)},
			"model/head.safetensors": {Data: head}, "model/weights.onnx": {Data: network},
		}
	}
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	got, err := (Options{}).OpenFS(t.Context(), whole())
	if err != nil {
		t.Fatal(err)
	}
	if got.Parity > 1e-5 || len(got.Head.Labels) != len(c.Head.Labels) {
		t.Errorf("off by %v", got.Parity)
	}
	for name, change := range map[string]func(fstest.MapFS){
		"no list":    func(m fstest.MapFS) { delete(m, "model/files.json") },
		"upwards":    func(m fstest.MapFS) { m["model/files.json"].Data = []byte(`{"weights": "../x", "files": ["../x"]}`) },
		"absolute":   func(m fstest.MapFS) { m["model/files.json"].Data = []byte(`{"weights": "/x", "files": ["/x"]}`) },
		"not listed": func(m fstest.MapFS) { m["model/files.json"].Data = []byte(`{"weights": "x", "files": []}`) },
		"no weights": func(m fstest.MapFS) { delete(m, "model/weights.onnx") },
		"damaged": func(m fstest.MapFS) {
			m["model/weights.onnx"] = &fstest.MapFile{Data: append([]byte(nil), network[:len(network)-1]...)}
		},
		"other weights": func(m fstest.MapFS) { m["model/weights.onnx"] = &fstest.MapFile{Data: head} },
		"torn head":     func(m fstest.MapFS) { m["model/head.safetensors"] = &fstest.MapFile{Data: head[:len(head)-1]} },
	} {
		m := whole()
		change(m)
		if _, err := (Options{}).OpenFS(t.Context(), m); err == nil {
			t.Errorf("%s: it opens", name)
		}
	}
	left, err := fs.Glob(os.DirFS(temporary), "tlkit-model-*")
	if err != nil || left != nil {
		t.Errorf("%q is left, %v", left, err)
	}
}
