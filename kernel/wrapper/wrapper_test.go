package wrapper

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/tlkit/transfer-learning/kernel/kernelspec"
)

// goodMachine makes tools and a checkout in folders of their own, and an environment for Look.
func goodMachine(t *testing.T) (env map[string]string, dir string) {
	dir = t.TempDir()
	tools, root := filepath.Join(dir, "tools"), filepath.Join(dir, "check out")
	for path, text := range map[string]string{
		filepath.Join(tools, "gonb"): "x", filepath.Join(tools, "goimports"): "x",
		filepath.Join(root, "go.mod"): "module " + kernelspec.ModulePath + "\n\ngo 1.26.5\n",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]string{kernelspec.ToolsVar: tools, kernelspec.RootVar: root}, dir
}

func look(t *testing.T, env map[string]string, dir string) (Place, []Problem) {
	t.Helper()
	return Look(context.Background(), dir, "/self", func(k string) string { return env[k] })
}

// program writes a script that stands for go.
func program(t *testing.T, script string) {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":/bin:/usr/bin")
}

func TestLookNamesEveryProblemAndItsRepair(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("scripts stand for programs here")
	}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, env map[string]string)
		what  []string
	}{
		"all is well":  {func(*testing.T, map[string]string) {}, nil},
		"no go":        {func(t *testing.T, _ map[string]string) { t.Setenv("PATH", t.TempDir()) }, []string{"no go command", "go.dev/dl"}},
		"old go":       {func(t *testing.T, _ map[string]string) { program(t, `echo '{"GOVERSION":"go1.24.1"}'`) }, []string{"1.24.1 is too old", "1.26.5"}},
		"refusing go":  {func(t *testing.T, _ map[string]string) { program(t, `echo 'go.mod requires go >= 1.26.5' >&2; exit 1`) }, []string{"does not work", "requires go >= 1.26.5"}},
		"nonsense":     {func(t *testing.T, _ map[string]string) { program(t, `echo hello`) }, []string{"nonsense"}},
		"moved":        {func(_ *testing.T, env map[string]string) { env[kernelspec.RootVar] = "/no/where" }, []string{"is gone: /no/where", "go tool tlkit setup"}},
		"no tools":     {func(t *testing.T, env map[string]string) { env[kernelspec.ToolsVar] = t.TempDir() }, []string{"gonb is not where", "tlkit setup"}},
		"no temporary": {func(t *testing.T, _ map[string]string) { t.Setenv("TMPDIR", "/no/where") }, []string{"cannot be written", "TMPDIR"}},
		"two at once": {func(t *testing.T, env map[string]string) {
			env[kernelspec.ToolsVar] = t.TempDir()
			t.Setenv("PATH", t.TempDir())
		}, []string{"gonb is not where", "no go command"}},
	} {
		t.Run(name, func(t *testing.T) {
			env, dir := goodMachine(t)
			c.spoil(t, env)
			_, problems := look(t, env, dir)
			var text strings.Builder
			for _, p := range problems {
				if p.What == "" || p.Repair == "" {
					t.Errorf("half a problem: %+v", p)
				}
				text.WriteString(p.Error() + "\n")
			}
			if c.what == nil && len(problems) > 0 {
				t.Errorf("problems on a good machine: %s", text.String())
			}
			for _, w := range c.what {
				if !strings.Contains(text.String(), w) {
					t.Errorf("want %q in:\n%s", w, text.String())
				}
			}
		})
	}
}

func TestTheCheckoutAroundTheNotebookComesFirst(t *testing.T) {
	env, dir := goodMachine(t)
	other := filepath.Join(dir, "other")
	os.MkdirAll(filepath.Join(other, "notebooks"), 0o755)
	os.WriteFile(filepath.Join(other, "go.mod"), []byte("module "+kernelspec.ModulePath+"\n"), 0o644)
	if p, _ := look(t, env, filepath.Join(other, "notebooks")); p.Module.Root != other {
		t.Errorf("inside a checkout: %s, want %s", p.Module.Root, other)
	}
	if p, _ := look(t, env, t.TempDir()); p.Module.Root != env[kernelspec.RootVar] {
		t.Errorf("elsewhere: %s, want what set-up knew", p.Module.Root)
	}
}

