package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/internal/cachedir"
)

func sumOf(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func someBytes(n int) []byte {
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	r.Read(b)
	return b
}

// freshCache gives the test a cache of its own.
func freshCache(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	t.Setenv(cachedir.EnvVar, root)
	return root
}

// serve starts a loopback https server and returns Options that trust it.
func serve(t *testing.T, h http.HandlerFunc) (string, Options) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	client := s.Client()
	client.CheckRedirect = checkRedirect
	return s.URL, Options{web: &web{client: client, idle: 300 * time.Millisecond}}
}

// visible lists every file in the cache that has a final name.
func visible(t *testing.T, root string) []string {
	t.Helper()
	var out []string
	filepath.WalkDir(filepath.Join(root, "files"), func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.HasPrefix(d.Name(), ".") {
			out = append(out, p)
		}
		return nil
	})
	return out
}

func mustHold(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != string(want) {
		t.Fatalf("%s holds %d bytes (%v), want the %d that were served", path, len(got), err, len(want))
	}
}

func TestURLOnceThenOffline(t *testing.T) {
	root := freshCache(t)
	data := someBytes(300_000)
	var requests atomic.Int32
	url, o := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.Write(data)
	})
	var last Event
	o.Report = func(e Event) { last = e }
	f := File{Name: "w.pth", SHA256: sumOf(data), Bytes: int64(len(data)), Sources: []Source{{URL: url + "/w.pth"}}}
	if _, ok := f.Cached(); ok {
		t.Fatal("cached before it was fetched")
	}
	p, err := f.Get(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, p, data)
	if want := filepath.Join(root, "files", sumOf(data), "w.pth"); p != want {
		t.Errorf("path %s, want %s", p, want)
	}
	if last.Done != int64(len(data)) || last.Total != int64(len(data)) || last.State != Verifying {
		t.Errorf("last event %+v, want all bytes verified", last)
	}
	if p2, err := f.Get(t.Context(), Options{Offline: true}); err != nil || p2 != p {
		t.Errorf("offline: %s, %v; want %s", p2, err, p)
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	if left, _ := os.ReadDir(filepath.Join(root, "part")); len(left) != 0 {
		t.Errorf("left in part: %v", left)
	}
}

func TestWrongContentIsNeverVisible(t *testing.T) {
	data := someBytes(1000)
	other := someBytes(2000)[1000:]
	for name, h := range map[string]http.HandlerFunc{
		"other bytes of the right size": func(w http.ResponseWriter, r *http.Request) { w.Write(other) },
		"a size that is not the file's": func(w http.ResponseWriter, r *http.Request) { w.Write(data[:999]) },
		"more than it should, unannounced": func(w http.ResponseWriter, r *http.Request) {
			w.Write(data[:500])
			w.(http.Flusher).Flush()
			w.Write(data[500:])
			w.Write(data)
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := freshCache(t)
			url, o := serve(t, h)
			f := File{Name: "x", SHA256: sumOf(data), Bytes: 1000, Sources: []Source{{URL: url}}}
			_, err := f.Get(t.Context(), o)
			if !errors.Is(err, ErrHash) {
				t.Errorf("err = %v, want one that is ErrHash", err)
			}
			if v := visible(t, root); len(v) != 0 {
				t.Errorf("visible in the cache: %v", v)
			}
			if left, _ := os.ReadDir(filepath.Join(root, "part")); len(left) != 0 {
				t.Errorf("left in part: %v", left)
			}
		})
	}
	t.Run("error shows both hashes", func(t *testing.T) {
		freshCache(t)
		url, o := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Write(other) })
		_, err := File{Name: "x", SHA256: sumOf(data), Sources: []Source{{URL: url}}}.Get(t.Context(), o)
		var h *HashError
		if !errors.As(err, &h) || h.Want != sumOf(data) || h.Got != sumOf(other) {
			t.Fatalf("err = %v, want a HashError with both", err)
		}
		if s := err.Error(); !strings.Contains(s, sumOf(data)) || !strings.Contains(s, sumOf(other)) {
			t.Errorf("message shows not both hashes: %s", s)
		}
	})
}

func TestSecondSourceAfterABadFirst(t *testing.T) {
	freshCache(t)
	data := someBytes(1000)
	url, o := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/gone":
			http.NotFound(w, r)
		case "/bad":
			w.Write(data[:10])
		default:
			w.Write(data)
		}
	})
	f := File{Name: "x", SHA256: sumOf(data), Bytes: 1000, Sources: []Source{{URL: url + "/gone"}, {URL: url + "/bad"}, {URL: url + "/good"}}}
	p, err := f.Get(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, p, data)
}

