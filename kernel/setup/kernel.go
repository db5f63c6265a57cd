package setup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/kernel/kernelspec"
	"github.com/tlkit/transfer-learning/kernel/shim"
	"github.com/tlkit/transfer-learning/kernel/wrapper"
)

// Options say what [Steps] sets up.
type Options struct {
	Self   string            // the binary that becomes the kernel
	Module kernelspec.Module // what cells compile against
	Bundle Bundle            // where downloads come from; zero = the network
	Needs  []Step            // what else cells need: the XLA plugin, weights
	// Warm are packages that the tutorials import. They are compiled once during set-up, in the
	// kernel's own environment.
	Warm []string
	// Smoke are cells that must run for the set-up to succeed.
	Smoke []string
}

// Steps returns the whole set-up of notebooks, in order.
func Steps(o Options) ([]Step, error) {
	t, err := openTools(o.Bundle)
	if err != nil {
		return nil, err
	}
	var steps []Step
	if o.Bundle.Dir != "" {
		steps = append(steps, o.Bundle.take())
	}
	steps = append(steps, t.sources(), t.build(gonb), t.build(goimports), jupyter(o.Bundle))
	steps = append(steps, o.Needs...)
	return append(steps, o.kernel(t), o.warm(t), o.smoke(), t.later(o.Self)), nil
}

// env is the environment that kernel.json gives the kernel.
func (o Options) env(t *tools) map[string]string {
	env := map[string]string{
		kernelspec.RootVar:    o.Module.Root,
		kernelspec.VersionVar: o.Module.Version,
		kernelspec.ToolsVar:   t.bin(),
	}
	if path, err := exec.LookPath("go"); err == nil {
		env[kernelspec.GoVar] = filepath.Dir(path)
	}
	if dir := os.Getenv(cachedir.EnvVar); dir != "" {
		if abs, err := filepath.Abs(dir); err == nil {
			env[cachedir.EnvVar] = abs
		}
	}
	maps.DeleteFunc(env, func(_, v string) bool { return v == "" })
	return env
}

// kernel is the step that copies this program and writes kernel.json. After a change of the
// checkout the program has another hash, so the step is not done.
func (o Options) kernel(t *tools) Step {
	wanted := func() (kernelspec.Spec, error) {
		path, err := kernelspec.KeptPath(o.Self)
		return kernelspec.New(path, o.env(t)), err
	}
	return Step{
		Name: "kernel", About: "Go (tlkit) in Jupyter's list of kernels: a copy of this program",
		Done: func(context.Context) (string, bool) {
			want, err := wanted()
			if err != nil {
				return "", false
			}
			have, err := kernelspec.Find()
			if err != nil {
				return "", false
			}
			a, _ := json.Marshal(have)
			b, _ := json.Marshal(want)
			copied, err := os.Stat(want.Binary())
			self, serr := os.Stat(o.Self)
			same := err == nil && serr == nil && copied.Size() == self.Size()
			return kernelspec.Display + ", cells compile against " + o.Module.String(), same && string(a) == string(b)
		},
		Do: func(context.Context, func(string)) (string, error) {
			kept, err := kernelspec.Keep(o.Self)
			if err != nil {
				return "", err
			}
			if _, err := kernelspec.Write(kernelspec.New(kept, o.env(t))); err != nil {
				return "", err
			}
			if _, err := kernelspec.Forget(kept); err != nil {
				return "", err
			}
			t.forgetOthers()
			return kernelspec.Display + ", cells compile against " + o.Module.String(), nil
		},
	}
}

// place is what the kernel will find when it starts.
func (o Options) place(ctx context.Context, t *tools) (wrapper.Place, error) {
	env := o.env(t)
	dir := o.Module.Root
	if dir == "" {
		dir = os.TempDir()
	}
	place, problems := wrapper.Look(ctx, dir, o.Self, func(k string) string {
		if v, ok := env[k]; ok {
			return v
		}
		return os.Getenv(k)
	})
	if len(problems) > 0 {
		return place, fmt.Errorf("setup: %w", problems[0])
	}
	return place, nil
}

// stamp returns the path and the content of a file that identifies what a step was done for.
func stamp(name string, parts ...string) (path, content string, err error) {
	dir, err := cachedir.Dir("kernel")
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return filepath.Join(dir, name), hex.EncodeToString(sum[:]), nil
}

func stamped(path, content string) bool {
	text, err := os.ReadFile(path)
	return err == nil && string(text) == content
}

// warm is the step that compiles what cells import, so that the first cell takes a second and not
// a minute.
func (o Options) warm(t *tools) Step {
	note := fmt.Sprintf("%d packages and what they need", len(o.Warm))
	return Step{
		Name: "go cache", About: "compiles the packages that cells import, with the kernel's settings: 10-60 s once",
		Done: func(ctx context.Context) (string, bool) {
			if len(o.Warm) == 0 {
				return "no packages to compile", true
			}
			path, content, err := o.warmStamp(ctx)
			return note, err == nil && stamped(path, content)
		},
		Do: func(ctx context.Context, _ func(string)) (string, error) {
			if err := o.compileWarm(ctx, t); err != nil {
				return "", err
			}
			path, content, err := o.warmStamp(ctx)
			if err != nil {
				return "", err
			}
			return note, atomicfile.WriteBytes(path, []byte(content), 0o600)
		},
	}
}