func TestEnviron(t *testing.T) {
	p := Place{Tools: "/tools", Go: "/usr/go/bin/go", Module: kernelspec.Module{Root: "/src"}}
	for _, c := range []struct{ flags, base, key, want string }{
		{"", "", "GOFLAGS", "-ldflags=-s"},
		{"-mod=vendor -trimpath", "", "GOFLAGS", "-trimpath -ldflags=-s"},
		{"-mod=mod", "", "GOFLAGS", "-ldflags=-s"},
		{"'-ldflags=-s -w' --modfile=x.mod -v", "", "GOFLAGS", "'-ldflags=-s -w' -v"},
		{"", "GOWORK=off", "GOWORK", "auto"},
		{"", "", "GO_EXTLINK_ENABLED", "0"},
		{"", "GO_EXTLINK_ENABLED=1", "GO_EXTLINK_ENABLED", "1"},
		{"", "PATH=/bin", "PATH", "/room/bin:/tools:/bin:/usr/go/bin"},
		{"", "TMPDIR=/tmp", "TMPDIR", "/room"},
		{"", kernelspec.VersionVar + "=v1.0.0", kernelspec.VersionVar, ""},
		{"", "HOME=/h=x", "HOME", "/h=x"},
	} {
		p.Flags = c.flags
		seen := 0
		for _, kv := range Environ([]string{c.base}, p, "/room") {
			if k, v, _ := strings.Cut(kv, "="); k == c.key {
				seen++
				if v != c.want {
					t.Errorf("with %q, %q: %s = %q, want %q", c.flags, c.base, k, v, c.want)
				}
			}
		}
		if seen != 1 {
			t.Errorf("%s stands %d times", c.key, seen)
		}
	}
}

func TestSweepTakesOnlyWhatLostItsKernel(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	dead, alive, foreign := filepath.Join(temp, "tlk-dead"), filepath.Join(temp, "tlk-alive"), filepath.Join(temp, "tlk-foreign")
	for _, d := range []string{dead, alive, foreign} {
		os.MkdirAll(filepath.Join(d, "gonb_x"), 0o700)
		if d != foreign {
			os.WriteFile(filepath.Join(d, lockName), nil, 0o600)
		}
	}
	held := flock.New(filepath.Join(alive, lockName))
	if ok, err := held.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	defer held.Unlock()
	r, err := newRoom()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{dead: false, alive: true, foreign: true, r.dir: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s there: %v, want %v", filepath.Base(path), err == nil, want)
		}
	}
	r.leave()
	if _, err := os.Stat(r.dir); err == nil {
		t.Error("the room stays after its kernel")
	}
}

// A process that is about to end may write into the room while it is removed. Nothing stays, and
// until it is gone the room can be told from a folder of somebody else by its lock file.
func TestRemoveOutlastsALateWriter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tlk-late")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, lockName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		for begin := time.Now(); time.Since(begin) < 250*time.Millisecond; {
			if os.Mkdir(filepath.Join(dir, "go-build1"), 0o700) == nil {
				if _, err := os.Stat(filepath.Join(dir, lockName)); err != nil {
					return // between the look and the removal: the last try takes it
				}
			}
		}
	}()
	remove(dir)
	<-done
	if entries, err := os.ReadDir(dir); err == nil {
		if _, err := os.Stat(filepath.Join(dir, lockName)); err != nil {
			t.Errorf("%v stays, without the lock file", entries)
		}
	}
}

// A helper left by a killed kernel is ended; a program of another room, or with another
// name, is not.
func TestHelpersOfTheRoomAreEnded(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("helpers are found through /proc")
	}
	dir := t.TempDir()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip(err)
	}
	text, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	start := func(name, room string) *exec.Cmd {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(path, "60")
		cmd.Env = []string{"HOME=/", "TMPDIR=" + room}
		if err := cmd.Start(); err != nil {
			t.Skip(err) // a sleep that is a link to something bigger
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		return cmd
	}
	ours, list := start("gopls", "/room/1"), start("go", "/room/1")
	cell, other := start("gonb_cell", "/room/1"), start("gonb", "/room/12")
	time.Sleep(50 * time.Millisecond)
	endHelpers("/room/1")
	ended := make(chan error, 1)
	go func() { ended <- errors.Join(ours.Wait(), list.Wait()) }()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("a helper lives on")
	}
	for _, c := range []*exec.Cmd{cell, other} {
		if state, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(c.Process.Pid), "stat")); err != nil || strings.Contains(string(state), ") Z ") {
			t.Errorf("%s was ended too", c.Path)
		}
	}
}

func TestTailKeepsTheEndInPlainText(t *testing.T) {
	var w tailWriter
	w.last.WriteString(strings.Repeat("x\n", 3000))
	w.Write([]byte("\x1b[31mlast\x1b[0m words\a\n"))
	if got := w.String(); !strings.HasSuffix(got, "last words") || strings.Count(got, "\n") > 12 {
		t.Errorf("%q", got)
	}
}
