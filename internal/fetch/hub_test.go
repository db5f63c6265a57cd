package fetch

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fakeHub answers as the hub does for one repository, owner/tiny: a large file, whose
// content another host has, and a small one.
type fakeHub struct {
	commit   string
	weights  []byte
	config   []byte
	private  string // the token it wants; "" = none
	refusal  int    // status where the token is missing or wrong; 0 = 401
	requests atomic.Int32
	storage  http.HandlerFunc // nil = be good

	mu    sync.Mutex
	paths []string
	seen  []string // Authorization, by host
}

func newFakeHub() *fakeHub {
	return &fakeHub{commit: someCommit, weights: someBytes(50_000), config: []byte(`{"num_classes": 1000}` + "\n")}
}

func gitName(b []byte) string {
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00%s", len(b), b)
	return hex.EncodeToString(h.Sum(nil))
}

func (h *fakeHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.requests.Add(1)
	h.mu.Lock()
	h.paths = append(h.paths, r.Method+" "+r.URL.Path)
	h.seen = append(h.seen, r.Header.Get("Authorization"))
	commit, weights, config := h.commit, h.weights, h.config
	h.mu.Unlock()
	if strings.HasPrefix(r.URL.Path, "/storage/") {
		if h.storage != nil {
			h.storage(w, r)
			return
		}
		w.Header().Set("ETag", `"of the storage"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(weights))
		return
	}
	if h.private != "" && r.Header.Get("Authorization") != "Bearer "+h.private {
		w.WriteHeader(cmp.Or(h.refusal, http.StatusUnauthorized))
		return
	}
	var rev, file string
	if rest, ok := strings.CutPrefix(r.URL.Path, "/owner/tiny/resolve/"); ok {
		rev, file, _ = strings.Cut(rest, "/")
	}
	if rev != "main" && rev != commit {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("X-Repo-Commit", commit)
	switch file {
	case "model.safetensors":
		w.Header().Set("X-Linked-Etag", `"`+sumOf(weights)+`"`)
		w.Header().Set("X-Linked-Size", fmt.Sprint(len(weights)))
		http.Redirect(w, r, "http://localhost:"+r.Host[strings.LastIndexByte(r.Host, ':')+1:]+"/storage/"+sumOf(weights)+"?signature=secret", http.StatusFound)
	case "sub/config.json":
		w.Header().Set("ETag", `"`+gitName(config)+`"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(config))
	default:
		http.NotFound(w, r)
	}
}

// start serves the hub on this machine, where http is good enough, with caches of the
// test's own.
func (h *fakeHub) start(t *testing.T) (home string, o Options) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	for _, name := range []string{"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_IMPLICIT_TOKEN"} {
		t.Setenv(name, "")
	}
	freshCache(t)
	home = t.TempDir()
	t.Setenv("HF_HOME", home)
	t.Setenv("HF_ENDPOINT", s.URL)
	return home, Options{web: &web{client: &http.Client{CheckRedirect: checkRedirect}, idle: 300 * time.Millisecond}}
}

func tiny() File {
	return File{Name: "tiny.safetensors", Sources: []Source{{HF: &HF{Repo: "owner/tiny", File: "model.safetensors"}}}}
}

