package fetch

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func md5Hex(b []byte) string {
	s := md5.Sum(b)
	return hex.EncodeToString(s[:])
}

// What torch.hub or Keras has downloaded is used in place, when it is the right file.
func TestFilesThatTorchOrKerasFetched(t *testing.T) {
	data := someBytes(9000)
	sum := sumOf(data)
	byPrefix := File{Name: "resnet18.pth", SHA256: sum[:8], Sources: []Source{{URL: "https://127.0.0.1:9/models/resnet18-" + sum[:8] + ".pth"}}}
	byMD5 := File{Name: "vgg16.h5", MD5: md5Hex(data), Sources: []Source{{URL: "https://127.0.0.1:9/apps/vgg16_weights.h5"}}}
	for name, c := range map[string]struct {
		f        File
		env, sub string
	}{
		"torch": {byPrefix, "TORCH_HOME", "hub/checkpoints/resnet18-" + sum[:8] + ".pth"},
		"keras": {byMD5, "KERAS_HOME", "models/vgg16_weights.h5"},
	} {
		t.Run(name, func(t *testing.T) {
			freshCache(t)
			home := t.TempDir()
			t.Setenv(c.env, home)
			p := filepath.Join(home, filepath.FromSlash(c.sub))
			os.MkdirAll(filepath.Dir(p), 0o755)
			os.WriteFile(p, data[:8000], 0o644)
			if got, ok := c.f.Cached(); ok {
				t.Errorf("half a file was believed: %s", got)
			}
			os.WriteFile(p, data, 0o644)
			got, err := c.f.Get(t.Context(), Options{Offline: true})
			if err != nil || got != p {
				t.Fatalf("Get = %s, %v; want %s", got, err, p)
			}
			// From now on its whole sha256 counts.
			if k := c.f.known(); k.SHA256 != sum || k.Bytes != 9000 {
				t.Errorf("noted sha256 %q, %d bytes", k.SHA256, k.Bytes)
			}
			if !c.f.Is(sum) || c.f.Is(sumOf(data[1:])) {
				t.Error("Is does not know the file")
			}
			if info, err := os.Stat(p); err != nil || info.Mode().Perm() != 0o644 {
				t.Errorf("their file was touched: %v, %v", info, err)
			}
			if err := c.f.Remove(); err != nil {
				t.Error(err)
			}
			mustHold(t, p, data) // Remove is of our cache only
		})
	}
}

// Keras publishes md5 only: after the first download our sha256 must be right as well.
func TestMD5ThenOurOwnHash(t *testing.T) {
	root := freshCache(t)
	data := someBytes(5000)
	sent := data
	url, o := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Write(sent) })
	f := File{Name: "vgg16.h5", MD5: strings.ToUpper(md5Hex(data)), Sources: []Source{{URL: url + "/vgg16.h5"}}}
	sent = someBytes(6000)
	if _, err := f.Get(t.Context(), o); !errors.Is(err, ErrHash) || !strings.Contains(err.Error(), "md5 "+md5Hex(sent)) {
		t.Errorf("another file: err = %v, want one with both md5", err)
	}
	sent = data
	p, err := f.Get(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(root, "files", sumOf(data), "vgg16.h5"); p != want {
		t.Errorf("path %s, want %s", p, want)
	}
	if p2, ok := f.Cached(); !ok || p2 != p {
		t.Errorf("Cached = %s, %v", p2, ok)
	}
	// Somebody who can make two files of one md5 gets no further.
	g := f
	g.MD5 = md5Hex(sent)
	if err := g.note(record{SHA256: strings.Repeat("1", 64), Bytes: int64(len(data))}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Get(t.Context(), o); !errors.Is(err, ErrHash) || !strings.Contains(err.Error(), strings.Repeat("1", 64)) {
		t.Errorf("right md5, other sha256 than at the first use: err = %v", err)
	}
}

// What comes instead of weights is called by its name.
func TestWhatCameInstead(t *testing.T) {
	data := someBytes(3000)
	for word, body := range map[string]string{
		"an HTML page":      "\ufeff\n <!DOCTYPE html><html><title>Sign in to the hotel</title>",
		"a git-LFS pointer": "version https://git-lfs.github.com/spec/v1\noid sha256:" + sumOf(data) + "\nsize 3000\n",
		"it is empty":       "",
		"a message in JSON": `{"error":"quota exceeded"}`,
	} {
		for _, bytes := range []int64{0, 3000} { // found by its hash, or by its size
			freshCache(t)
			url, o := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(body)) })
			_, err := File{Name: "w.pth", SHA256: sumOf(data), Bytes: bytes, Sources: []Source{{URL: url}}}.Get(t.Context(), o)
			if body == "" && bytes > 0 {
				continue // a server that says nothing of the size and sends nothing is a line that broke
			}
			if !errors.Is(err, ErrHash) || !strings.Contains(err.Error(), word) {
				t.Errorf("size %d: err = %v, want %q in it", bytes, err, word)
			}
		}
	}
	freshCache(t)
	dir, _ := Incoming()
	os.WriteFile(filepath.Join(dir, "w.pth"), []byte("<html>404"), 0o600)
	if _, err := (File{Name: "w.pth", SHA256: sumOf(data)}).Get(t.Context(), Options{Offline: true}); err == nil || !strings.Contains(err.Error(), "an HTML page") {
		t.Errorf("in the drop folder: err = %v", err)
	}
}

