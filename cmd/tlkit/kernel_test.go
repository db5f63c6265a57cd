package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/kernel/kernelspec"
	"github.com/tlkit/transfer-learning/kernel/setup"
)

// kernelVar, set to 1, has the tests set notebooks up where they are not; without it they
// only use what is there.
const kernelVar = "TLKIT_KERNEL_TEST"

// asCommand lets a copy of this test binary be the kernel that it tests, or tlkit run or serve.
func asCommand() {
	beGoimports()
	if len(os.Args) > 1 && slices.Contains([]string{"kernel", "worker", "run", "serve", "bench", "doctor"}, os.Args[1]) {
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
	if err := cmd.Wait(); err != nil || made < 22 {
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

// program is a cell of statements with its imports.
func program(body string, imports ...string) string {
	var b strings.Builder
	for _, i := range imports {
		fmt.Fprintf(&b, "import %q\n", i)
	}
	return b.String() + "\n%%\n" + body
}

// printed returns what the cells of an executed notebook printed, as it was saved.
func printed(t *testing.T, path string) string {
	t.Helper()
	var nb struct {
		Cells []struct {
			Outputs []struct {
				Text []string `json:"text"`
			} `json:"outputs"`
		} `json:"cells"`
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &nb); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, c := range nb.Cells {
		for _, o := range c.Outputs {
			b.WriteString(strings.Join(o.Text, ""))
		}
	}
	return b.String()
}

func lines(n int, form string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, form, i)
	}
	return b.String()
}

// quick returns every case for the test of kernels, and otherwise those that are named.
func quick[T any](cases map[string]T, names ...string) map[string]T {
	if os.Getenv(kernelVar) == "1" {
		return cases
	}
	few := map[string]T{}
	for _, name := range names {
		few[name] = cases[name]
	}
	return few
}

// What a notebook prints is saved whole, however much it is and however it is cut, within a minute.
func TestRunKeepsOutputOfAnyLength(t *testing.T) {
	if testing.Short() {
		t.Skip("about a minute")
	}
	installed(t)
	for name, c := range quick(map[string]struct{ cell, want string }{
		"lines":         {program(`for i := range 400000 { fmt.Println("line", i) }`, "fmt"), lines(400000, "line %d\n")},
		"error lines":   {program(`for i := range 400000 { fmt.Fprintln(os.Stderr, "line", i) }`, "fmt", "os"), lines(400000, "line %d\n")},
		"one line":      {program(`fmt.Println(strings.Repeat("abcde", 1000000))`, "fmt", "strings"), strings.Repeat("abcde", 1000000) + "\n"},
		"one error":     {program(`fmt.Fprintln(os.Stderr, strings.Repeat("abcde", 1000000))`, "fmt", "os", "strings"), strings.Repeat("abcde", 1000000) + "\n"},
		"cut letters":   {program(`for range 60000 { os.Stdout.Write([]byte("ä€")); os.Stdout.Write([]byte("𝄞"[:2])); os.Stdout.Write([]byte("𝄞"[2:])) }`, "os"), strings.Repeat("ä€𝄞", 60000)},
		"coloured":      {program(`w := bufio.NewWriter(os.Stdout); for i := range 200000 { fmt.Fprintf(w, "\x1b[31mline\x1b[0m %d\n", i) }; w.Flush()`, "bufio", "fmt", "os"), lines(200000, "\x1b[31mline\x1b[0m %d\n")},
		"progress bar":  {program(`for i := range 100000 { fmt.Printf("\r%d", i) }`, "fmt"), "99999"},
		"a shell":       {"!seq 300000", lines(300001, "%d\n")[2:]},
		"not UTF-8":     {program(`os.Stdout.Write([]byte("a\xffb\xe2\x82"))`, "os"), "a\ufffdb\ufffd\ufffd"},
		"end of a file": {program(`var s string; n, err := fmt.Scanln(&s); fmt.Println(n, err)`, "fmt") + "\n", "0 EOF\n"},
		"a shell reads": {"!cat; read x; echo end", "end\n"},
		"inputs":        {"%with_inputs\n!read x; echo got $x", "got\n"},
		"C":             {"// static double twice(double x) { return 2*x; }\nimport \"C\"\n" + program(`fmt.Println(C.twice(21))`, "fmt"), "42\n"},
		"C in a group":  {"import (\n\t\"fmt\"\n\t/*\n\t#cgo LDFLAGS: -lm\n\t#include <math.h>\n\t*/\n\t\"C\"\n)\n\n%%\nfmt.Println(C.sqrt(4))", "2\n"},
	}, "lines", "one line", "end of a file", "C") {
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "C") {
				if _, err := exec.LookPath("gcc"); err != nil {
					t.Skip("no C compiler")
				}
			}
			begin := time.Now()
			status, out, errs := tlkit(t, "run", write(t, "long.ipynb", c.cell), "--setup=false", "--json", "--timeout", "1m")
			took := time.Since(begin)
			if status != 0 || took > time.Minute {
				t.Fatalf("status %d after %s: %.1000s", status, took, errs)
			}
			got := printed(t, one[[]executed](t, out)[0].Out)
			if got != c.want {
				t.Errorf("%d bytes were saved, want %d: %.100q", len(got), len(c.want), got)
			}
			t.Logf("%d bytes in %.1f s", len(got), took.Seconds())
		})
	}
}

