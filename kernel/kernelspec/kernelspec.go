// Package kernelspec writes, finds and removes kernel.json, which is all that Jupyter knows about
// the Go (tlkit) kernel.
//
// Jupyter reads kernel.json from a folder named after the kernel, below its data folder. Ours
// names a copy of the tlkit binary in a data folder of its own ([Keep]), because "go tool" runs
// the binary from Go's build cache, which Go trims now and then.
package kernelspec

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
)

// Name is the kernel's name in notebooks and below Jupyter's data folder; Display is its name in
// the launcher.
const (
	Name    = "tlkit"
	Display = "Go (tlkit)"
)

// Variables of the kernel's environment: what set-up knows and the kernel cannot find out.
const (
	RootVar    = "TLKIT_KERNEL_ROOT"    // the checkout cells compile against; empty for a release
	VersionVar = "TLKIT_KERNEL_VERSION" // the release cells compile against; empty for a checkout
	ToolsVar   = "TLKIT_KERNEL_TOOLS"   // folder of gonb, goimports and gopls
	GoVar      = "TLKIT_KERNEL_GO"      // folder of the go command, for front ends started without a shell's PATH
)

// Spec is kernel.json.
type Spec struct {
	Argv          []string          `json:"argv"`
	DisplayName   string            `json:"display_name"`
	Language      string            `json:"language"`
	InterruptMode string            `json:"interrupt_mode"`
	Env           map[string]string `json:"env"`
}

// New returns the spec of a kernel that runs binary (an absolute path) in env.
//
// Interrupts come as messages: GoNB passes them on to the cell's program only, whereas a signal
// would reach every process of the kernel.
func New(binary string, env map[string]string) Spec {
	return Spec{
		Argv:          []string{binary, "kernel", "{connection_file}"},
		DisplayName:   Display,
		Language:      "go",
		InterruptMode: "message",
		Env:           env,
	}
}

// Binary returns the program that the spec starts; "" when it starts none.
func (s Spec) Binary() string {
	if len(s.Argv) == 0 {
		return ""
	}
	return s.Argv[0]
}

// dataDir is Jupyter's data folder of this user: $JUPYTER_DATA_DIR, else the place that Jupyter
// documents for the operating system.
func dataDir() (string, error) {
	if dir := os.Getenv("JUPYTER_DATA_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	if runtime.GOOS == "windows" {
		if app := os.Getenv("APPDATA"); app != "" {
			return filepath.Join(app, "jupyter"), nil
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", advice.New(fmt.Errorf("kernelspec: no home folder: %w", err), "set JUPYTER_DATA_DIR to a folder you can write to")
	}
	switch runtime.GOOS {
	case "darwin":
		return filepath.Join(home, "Library", "Jupyter"), nil
	case "windows":
		return filepath.Join(home, "AppData", "Roaming", "jupyter"), nil
	}
	if xdg := os.Getenv("XDG_DATA_HOME"); xdg != "" {
		return filepath.Join(xdg, "jupyter"), nil
	}
	return filepath.Join(home, ".local", "share", "jupyter"), nil
}

// kernelDir is the folder of the kernel below Jupyter's data folder.
func kernelDir() (string, error) {
	data, err := dataDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(data, "kernels", Name), nil
}

// Write installs s for this user and returns the path of kernel.json. It replaces an older one.
func Write(s Spec) (string, error) {
	if b := s.Binary(); !filepath.IsAbs(b) {
		return "", fmt.Errorf("kernelspec: the kernel's program is %q, want an absolute path: Jupyter starts it from the notebook's folder", b)
	}
	dir, err := kernelDir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", advice.New(fmt.Errorf("kernelspec: %w", err), "set JUPYTER_DATA_DIR to a folder you can write to")
	}
	if err := writeLogos(dir); err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return "", fmt.Errorf("kernelspec: %w", err)
	}
	path := filepath.Join(dir, "kernel.json")
	if err := atomicfile.WriteBytes(path, append(text, '\n'), 0o644); err != nil {
		return "", fmt.Errorf("kernelspec: %w", err)
	}
	return path, nil
}

// Find reads the installed spec. Without one the error is fs.ErrNotExist.
func Find() (Spec, error) {
	var s Spec
	dir, err := kernelDir()
	if err != nil {
		return s, err
	}
	path := filepath.Join(dir, "kernel.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return s, advice.New(fmt.Errorf("kernelspec: %w", err), "run: tlkit setup")
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, advice.New(fmt.Errorf("kernelspec: %s is damaged: %w", path, err), "run: tlkit setup")
	}
	return s, nil
}

// Remove takes the kernel out of Jupyter and returns the folder that it removed; "" when there
// was none.
func Remove() (string, error) {
	dir, err := kernelDir()
	if err != nil {
		return "", err
	}
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("kernelspec: %w", err)
	}
	return dir, nil
}