func TestFolderOfYours(t *testing.T) {
	freshCache(t)
	data := someBytes(700)
	stick := t.TempDir()
	t.Setenv(IncomingVar, stick)
	os.WriteFile(filepath.Join(stick, "w.pth"), data, 0o444)
	os.Chmod(stick, 0o555)
	p, err := (File{Name: "w.pth", SHA256: sumOf(data)}).Get(t.Context(), Options{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, p, data)
	if strings.HasPrefix(p, stick) {
		t.Error("a file on a stick is not in the cache")
	}
	// Nothing can tell whether a file is the hub's when neither the hub nor a hash is at hand.
	os.Chmod(stick, 0o755)
	os.WriteFile(filepath.Join(stick, "h.bin"), data, 0o444)
	f := File{Name: "h.bin", Sources: []Source{{HF: &HF{Repo: "a/b", File: "f"}}}}
	if _, err := f.Get(t.Context(), Options{Offline: true}); err == nil || !strings.Contains(err.Error(), "no hash of h.bin is published") {
		t.Errorf("err = %v", err)
	}
}

// Comparing many sources must not wait long for any of them.
func TestSourcesThatDoNotAnswer(t *testing.T) {
	var n atomic.Int32
	end := make(chan struct{})
	h := newFakeHub()
	_, o := h.start(t)
	address, trusting := serve(t, func(w http.ResponseWriter, r *http.Request) { n.Add(1); <-end })
	t.Cleanup(func() { close(end) })
	o.web.client, o.web.idle = trusting.web.client, time.Minute
	o.Answer = 200 * time.Millisecond
	t.Setenv("HF_ENDPOINT", address)
	start := time.Now()
	f := tiny()
	f.Sources = append(f.Sources, Source{URL: address + "/x"})
	_, err := f.Get(t.Context(), o)
	if !errors.Is(err, ErrUnreachable) || strings.Count(err.Error(), "no answer in 200ms") != 2 {
		t.Errorf("err = %v, want both sources without an answer", err)
	}
	if d := time.Since(start); d > 5*time.Second || n.Load() != 2 {
		t.Errorf("%s and %d requests until both were given up", d, n.Load())
	}
	t.Run("pip", func(t *testing.T) {
		needPip(t)
		freshCache(t)
		t.Setenv("PIP_INDEX_URL", address+"/simple")
		t.Setenv("PIP_EXTRA_INDEX_URL", "")
		t.Setenv("PIP_FIND_LINKS", "")
		t.Setenv("PIP_TRUSTED_HOST", strings.TrimPrefix(address, "https://"))
		start := time.Now()
		_, err := tinyWheel().Get(t.Context(), Options{Answer: 500 * time.Millisecond})
		if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "no answer in 500ms") {
			t.Errorf("err = %v after %s", err, time.Since(start))
		}
	})
	t.Run("pip that answers", func(t *testing.T) {
		needPip(t)
		freshCache(t)
		_, err := tinyWheel().Get(t.Context(), Options{Answer: 30 * time.Second})
		skipWithoutNetwork(t, err)
		if err != nil {
			t.Error(err)
		}
	})
}
