package inventory

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/tlkit/transfer-learning/internal/cachedir"
)

const kilo = 64 << 10 // several blocks of any disk

// filled makes a cache of its own with one entry of each kind, all of them 40 days old but what
// recent names.
func filled(t *testing.T, recent ...string) string {
	t.Helper()
	root := t.TempDir()
	t.Setenv(cachedir.EnvVar, root)
	sum := strings.Repeat("ab", 32)
	for _, name := range []string{
		"files/" + sum + "/resnet18.pth", "files/" + sum + "/.resnet18.pth.stamp",
		"files/" + strings.Repeat("cd", 32) + "/pjrt.so", "files/" + strings.Repeat("ef", 32) + "/set.tgz",
		"cuda/12/lib.so", "sets/insects-v1/train/ants/1.png", "features/old.rows", "features/old.rows.lock", "features/new.rows",
		"compile/p.xla", "kernel/tools-1/bin/gonb", "kernel/jupyter/bin/python", "kernel/setup.lock",
		"part/" + sum + "-resnet18.pth.part", "tmp/fetch-1/half", "sets/.new-insects-1/1.png", "cuda/12.parts/x",
		"incoming/mine.zip", "locks/" + sum + ".lock", "locks/set-insects-v1.lock", "stamps/1", "homes/x",
	} {
		write(t, root, name, kilo)
		if !slices.Contains(recent, name) {
			old := time.Now().Add(-40 * 24 * time.Hour)
			if err := os.Chtimes(filepath.Join(root, name), old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(root, "homes", "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

func write(t *testing.T, root, name string, size int) {
	t.Helper()
	p := filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(strings.Repeat("x", size)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T) *List {
	t.Helper()
	l, err := Read(func(name string) (Kind, string) {
		if name == "resnet18.pth" {
			return Weights, "resnet18"
		}
		return "", ""
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *List) find(t *testing.T, path string) Entry {
	t.Helper()
	i := slices.IndexFunc(l.Entries, func(e Entry) bool { return strings.HasPrefix(e.Path, path) })
	if i < 0 {
		t.Fatalf("no entry %s", path)
	}
	return l.Entries[i]
}

func paths(entries []Entry) string {
	var out []string
	for _, e := range entries {
		out = append(out, e.Path)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestEachKindIsRecognised(t *testing.T) {
	filled(t)
	l := read(t)
	for path, kind := range map[string]Kind{
		"files/abab": Weights, "files/cdcd": Plugin, "files/efef": Data, "cuda/12": Plugin, "sets/insects": Data,
		"features/old.rows": Features, "features/new.rows": Features, "compile/p.xla": Compiled, "kernel/tools-1": Kernel,
		"kernel/jupyter": Kernel, "part/": Partial, "tmp/fetch-1": Partial, "sets/.new": Partial, "cuda/12.parts": Partial,
		"incoming/mine.zip": Incoming, "locks": Notes, "stamps": Notes,
	} {
		if e := l.find(t, path); e.Kind != kind || e.InUse || e.Bytes < kilo && kind != Notes {
			t.Errorf("%s: %+v, want %s", path, e, kind)
		}
	}
	if e := l.find(t, "files/abab"); e.About != "resnet18" || time.Since(e.Used) < 39*24*time.Hour {
		t.Errorf("%+v", e)
	}
	if strings.Contains(paths(l.Entries), "rows.lock") {
		t.Error("the lock of features is an entry of its own")
	}
}

// Sizes are those on the disk: holes take none, and a file with two names is there once.
func TestSizesAreThoseOnTheDisk(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("blocks and links are not told")
	}
	root := t.TempDir()
	t.Setenv(cachedir.EnvVar, root)
	write(t, root, "features/a.rows", kilo)
	if err := os.Link(filepath.Join(root, "features/a.rows"), filepath.Join(root, "features/b.rows")); err != nil {
		t.Skip(err)
	}
	write(t, root, "features/outside.rows", kilo)
	if err := os.Link(filepath.Join(root, "features/outside.rows"), filepath.Join(t.TempDir(), "kept")); err != nil {
		t.Skip(err)
	}
	f, err := os.Create(filepath.Join(root, "features/holes.rows"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(1 << 30); err != nil {
		t.Fatal(err)
	}
	l := read(t)
	a, b, outside, holes := l.find(t, "features/a"), l.find(t, "features/b"), l.find(t, "features/outside"), l.find(t, "features/holes")
	if holes.Bytes > kilo {
		t.Errorf("a file of holes takes %d bytes", holes.Bytes)
	}
	if got := Total([]Entry{a, b}); got != a.Bytes {
		t.Errorf("two names of a file take %d bytes, want %d", got, a.Bytes)
	}
	if got := Freed([]Entry{a}); got != 0 {
		t.Errorf("removing one of two names frees %d bytes", got)
	}
	if got := Freed([]Entry{a, b, outside}); got != a.Bytes {
		t.Errorf("removing both names frees %d bytes, want %d", got, a.Bytes)
	}
}

func TestChoices(t *testing.T) {
	root := filled(t, "features/new.rows", "tmp/fetch-1/half")
	home := filepath.Join(t.TempDir(), ".tlkit")
	for name, path := range map[string]string{"mine": "features/old.rows", "other": "features/shared.rows", "third": "features/shared.rows"} {
		write(t, root, "features/shared.rows", kilo)
		folder := filepath.Join(home, name)
		write(t, folder, cachedir.UsesFile, 0)
		text := fmt.Sprintf(`{"uses": {%q: "resnet18 on insects"}}`, path)
		if err := os.WriteFile(filepath.Join(folder, cachedir.UsesFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "homes", "x"), []byte(home+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, root, "features/idle.rows", kilo)
	ago := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(filepath.Join(root, "features", "idle.rows"), ago, ago); err != nil {
		t.Fatal(err)
	}
	sum, old := strings.Repeat("ab", 32), 30*24*time.Hour
	left := "cuda/12.parts features/idle.rows part/" + sum + "-resnet18.pth.part sets/.new-insects-1"
	l := read(t)
	for name, c := range map[string]struct {
		choice Choice
		want   string
	}{
		"nothing said": {Choice{}, left},
		"by age": {Choice{OlderThan: old}, "compile/p.xla cuda/12.parts features/old.rows files/" + sum + " files/" + strings.Repeat("ef", 32) +
			" part/" + sum + "-resnet18.pth.part sets/.new-insects-1 sets/insects-v1"},
		"by kind":          {Choice{Kinds: []Kind{Kernel}}, "kernel/jupyter kernel/setup.lock kernel/tools-1"},
		"kind and age":     {Choice{Kinds: []Kind{Features}, OlderThan: old}, "features/old.rows"},
		"by run":           {Choice{Run: "mine"}, "features/old.rows"},
		"by folder":        {Choice{Run: filepath.Join(home, "mine")}, "features/old.rows"},
		"of two runs":      {Choice{Run: "other"}, ""},
		"to a size":        {Choice{Kinds: []Kind{Features}, To: Total(l.Entries) - 1}, "features/old.rows"},
		"to what there is": {Choice{To: Total(l.Entries)}, ""},
	} {
		p, err := l.Choose(c.choice)
		if got := paths(p.Remove); err != nil || got != c.want {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, got, c.want)
		}
	}
	if p, _ := l.Choose(Choice{Run: "other"}); len(p.Keep) != 1 || !strings.Contains(p.Keep[0].Why, "1 other run") {
		t.Errorf("kept %+v", p.Keep)
	}
	if _, err := l.Choose(Choice{Run: "no such run"}); err == nil {
		t.Error("a run that does not exist is no error")
	}
}

func TestRemoveSparesWhatIsInUse(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a locked file cannot be moved there anyway")
	}
	root := filled(t, "tmp/fetch-1/half")
	cachedir.Use(t.Context(), filepath.Join(root, "features", "new.rows"))
	for _, name := range []string{"features/old.rows.lock", "locks/set-insects-v1.lock", "locks/" + strings.Repeat("ab", 32) + ".lock", "kernel/setup.lock"} {
		lock := flock.New(filepath.Join(root, name))
		if ok, err := lock.TryLock(); !ok || err != nil {
			t.Fatal(err)
		}
		defer lock.Unlock()
	}
	l := read(t)
	gone, kept := l.Remove(l.Entries)
	var why []string
	for _, k := range kept {
		why = append(why, k.Path+" "+k.Why)
		if !k.InUse {
			t.Errorf("%s was not listed as in use", k.Path)
		}
		if _, err := os.Stat(filepath.Join(root, k.Path)); err != nil {
			t.Errorf("%s is kept, and gone: %v", k.Path, err)
		}
	}
	for _, path := range []string{"features/new.rows", "features/old.rows", "sets/insects-v1", "files/abab", "part/abab", "kernel/tools-1", "kernel/jupyter", "tmp/fetch-1"} {
		if !strings.Contains(strings.Join(why, "\n"), path) {
			t.Errorf("%s was removed in use", path)
		}
	}
	for _, e := range gone {
		if _, err := os.Lstat(filepath.Join(root, e.Path)); err == nil {
			t.Errorf("%s is said to be removed, and is there", e.Path)
		}
	}
	if len(gone) < 5 {
		t.Errorf("removed only %s", paths(gone))
	}
}
