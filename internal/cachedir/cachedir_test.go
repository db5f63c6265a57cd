package cachedir

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestDirFollowsTheVariable(t *testing.T) {
	root := filepath.Join(t.TempDir(), "deep", "cache")
	t.Setenv(EnvVar, root)
	got, err := Dir("files", "abc")
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(root, "files", "abc"); got != want {
		t.Fatalf("Dir = %s, want %s", got, want)
	}
	info, err := os.Stat(got)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		t.Errorf("mode %04o, want 0700", info.Mode().Perm())
	}
}

func TestDirWithoutTheVariable(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the user's cache directory is moved through XDG_CACHE_HOME on Linux only")
	}
	base := t.TempDir()
	t.Setenv(EnvVar, "")
	t.Setenv("XDG_CACHE_HOME", base)
	got, err := Dir("compile")
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(base, "tlkit", "compile"); got != want {
		t.Fatalf("Dir = %s, want %s", got, want)
	}
}

func TestDirRefusesNamesThatClimbOut(t *testing.T) {
	root := t.TempDir()
	t.Setenv(EnvVar, root)
	for _, bad := range []string{"..", "../x", "/etc", "", "a/../../b"} {
		if got, err := Dir(bad); err == nil {
			t.Errorf("Dir(%q) = %s, want an error", bad, got)
		}
	}
}

func TestDirRefusesWhatIsNotAPrivateFolder(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("mode bits are not kept on Windows")
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv(EnvVar, root)
	if _, err := Dir("files"); err == nil || !strings.Contains(err.Error(), "chmod o-w") {
		t.Errorf("world-writable root: err = %v, want one that says chmod", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(EnvVar, file)
	if _, err := Dir(); err == nil || !strings.Contains(err.Error(), EnvVar) {
		t.Errorf("root is a file: err = %v, want one that names %s", err, EnvVar)
	}
}
