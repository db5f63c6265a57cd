package main

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/kernel/kernelspec"
	"github.com/tlkit/transfer-learning/kernel/setup"
)

// kernelVar, set to 1, has the tests set notebooks up where they are not; without it they
// only use what is there.
const kernelVar = "TLKIT_KERNEL_TEST"

// asCommand lets a copy of this test binary be the kernel that it tests.
func asCommand() {
	beGoimports()
	if len(os.Args) > 1 && os.Args[1] == "kernel" {
		main()
		os.Exit(0)
	}
}

// installed sets a kernel up in a Jupyter folder of the test's own, from the tools and the
// JupyterLab in the cache.
func installed(t *testing.T) setup.Jupyter {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("GoNB on Windows was never measured here")
	}
	ctx := context.Background()
	if os.Getenv(kernelVar) != "1" {
		bin, err := setup.Bin()
		if err != nil {
			t.Fatal(err)
		}
		_, gonb := os.Stat(filepath.Join(bin, "gonb.sha256"))
		if _, err := setup.FindJupyter(ctx); err != nil || gonb != nil {
			t.Skip("notebooks are not set up here; set " + kernelVar + "=1 to have the test do it, or run: tlkit setup")
		}
	}
	// The cache stays the person's: tools and JupyterLab take minutes to make. Everything
	// that a person would see is the test's own.
	root, err := cachedir.Root()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	// Go's caches are named explicitly where they hang on the home folder.
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv(name, strings.TrimSpace(string(out)))
	}
	t.Setenv(cachedir.EnvVar, root)
	for name, dir := range map[string]string{"XDG_DATA_HOME": "share", "JUPYTER_DATA_DIR": "jupyter", "JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython", "TMPDIR": "t"} {
		path := filepath.Join(home, dir)
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv(name, path)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	module := kernelspec.Module{Root: kernelspec.CheckoutAbove(here)}
	steps, err := setup.Steps(setup.Options{Self: self, Module: module, Smoke: smokeCells()[:1]})
	if err != nil {
		t.Fatal(err)
	}
	// gopls comes last; cells do without.
	rows, err := setup.Run(ctx, steps[:len(steps)-1], setup.Reporter{})
	for _, r := range rows {
		t.Log(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	j, err := setup.FindJupyter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// The kernel holds what notebooks rely on, against the real GoNB and through Jupyter's own
// client: testdata/contract.py says what.
func TestKernelContract(t *testing.T) {
	if testing.Short() {
		t.Skip("about 30 s")
	}
	j := installed(t)
	script, err := filepath.Abs(filepath.Join("testdata", "contract.py"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, j.Python, script)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	made := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var e struct {
			Name    string
			OK      bool
			Seconds float64
			Note    string
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Errorf("%v: %s", err, lines.Text())
			continue
		}
		made++
		t.Run(e.Name, func(t *testing.T) {
			if !e.OK {
				t.Errorf("after %.1f s: %s", e.Seconds, e.Note)
			}
			t.Logf("%.1f s: %s", e.Seconds, e.Note)
		})
	}
	if err := cmd.Wait(); err != nil || made < 19 {
		text := errs.String()
		t.Errorf("%d checks made, %v\n%s", made, err, text[max(0, len(text)-2000):])
	}
}

// write makes a notebook in a folder of its own.
func write(t *testing.T, name string, cells ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, setup.Notebook(cells...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRunExecutesNotebooks(t *testing.T) {
	if testing.Short() {
		t.Skip("about 10 s")
	}
	installed(t)
	hello := "import \"fmt\"\n\n%%\nfmt.Println(\"<b>hello</b>\")"
	last := "%%\nfmt.Println(\"accuracy 95.1 %\")"
	picture := "import (\n\t\"bytes\"\n\t\"image\"\n\t\"image/png\"\n\n\t\"github.com/janpfeifer/gonb/gonbui\"\n)\n\n%%\nvar b bytes.Buffer\npng.Encode(&b, image.NewGray(image.Rect(0, 0, 9, 9)))\ngonbui.DisplayPng(b.Bytes())\ngonbui.Sync()"

	t.Run("good", func(t *testing.T) {
		nb := write(t, "good.ipynb", hello, picture, last)
		before, _ := os.ReadFile(nb)
		status, out, errs := tlkit(t, "run", nb, "--setup=false", "--json")
		all := one[[]executed](t, out)
		if status != 0 || len(all) != 1 || !all[0].OK || all[0].Last != "accuracy 95.1 %" || all[0].Cells != 3 || all[0].Pictures != 1 {
			t.Fatalf("status %d, %+v\n%s", status, all, errs)
		}
		if after, _ := os.ReadFile(nb); string(after) != string(before) {
			t.Error("the notebook itself was written to")
		}
		page, err := os.ReadFile(all[0].HTML)
		if err != nil {
			t.Fatal(err)
		}
		html := string(page)
		for _, loads := range []string{"<script", "<link", "<iframe", "@import", "src=\"http", "url(http", "url(\"http", "url('http"} {
			if strings.Contains(html, loads) {
				t.Errorf("the page has %s", loads)
			}
		}
		if !strings.Contains(html, "data:image/png;base64,") || !strings.Contains(html, "accuracy 95.1 %") || strings.Contains(html, "<b>hello</b>") {
			t.Error("the page lacks the picture or the text, or text became markup")
		}
		var executed struct {
			Cells []struct {
				Count   int `json:"execution_count"`
				Outputs []any
			}
		}
		text, _ := os.ReadFile(all[0].Out)
		if err := json.Unmarshal(text, &executed); err != nil || len(executed.Cells) != 3 || executed.Cells[2].Count != 3 || len(executed.Cells[1].Outputs) != 1 {
			t.Errorf("the executed notebook: %v, %.300s", err, text)
		}
	})
	t.Run("a cell that panics", func(t *testing.T) {
		nb := write(t, "bad.ipynb", hello, "%%\nvar m map[string]int\nm[\"a\"] = 1", last)
		before, _ := os.ReadFile(nb)
		status, out, errs := tlkit(t, "run", nb, "--setup=false", "--inplace")
		if status != 1 || !strings.Contains(out, "cell 2: panic: assignment to entry in nil map") {
			t.Errorf("status %d\n%s\n%s", status, out, errs)
		}
		if after, _ := os.ReadFile(nb); string(after) != string(before) {
			t.Error("a failed run was written over the notebook")
		}
	})
	t.Run("a cell that does not compile", func(t *testing.T) {
		status, out, _ := tlkit(t, "run", write(t, "syntax.ipynb", "%%\nvar unused int"), "--setup=false")
		if status != 1 || !strings.Contains(out, "cell 1:") || !strings.Contains(out, "declared and not used") || strings.Contains(out, "gonb_") {
			t.Errorf("status %d\n%s", status, out)
		}
	})
	t.Run("a notebook for another version", func(t *testing.T) {
		tlk := "import \"" + kernelspec.ModulePath + "/tlkit\"\n\n"
		for _, cell := range []string{tlk + "%%\ntlkit.NoSuchVerb()", tlk + "var x = tlkit.Learner{Wings: 4}\n\n%%\nx.FitHead()"} {
			status, out, _ := tlkit(t, "run", write(t, "other.ipynb", cell), "--setup=false")
			if status != 1 || !strings.Contains(out, "another version of tlkit: its cells were compiled against the checkout") {
				t.Errorf("status %d\n%s", status, out)
			}
		}
	})
	t.Run("in place", func(t *testing.T) {
		nb := write(t, "in.ipynb", hello)
		if status, out, errs := tlkit(t, "run", nb, "--setup=false", "--inplace"); status != 0 {
			t.Fatalf("%s\n%s", out, errs)
		}
		first, _ := os.ReadFile(nb)
		if !strings.Contains(string(first), "hello") {
			t.Error("nothing was written")
		}
		if status, _, _ := tlkit(t, "run", nb, "--setup=false", "--inplace"); status != 0 {
			t.Fatal("again")
		}
		if second, _ := os.ReadFile(nb); string(first) != string(second) {
			t.Error("running it again changed the notebook")
		}
	})
	t.Run("no notebook", func(t *testing.T) {
		status, _, errs := tlkit(t, "run", "nowhere.ipynb")
		if status != 1 || !strings.Contains(errs, "nowhere.ipynb is not a notebook") {
			t.Errorf("status %d, %s", status, errs)
		}
	})
}
