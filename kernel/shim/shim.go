// Package shim is the goimports that the kernel finds first on its PATH.
//
// GoNB calls "goimports -w FOLDER/main.go" in the folder of the cell, before it resolves modules
// and builds. That is the only moment at which something can be added to each cell. The shim pins
// this module in the cell's go.mod, writes a prelude beside main.go, and then becomes the real
// goimports.
//
// Without the pin, a cell that imports another module directly (GoMLX, say) silently gets its
// latest version, whatever go.mod here says.
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

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/kernel/kernelspec"
)

// Name is the name of this program when it stands in for goimports.
const Name = "goimports"

// Is reports whether a program started as argv0 is the shim.
func Is(argv0 string) bool {
	return strings.TrimSuffix(filepath.Base(argv0), ".exe") == Name
}

// Main does the shim's work in the current folder and becomes the real goimports with args. It
// returns only if a process cannot be replaced on this system, or if something failed.
func Main(args []string, stdout, stderr io.Writer) (status int) {
	dir, err := os.Getwd()
	if err == nil {
		err = Prepare(dir, Pins(os.Getenv), forTest(args))
	}
	if err != nil {
		// The cell may still compile. If it does not, this line explains why.
		fmt.Fprintln(stderr, "tlkit kernel:", err)
	}
	program := filepath.Join(os.Getenv(kernelspec.ToolsVar), Name)
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	if _, err := os.Stat(program); err != nil {
		fmt.Fprintln(stderr, "tlkit kernel: goimports is missing in", filepath.Dir(program)+"; run: "+invoke.Name()+" setup")
		return 1
	}
	if err := become(program, args); err == nil {
		return 0
	}
	cmd := exec.Command(program, args...)
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

// Pin is a required module of go.mod: its version, and the folder that replaces it, if any.
type Pin struct {
	Path, Version, Folder string
}

// gonbPin is the library with which cells talk to GoNB. It must fit the kernel, and some module
// proxies do not tell its latest version.
var gonbPin = Pin{Path: "github.com/janpfeifer/gonb", Version: "v0.11.5"}

// Pins returns what every cell is pinned to, according to the kernel's environment.
func Pins(getenv func(string) string) []Pin {
	if root := getenv(kernelspec.RootVar); root != "" {
		return []Pin{{Path: kernelspec.ModulePath, Version: "v0.0.0", Folder: root}}
	}
	if v := getenv(kernelspec.VersionVar); v != "" {
		return []Pin{{Path: kernelspec.ModulePath, Version: v}}
	}
	return nil
}

// Prepare pins modules in a cell's go.mod and go.sum and writes the prelude. A second call changes
// nothing. test is for a %test cell, whose files are tests.
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

// imports reports whether the cell names a package of a module. A comment counts too: then a
// module is pinned that is not used, which does no harm.
func imports(dir, module string, test bool) bool {
	name := "main.go"
	if test {
		name = "main_test.go"
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	return err == nil && strings.Contains(string(text), `"`+module+"/")
}

// pin adds what is missing in go.mod. It edits the text, because GoNB writes the file and a person
// may have changed it with "go mod edit"; what is there is kept.
func pin(path string, pins []Pin) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return advice.New(fmt.Errorf("shim: the cell has no go.mod: %w", err), "in a cell: %%reset go.mod")
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

// sums copies the checkout's go.sum into the cell's, so that Go checks modules against the same
// sums, also without a network.
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
		checkout, err := os.ReadFile(filepath.Join(p.Folder, "go.sum"))
		if err != nil {
			continue // a module without dependencies has none
		}
		for l := range strings.Lines(string(checkout)) {
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

// quoted writes a folder as go.mod wants it.
func quoted(path string) string {
	if strings.ContainsAny(path, " \t\"'`(),[]{}") || strings.Contains(path, "//") {
		return fmt.Sprintf("%q", path)
	}
	return path
}
