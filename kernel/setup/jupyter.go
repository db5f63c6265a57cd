package setup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/cachedir"
)

// jupyterPins are the versions that were tested together.
var jupyterPins = []string{"jupyterlab==4.6.6", "jupyter_client==8.10.0", "nbclient==0.11.0", "nbconvert==7.17.2", "nbformat==5.11.1"}

// An installed JupyterLab must be at least this new to be used instead of a private one.
const (
	oldestPython = "3.10"
	oldestLab    = 4
)

// Jupyter is a Python that has JupyterLab, nbclient and nbconvert.
type Jupyter struct {
	Python  string            `json:"python"`  // the program
	Version map[string]string `json:"version"` // of jupyterlab, nbclient, nbconvert
	Private bool              `json:"private"` // made by set-up, in the cache
}

// String returns the JupyterLab as messages name it.
func (j Jupyter) String() string {
	whose := "installed"
	if j.Private {
		whose = "private"
	}
	return fmt.Sprintf("JupyterLab %s, %s (%s)", j.Version["jupyterlab"], whose, j.Python)
}

// probe asks a Python for versions without importing the packages, which would take seconds.
const probe = `import importlib.metadata as m, json, sys
v = {}
for n in ("jupyterlab", "jupyter_client", "nbclient", "nbconvert"):
    v[n] = m.version(n)
v["python"] = "%d.%d" % sys.version_info[:2]
print(json.dumps(v))`

func examine(ctx context.Context, python string) (Jupyter, error) {
	j := Jupyter{Python: python}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	out, err := output(ctx, "", os.Environ(), python, "-c", probe)
	if err != nil {
		return j, err
	}
	if err := json.Unmarshal([]byte(out), &j.Version); err != nil {
		return j, err
	}
	if atLeast(j.Version["jupyterlab"], oldestLab) && atLeast(j.Version["jupyter_client"], 7) && atLeast(j.Version["nbconvert"], 7) {
		return j, nil
	}
	return j, fmt.Errorf("setup: JupyterLab %s, nbconvert %s: want %d and 7 or newer", j.Version["jupyterlab"], j.Version["nbconvert"], oldestLab)
}

func atLeast(version string, major int) bool {
	n := 0
	fmt.Sscanf(version, "%d", &n)
	return n >= major
}

// output runs a program and returns what it prints on standard output.
func output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, env, time.Second
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(name), err, lastLines(errs.String(), 1))
	}
	return string(out), nil
}

func venvPython() (string, error) {
	dir, err := cachedir.Root()
	if err != nil {
		return "", err
	}
	if runtime.GOOS == "windows" {
		return filepath.Join(dir, "kernel", "jupyter", "Scripts", "python.exe"), nil
	}
	return filepath.Join(dir, "kernel", "jupyter", "bin", "python"), nil
}

const venvMark = "complete"

// FindJupyter returns the private JupyterLab, else an installed one that is new enough.
func FindJupyter(ctx context.Context) (Jupyter, error) {
	private, err := venvPython()
	if err != nil {
		return Jupyter{}, err
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(filepath.Dir(private)), venvMark)); err == nil {
		if j, err := examine(ctx, private); err == nil {
			j.Private = true
			cachedir.Use(ctx, private)
			return j, nil
		}
	}
	tried := advice.New(fmt.Errorf("setup: no Python here has JupyterLab %d or newer", oldestLab), "run: tlkit setup")
	for _, python := range pythons() {
		if j, err := examine(ctx, python); err == nil {
			return j, nil
		}
	}
	return Jupyter{}, tried
}

// Quiet keeps a private JupyterLab from asking on its first page whether it may fetch news from
// the network, and from dropping completions that take longer than a second. An installed JupyterLab
// is left as it is.
func (j Jupyter) Quiet() error {
	if !j.Private {
		return nil
	}
	path := filepath.Join(filepath.Dir(filepath.Dir(j.Python)), "share", "jupyter", "lab", "settings", "overrides.json")
	if have, err := os.ReadFile(path); err == nil && string(have) == quietSettings {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("setup: %w", err)
	}
	return atomicfile.WriteBytes(path, []byte(quietSettings), 0o644)
}

