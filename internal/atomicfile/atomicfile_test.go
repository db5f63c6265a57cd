package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestWriteReplacesWholly(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "head.safetensors")
	for _, want := range []string{"first, and rather long", "second"} {
		if err := WriteBytes(path, []byte(want), 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Fatalf("read %q, %v; want %q", got, err, want)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 {
		t.Errorf("mode %04o, want 0640", info.Mode().Perm())
	}
	if n := names(t, dir); len(n) != 1 {
		t.Errorf("folder holds %v, want one file", n)
	}
}

func TestFailureLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "plan.json")
	if err := WriteBytes(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the lamp went out")
	err := Write(path, 0o600, func(w io.Writer) error {
		if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<20)); err != nil {
			return err
		}
		// Half of the new content is on disk here, and the name still shows the old.
		if got, _ := os.ReadFile(path); string(got) != "old" {
			t.Errorf("while writing the name shows %d bytes, want the old content", len(got))
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("err = %v, want it to wrap the cause", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("after a failure the file holds %q, want old", got)
	}
	if n := names(t, dir); len(n) != 1 {
		t.Errorf("folder holds %v, want no leftover", n)
	}
}

func TestPanicLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	func() {
		defer func() { recover() }()
		Write(filepath.Join(dir, "x"), 0o600, func(io.Writer) error { panic("boom") })
	}()
	if n := names(t, dir); len(n) != 0 {
		t.Errorf("folder holds %v, want nothing", n)
	}
}

func TestBadPlaces(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{"", dir + string(filepath.Separator), filepath.Join(dir, "missing", "x")} {
		if err := WriteBytes(path, nil, 0o600); err == nil {
			t.Errorf("WriteBytes(%q) = nil, want an error", path)
		}
	}
}

func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here to stand in for a full disk")
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("cannot open /dev/full: %v", err)
	}
	defer full.Close()
	path := filepath.Join(t.TempDir(), "x")
	err = Write(path, 0o600, func(w io.Writer) error {
		_, err := io.WriteString(io.MultiWriter(w, full), "anything")
		return err
	})
	if err == nil {
		t.Fatal("a full disk gave no error")
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the name is visible after a full disk: %v", err)
	}
}

func ExampleWriteBytes() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "labels.txt")
	if err := WriteBytes(path, []byte("ants\nbees\n"), 0o644); err != nil {
		fmt.Println(err)
		return
	}
	text, _ := os.ReadFile(path)
	fmt.Print(string(text))
	// Output:
	// ants
	// bees
}