// A connection that breaks goes on where it stopped.
func TestCutConnectionsResume(t *testing.T) {
	freshCache(t)
	data := someBytes(500_000)
	var mu sync.Mutex
	var ranges []string
	url, o := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n := len(ranges)
		ranges = append(ranges, r.Header.Get("Range"))
		mu.Unlock()
		if n >= 2 {
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(data)))
			return
		}
		from := 0
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		w.Header().Set("Content-Length", fmt.Sprint(len(data)-from))
		if from > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(data)-1, len(data)))
			w.WriteHeader(http.StatusPartialContent)
		}
		w.Write(data[from : from+150_000])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	p, err := File{Name: "x", SHA256: sumOf(data), Bytes: int64(len(data)), Sources: []Source{{URL: url}}}.Get(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, p, data)
	if len(ranges) != 3 || ranges[0] != "" || ranges[1] != "bytes=150000-" || ranges[2] != "bytes=300000-" {
		t.Errorf("ranges asked for: %q", ranges)
	}
}

// What an earlier process left is used when it is right, and thrown away when not.
func TestPartsOfEarlierProcesses(t *testing.T) {
	data := someBytes(100_000)
	wrong := make([]byte, 60_000)
	for _, c := range []struct {
		name      string
		part      []byte
		asked     []string
		ignoreing bool // a server that knows no ranges
	}{
		{"right", data[:60_000], []string{"bytes=60000-"}, false},
		{"right, server without ranges", data[:60_000], []string{"bytes=60000-"}, true},
		{"complete", data, nil, false},
		{"wrong", wrong, []string{"bytes=60000-", ""}, false},
		{"too long", append(data[:len(data):len(data)], 1), []string{""}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := freshCache(t)
			var asked []string
			url, o := serve(t, func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.Header.Get("Range"))
				if c.ignoreing {
					w.Write(data)
					return
				}
				http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(data)))
			})
			f := File{Name: "x", SHA256: sumOf(data), Bytes: int64(len(data)), Sources: []Source{{URL: url}}}
			if err := os.MkdirAll(filepath.Join(root, "part"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, "part", f.SHA256+"-x.part"), c.part, 0o600); err != nil {
				t.Fatal(err)
			}
			p, err := f.Get(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			mustHold(t, p, data)
			if fmt.Sprint(asked) != fmt.Sprint(c.asked) {
				t.Errorf("asked for %q, want %q", asked, c.asked)
			}
		})
	}
}

// A server that answers another range than the one asked for is not believed.
func TestOtherRange(t *testing.T) {
	root := freshCache(t)
	data := someBytes(1000)
	var asked []string
	url, o := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Range"))
		if r.Header.Get("Range") == "" {
			w.Write(data)
			return
		}
		w.Header().Set("Content-Range", "bytes 500-999/1000")
		w.WriteHeader(http.StatusPartialContent)
		w.Write(data[500:])
	})
	f := File{Name: "x", SHA256: sumOf(data), Sources: []Source{{URL: url}}}
	os.MkdirAll(filepath.Join(root, "part"), 0o700)
	os.WriteFile(filepath.Join(root, "part", f.SHA256+"-x.part"), data[:400], 0o600)
	p, err := f.Get(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, p, data)
	if fmt.Sprint(asked) != "[bytes=400- ]" {
		t.Errorf("asked for %q, want the rest and then the whole", asked)
	}
}

// A wrong size is refused before a byte is stored.
func TestWrongSizeIsRefusedEarly(t *testing.T) {
	freshCache(t)
	data := someBytes(1000)
	url, o := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "5000000000")
		w.Write(data)
	})
	var done int64
	o.Report = func(e Event) { done = max(done, e.Done) }
	_, err := File{Name: "x", SHA256: sumOf(data), Bytes: 1000, Sources: []Source{{URL: url}}}.Get(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "offers 5000000000 bytes, want 1000") || done != 0 {
		t.Errorf("err = %v after %d bytes", err, done)
	}
}

func TestServersThatNeverFinish(t *testing.T) {
	data := someBytes(1000)
	for name, h := range map[string]http.HandlerFunc{
		"no header": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"stalls in the middle": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.Write(data[:400])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := freshCache(t)
			url, o := serve(t, h)
			o.web.client.Transport.(*http.Transport).ResponseHeaderTimeout = 200 * time.Millisecond
			start := time.Now()
			_, err := File{Name: "x", SHA256: sumOf(data), Bytes: 1000, Sources: []Source{{URL: url}}}.Get(t.Context(), o)
			if !errors.Is(err, ErrUnreachable) {
				t.Errorf("err = %v, want ErrUnreachable", err)
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("took %s to give up", d)
			}
			if v := visible(t, root); len(v) != 0 {
				t.Errorf("visible: %v", v)
			}
		})
	}
}

