// Package shim is the goimports that the kernel finds first on its PATH.
//
// GoNB calls "goimports -w FOLDER/main.go" in the folder of the cell, before it resolves
// modules and builds. That is the one moment at which something can be put into each cell,
// so this stands in for goimports: it pins our module in the cell's go.mod, lays a prelude
// beside main.go, and then becomes the real goimports.
//
// Without the pin a cell that imports a third party directly (GoMLX, say) is silently moved
// to that module's latest version, whatever our go.mod says.
package shim

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/kernel/kernelspec"
)

// Name is what the binary is called when it stands in for goimports.
const Name = "goimports"

// Is reports whether a program started as argv0 is the shim.
func Is(argv0 string) bool {
	return strings.TrimSuffix(filepath.Base(argv0), ".exe") == Name
}

// Main does the shim's work in the current folder and becomes the real goimports with args.
// It returns only where a process cannot be replaced, or when something failed.
func Main(args []string, stdout, stderr io.Writer) (status int) {
	dir, err := os.Getwd()
	if err == nil {
		err = Prepare(dir, Pins(os.Getenv), forTest(args))
	}
	if err != nil {
		// The cell may still compile; if it does not, this line stands above the reason.
		fmt.Fprintln(stderr, "tlkit kernel:", err)
	}
	real := filepath.Join(os.Getenv(kernelspec.ToolsVar), Name)
	if runtime.GOOS == "windows" {
		real += ".exe"
	}
	if _, err := os.Stat(real); err != nil {
		fmt.Fprintln(stderr, "tlkit kernel: goimports is gone from", filepath.Dir(real)+"; run: "+invoke.Name()+" setup")
		return 1
	}
	if err := become(real, args); err == nil {
		return 0
	}
	cmd := exec.Command(real, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, stdout, stderr
	if err := cmd.Run(); err != nil {
		if cmd.ProcessState == nil {
			fmt.Fprintln(stderr, "tlkit kernel:", err)
		}
		return 1
	}
	return 0
}

func forTest(args []string) bool {
	return len(args) > 0 && strings.HasSuffix(args[len(args)-1], "_test.go")
}

// Pin is one line of go.mod: a required version, and the folder that replaces it, if any.
type Pin struct {
	Path, Version, Folder string
}

// gonbPin is the library cells import to talk to GoNB; some module proxies refuse to say
// what its latest version is, and it must fit the kernel anyway.
var gonbPin = Pin{Path: "github.com/janpfeifer/gonb", Version: "v0.11.5"}

// Pins says what every cell is pinned to, from the environment that the kernel made.
func Pins(getenv func(string) string) []Pin {
	if root := getenv(kernelspec.RootVar); root != "" {
		return []Pin{{Path: kernelspec.ModulePath, Version: "v0.0.0", Folder: root}}
	}
	if v := getenv(kernelspec.VersionVar); v != "" {
		return []Pin{{Path: kernelspec.ModulePath, Version: v}}
	}
	return nil
}

// Prepare pins and lays the prelude in a cell's folder. Doing it again changes nothing.
func Prepare(dir string, pins []Pin, test bool) error {
	if imports(dir, gonbPin.Path, test) {
		pins = append(pins, gonbPin)
	}
	if err := pin(filepath.Join(dir, "go.mod"), pins); err != nil {
		return err
	}
	if err := sums(filepath.Join(dir, "go.sum"), pins); err != nil {
		return err
	}
	return prelude(dir, test)
}

// imports reports whether the cell names a package of a module. A mention in a comment
// counts too: all it does is to pin a module that nobody uses.
func imports(dir, module string, test bool) bool {
	name := "main.go"
	if test {
		name = "main_test.go"
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	return err == nil && strings.Contains(string(text), `"`+module+"/")
}

// pin adds what is missing in go.mod. It is done on text, line by line: the file is GoNB's
// and the person's own "go mod edit" may have been at it; what is there is left alone.
func pin(path string, pins []Pin) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("shim: the cell has no go.mod: %w; in a cell: %%reset go.mod", err)
	}
	text := string(old)
	for _, p := range pins {
		name := regexp.QuoteMeta(p.Path)
		if !regexp.MustCompile(`(?m)^\s*(require\s+)?"?` + name + `"?\s+v`).MatchString(text) {
			text = strings.TrimRight(text, "\n") + "\n\nrequire " + p.Path + " " + p.Version + "\n"
		}
		if p.Folder != "" && !regexp.MustCompile(`(?m)^\s*(replace\s+)?"?`+name+`"?(\s+v\S+)?\s+=>`).MatchString(text) {
			text = strings.TrimRight(text, "\n") + "\n\nreplace " + p.Path + " => " + quoted(p.Folder) + "\n"
		}
	}
	if text == string(old) {
		return nil
	}
	if err := atomicfile.WriteBytes(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("shim: %w", err)
	}
	return nil
}

// sums copies the checkout's go.sum into the cell's: with it Go checks modules against what
// the checkout knows, and without a network it can check them at all.
func sums(path string, pins []Pin) error {
	old, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("shim: %w", err)
	}
	have := map[string]bool{}
	for l := range strings.Lines(string(old)) {
		have[strings.TrimSpace(l)] = true
	}
	text := old
	for _, p := range pins {
		if p.Folder == "" {
			continue
		}
		theirs, err := os.ReadFile(filepath.Join(p.Folder, "go.sum"))
		if err != nil {
			continue // a module without dependencies has none
		}
		for l := range strings.Lines(string(theirs)) {
			if l = strings.TrimSpace(l); l != "" && !have[l] {
				text = append(append(text, l...), '\n')
			}
		}
	}
	if len(text) == len(old) {
		return nil
	}
	if err := atomicfile.WriteBytes(path, text, 0o600); err != nil {
		return fmt.Errorf("shim: %w", err)
	}
	return nil
}

// quoted writes a folder the way go.mod wants it.
func quoted(path string) string {
	if strings.ContainsAny(path, " \t\"'`(),[]{}") || strings.Contains(path, "//") {
		return fmt.Sprintf("%q", path)
	}
	return path
}
