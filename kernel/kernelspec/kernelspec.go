// Package kernelspec holds what Jupyter knows about our kernel: one kernel.json, as data
// that is written, found and removed.
//
// Jupyter reads kernel.json from a folder named after the kernel below its data folder. Ours
// names a copy of the tlkit binary that lies in a data folder of our own ([Keep]), because
// under "go tool" the running binary lies in Go's build cache, which is trimmed now and then.
package kernelspec

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
)

// Name is the kernel's name in notebooks and below Jupyter's data folder; Display is what
// the launcher shows.
const (
	Name    = "tlkit"
	Display = "Go (tlkit)"
)

// Variables of the kernel's environment: what set-up knew and the kernel cannot find out.
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

// New is the spec of a kernel that runs binary (absolute path) in env.
//
// Interrupts come as messages: gonb hands them to the cell's program only, whereas a signal
// would reach every process of the kernel at once.
func New(binary string, env map[string]string) Spec {
	return Spec{
		Argv:          []string{binary, "kernel", "{connection_file}"},
		DisplayName:   Display,
		Language:      "go",
		InterruptMode: "message",
		Env:           env,
	}
}

// Binary is the program that the spec starts; "" when it starts none.
func (s Spec) Binary() string {
	if len(s.Argv) == 0 {
		return ""
	}
	return s.Argv[0]
}

// DataDir is Jupyter's data folder of this user: $JUPYTER_DATA_DIR, else the place that
// Jupyter documents for the operating system.
func DataDir() (string, error) {
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
		return "", fmt.Errorf("kernelspec: no home folder: %w; set JUPYTER_DATA_DIR to a folder you can write to", err)
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

// Dir is the folder of our kernel below Jupyter's data folder.
func Dir() (string, error) {
	data, err := DataDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(data, "kernels", Name), nil
}

// Write installs s for this user and returns the path of kernel.json. An older one is
// replaced, whole.
func Write(s Spec) (string, error) {
	if b := s.Binary(); !filepath.IsAbs(b) {
		return "", fmt.Errorf("kernelspec: the kernel's program is %q, want an absolute path: Jupyter starts it from the notebook's folder", b)
	}
	dir, err := Dir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("kernelspec: %w; set JUPYTER_DATA_DIR to a folder you can write to", err)
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

// Find reads the installed spec. Where there is none the error is fs.ErrNotExist.
func Find() (Spec, error) {
	var s Spec
	dir, err := Dir()
	if err != nil {
		return s, err
	}
	path := filepath.Join(dir, "kernel.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return s, fmt.Errorf("kernelspec: %w; run: tlkit setup", err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("kernelspec: %s is damaged: %w; run: tlkit setup", path, err)
	}
	return s, nil
}

// Remove takes our kernel out of Jupyter and returns the folder that went; "" when there
// was none.
func Remove() (string, error) {
	dir, err := Dir()
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
