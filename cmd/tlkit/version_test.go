package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"testing"
)

func TestVersionOf(t *testing.T) {
	const commit = "440b3a5ac9a8c0ffee00440b3a5ac9a8c0ffee00"
	stamp := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: commit}}
	for _, c := range []struct {
		what, version string
		settings      []debug.BuildSetting
		checkout      string
		want          string
	}{
		{"go install of a release", "v0.1.0", nil, "other", "v0.1.0 go1.26.8"},
		{"go install of a commit", "v0.0.0-20261130075728-440b3a5ac9a8", nil, "other", "v0.0.0-20261130075728-440b3a5ac9a8 go1.26.8"},
		{"go build in a checkout", "v0.0.0-20261130075728-440b3a5ac9a8+dirty", stamp, "other", "v0.0.0-20261130075728-440b3a5ac9a8+dirty go1.26.8"},
		{"go build at a tag", "v0.1.0", stamp, "other", "v0.1.0 440b3a5ac9a8 go1.26.8"},
		{"go tool in a checkout", "(devel)", nil, "440b3a5ac9a8-dirty", "(devel) 440b3a5ac9a8-dirty go1.26.8"},
		{"a copy without git", "(devel)", nil, "", "(devel) go1.26.8"},
		{"nothing stamped", "", nil, "", "(devel) go1.26.8"},
		{"a short revision", "(devel)", []debug.BuildSetting{{Key: "vcs.revision", Value: "17"}}, "other", "(devel) 17 go1.26.8"},
	} {
		info := &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: c.version}, Settings: c.settings}
		if got := versionOf(info, func() string { return c.checkout }); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

func TestRevisionOfACheckout(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(dir))
	if got := revision(dir); got != "" {
		t.Errorf("a folder without git has revision %q", got)
	}
	file := filepath.Join(dir, "file")
	for i, args := range [][]string{{"init", "-q"}, {"add", "file"}, {"-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "-m", "x"}} {
		if i == 1 {
			if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Skipf("git: %v: %s", err, out)
		}
	}
	if got := revision(dir); !regexp.MustCompile(`^[0-9a-f]{12}$`).MatchString(got) {
		t.Errorf("revision %q, want 12 hex digits", got)
	}
	if err := os.WriteFile(file, []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := revision(dir); !regexp.MustCompile(`^[0-9a-f]{12}-dirty$`).MatchString(got) {
		t.Errorf("revision %q of changed files, want -dirty at its end", got)
	}
}

func TestVersionFlag(t *testing.T) {
	status, out, errs := tlkit(t, "--version")
	if status != 0 || !regexp.MustCompile(`^tlkit version \S+ .*go1\.\d+.*\n$`).MatchString(out) {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
}