func TestStopInTheMiddleKeepsThePart(t *testing.T) {
	root := freshCache(t)
	data := someBytes(1000)
	ctx, cancel := context.WithCancel(t.Context())
	url, o := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.Write(data[:400])
		w.(http.Flusher).Flush()
		time.Sleep(50 * time.Millisecond)
		cancel()
		<-r.Context().Done()
	})
	f := File{Name: "x", SHA256: sumOf(data), Bytes: 1000, Sources: []Source{{URL: url}}}
	if _, err := f.Get(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context.Canceled", err)
	}
	if v := visible(t, root); len(v) != 0 {
		t.Errorf("visible: %v", v)
	}
	if info, err := os.Stat(filepath.Join(root, "part", f.SHA256+"-x.part")); err != nil || info.Size() != 400 {
		t.Errorf("part: %v, %v; want the 400 bytes that came", info, err)
	}
}

func TestRedirects(t *testing.T) {
	data := someBytes(100)
	f := func(u string) File { return File{Name: "x", SHA256: sumOf(data), Sources: []Source{{URL: u}}} }
	url, o := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var n int
		if fmt.Sscanf(r.URL.Path, "/%d", &n); n > 0 {
			http.Redirect(w, r, fmt.Sprintf("/%d", n-1), http.StatusFound)
			return
		}
		if r.URL.Path == "/plain" {
			http.Redirect(w, r, "http://127.0.0.1:9/", http.StatusFound)
			return
		}
		w.Write(data)
	})
	freshCache(t)
	if _, err := f(url+"/6").Get(t.Context(), o); err == nil || !strings.Contains(err.Error(), "5 redirects") {
		t.Errorf("6 redirects: err = %v", err)
	}
	if _, err := f(url+"/plain").Get(t.Context(), o); err == nil || !strings.Contains(err.Error(), "want https") {
		t.Errorf("redirect to http: err = %v", err)
	}
	if _, err := f(url+"/5").Get(t.Context(), o); err != nil {
		t.Errorf("5 redirects: %v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	root := freshCache(t)
	f := File{Name: "weights.pth", SHA256: sumOf([]byte("x")), Bytes: 1, Sources: []Source{{URL: "https://127.0.0.1:9/files/weights-1.pth"}}}
	start := time.Now()
	_, err := f.Get(t.Context(), Options{})
	if !errors.Is(err, ErrUnreachable) {
		t.Errorf("err = %v, want ErrUnreachable", err)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %s to give up", d)
	}
	// What is missing, which file, and where to put it by hand.
	for _, want := range []string{"weights.pth", f.SHA256, filepath.Join(root, "incoming"), "weights-1.pth"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message lacks %q: %s", want, err)
		}
	}
	if _, err := f.Get(t.Context(), Options{Offline: true}); !errors.Is(err, ErrOffline) || errors.Is(err, ErrUnreachable) {
		t.Errorf("offline: err = %v, want ErrOffline only", err)
	}
}

func TestManyAtOnceFetchOnce(t *testing.T) {
	freshCache(t)
	data := someBytes(10_000)
	var requests, waited atomic.Int32
	url, o := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		time.Sleep(200 * time.Millisecond)
		w.Write(data)
	})
	f := File{Name: "x", SHA256: sumOf(data), Sources: []Source{{URL: url}}}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			o := o
			o.Report = func(e Event) {
				if e.State == Waiting {
					waited.Add(1)
				}
			}
			if _, err := f.Get(t.Context(), o); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	if waited.Load() != 7 {
		t.Errorf("%d said that they wait, want 7", waited.Load())
	}
}

// PyTorch's file names carry 8 digits of the hash.
func TestPublishedPrefix(t *testing.T) {
	root := freshCache(t)
	data := someBytes(1234)
	full := sumOf(data)
	url, o := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Write(data) })
	f := File{Name: "resnet18.pth", SHA256: strings.ToUpper(full[:8]), Sources: []Source{{URL: url}}}
	p, err := f.Get(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(root, "files", full, "resnet18.pth"); p != want {
		t.Errorf("path %s, want the full hash in %s", p, want)
	}
	if got, err := Sum(t.Context(), p); err != nil || got != full {
		t.Errorf("Sum = %s, %v; want %s", got, err, full)
	}
	if p2, ok := f.Cached(); !ok || p2 != p {
		t.Errorf("Cached = %s, %v", p2, ok)
	}
	g := f
	g.SHA256 = "00000000"
	if _, err := g.Get(t.Context(), o); !errors.Is(err, ErrHash) {
		t.Errorf("another prefix: err = %v, want ErrHash", err)
	}
}