func TestHubLayout(t *testing.T) {
	h := newFakeHub()
	home, o := h.start(t)
	f := tiny()
	if _, ok := f.Cached(); ok {
		t.Fatal("cached before it was fetched")
	}
	p, err := f.Get(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, p, h.weights)
	repo := filepath.Join(home, "hub", "models--owner--tiny")
	if want := filepath.Join(repo, "snapshots", someCommit, "model.safetensors"); p != want {
		t.Errorf("path %s, want %s", p, want)
	}
	if to, err := os.Readlink(p); err != nil || filepath.ToSlash(to) != "../../blobs/"+sumOf(h.weights) {
		t.Errorf("the snapshot leads to %s, %v", to, err)
	}
	if ref, err := os.ReadFile(filepath.Join(repo, "refs", "main")); err != nil || string(ref) != someCommit {
		t.Errorf("refs/main holds %q, %v", ref, err)
	}
	if left, _ := filepath.Glob(filepath.Join(repo, "blobs", "*")); len(left) != 1 {
		t.Errorf("blobs: %v", left)
	}
	before := h.requests.Load()
	if p2, err := f.Get(t.Context(), Options{Offline: true}); err != nil || p2 != p {
		t.Errorf("offline: %s, %v", p2, err)
	}
	if h.requests.Load() != before {
		t.Error("what is there was asked for again")
	}
	if !f.Is(sumOf(h.weights)) || f.Is(sumOf(h.config)) {
		t.Error("Is does not know the file that was used first")
	}
	// A small file, which git names, in a folder.
	small := File{Name: "config.json", Sources: []Source{{HF: &HF{Repo: "owner/tiny", File: "sub/config.json"}}}}
	if p, err = small.Get(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	mustHold(t, p, h.config)
	if to, _ := os.Readlink(p); filepath.ToSlash(to) != "../../../blobs/"+gitName(h.config) {
		t.Errorf("the small file leads to %s", to)
	}
}

// A branch moves; what was used first stays what it was.
func TestHubBranchIsPinnedAtTheFirstUse(t *testing.T) {
	h := newFakeHub()
	home, o := h.start(t)
	f := tiny()
	if _, err := f.Get(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	first := h.weights
	os.RemoveAll(filepath.Join(home, "hub"))
	h.weights = someBytes(60_000)[10_000:]
	h.paths = nil
	if _, err := f.Get(t.Context(), o); !errors.Is(err, ErrHash) || !strings.Contains(err.Error(), sumOf(first)) {
		t.Errorf("other content under the same commit: err = %v, want one that names the first sha256", err)
	}
	if h.paths[0] != "HEAD /owner/tiny/resolve/"+someCommit+"/model.safetensors" {
		t.Errorf("asked for %q, want the commit of the first use", h.paths)
	}
	h.weights = first
	if _, err := f.Get(t.Context(), o); err != nil {
		t.Errorf("the first content again: %v", err)
	}
}

func TestHubFilesThatPythonFetched(t *testing.T) {
	h := newFakeHub()
	home, _ := h.start(t)
	put := func(cache, blob string, content []byte) {
		t.Helper()
		repo := filepath.Join(cache, "models--owner--tiny")
		os.RemoveAll(repo)
		for _, d := range []string{"blobs", "refs", "snapshots/" + someCommit} {
			if err := os.MkdirAll(filepath.Join(repo, filepath.FromSlash(d)), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		os.WriteFile(filepath.Join(repo, "blobs", blob), content, 0o644)
		os.WriteFile(filepath.Join(repo, "refs", "main"), []byte(someCommit), 0o644)
		if err := os.Symlink("../../blobs/"+blob, filepath.Join(repo, "snapshots", someCommit, "model.safetensors")); err != nil {
			t.Fatal(err)
		}
	}
	hub := filepath.Join(home, "hub")
	put(hub, sumOf(h.weights), h.weights[:40_000])
	if p, ok := tiny().Cached(); ok {
		t.Errorf("a blob that is not what its name says was believed: %s", p)
	}
	other := filepath.Join(t.TempDir(), "elsewhere")
	t.Setenv("HF_HUB_CACHE", other)
	put(other, sumOf(h.weights), h.weights)
	p, err := tiny().Get(t.Context(), Options{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, p, h.weights)
	if n := h.requests.Load(); n != 0 {
		t.Errorf("%d requests, want none", n)
	}
	// A row that knows better is not satisfied with any blob.
	known := tiny()
	known.SHA256 = sumOf(h.config)
	if p, ok := known.Cached(); ok {
		t.Errorf("%s was taken for a file of another hash", p)
	}
}

func TestHubToken(t *testing.T) {
	const token = "hf_veryPrivate"
	for name, set := range map[string]func(t *testing.T, home string){
		"in the environment": func(t *testing.T, home string) { t.Setenv("HF_TOKEN", " "+token+"\n") },
		"in HF_HOME":         func(t *testing.T, home string) { os.WriteFile(filepath.Join(home, "token"), []byte(token+"\n"), 0o600) },
		"in a file": func(t *testing.T, home string) {
			p := filepath.Join(t.TempDir(), "t")
			os.WriteFile(p, []byte(token), 0o600)
			t.Setenv("HF_TOKEN_PATH", p)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFakeHub()
			h.private = token
			home, o := h.start(t)
			_, err := tiny().Get(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), "HF_TOKEN") || !strings.Contains(err.Error(), os.Getenv("HF_ENDPOINT")+"/owner/tiny,") {
				t.Errorf("without a token: err = %v, want one that says where to ask and what to set", err)
			}
			h.refusal = http.StatusForbidden // what a gate answers to a token whose owner did not accept
			if _, err := tiny().Get(t.Context(), o); err == nil || !strings.Contains(err.Error(), "403") || !strings.Contains(err.Error(), os.Getenv("HF_ENDPOINT")+"/owner/tiny,") {
				t.Errorf("behind a gate: err = %v", err)
			}
			set(t, home)
			p, err := tiny().Get(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			mustHold(t, p, h.weights)
			for i, path := range h.paths {
				if strings.Contains(path, "/storage/") && h.seen[i] != "" {
					t.Errorf("%s got the token", path)
				}
			}
		})
	}
	t.Run("is not told", func(t *testing.T) {
		h := newFakeHub()
		_, o := h.start(t)
		t.Setenv("HF_TOKEN", token)
		var events []string
		o.Report = func(e Event) { events = append(events, fmt.Sprint(e)) }
		h.storage = func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "for "+token, http.StatusForbidden)
		}
		_, err := tiny().Get(t.Context(), o)
		if err == nil || strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "secret") || strings.Contains(strings.Join(events, ""), token) {
			t.Errorf("err = %v, events %v", err, events)
		}
		t.Setenv("HF_TOKEN", "hf_\x01"+token)
		if _, err := tiny().Get(t.Context(), o); err == nil || strings.Contains(err.Error(), token) || !strings.Contains(err.Error(), "log in again") {
			t.Errorf("a token with a control character: err = %v", err)
		}
	})
}

func TestHubSwitchedOff(t *testing.T) {
	h := newFakeHub()
	_, o := h.start(t)
	t.Setenv("HF_HUB_OFFLINE", "on")
	_, err := tiny().Get(t.Context(), o)
	if !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), "HF_HUB_OFFLINE") {
		t.Errorf("err = %v", err)
	}
	t.Setenv("HF_HUB_OFFLINE", "0")
	for _, bad := range []string{"http://huggingface.example", "https://a:b@host", "ftp://host", "https://host/?q", "nonsense"} {
		t.Setenv("HF_ENDPOINT", bad)
		if _, err := tiny().Get(t.Context(), o); err == nil || !strings.Contains(err.Error(), "HF_ENDPOINT") {
			t.Errorf("HF_ENDPOINT=%s: err = %v", bad, err)
		}
	}
	if n := h.requests.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestHubManyAtOnceFetchOnce(t *testing.T) {
	h := newFakeHub()
	_, o := h.start(t)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if p, err := tiny().Get(t.Context(), o); err != nil {
				t.Error(err)
			} else {
				mustHold(t, p, h.weights)
			}
		})
	}
	wg.Wait()
	if n := h.requests.Load(); n != 3 { // HEAD, GET, and the storage
		t.Errorf("%d requests, want 3: %q", n, h.paths)
	}
}

