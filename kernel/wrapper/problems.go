package wrapper

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

	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/machine"
	"github.com/tlkit/transfer-learning/kernel/kernelspec"
)

// Problem is one reason for which cells cannot run.
type Problem struct {
	What   string // what is wrong, a sentence without full stop
	Detail string // what a tool said about it, or ""
	Repair string // what to do
}

func (p Problem) lines() []string {
	lines := append([]string{"", p.What + "."}, p.details()...)
	return append(lines, "To repair it: "+invoke.Hints(p.Repair))
}

func (p Problem) details() (lines []string) {
	for _, l := range strings.Split(strings.TrimSpace(p.Detail), "\n") {
		if l != "" {
			lines = append(lines, "    "+l)
		}
	}
	return lines
}

// sentence is the problem and its repair in one line.
func (p Problem) sentence() string { return p.What + "; to repair it, " + invoke.Hints(p.Repair) }

func (p Problem) Error() string { return strings.TrimSpace(strings.Join(p.lines(), "\n")) }

// Place is what the kernel works with.
type Place struct {
	Self   string            // our binary
	Tools  string            // folder of gonb, goimports, gopls
	Go     string            // the go command
	Flags  string            // the user's GOFLAGS, as go env prints them
	Module kernelspec.Module // what cells compile against
	Worker string            // the program that does the work of verbs; "" = each cell does its own
}

// oldestGo is what our go.mod asks for.
const oldestGo = "1.26.5"

// spare is what a cell's binary and Go's temporary files take.
const spare = 300 << 20

const setupLine = "in a terminal: tlkit setup"

// Look finds the place from the environment that set-up wrote into kernel.json, for a
// notebook in dir. Everything that keeps cells from running is listed, not only the first.
func Look(ctx context.Context, dir, self string, getenv func(string) string) (Place, []Problem) {
	p := Place{Self: self, Tools: getenv(kernelspec.ToolsVar)}
	var bad []Problem
	p.Module = kernelspec.Module{Root: kernelspec.CheckoutAbove(dir)}
	if p.Module.Root == "" {
		root, version := getenv(kernelspec.RootVar), getenv(kernelspec.VersionVar)
		switch {
		case root != "" && kernelspec.IsCheckout(root):
			p.Module.Root = root
		case root != "":
			bad = append(bad, Problem{What: "The clone of tlkit that cells compile against is gone: " + root + " was moved or deleted", Repair: "in its new place, or in a new clone: go tool tlkit setup"})
		case version != "":
			p.Module.Version = version
		}
	}
	p.Worker = workerFor(p, getenv)
	for _, tool := range []string{"gonb", "goimports"} {
		if !runnable(filepath.Join(p.Tools, tool)) {
			bad = append(bad, Problem{What: fmt.Sprintf("The program %s is not where set-up put it: %q", tool, p.Tools), Repair: setupLine})
			break
		}
	}
	bad = append(bad, p.findGo(ctx, getenv)...)
	if b, ok := tempProblem(); ok {
		bad = append(bad, b)
	}
	return p, bad
}

func runnable(path string) bool {
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode().Perm()&0o111 != 0)
}

// findGo looks on the PATH, then where set-up saw it: a desktop starts front ends without
// the PATH of a shell.
func (p *Place) findGo(ctx context.Context, getenv func(string) string) []Problem {
	install := "install Go " + oldestGo + " or newer from https://go.dev/dl/"
	path, err := exec.LookPath("go")
	if err != nil || !filepath.IsAbs(path) {
		path = filepath.Join(getenv(kernelspec.GoVar), "go")
		if !runnable(path) {
			return []Problem{{What: "There is no go command: cells are compiled by it", Detail: "PATH is " + getenv("PATH"), Repair: install + ", then " + setupLine}}
		}
	}
	p.Go = path
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "env", "-json", "GOVERSION", "GOFLAGS", "GOCACHE")
	// In the checkout, so that a toolchain its go.mod asks for is taken into account.
	cmd.Dir = p.Module.Root
	// -mod=vendor and a go.work from elsewhere are ours to undo, not to stumble over here.
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return []Problem{{What: "The go command does not work (" + path + ")", Detail: strings.TrimSpace(errs.String() + "\n" + err.Error()), Repair: install}}
	}
	var env struct{ GOVERSION, GOFLAGS, GOCACHE string }
	if err := json.Unmarshal(out.Bytes(), &env); err != nil {
		return []Problem{{What: "The go command answers nonsense (" + path + ")", Detail: err.Error(), Repair: install}}
	}
	p.Flags = env.GOFLAGS
	if v, ok := strings.CutPrefix(env.GOVERSION, "go"); ok && olderThan(v, oldestGo) {
		return []Problem{{What: fmt.Sprintf("Go %s is too old, cells need %s or newer (%s)", v, oldestGo, path), Repair: install}}
	}
	if err := writable(env.GOCACHE); env.GOCACHE != "" && err != nil {
		return []Problem{{What: "Go cannot write its build cache: " + env.GOCACHE, Detail: err.Error(), Repair: "set GOCACHE to a folder of yours before starting Jupyter"}}
	}
	return nil
}

// writable makes a folder where it is missing and tries to write there.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "tlkit-check-*")
	if err != nil {
		return err
	}
	f.Close()
	return os.Remove(f.Name())
}

// olderThan compares versions like 1.26.5 and 1.27rc1.
func olderThan(a, b string) bool {
	parse := func(s string) (n [3]int) {
		fmt.Sscanf(s, "%d.%d.%d", &n[0], &n[1], &n[2])
		return n
	}
	x, y := parse(a), parse(b)
	for i := range x {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return false
}

func tempProblem() (Problem, bool) {
	dir := os.TempDir()
	f, err := os.CreateTemp(dir, "tlkit-check-*")
	if err != nil {
		var pe *os.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return Problem{What: "The folder for temporary files cannot be written: " + dir, Detail: err.Error(), Repair: "free some space there, or set TMPDIR to another folder before starting Jupyter"}, true
	}
	f.Close()
	os.Remove(f.Name())
	if free, ok := machine.FreeSpace(dir); ok && free < spare {
		return Problem{What: fmt.Sprintf("The disk is full: %s has %d MB free, a cell needs %d", dir, free>>20, spare>>20), Repair: "free some space, or set TMPDIR to another folder before starting Jupyter"}, true
	}
	return Problem{}, false
}
