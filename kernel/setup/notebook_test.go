package setup

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// python runs code after the functions of page.py and notebook.py.
func python(t *testing.T, code string) {
	t.Helper()
	program, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	functions, _, ok := strings.Cut(notebookScript, "\nmain()\n")
	if !ok {
		t.Fatal("notebook.py does not end in main()")
	}
	cmd := exec.Command(program, "-c", pageScript+functions+"\n"+code)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTextsOfCells(t *testing.T) {
	python(t, `
def same(got, want):
    assert got == want, "got %r, want %r" % (got, want)

same(text("# gonb_1a\n/tmp/tlk-1/gonb_1a/main.go:3: x\n\x1b[31mred\x1b[0m"), "main.go:3: x\nred")
same(text("at /a/gonb_1/m.go and:/b/gonb_2/n.go"), "at m.go and:n.go")
same(overwritten("1\r2\r3\nx\ra\r\nb\r"), "3\na\r\nb\r")
same(overwritten("\r"), "\r")
same(coloured("<a> \x1b[31mred\x1b[0m \x1b[1;32mgreen\x1b[22;39m\x1b[2K."),
     '&lt;a&gt; <span class="ansi-red-fg">red</span> <span class="ansi-green-intense-fg ansi-bold">green</span>.')
same(coloured("\x1b[38;5;196mr\x1b[48;2;1;2;3mb\x1b[m"), '<span style="color: rgb(255,0,0)">r</span><span style="color: rgb(255,0,0); background-color: rgb(1,2,3)">b</span>')
same(coloured("\x1b[7mi\x1b[27mn\x1b[94mb\x1b[38;5mx"), '<span class="ansi-default-inverse-fg ansi-default-inverse-bg">i</span>n<span class="ansi-blue-intense-fg">b</span>x')
`)
}

// Each of these took minutes or hours where a step was quadratic.
func TestTextsTakeTimeInProportion(t *testing.T) {
	python(t, `
n = 3_000_000
for function in (text, overwritten, coloured):
    for name, value in {
        "one line": "a" * n,
        "lines": "line\n" * n,
        "slashes": "/" * n,
        "rooms": "/gonb_" * (n // 6),
        "true rooms": "x/gonb_1/" * (n // 9),
        "a room at the end": "a" * n + "/gonb_1/",
        "returns": "\r" * n,
        "colours": "\x1b[31mx" * (n // 6),
        "open codes": "\x1b[" * (n // 2),
        "numbers": "\x1b[" + "1;" * n,
    }.items():
        begin = time.monotonic()
        function(value)
        took = time.monotonic() - begin
        assert took < 20, "%s of %s: %.1f s" % (function.__name__, name, took)
`)
}

// Outputs are kept as JupyterLab keeps them; nothing is lost when pieces are put together.
func TestOutputsOfACell(t *testing.T) {
	ctx := context.Background()
	j, err := FindJupyter(ctx)
	if err != nil {
		t.Skip("no nbformat here: ", err)
	}
	functions, _, _ := strings.Cut(notebookScript, "\nmain()\n")
	cmd := exec.Command(j.Python, "-c", pageScript+functions+`
def msg(kind, **content):
    return {"msg_type": kind, "header": {"msg_type": kind}, "content": content}

def stream(name, piece):
    return msg("stream", name=name, text=piece)

def show(value, place=None, kind="display_data"):
    return msg(kind, data={"text/plain": value}, metadata={}, transient={"display_id": place} if place else {})

def outs(*messages, places=None):
    o = Outputs({} if places is None else places)
    size = sum(o.take(m) for m in messages)
    return [x.get("text") or x["data"]["text/plain"] for x in o.finish()], size

def same(got, want):
    assert got == want, "got %r, want %r" % (got, want)

same(outs(stream("stderr", "e"), stream("stdout", "a"), show("p"), stream("stdout", "b"), stream("stderr", "f")), (["ab", "ef", "p"], 5))
same(outs(show("1", "x"), show("2", "x", "update_display_data")), (["2"], 1))
same(outs(stream("stdout", "gone"), msg("clear_output", wait=True), stream("stdout", "new"))[0], ["new"])
same(outs(stream("stdout", "gone"), msg("clear_output"))[0], [])
same(outs(show("bar", "x"), stream("stdout", "words"), show("", "x", "update_display_data"))[0], ["words"])
places = {}
first = Outputs(places)
first.take(show("old", "y"))
outs(show("new", "y", "update_display_data"), places=places)
same(first.finish()[0]["data"]["text/plain"], "new")
`)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// fake is a Jupyter whose Python is a shell script.
func fake(t *testing.T, script string) Jupyter {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("scripts stand for programs here")
	}
	path := filepath.Join(t.TempDir(), "python")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return Jupyter{Python: path}
}

// running reports whether a program with the mark in its arguments goes on running. A killed one may
// be listed for a moment.
func running(t *testing.T, mark string) bool {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < 5*time.Second; time.Sleep(50 * time.Millisecond) {
		out, err := exec.Command("ps", "-A", "-o", "args").Output()
		if err != nil {
			t.Skip("no ps here")
		}
		if !strings.Contains(string(out), mark) {
			return false
		}
	}
	return true
}

// The time limit holds for every step, also for one that does not listen, and no process is left.
func TestExecuteEndsInTime(t *testing.T) {
	old, oldEnding := spare, ending
	spare, ending = 100*time.Millisecond, 300*time.Millisecond
	defer func() { spare, ending = old, oldEnding }()
	for name, c := range map[string]struct{ script, want string }{
		"a cell":       {`echo '{"event":"cell","n":3,"of":4}'; sleep 4711.5`, "cell 3 took too long (--timeout 200ms)"},
		"deaf":         {`trap '' INT TERM; echo '{"event":"save"}'; sleep 4711.5; sleep 4711.5`, "writing the notebook took too long"},
		"its page":     {`echo '{"event":"page","out":"/x/y.ipynb"}'; sleep 4711.5`, "writing the HTML page of /x/y.ipynb took too long"},
		"no result":    {`exit 3`, "exit status 3"},
		"no last word": {`echo '{"event":"save"}'`, "ended without a result"},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			_, err := fake(t, c.script).Execute(context.Background(), Job{Notebook: "n.ipynb", Timeout: 200 * time.Millisecond})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("took %s", took)
			}
			if running(t, "sleep 4711.5") {
				t.Error("a process is left")
			}
		})
	}
	t.Run("interrupted", func(t *testing.T) {
		ctx, stop := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer stop()
		_, err := fake(t, `sleep 4711.5`).Execute(ctx, Job{Notebook: "n.ipynb"})
		if err != context.DeadlineExceeded || running(t, "sleep 4711.5") {
			t.Errorf("got %v", err)
		}
	})
	if _, err := fake(t, "").Execute(context.Background(), Job{Timeout: -1}); err == nil || !strings.Contains(err.Error(), "want a positive one") {
		t.Errorf("a negative limit: %v", err)
	}
}

