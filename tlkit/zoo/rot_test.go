package zoo

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/bitrot"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/fetch"
)

// Weights that rot in the cache, under a true stamp, are never loaded: neither as the published file
// nor as one of yours.
func TestRottenWeights(t *testing.T) {
	row, err := Find("mobilenetv2")
	if err != nil {
		t.Fatal(err)
	}
	here, err := row.Fetch(t.Context(), Options{})
	if err != nil {
		t.Skip("the weights cannot be had: ", err)
	}
	data, err := os.ReadFile(here)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	t.Setenv(cachedir.EnvVar, root)
	drop, err := fetch.Incoming()
	if err != nil {
		t.Fatal(err)
	}
	dropped := filepath.Join(drop, row.file.Name)
	put := func() {
		t.Helper()
		if err := os.WriteFile(dropped, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put()
	n, err := Load(t.Context(), row.Name, Options{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{0, 1000, int64(len(data)) / 2, int64(len(data))/2 + 3, -1} {
		os.Remove(dropped)
		if err := bitrot.Flip(n.Path, at); err != nil {
			t.Fatal(err)
		}
		if _, ok := row.Here(); !ok {
			t.Fatal("the stamp is not true: this test tests nothing")
		}
		_, err := Load(t.Context(), row.Name, Options{Offline: true})
		if !errors.Is(err, fetch.ErrOffline) || !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), n.Path+".damaged") || !strings.Contains(err.Error(), "by hand") {
			t.Errorf("byte %d, offline: %v; want the damage, where the file is now, and what to do", at, err)
		}
		put()
		again, err := Load(t.Context(), row.Name, Options{Offline: true})
		if err != nil || !again.Published {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
	if err := bitrot.Flip(n.Path, 5000); err != nil {
		t.Fatal(err)
	}
	again, err := Load(t.Context(), row.Name, Options{Offline: true})
	if err != nil || !again.Published || again.SHA256 != n.SHA256 {
		t.Fatal(err)
	}
	if len(again.Notes) != 1 || !strings.Contains(again.Notes[0], "damaged") {
		t.Errorf("notes %q, want one about the damage", again.Notes)
	}
}
