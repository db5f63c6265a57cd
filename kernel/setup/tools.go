package setup

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/kernel/kernelspec"
)

// The tools module: a go.mod with exact versions, and the sums that make the build the same
// everywhere. It is written to the cache and vendored there. gopls and goimports have to come from
// the same version of x/tools.
//
//go:embed tools.go.mod.txt
var toolsMod string

//go:embed tools.go.sum.txt
var toolsSum string

// tool is a program that is built from the tools module.
type tool struct{ name, pkg, version, about string }

var (
	gonb      = tool{"gonb", "github.com/janpfeifer/gonb", "v0.11.5", "GoNB, which runs Go in Jupyter, built from source: 15-30 s"}
	goimports = tool{"goimports", "golang.org/x/tools/cmd/goimports", "v0.47.1", "adds missing imports to cells, built from source: 5-10 s"}
	gopls     = tool{"gopls", "golang.org/x/tools/gopls", "v0.23.0", "completion in cells, built in the background: 1-2 min"}
)

// tools is the folder in the cache with one version of the tools.
type tools struct {
	dir    string
	bundle Bundle
}

// openTools opens the folder, which is named after everything that the build depends on.
func openTools(b Bundle) (*tools, error) {
	h := sha256.New()
	for _, part := range []string{toolsMod, toolsSum, patchText(), runtime.GOOS, runtime.GOARCH} {
		fmt.Fprintf(h, "%d\n%s", len(part), part)
	}
	dir, err := cachedir.Dir("kernel", "tools-"+hex.EncodeToString(h.Sum(nil))[:12])
	if err != nil {
		return nil, err
	}
	return &tools{dir: dir, bundle: b}, nil
}

// Bin returns the folder of the tools, which set-up may still have to build.
func Bin() (string, error) {
	t, err := openTools(Bundle{})
	if err != nil {
		return "", err
	}
	return t.bin(), nil
}

func (t *tools) bin() string { return filepath.Join(t.dir, "bin") }
func (t *tools) src() string { return filepath.Join(t.dir, "src") }

func (t *tools) program(name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(t.bin(), name)
}

// sound reports whether a tool is there, unchanged since it was built. A truncated or replaced file
// is built again.
func (t *tools) sound(name string) bool {
	want, err := os.ReadFile(t.program(name) + ".sha256")
	if err != nil {
		return false
	}
	text, err := os.ReadFile(t.program(name))
	if err != nil {
		return false
	}
	sum := sha256.Sum256(text)
	return string(want) == hex.EncodeToString(sum[:])
}

const vendoredMark = "vendored"

// sources writes the tools module and vendors it, patched. The modules come from Go's
// module cache or through its proxy, checked by go.sum.
func (t *tools) sources() Step {
	return Step{
		Name: "tool sources", About: "GoNB, goimports and gopls, 80 MB through the Go module proxy",
		Done: func(context.Context) (string, bool) {
			if t.sound(gonb.name) && t.sound(goimports.name) && t.sound(gopls.name) {
				return "not needed: the tools are built", true
			}
			_, err := os.Stat(filepath.Join(t.src(), vendoredMark))
			return "vendored, patched", err == nil
		},
		Do: func(ctx context.Context, say func(string)) (string, error) {
			if err := os.RemoveAll(t.src()); err != nil {
				return "", err
			}
			if err := os.MkdirAll(t.src(), 0o700); err != nil {
				return "", err
			}
			for name, text := range map[string]string{"go.mod": toolsMod, "go.sum": toolsSum} {
				if err := os.WriteFile(filepath.Join(t.src(), name), []byte(text), 0o600); err != nil {
					return "", err
				}
			}
			if err := t.run(ctx, "go", "mod", "vendor"); err != nil {
				return "", err
			}
			applied, err := applyPatches(t.src())
			if err != nil {
				return "", err
			}
			for _, p := range patches {
				if !applied[p.name] {
					say("GoNB's source is not the expected one; left out: the fix for " + p.name)
				}
			}
			if err := atomicfile.WriteBytes(filepath.Join(t.src(), vendoredMark), nil, 0o600); err != nil {
				return "", err
			}
			return fmt.Sprintf("vendored, %d of %d fixes applied", len(applied), len(patches)), nil
		},
	}
}

