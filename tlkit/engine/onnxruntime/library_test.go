package onnxruntime

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/bitrot"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/fetch"
)

func TestBuildsAreWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range Builds() {
		f, w := b.file, b.file.Sources[0].Wheel
		if len(f.SHA256) != 64 || len(w.SHA256) != 64 || f.Bytes < 2e7 || b.Download < 2e7 || b.Download > f.Bytes || b.Licence == "" || b.Needs == "" ||
			b.OS == "" || strings.Contains(b.OS, "/") || b.Arch == "" || !strings.Contains(w.File, b.Version) || seen[f.SHA256] || seen[w.SHA256] {
			t.Errorf("%+v", b)
		}
		seen[f.SHA256], seen[w.SHA256] = true, true
	}
}

func TestInstall(t *testing.T) {
	l := needLibrary(t)
	if err := l.Verify(t.Context(), true); err != nil {
		t.Error(err)
	}
	found, err := Find()
	if err != nil || found.Path != l.Path || found.SHA256 != l.SHA256 {
		t.Errorf("Find = %v, %v; want %v", found, err, l)
	}
	own, err := FindAt(t.Context(), l.Path)
	if err != nil || own.SHA256 != l.SHA256 {
		t.Errorf("FindAt = %v, %v", own, err)
	}
}

// Without a network the message says what to put where.
func TestInstallWithoutNetwork(t *testing.T) {
	if len(Here()) == 0 {
		t.Skip("no pinned build for this platform")
	}
	root := t.TempDir()
	t.Setenv(cachedir.EnvVar, root)
	if _, err := Find(); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("in an empty cache: %v", err)
	}
	_, err := Install(t.Context(), Options{Offline: true})
	if !errors.Is(err, fetch.ErrOffline) {
		t.Fatalf("offline: %v", err)
	}
	for _, want := range []string{Here()[0].file.Name, "onnxruntime-" + version, filepath.Join(root, "incoming")} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message lacks %q: %v", want, err)
		}
	}
}

// ownCopy gives the test a cache of its own that holds the library.
func ownCopy(t *testing.T) (path string, content []byte) {
	t.Helper()
	l := needLibrary(t)
	content, err := os.ReadFile(l.Path)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	t.Setenv(cachedir.EnvVar, root)
	path = filepath.Join(root, "files", l.SHA256, filepath.Base(l.Path))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, content
}

// A library that went bad in the cache is named and not opened, also where its size and times say
// nothing; Install sets it aside. Opening one that is cut off would end this process.
func TestDamagedLibraryIsNotOpened(t *testing.T) {
	path, content := ownCopy(t)
	flipped := append([]byte(nil), content...)
	flipped[len(flipped)/2] ^= 1
	for name, bad := range map[string][]byte{"cut": content[:len(content)/2], "empty": {}, "text": []byte("not found"), "flipped": flipped} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Find()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := l.Verify(t.Context(), false); !errors.Is(err, fetch.ErrHash) || !strings.Contains(err.Error(), "tlkit setup") {
			t.Errorf("%s, found before it went bad: %v", name, err)
		}
		if found, err := Find(); err == nil || !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), "tlkit setup") {
			t.Errorf("%s: found %v, %v", name, found, err)
		}
	}
	_, err := Install(t.Context(), Options{Offline: true})
	if err == nil || !strings.Contains(err.Error(), "set aside") {
		t.Errorf("Install: %v", err)
	}
	if _, err := os.Stat(path + fetch.Aside); err != nil {
		t.Error(err)
	}
}

// A bit that flips on the disk changes neither size nor times: Open reads the file itself, and sets it
// aside.
func TestOpenReadsTheFile(t *testing.T) {
	if !built || opened.runtime != nil {
		t.Skip("a library is open in this process, or none can be")
	}
	path, content := ownCopy(t)
	if _, err := Find(); err != nil { // reads it, and notes what it is
		t.Fatal(err)
	}
	if err := bitrot.Flip(path, int64(len(content)/2)); err != nil {
		t.Fatal(err)
	}
	l, err := Find()
	if err != nil {
		t.Fatalf("the stamp is not true: this test tests nothing (%v)", err)
	}
	if _, err := Open(t.Context(), l); !errors.Is(err, fetch.ErrHash) || !strings.Contains(err.Error(), path+fetch.Aside+"; run: tlkit setup") {
		t.Errorf("a rotten library: %v", err)
	}
	if _, err := Find(); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("after it was set aside: %v", err)
	}
}

// compiled makes a small shared library.
func compiled(t *testing.T, code string) string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler here")
	}
	dir := t.TempDir()
	src, so := filepath.Join(dir, "p.c"), filepath.Join(dir, "libonnxruntime.so")
	if err := os.WriteFile(src, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-shared", "-fPIC", "-o", so, src).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return so
}

// A file of one's own that does not fit is one line, in a process of its own that ends well.
func TestOwnLibraries(t *testing.T) {
	if runtime.GOOS != "linux" || !built {
		t.Skip("the libraries are made for Linux, and opened with cgo")
	}
	write := func(content []byte) string {
		p := filepath.Join(t.TempDir(), "libonnxruntime.so")
		if err := os.WriteFile(p, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	whole, err := os.ReadFile(needLibrary(t).Path)
	if err != nil {
		t.Fatal(err)
	}
	const api = "#include <stdint.h>\nstatic const void* get(uint32_t v) { return 0; }\nstatic const char* name(void) { return \"0.1.0\"; }\n" +
		"static const struct { const void* (*get)(uint32_t); const char* (*name)(void); } base = {get, name};\nconst void* OrtGetApiBase(void) { return &base; }\n"
	for name, c := range map[string]struct{ path, want string }{
		"missing":         {filepath.Join(t.TempDir(), "x.so"), "no such file"},
		"relative":        {"x.so", "not absolute"},
		"text":            {write([]byte("404: not found\n")), "not a shared library"},
		"cut off":         {write(whole[:len(whole)/2]), "cut off"},
		"another library": {compiled(t, "int f(void) { return 1; }"), "no ONNX Runtime"},
		"too old":         {compiled(t, api), "does not open"},
		"needs another":   {compiled(t, api+"extern int elsewhere(void);\nint f(void) { return elsewhere(); }"), "does not open"},
		"the real one":    {write(whole), "<nil>"},
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childVar+"="+c.path)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.want) || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%s: %v\n%s\nwant one line with %q", name, err, out, c.want)
		}
	}
}

func ExampleBuilds() {
	for _, b := range Builds() {
		fmt.Printf("%s/%s: %s, %s, needs %s\n", b.OS, b.Arch, b.Source, b.Licence, b.Needs)
	}
	// Output:
	// linux/amd64: Microsoft's Python wheel onnxruntime 1.32.0, MIT, needs glibc 2.28 or newer, libstdc++; any 64-bit processor
	// linux/arm64: Microsoft's Python wheel onnxruntime 1.32.0, MIT, needs glibc 2.28 or newer, libstdc++
	// darwin/arm64: Microsoft's Python wheel onnxruntime 1.32.0, MIT, needs macOS 14 or newer
}