// A hub cache that may not be written to costs sharing, not the file.
func TestHubCacheThatIsReadOnly(t *testing.T) {
	h := newFakeHub()
	home, o := h.start(t)
	os.WriteFile(filepath.Join(home, "hub"), nil, 0o600) // in the folder's place: this stops root too
	p, err := tiny().Get(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, p, h.weights)
	if p2, err := tiny().Get(t.Context(), Options{Offline: true}); err != nil || p2 != p {
		t.Errorf("offline: %s, %v; want %s", p2, err, p)
	}
}

func TestHubAnswersThatAreNone(t *testing.T) {
	h := newFakeHub()
	for name, c := range map[string]struct {
		f    File
		word string
	}{
		"no such file":       {File{Name: "x", Sources: []Source{{HF: &HF{Repo: "owner/tiny", File: "other.bin"}}}}, "404"},
		"no such revision":   {File{Name: "x", Sources: []Source{{HF: &HF{Repo: "owner/tiny", Revision: "v2", File: "model.safetensors"}}}}, "404"},
		"another hash":       {File{Name: "x", SHA256: strings.Repeat("0", 64), Sources: tiny().Sources}, strings.Repeat("0", 64)},
		"another size":       {File{Name: "x", Bytes: 7, Sources: tiny().Sources}, "want 7"},
		"repository climbs":  {File{Name: "x", Sources: []Source{{HF: &HF{Repo: "../x", File: "f"}}}}, "want owner/name"},
		"revision climbs":    {File{Name: "x", Sources: []Source{{HF: &HF{Repo: "a/b", Revision: "a/../../c", File: "f"}}}}, "want a commit"},
		"file climbs":        {File{Name: "x", Sources: []Source{{HF: &HF{Repo: "a/b", File: "../f"}}}}, "stays inside"},
		"one folder, two --": {File{Name: "x", Sources: []Source{{HF: &HF{Repo: "a/b--c", File: "f"}}}}, "want owner/name"},
	} {
		t.Run(name, func(t *testing.T) {
			home, o := h.start(t)
			if _, err := c.f.Get(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.word) {
				t.Errorf("err = %v, want %q in it", err, c.word)
			}
			if left, _ := filepath.Glob(filepath.Join(home, "hub", "*", "blobs", "*")); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
	t.Run("a page of somebody else", func(t *testing.T) {
		_, o := h.start(t)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>sign in") }))
		defer s.Close()
		t.Setenv("HF_ENDPOINT", s.URL)
		if _, err := tiny().Get(t.Context(), o); err == nil || !strings.Contains(err.Error(), "does not answer as the hub does") {
			t.Errorf("err = %v", err)
		}
	})
}

// The real huggingface_hub finds what came through here, offline, and we find what it
// fetched. Set TLKIT_HUB_PYTHON to a Python that has it.
func TestHubCacheIsPythons(t *testing.T) {
	python := os.Getenv("TLKIT_HUB_PYTHON")
	if python == "" {
		t.Skip("TLKIT_HUB_PYTHON is not set: no Python with huggingface_hub to compare with")
	}
	ask := func(t *testing.T, file string, offline bool) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), python, "-c", "import sys, huggingface_hub as h; print(h.hf_hub_download('owner/tiny', sys.argv[1]))", file)
		cmd.Env = []string{"HF_HUB_DISABLE_TELEMETRY=1", "HF_HUB_DISABLE_XET=1"}
		for _, kv := range os.Environ() { // to Python an empty setting is one, too
			if !strings.HasSuffix(kv, "=") {
				cmd.Env = append(cmd.Env, kv)
			}
		}
		if offline {
			cmd.Env = append(cmd.Env, "HF_HUB_OFFLINE=1")
		}
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("Python: %v\n%s", err, errs.String())
		}
		return strings.TrimSpace(string(out))
	}
	t.Run("ours", func(t *testing.T) {
		h := newFakeHub()
		_, o := h.start(t)
		for _, f := range []File{tiny(), {Name: "config.json", Sources: []Source{{HF: &HF{Repo: "owner/tiny", File: "sub/config.json"}}}}} {
			p, err := f.Get(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			before := h.requests.Load()
			if got := ask(t, f.Sources[0].HF.File, true); got != p {
				t.Errorf("Python offline finds %s, we have it at %s", got, p)
			}
			// Online it asks whether the file changed, and does not fetch it again.
			if got := ask(t, f.Sources[0].HF.File, false); got != p {
				t.Errorf("Python online finds %s, we have it at %s", got, p)
			}
			for _, path := range h.paths[before:] {
				if strings.HasPrefix(path, "GET /storage") || strings.HasPrefix(path, "GET /owner") {
					t.Errorf("Python fetched again: %s", path)
				}
			}
		}
	})
	t.Run("theirs", func(t *testing.T) {
		h := newFakeHub()
		_, _ = h.start(t)
		p := ask(t, "model.safetensors", false)
		got, err := tiny().Get(t.Context(), Options{Offline: true})
		if err != nil || got != p {
			t.Errorf("we find %s, %v; Python put it at %s", got, err, p)
		}
		config := File{Name: "config.json", Sources: []Source{{HF: &HF{Repo: "owner/tiny", File: "sub/config.json"}}}}
		p = ask(t, "sub/config.json", false)
		if got, err := config.Get(t.Context(), Options{Offline: true}); err != nil || got != p {
			t.Errorf("we find %s, %v; Python put it at %s", got, err, p)
		}
	})
}