// A child in the background inherits the cell's streams and does not hold it up.
func TestRunDoesNotWaitForTheBackground(t *testing.T) {
	if testing.Short() {
		t.Skip("about 15 s")
	}
	installed(t)
	for name, cell := range quick(map[string]string{
		"a shell":     "!sleep 4713 & echo started",
		"its session": "!setsid sleep 4713 & echo started",
		"a program":   program(`c := exec.Command("sleep", "4713"); c.Stdout, c.Stderr = os.Stdout, os.Stderr; c.Start(); fmt.Println("started")`, "fmt", "os", "os/exec"),
		"a chatterer": "!(while sleep 0.01; do echo noise; done) & echo started",
	}, "a shell") {
		t.Run(name, func(t *testing.T) {
			nb := write(t, "background.ipynb", cell, program(`fmt.Println("next")`, "fmt"))
			status, out, errs := tlkit(t, "run", nb, "--setup=false", "--json", "--timeout", "1m")
			all := one[[]executed](t, out)
			if status != 0 || all[0].Last != "next" || !strings.Contains(printed(t, all[0].Out), "started") {
				t.Errorf("status %d, %+v\n%s", status, all, errs)
			}
			if all[0].Seconds > 20 {
				t.Errorf("took %.1f s", all[0].Seconds)
			}
			for _, left := range []string{"sleep 4713", "sleep 0.01"} {
				if processes(t, left) > 0 {
					t.Errorf("%s is left", left)
				}
			}
		})
	}
}

// processes counts the processes whose command line contains a text.
func processes(t *testing.T, text string) int {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-o", "args").Output()
	if err != nil {
		t.Skip("no ps here")
	}
	return strings.Count(string(out), text)
}

// Whatever ends a run, no process of it is left.
func TestRunLeavesNoProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("about a minute")
	}
	installed(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	sleeper := `fmt.Println("begun"); c := exec.Command("sh", "-c", "sleep 4717; :"); c.Run()`
	deaf := `signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP); ` + sleeper
	packages := []string{"fmt", "os", "os/exec", "os/signal", "syscall"}
	for name, c := range quick(map[string]struct {
		cell, timeout string
		end           os.Signal // sent to tlkit run; nil = its time limit ends it
	}{
		"time limit":       {program(sleeper, "fmt", "os/exec"), "3s", nil},
		"less than one":    {program(sleeper, "fmt", "os/exec"), "900ms", nil},
		"deaf":             {program(deaf, packages...), "3s", nil},
		"a shell":          {"!setsid sleep 4717 & echo begun; sleep 4717; :", "3s", nil},
		"a stopped kernel": {"!echo begun; sleep 1; kill -STOP $PPID; sleep 4717", "3s", nil},
		"interrupt":        {program(deaf, packages...), "10m", os.Interrupt},
		"terminate":        {program(sleeper, "fmt", "os/exec"), "10m", syscall.SIGTERM},
		"kill":             {"!setsid sleep 4717 & echo begun; sleep 4717; :", "10m", os.Kill},
		"kill, deaf":       {program(deaf, packages...), "10m", os.Kill},
	}, "time limit", "kill") {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cmd := exec.Command(self, "run", write(t, "stuck.ipynb", c.cell), "--setup=false", "--timeout", c.timeout)
			cmd.Dir = dir
			var said strings.Builder
			cmd.Stdout, cmd.Stderr = &said, &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			if c.end != nil {
				for processes(t, "sleep 4717") == 0 && time.Since(begin) < time.Minute {
					time.Sleep(50 * time.Millisecond)
				}
				cmd.Process.Signal(c.end)
			}
			err := cmd.Wait()
			if err == nil || time.Since(begin) > 2*time.Minute {
				t.Errorf("%v after %s\n%s", err, time.Since(begin), said.String())
			}
			if c.end == nil {
				if !strings.Contains(said.String(), "no end after "+strings.Replace(c.timeout, "s", " s", 1)) && c.timeout != "900ms" {
					t.Errorf("said %s", said.String())
				}
				if got := printed(t, filepath.Join(dir, ".tlkit", "out", "stuck.ipynb")); c.timeout != "900ms" && !strings.Contains(got, "begun") {
					t.Errorf("what was printed before the end is lost: %q", got)
				}
			}
			room := os.Getenv("TMPDIR")
			over := func() bool { return processes(t, "sleep 4717") == 0 && processes(t, room) == 0 }
			for begin := time.Now(); !over() && time.Since(begin) < 10*time.Second; {
				time.Sleep(50 * time.Millisecond)
			}
			if !over() {
				out, _ := exec.Command("ps", "-A", "-o", "pid,ppid,pgid,args").Output()
				t.Errorf("processes are left:\n%s", out)
			}
		})
	}
}

// A notebook that prints without end fails loudly before it takes the machine's memory.
func TestRunBoundsOutput(t *testing.T) {
	if testing.Short() || os.Getenv(kernelVar) != "1" {
		t.Skip("prints 250 MB")
	}
	installed(t)
	nb := write(t, "endless.ipynb", program(`w := bufio.NewWriterSize(os.Stdout, 1<<16); for { w.WriteString("again and again\n") }`, "bufio", "os"))
	status, out, errs := tlkit(t, "run", nb, "--setup=false", "--timeout", "2m")
	if status != 1 || !strings.Contains(out, "cell 1: the notebook printed more than 250 million characters") {
		t.Errorf("status %d, %.300s\n%.1000s", status, out[max(0, len(out)-1000):], errs)
	}
}