// quietSettings are defaults: the settings page overrides them.
const quietSettings = `{
 "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false},
 "@jupyterlab/completer-extension:manager": {"providerTimeout": 15000}
}
`

// pythons returns the Pythons that may have a JupyterLab or make one, best first.
func pythons() []string {
	if p := os.Getenv("TLKIT_PYTHON"); p != "" {
		return []string{p}
	}
	var all []string
	// A JupyterLab on the PATH may belong to a Python that is not (pipx, conda).
	if lab, err := exec.LookPath("jupyter-lab"); err == nil {
		if p := shebang(lab); p != "" {
			all = append(all, p)
		}
	}
	for _, name := range []string{"python3", "python"} {
		if p, err := exec.LookPath(name); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// shebang returns the program that runs a script; "" for anything else.
func shebang(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	head := make([]byte, 300)
	n, _ := f.Read(head)
	line, _, ok := strings.Cut(string(head[:n]), "\n")
	program, found := strings.CutPrefix(strings.TrimSpace(line), "#!")
	if !ok || !found || !filepath.IsAbs(program) {
		return ""
	}
	return program
}

// basePython finds a Python that can make a virtual environment.
func basePython(ctx context.Context) (path, version string, err error) {
	var last error
	for _, p := range pythons() {
		out, err := output(ctx, "", os.Environ(), p, "-c", "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])")
		if err != nil {
			last = err
			continue
		}
		version = strings.TrimSpace(out)
		var major, minor int
		fmt.Sscanf(version, "%d.%d", &major, &minor)
		if major > 3 || major == 3 && minor >= 10 {
			return p, version, nil
		}
		last = fmt.Errorf("%s is Python %s", p, version)
	}
	if last == nil {
		last = errors.New("no python3 on the PATH")
	}
	return "", "", advice.New(fmt.Errorf("setup: JupyterLab needs Python %s or newer with venv and pip (%w); on Debian and Ubuntu: apt-get install python3-venv; or set TLKIT_PYTHON", oldestPython, last), "or set up without notebooks: tlkit setup --no-jupyter")
}

// jupyter is the step that makes the private JupyterLab.
func jupyter(b Bundle) Step {
	return Step{
		Name: "jupyterlab", About: "JupyterLab, nbclient and nbconvert in a private Python environment, 240 MB: 30-60 s",
		Done: func(ctx context.Context) (string, bool) {
			j, err := FindJupyter(ctx)
			if err != nil {
				return "", false
			}
			return j.String(), true
		},
		Do: func(ctx context.Context, say func(string)) (string, error) {
			base, version, err := basePython(ctx)
			if err != nil {
				return "", err
			}
			if b.Dir != "" && version != b.Python {
				return "", advice.New(fmt.Errorf("setup: the bundle's wheels are for Python %s, %s is %s", b.Python, base, version), "set TLKIT_PYTHON to a Python %s", b.Python)
			}
			python, err := venvPython()
			if err != nil {
				return "", err
			}
			dir := filepath.Dir(filepath.Dir(python))
			os.Remove(filepath.Join(dir, venvMark))
			if err := command(ctx, "", os.Environ(), base, "-m", "venv", dir); err != nil {
				return "", err
			}
			args := append([]string{"-m", "pip", "install", "--quiet", "--disable-pip-version-check"}, b.pipArgs()...)
			if err := command(ctx, "", os.Environ(), python, append(args, jupyterPins...)...); err != nil {
				return "", fmt.Errorf("%w\nwithout a network: tlkit setup --offline DIR", err)
			}
			j, err := examine(ctx, python)
			if err != nil {
				return "", err
			}
			j.Private = true
			return j.String(), atomicfile.WriteBytes(filepath.Join(dir, venvMark), nil, 0o600)
		},
	}
}
