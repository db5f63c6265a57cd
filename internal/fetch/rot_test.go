package fetch

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/internal/bitrot"
)

// keepStamp makes the noted facts of a file true again, and leaves the noted hashes alone.
func keepStamp(t *testing.T, p string) {
	t.Helper()
	at, _, err := stampPath(p)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	var s stamp
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeStamp(p, info, sums{sha256: s.SHA256, crc32c: s.CRC32C}); err != nil {
		t.Fatal(err)
	}
	if _, ok := readStamp(p); !ok {
		t.Fatal("the stamp is not true: this test tests nothing")
	}
}

// rotten puts a file into a cache of the test's own, through the drop folder, and lets it rot.
func rotten(t *testing.T, f File, data []byte) (root, p string) {
	t.Helper()
	root = freshCache(t)
	drop, err := Incoming()
	if err != nil {
		t.Fatal(err)
	}
	in := filepath.Join(drop, f.Name)
	if err := os.WriteFile(in, data, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err = f.Get(t.Context(), Options{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(in)
	if err := bitrot.Flip(p, int64(len(data)/3)); err != nil {
		t.Fatal(err)
	}
	if _, ok := readStamp(p); !ok {
		t.Fatal("the stamp is not true: this test tests nothing")
	}
	return root, p
}

// A bit that flips on the disk changes neither size nor times. It is found when the file is opened,
// named, set aside, and the file is fetched anew.
func TestRotIsFoundAndMended(t *testing.T) {
	data := someBytes(70_000)
	sum, md5 := sumOf(data), md5Hex(data)
	for name, f := range map[string]File{
		"whole sha256": {SHA256: sum},
		"a prefix":     {SHA256: sum[:8]},
		"md5":          {MD5: md5},
		"size known":   {SHA256: sum, Bytes: int64(len(data))},
	} {
		t.Run(name, func(t *testing.T) {
			f.Name = "w.pth"
			_, p := rotten(t, f, data)
			if err := Verify(t.Context(), p, sum); !errors.Is(err, ErrHash) {
				t.Errorf("Verify = %v, want a HashError", err)
			}
			url, o := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(data) })
			f.Sources = []Source{{URL: url + "/w.pth"}}
			var notes []string
			o.Note = func(s string) { notes = append(notes, s) }
			again, err := f.Get(t.Context(), o)
			if err != nil || again != p {
				t.Fatalf("Get = %s, %v; want %s", again, err, p)
			}
			mustHold(t, p, data)
			if len(notes) != 1 || !strings.Contains(notes[0], "damaged") || !strings.Contains(notes[0], p+".damaged") {
				t.Errorf("notes %q, want one that names the damage and the new name", notes)
			}
			if _, err := os.Stat(p + ".damaged"); err != nil {
				t.Error(err)
			}
			if err := Verify(t.Context(), p, sum); err != nil {
				t.Error(err)
			}
			notes = nil
			if _, err := f.Get(t.Context(), o); err != nil || len(notes) != 0 {
				t.Errorf("the next time: %v, notes %q", err, notes)
			}
		})
	}
}

func TestRotOffline(t *testing.T) {
	data := someBytes(5000)
	f := File{Name: "w.pth", SHA256: sumOf(data)}
	_, p := rotten(t, f, data)
	for range 2 { // the second time the file is gone, and still called damaged
		_, err := f.Get(t.Context(), Options{Offline: true})
		if !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), p+".damaged") || !strings.Contains(err.Error(), "by hand: put it") {
			t.Errorf("err = %v, want the damage, where the file is now, and what to do", err)
		}
		if strings.Contains(err.Error(), "not in the cache") {
			t.Errorf("err = %v, but it is there", err)
		}
	}
}

// Damage in the note is not damage in the file.
func TestRotInTheNotes(t *testing.T) {
	data := someBytes(5000)
	for _, f := range []File{{SHA256: sumOf(data)[:8]}, {MD5: md5Hex(data)}} {
		f.Name = "w.pth"
		root, p := rotten(t, f, data)
		if err := os.WriteFile(p, data, 0o600); err != nil { // whole again
			t.Fatal(err)
		}
		keepStamp(t, p)
		note, _, _ := stampPath(p)
		for _, victim := range []string{note, filepath.Join(root, "known", f.id()+".json")} {
			text, err := os.ReadFile(victim)
			if err != nil {
				t.Fatal(err)
			}
			for bit := 0; bit < 8*len(text); bit += 37 { // each Get may write to the disk
				bad := append([]byte(nil), text...)
				bad[bit/8] ^= 1 << (bit % 8)
				os.WriteFile(victim, bad, 0o600)
				if got, err := f.Get(t.Context(), Options{Offline: true}); err != nil || got != p {
					t.Fatalf("bit %d of %s: %s, %v; want the whole file", bit, filepath.Base(victim), got, err)
				}
			}
			os.WriteFile(victim, text, 0o600)
		}
	}
}

// What Python fetched is not ours to rename.
func TestRotInPythonsCache(t *testing.T) {
	freshCache(t)
	home := t.TempDir()
	t.Setenv("TORCH_HOME", home)
	p := filepath.Join(home, "hub", "checkpoints", "w-12345678.pth")
	os.MkdirAll(filepath.Dir(p), 0o700)
	data := someBytes(5000)
	os.WriteFile(p, data, 0o600)
	f := File{Name: "w-12345678.pth", SHA256: sumOf(data), Sources: []Source{{URL: "https://example.org/w-12345678.pth"}}}
	old := time.Now().Add(-time.Hour)
	os.Chtimes(p, old, old)
	if got, err := f.Get(t.Context(), Options{Offline: true}); err != nil || got != p {
		t.Fatal(got, err)
	}
	data[77] ^= 4
	os.WriteFile(p, data, 0o600)
	os.Chtimes(p, old, old)
	keepStamp(t, p)
	_, err := f.Get(t.Context(), Options{Offline: true})
	if err == nil || !strings.Contains(err.Error(), p+" is damaged, or another file") {
		t.Errorf("err = %v, want one that names the file", err)
	}
	if _, err := os.Stat(p); err != nil {
		t.Errorf("the file of another program was touched: %v", err)
	}
}

func TestStampOfEarlierVersions(t *testing.T) {
	data := someBytes(500)
	f := File{Name: "x", SHA256: sumOf(data)}
	_, p := rotten(t, f, data)
	info, _ := os.Stat(p)
	if err := writeStamp(p, info, sums{sha256: sumOf(data)}); err != nil { // without a CRC
		t.Fatal(err)
	}
	if _, err := f.Get(t.Context(), Options{Offline: true}); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("err = %v", err)
	}
}