// The settings that set-up writes are settings that this JupyterLab has: one that it does not know
// would be passed over without a word.
func TestSettingsExist(t *testing.T) {
	j, err := FindJupyter(context.Background())
	if err != nil || !j.Private {
		t.Skip("no private JupyterLab here")
	}
	var settings map[string]map[string]any
	if err := json.Unmarshal([]byte(quietSettings), &settings); err != nil {
		t.Fatal(err)
	}
	if settings["@jupyterlab/completer-extension:manager"]["providerTimeout"] == nil {
		t.Error("nothing about completions that take long")
	}
	schemas := filepath.Join(filepath.Dir(filepath.Dir(j.Python)), "share", "jupyter", "lab", "schemas")
	for plugin, values := range settings {
		pkg, name, _ := strings.Cut(plugin, ":")
		text, err := os.ReadFile(filepath.Join(schemas, filepath.FromSlash(pkg), name+".json"))
		if err != nil {
			t.Error(err)
			continue
		}
		var schema struct {
			Properties map[string]struct {
				Type string `json:"type"`
			} `json:"properties"`
		}
		if err := json.Unmarshal(text, &schema); err != nil {
			t.Error(err)
		}
		for key, value := range values {
			want := map[bool]string{true: "number"}[fmt.Sprintf("%T", value) == "float64"]
			if got := schema.Properties[key].Type; got == "" || want != "" && got != want {
				t.Errorf("%s has no setting %s of that type: %q", plugin, key, got)
			}
		}
	}
}
