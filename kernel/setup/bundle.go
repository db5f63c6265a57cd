package setup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/fetch"
)

// Bundle is a folder with everything that set-up would download, made by [MakeBundle] on a machine
// of the same kind that has a network. The zero value stands for no bundle.
//
//	modules/   a Go module proxy as files
//	wheels/    JupyterLab and what it needs
//	files/     XLA, ONNX Runtime and weights, under the names that $TLKIT_INCOMING needs
type Bundle struct {
	Dir     string `json:"-"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	Python  string `json:"python"` // "3.11": wheels are made for one
	Version int    `json:"version"`
}

const bundleFile = "tlkit-bundle.json"

// OpenBundle reads a bundle. A bundle for another kind of machine is an error.
func OpenBundle(dir string) (Bundle, error) {
	var b Bundle
	abs, err := filepath.Abs(dir)
	if err != nil {
		return b, fmt.Errorf("setup: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(abs, bundleFile))
	if errors.Is(err, fs.ErrNotExist) {
		return b, advice.New(fmt.Errorf("setup: %s is not a bundle (it has no %s)", dir, bundleFile), "make one on a machine with a network: tlkit setup --make-bundle DIR")
	}
	if err != nil {
		return b, fmt.Errorf("setup: %w", err)
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return b, fmt.Errorf("setup: %s in %s is damaged: %w", bundleFile, dir, err)
	}
	if b.OS != runtime.GOOS || b.Arch != runtime.GOARCH || b.Version != 1 {
		return b, advice.New(fmt.Errorf("setup: the bundle is for %s/%s (format %d), this machine is %s/%s (format 1)", b.OS, b.Arch, b.Version, runtime.GOOS, runtime.GOARCH), "make one on a machine like this: tlkit setup --make-bundle DIR")
	}
	b.Dir = abs
	return b, nil
}

// goEnv makes Go take modules from the bundle. They are still checked against go.sum.
func (b Bundle) goEnv() []string {
	if b.Dir == "" {
		return nil
	}
	return []string{"GOPROXY=file://" + filepath.ToSlash(filepath.Join(b.Dir, "modules")), "GOSUMDB=off", "GOTOOLCHAIN=local"}
}

// pipArgs makes pip take wheels from the bundle.
func (b Bundle) pipArgs() []string {
	if b.Dir == "" {
		return nil
	}
	return []string{"--no-index", "--find-links", filepath.Join(b.Dir, "wheels")}
}

// take is the step that puts the bundle's files where fetch looks before it downloads.
func (b Bundle) take() Step {
	from := filepath.Join(b.Dir, "files")
	return Step{
		Name: "bundle", About: "files of the offline bundle",
		Done: func(context.Context) (string, bool) {
			names, err := os.ReadDir(from)
			if err != nil {
				return "has no files", true
			}
			in, err := fetch.Incoming()
			for _, n := range names {
				if _, missing := os.Stat(filepath.Join(in, n.Name())); err == nil && missing != nil {
					return "", false
				}
			}
			return fmt.Sprintf("%d files", len(names)), err == nil
		},
		Do: func(context.Context, func(string)) (string, error) {
			in, err := fetch.Incoming()
			if err != nil {
				return "", err
			}
			names, err := os.ReadDir(from)
			if err != nil {
				return "", err
			}
			for _, n := range names {
				if err := copyFile(filepath.Join(from, n.Name()), filepath.Join(in, n.Name())); err != nil {
					return "", err
				}
			}
			return fmt.Sprintf("%d files", len(names)), nil
		},
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return atomicfile.Write(to, 0o600, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}

// MakeBundle fills dir with what a machine without a network needs: the modules of the tools and
// of the checkout at root ("" for none), JupyterLab's wheels, and files, which are in the cache
// already, by the name under which they are looked for.
func MakeBundle(ctx context.Context, dir, root string, files map[string]string, say func(string)) (Bundle, error) {
	b := Bundle{OS: runtime.GOOS, Arch: runtime.GOARCH, Version: 1}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return b, fmt.Errorf("setup: %w", err)
	}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return b, fmt.Errorf("setup: %w", err)
	}
	python, v, err := basePython(ctx)
	if err != nil {
		return b, err
	}
	b.Python = v
	say("modules of the tools and of tlkit")
	if err := bundleModules(ctx, abs, root); err != nil {
		return b, fmt.Errorf("setup: %w", err)
	}
	say("JupyterLab and what it needs")
	args := append([]string{"-m", "pip", "download", "--quiet", "--only-binary=:all:", "-d", filepath.Join(abs, "wheels")}, jupyterPins...)
	if err := command(ctx, abs, os.Environ(), python, args...); err != nil {
		return b, fmt.Errorf("setup: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(abs, "files"), 0o755); err != nil {
		return b, fmt.Errorf("setup: %w", err)
	}
	for name, path := range files {
		say(name)
		if err := copyFile(path, filepath.Join(abs, "files", name)); err != nil {
			return b, fmt.Errorf("setup: %w", err)
		}
	}
	text, err := json.MarshalIndent(b, "", " ")
	if err != nil {
		return b, fmt.Errorf("setup: %w", err)
	}
	// Last, because a folder without it is not a bundle.
	if err := atomicfile.WriteBytes(filepath.Join(abs, bundleFile), append(text, '\n'), 0o644); err != nil {
		return b, fmt.Errorf("setup: %w", err)
	}
	b.Dir = abs
	return b, nil
}

// bundleModules fills an empty module cache with exactly what the builds read. The download part
// of a module cache is laid out like a module proxy.
func bundleModules(ctx context.Context, dir, root string) error {
	work, err := cachedir.Dir("kernel", "bundle")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	out, err := output(ctx, "", os.Environ(), "go", "env", "GOMODCACHE", "GOPROXY")
	if err != nil {
		return err
	}
	have, proxy, _ := strings.Cut(strings.TrimSpace(out), "\n")
	cache := filepath.Join(work, "cache")
	env := append(os.Environ(), "GOMODCACHE="+cache, "GOWORK=off", "GOFLAGS=-mod=mod -modcacherw", "CGO_ENABLED=1",
		// Modules that are on this machine are copied, not downloaded.
		"GOPROXY=file://"+filepath.ToSlash(filepath.Join(have, "cache", "download"))+","+proxy)
	module := filepath.Join(work, "tools")
	if err := os.MkdirAll(module, 0o700); err != nil {
		return err
	}
	for name, text := range map[string]string{"go.mod": toolsMod, "go.sum": toolsSum} {
		if err := os.WriteFile(filepath.Join(module, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := command(ctx, module, env, "go", "mod", "vendor"); err != nil {
		return err
	}
	if root != "" {
		if err := command(ctx, root, append(env, "GOFLAGS=-mod=readonly -modcacherw"), "go", "mod", "download"); err != nil {
			return err
		}
		if err := command(ctx, root, append(env, "GOFLAGS=-mod=readonly -modcacherw"), "go", "list", "-deps", "./..."); err != nil {
			return err
		}
	}
	to := filepath.Join(dir, "modules")
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(filepath.Join(cache, "cache", "download")))
}