// warmStamp identifies what was compiled: the packages, Go's version and settings, and its cache.
func (o Options) warmStamp(ctx context.Context) (path, content string, err error) {
	gosum, _ := os.ReadFile(filepath.Join(o.Module.Root, "go.sum"))
	out, err := output(ctx, "", os.Environ(), "go", "env", "GOVERSION", "GOCACHE", "CGO_ENABLED", "GOEXPERIMENT")
	if err != nil {
		return "", "", err
	}
	cache := strings.Split(out, "\n")[1]
	// A cache that was cleared since has another folder, or none.
	born := ""
	if info, err := os.Stat(filepath.Join(cache, "00")); err == nil {
		born = identity(info)
	}
	return stamp("warm", append([]string{o.Module.String(), string(gosum), out, born}, o.Warm...)...)
}

// compileWarm builds a program that imports what cells import, as the kernel would build a cell.
func (o Options) compileWarm(ctx context.Context, t *tools) error {
	place, err := o.place(ctx, t)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tlk-warm-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	env := append(wrapper.Environ(os.Environ(), place, ""), o.Bundle.goEnv()...)
	goTool := func(args ...string) error { return command(ctx, dir, env, place.Go, args...) }
	if err := goTool("mod", "init", "gonb_warm"); err != nil {
		return err
	}
	if o.Module.Root != "" {
		if err := goTool("work", "init", o.Module.Root, "."); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(o.warmProgram()), 0o600); err != nil {
		return err
	}
	if err := shim.Prepare(dir, shim.Pins(lookup(env)), false); err != nil {
		return err
	}
	if o.Module.Root == "" {
		if err := goTool("get"); err != nil {
			return err
		}
	}
	return goTool("build", "-o", filepath.Join(dir, "cell"), ".")
}

func (o Options) warmProgram() string {
	var main strings.Builder
	main.WriteString("package main\n\nimport (\n\t\"fmt\"\n")
	packages := append([]string{}, o.Warm...)
	sort.Strings(packages)
	for _, p := range packages {
		fmt.Fprintf(&main, "\t_ %q\n", p)
	}
	main.WriteString(")\n\nfunc main() { fmt.Println() }\n")
	return main.String()
}

// lookup reads a variable from an environment, in which later settings win.
func lookup(env []string) func(string) string {
	return func(k string) string {
		for i := len(env) - 1; i >= 0; i-- {
			if name, v, _ := strings.Cut(env[i], "="); name == k {
				return v
			}
		}
		return ""
	}
}

// smoke is the step that runs a small notebook through Jupyter, the kernel, the compiler and XLA.
func (o Options) smoke() Step {
	what := func(ctx context.Context) (path, content string, err error) {
		s, err := kernelspec.Find()
		if err != nil {
			return "", "", err
		}
		text, _ := json.Marshal(s)
		j, err := FindJupyter(ctx)
		if err != nil {
			return "", "", err
		}
		return stamp("smoke", append([]string{string(text), j.String()}, o.Smoke...)...)
	}
	return Step{
		Name: "smoke notebook", About: fmt.Sprintf("%d cells through JupyterLab's own machinery and the new kernel: 5-15 s", len(o.Smoke)),
		Done: func(ctx context.Context) (string, bool) {
			path, content, err := what(ctx)
			return "has run with this kernel", err == nil && stamped(path, content)
		},
		Do: func(ctx context.Context, _ func(string)) (string, error) {
			j, err := FindJupyter(ctx)
			if err != nil {
				return "", err
			}
			dir, err := os.MkdirTemp("", "tlk-smoke-")
			if err != nil {
				return "", err
			}
			defer os.RemoveAll(dir)
			in := filepath.Join(dir, "smoke.ipynb")
			if err := os.WriteFile(in, Notebook(o.Smoke...), 0o600); err != nil {
				return "", err
			}
			r, err := j.Execute(ctx, Job{Notebook: in, Out: in, Timeout: 5 * time.Minute})
			if err != nil {
				return "", err
			}
			if !r.OK {
				return "", fmt.Errorf("cell %d of the smoke notebook: %s", r.Cell, r.Why)
			}
			path, content, err := what(ctx)
			if err != nil {
				return "", err
			}
			return strings.ReplaceAll(r.Last, "\n", "; "), atomicfile.WriteBytes(path, []byte(content), 0o600)
		},
	}
}

// Notebook returns a notebook of code cells for the kernel, not yet run.
func Notebook(cells ...string) []byte {
	type cell struct {
		ID       string         `json:"id"`
		Type     string         `json:"cell_type"`
		Count    any            `json:"execution_count"`
		Metadata map[string]any `json:"metadata"`
		Outputs  []any          `json:"outputs"`
		Source   string         `json:"source"`
	}
	all := []cell{}
	for i, c := range cells {
		all = append(all, cell{ID: fmt.Sprintf("cell-%d", i+1), Type: "code", Metadata: map[string]any{}, Outputs: []any{}, Source: c})
	}
	text, _ := json.MarshalIndent(map[string]any{
		"nbformat": 4, "nbformat_minor": 5, "cells": all,
		"metadata": map[string]any{"kernelspec": map[string]string{"name": kernelspec.Name, "display_name": kernelspec.Display, "language": "go"}},
	}, "", " ")
	return append(text, '\n')
}
