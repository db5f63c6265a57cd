package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/internal/cachedir"
)

func TestCacheAndPrune(t *testing.T) {
	cache := t.TempDir()
	t.Setenv(cachedir.EnvVar, cache)
	file := filepath.Join(cache, "features", strings.Repeat("0a", 16)+".rows")
	set := filepath.Join(cache, "sets", "insects-hard-v1", "1.png")
	for _, p := range []string{file, set} {
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-10 * 24 * time.Hour)
		if err := os.Chtimes(p, old, old); err != nil {
			t.Fatal(err)
		}
	}
	there := func(p string) bool { _, err := os.Stat(p); return err == nil }

	status, out, _ := tlkit(t, "cache")
	for _, words := range []string{cache, "features/0a0a0a0a0a0a….rows", "10 days ago", "insects-hard", "1 MB of features belong to no run"} {
		if status != 0 || !strings.Contains(out, words) {
			t.Errorf("status %d, no %q in\n%s", status, words, out)
		}
	}
	status, out, _ = tlkit(t, "cache", "--json")
	list := one[struct {
		Folder  string
		Bytes   int64
		Kinds   []struct{ Kind string }
		Entries []struct {
			Kind, Path, About string
			Bytes             int64
			Runs              []string
		}
	}](t, out)
	if status != 0 || list.Folder != cache || list.Bytes < 2<<20 || len(list.Kinds) != 2 || len(list.Entries) != 2 || list.Entries[0].About != "insects-hard" || list.Entries[1].Runs == nil {
		t.Errorf("status %d: %+v", status, list)
	}

	for _, c := range []struct {
		args   []string
		status int
		words  string
		left   bool
	}{
		{[]string{"cache", "prune", "--dry-run"}, 0, "would free 1 MB", true},
		{[]string{"cache", "prune"}, 1, "add --yes", true}, // nobody can be asked
		{[]string{"cache", "prune", "--json"}, 1, "add --yes", true},
		{[]string{"cache", "prune", "--older-than", "30d", "--yes"}, 0, "nothing to remove", true},
		{[]string{"cache", "prune", "--older-than", "soon"}, 1, "as in 30d", true},
		{[]string{"cache", "prune", "--older-than", "-1d"}, 1, "as in 30d", true},
		{[]string{"cache", "prune", "--to", "5 apples"}, 1, "as in 5GB", true},
		{[]string{"cache", "prune", "--kind", "feature"}, 1, "did you mean features", true},
		{[]string{"cache", "prune", "--run", "nothing-like-it", "--yes"}, 1, "tlkit cache lists", true},
		{[]string{"cache", "prun"}, 1, "prune", true},
		{[]string{"cache", "prune", "--kind", "compiled,weights", "--to", "0", "-y"}, 0, "nothing to remove", true},
		{[]string{"cache", "prune", "--to", "1.5MB", "--kind", "features", "--yes"}, 0, "freed    1 MB", false},
	} {
		status, out, errs := tlkit(t, c.args...)
		if status != c.status || !strings.Contains(out+errs, c.words) || there(file) != c.left || !there(set) {
			t.Errorf("%v: status %d, features there %v, want %q in\n%s%s", c.args, status, there(file), c.words, out, errs)
		}
	}
	status, out, _ = tlkit(t, "cache", "prune", "--to", "0", "--yes", "--json")
	gone := one[struct {
		Removed []struct{ Path string }
		Freed   int64
	}](t, out)
	if status != 0 || len(gone.Removed) != 1 || gone.Freed < 1<<20 || there(set) {
		t.Errorf("status %d: %+v", status, gone)
	}
}

func TestAgesAndSizes(t *testing.T) {
	for text, want := range map[string]time.Duration{"12h": 12 * time.Hour, "30d": 720 * time.Hour, "2 weeks": -1, "2w": 336 * time.Hour, "1.5 d": 36 * time.Hour, "d": -1, "30": -1, "NaNd": -1, "9e99d": -1} {
		got := time.Duration(-1)
		if err := parseAge(text, &got); got != want || (err == nil) != (want >= 0) {
			t.Errorf("age %q is %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]int64{"5GB": 5e9, "5g": 5e9, "1.5 MiB": 1.5 * (1 << 20), "100": 100, "0": 1, "-5GB": -1, "GB": -1, "5 EB": -1, "1e3": 1000, "inf": -1} {
		got := int64(-1)
		if err := parseSize(text, &got); got != want || (err == nil) != (want >= 0) {
			t.Errorf("size %q is %v, %v", text, got, err)
		}
	}
}
