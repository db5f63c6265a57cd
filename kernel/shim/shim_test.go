package shim

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/kernel/kernelspec"
)

// cell makes a cell's folder the way GoNB does.
func cell(t *testing.T, gomod, main string) string {
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": gomod, "main.go": main} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, elem ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const fresh = "module gonb_1234\n\ngo 1.26\n"

func TestPinsAreAddedOnce(t *testing.T) {
	checkout := Pins(func(k string) string { return map[string]string{kernelspec.RootVar: "/src/a b"}[k] })
	release := Pins(func(k string) string { return map[string]string{kernelspec.VersionVar: "v1.2.3"}[k] })
	for name, c := range map[string]struct {
		pins []Pin
		mod  string
		main string
		want []string
		not  string
	}{
		"checkout": {checkout, fresh, "package main", []string{"require " + kernelspec.ModulePath + " v0.0.0\n", "replace " + kernelspec.ModulePath + ` => "/src/a b"` + "\n"}, "gonb v"},
		"checkout, replaced by GoNB's go.work": {checkout, fresh + "\nreplace " + kernelspec.ModulePath + " => /src/a\n", "package main",
			[]string{"require " + kernelspec.ModulePath + " v0.0.0\n", "=> /src/a\n"}, "a b"},
		"release":            {release, fresh, "package main", []string{"require " + kernelspec.ModulePath + " v1.2.3\n"}, "replace"},
		"the person's own":   {release, fresh + "\nrequire (\n\t" + kernelspec.ModulePath + " v1.0.0\n)\n", "package main", []string{" v1.0.0\n"}, "v1.2.3"},
		"gonbui is imported": {nil, fresh, "package main\nimport \"github.com/janpfeifer/gonb/gonbui\"\n", []string{"require github.com/janpfeifer/gonb v0.11.5\n"}, kernelspec.ModulePath},
		"nothing to pin":     {nil, fresh, "package main", nil, "require"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := cell(t, c.mod, c.main)
			for range 2 {
				if err := Prepare(dir, c.pins, false); err != nil {
					t.Fatal(err)
				}
			}
			got := read(t, dir, "go.mod")
			for _, w := range c.want {
				if strings.Count(got, w) != 1 {
					t.Errorf("go.mod has %q %d times, want once:\n%s", w, strings.Count(got, w), got)
				}
			}
			if strings.Contains(got, c.not) {
				t.Errorf("go.mod has %q:\n%s", c.not, got)
			}
			if out, err := exec.Command("go", "mod", "edit", "-json", filepath.Join(dir, "go.mod")).CombinedOutput(); err != nil {
				t.Errorf("go cannot read it: %s", out)
			}
		})
	}
}

func TestSumsOfTheCheckoutAreTheCells(t *testing.T) {
	root := t.TempDir()
	os.WriteFile(filepath.Join(root, "go.sum"), []byte("a v1.0.0 h1:x=\nb v1.0.0 h1:y=\n"), 0o600)
	dir := cell(t, fresh, "package main")
	os.WriteFile(filepath.Join(dir, "go.sum"), []byte("b v1.0.0 h1:y=\nc v1.0.0 h1:z=\n"), 0o600)
	for range 2 {
		if err := Prepare(dir, []Pin{{Path: kernelspec.ModulePath, Version: "v0.0.0", Folder: root}}, false); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, dir, "go.sum"); got != "b v1.0.0 h1:y=\nc v1.0.0 h1:z=\na v1.0.0 h1:x=\n" {
		t.Errorf("go.sum is %q", got)
	}
}

func TestPreludeFollowsTheKindOfCell(t *testing.T) {
	dir := cell(t, fresh, "package main")
	for _, test := range []bool{false, true, false} {
		if err := Prepare(dir, nil, test); err != nil {
			t.Fatal(err)
		}
		here, away := preludeName, preludeTestName
		if test {
			here, away = away, here
		}
		read(t, dir, here)
		if _, err := os.Stat(filepath.Join(dir, away)); err == nil {
			t.Errorf("test %v: %s is still there", test, away)
		}
	}
}

// The prelude is compiled into a cell and moves the log: nothing is left on standard error.
func TestPreludeMovesTheLog(t *testing.T) {
	dir := cell(t, fresh, "package main\nimport \"log\"\nfunc main() { log.SetFlags(log.Lshortfile); log.Print(\"hello\") }\n")
	if err := Prepare(dir, nil, false); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "run", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-ldflags=-s", "GOWORK=off")
	out, err := cmd.Output()
	if err != nil || string(out) != "main.go:3: hello\n" {
		t.Errorf("standard output %q, %v", out, err)
	}
}

func TestMissingGoimportsIsSaid(t *testing.T) {
	t.Chdir(cell(t, fresh, "package main"))
	t.Setenv(kernelspec.ToolsVar, t.TempDir())
	var out, errs strings.Builder
	if status := Main([]string{"-w", "main.go"}, &out, &errs); status != 1 || !strings.Contains(errs.String(), "tlkit setup") {
		t.Errorf("status %d, %q", status, errs.String())
	}
}

func TestIs(t *testing.T) {
	if !Is("/tmp/x/goimports") || !Is("goimports.exe") || Is("/usr/bin/tlkit") {
		t.Error("the shim does not know its own name")
	}
}