// build is the step that builds one tool.
func (t *tools) build(b tool) Step {
	return Step{
		Name: b.name, About: b.about,
		Done: func(context.Context) (string, bool) { return b.version, t.sound(b.name) },
		Do: func(ctx context.Context, _ func(string)) (string, error) {
			return b.version, t.compile(ctx, b)
		},
	}
}

func (t *tools) compile(ctx context.Context, b tool) error {
	if err := os.MkdirAll(t.bin(), 0o700); err != nil {
		return err
	}
	part := t.program(b.name) + ".part"
	defer os.Remove(part)
	if err := t.run(ctx, "go", "build", "-ldflags=-s", "-o", part, b.pkg); err != nil {
		return err
	}
	text, err := os.ReadFile(part)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	if err := os.Rename(part, t.program(b.name)); err != nil {
		return err
	}
	return atomicfile.WriteBytes(t.program(b.name)+".sha256", []byte(hex.EncodeToString(sum[:])), 0o600)
}

// run runs a command in the tools module, without the settings that belong to other modules.
func (t *tools) run(ctx context.Context, name string, args ...string) error {
	flags := "-mod=vendor"
	if len(args) > 1 && args[0] == "mod" {
		flags = "-mod=mod"
	}
	env := append(os.Environ(), "GOFLAGS="+flags, "GOWORK=off", "CGO_ENABLED=0")
	return command(ctx, t.src(), append(env, t.bundle.goEnv()...), name, args...)
}

// command runs a program. The error has the end of its output.
func command(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, env, 5*time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, lastLines(string(out), 8))
}

// lastLines returns the last n lines of a text.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// forgetOthers removes other versions of the tools, unless a kernel or a build uses them.
func (t *tools) forgetOthers() {
	dirs, _ := filepath.Glob(filepath.Join(filepath.Dir(t.dir), "tools-*"))
	for _, dir := range dirs {
		other := &tools{dir: dir}
		if dir != t.dir && !kernelspec.InUse(other.program(gonb.name)) && !other.building() {
			os.RemoveAll(dir)
		}
	}
}

// later is the step that starts a process which builds gopls: the kernel works without it.
func (t *tools) later(self string) Step {
	return Step{
		Name: gopls.name, About: gopls.about, Optional: true,
		Done: func(context.Context) (string, bool) {
			if t.building() {
				return buildingNote, true
			}
			return gopls.version, t.sound(gopls.name)
		},
		Do: func(ctx context.Context, _ func(string)) (string, error) {
			log, err := os.Create(filepath.Join(t.dir, "gopls.log"))
			if err != nil {
				return "", err
			}
			defer log.Close()
			cmd := exec.Command(self, "kernel", "--build-gopls")
			if nice, err := exec.LookPath("nice"); err == nil {
				cmd = exec.Command(nice, "-n", "10", self, "kernel", "--build-gopls")
			}
			cmd.Dir, cmd.Stdout, cmd.Stderr = t.dir, log, log
			cmd.Env = append(os.Environ(), t.bundle.goEnv()...)
			detach(cmd)
			if err := cmd.Start(); err != nil {
				return "", err
			}
			cmd.Process.Release()
			return buildingNote, errLater
		},
	}
}

// buildingNote describes a gopls that is not ready yet.
const buildingNote = "is being built; completion works once it is there"

func (t *tools) goplsLock() *flock.Flock { return flock.New(filepath.Join(t.dir, "gopls.lock")) }

// building reports whether a process is building gopls.
func (t *tools) building() bool {
	lock := t.goplsLock()
	ok, err := lock.TryLock()
	if ok {
		lock.Unlock()
	}
	return err == nil && !ok
}

// BuildGopls builds gopls in this process, unless it is there or another process is building it.
func BuildGopls(ctx context.Context) error {
	t, err := openTools(Bundle{})
	if err != nil {
		return err
	}
	lock := t.goplsLock()
	if ok, err := lock.TryLock(); err != nil || !ok {
		return err
	}
	defer lock.Unlock()
	if t.sound(gopls.name) {
		return nil
	}
	return t.compile(ctx, gopls)
}
