package fetch

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var cuts = flag.Int("cuts", 6, "points at which each server behaviour of TestServersThatMisbehave strikes; 200 for the full run")

// bad is one server that misbehaves once at byte k and is honest afterwards, unless
// it says otherwise.
type bad struct {
	name string
	// serve answers the n-th request (0, 1, ...) for the file; false = be honest.
	serve func(s *badServer, w http.ResponseWriter, r *http.Request, n int) bool
	// fails says that the first Get must end with an error; the second, to an honest
	// server, never.
	fails func(s *badServer) bool
	idle  time.Duration
	check func(t *testing.T, s *badServer)
}

// badServer is a server during one case.
type badServer struct {
	data   []byte
	k      int
	odd    bool // every other case varies the behaviour
	sized  bool // the row knows the size
	other  string
	look   func(when string)
	honest bool

	mu     sync.Mutex
	n      int
	ranges []string
	waits  []time.Duration
	tag    string
}

// cut sends the head of the file up to byte k and breaks the connection.
func (s *badServer) cut(w http.ResponseWriter, of []byte, tag string) {
	w.Header().Set("ETag", tag)
	w.Header().Set("Content-Length", fmt.Sprint(len(of)))
	w.Write(of[:s.k])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// partial sends bytes and says of which place in the file they are.
func (s *badServer) partial(w http.ResponseWriter, says int, body []byte, tag string) {
	w.Header().Set("ETag", tag)
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", says, says+len(body)-1, len(s.data)))
	w.WriteHeader(http.StatusPartialContent)
	w.Write(body)
}

func never(*badServer) bool  { return false }
func always(*badServer) bool { return true }

// flipped is the file with another byte from i on.
func flipped(b []byte, i int) []byte {
	b = bytes.Clone(b)
	for ; i < len(b); i += 97 {
		b[i] ^= 0x20
	}
	return b
}

var behaviours = []bad{
	{name: "cuts", fails: never, serve: func(s *badServer, w http.ResponseWriter, r *http.Request, n int) bool {
		if n == 0 {
			s.cut(w, s.data, s.tag)
		}
		return false
	}},
	{name: "stalls", fails: never, idle: 150 * time.Millisecond, serve: func(s *badServer, w http.ResponseWriter, r *http.Request, n int) bool {
		if n > 0 {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(s.data)))
		w.Write(s.data[:s.k])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return true
	}},
	{name: "says it has more than it has", fails: func(s *badServer) bool { return s.sized }, serve: func(s *badServer, w http.ResponseWriter, r *http.Request, n int) bool {
		if n > 0 {
			return false
		}
		w.Header().Set("ETag", s.tag)
		w.Header().Set("Content-Length", fmt.Sprint(len(s.data)+s.k+1))
		w.Write(s.data)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}},
	{name: "says it has less than it has", fails: always, serve: func(s *badServer, w http.ResponseWriter, r *http.Request, n int) bool {
		w.Header().Set("Content-Length", fmt.Sprint(s.k))
		w.Write(s.data[:s.k])
		return true
	}},
	{name: "redirects to another host, which cuts", fails: never, serve: func(s *badServer, w http.ResponseWriter, r *http.Request, n int) bool {
		if r.Host != s.other {
			s.n-- // a step on the way
			http.Redirect(w, r, "https://"+s.other+r.URL.Path+"?signature=secret", http.StatusFound)
			return true
		}
		if n == 0 {
			s.cut(w, s.data, s.tag)
		}
		return false
	}},
	{name: "redirects in a circle", fails: always, serve: func(s *badServer, w http.ResponseWriter, r *http.Request, n int) bool {
		if n == 0 {
			s.cut(w, s.data, s.tag)
		}
		http.Redirect(w, r, r.URL.Path+"?again=secret", http.StatusTemporaryRedirect)
		return true
	}},
	{name: "sends 206 from elsewhere", fails: never, serve: func(s *badServer, w http.ResponseWriter, r *http.Request, n int) bool {
		from := s.k + 1
		switch {
		case n == 0:
			s.cut(w, s.data, s.tag)
		case n == 1 && r.Header.Get("Range") != "" && s.odd && from < len(s.data): // and says so
			s.partial(w, from, s.data[from:], s.tag)
		case n == 1 && r.Header.Get("Range") != "": // and does not
			s.partial(w, s.k, append(bytes.Clone(s.data[from:]), 0), s.tag)
		default:
			return false
		}
		return true
	}},
	{name: "answers 416", fails: never, serve: func(s *badServer, w http.ResponseWriter, r *http.Request, n int) bool {
		if n == 0 {
			s.cut(w, s.data, s.tag)
		}
		if n > 1 || r.Header.Get("Range") == "" {
			return false
		}
		if s.odd { // as if what we have were all
			w.Header().Set("Content-Range", "bytes */"+strings.TrimSuffix(strings.TrimPrefix(r.Header.Get("Range"), "bytes="), "-"))
		}
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return true
	}},
	{name: "answers 429", fails: never, serve: func(s *badServer, w http.ResponseWriter, r *http.Request, n int) bool {
		if n == 0 {
			s.cut(w, s.data, s.tag)
		}
		if n > 2 {
			return false
		}
		if s.odd {
			w.Header().Set("Retry-After", "7")
		} else {
			w.Header().Set("Retry-After", time.Now().Add(30*time.Second).UTC().Format(http.TimeFormat))
		}
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}, check: func(t *testing.T, s *badServer) {
		long := 0
		for _, d := range s.waits {
			if s.odd && d == 7*time.Second || !s.odd && d > 25*time.Second && d <= 30*time.Second {
				long++
			}
		}
		if long != 2 {
			t.Errorf("cut at %d: waited %v, want twice what the server asked for", s.k, s.waits)
		}
	}},
	{name: "answers 503 for good", fails: always, serve: func(s *badServer, w http.ResponseWriter, r *http.Request, n int) bool {
		if n == 0 {
			s.cut(w, s.data, s.tag)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}, check: func(t *testing.T, s *badServer) {
		if last := s.ranges[len(s.ranges)-1]; s.k > 0 && last == "" {
			t.Errorf("cut at %d: the second Get began from zero, want it to go on: %q", s.k, s.ranges)
		}
	}},
	{name: "sends wrong bytes", fails: func(s *badServer) bool { return s.odd }, serve: func(s *badServer, w http.ResponseWriter, r *http.Request, n int) bool {
		wrong := flipped(s.data, s.k)
		switch {
		case s.odd: // from the beginning, again and again
			w.Write(wrong)
		case n == 0:
			s.cut(w, s.data, s.tag)
		case n == 1 && r.Header.Get("Range") != "":
			s.partial(w, s.k, wrong[s.k:], s.tag)
		default:
			return false
		}
		return true
	}},
	{name: "changes the file meanwhile", fails: never, serve: func(s *badServer, w http.ResponseWriter, r *http.Request, n int) bool {
		old := flipped(s.data, 0)
		switch {
		case n == 0:
			s.cut(w, old, `"old"`)
		case n == 1 && s.odd && r.Header.Get("Range") != "": // and does not look at If-Range
			s.partial(w, s.k, s.data[s.k:], s.tag)
		default:
			return false
		}
		return true
	}},
}

// serves answers for the file: misbehaving first, then as a good server does.
func (s *badServer) serves(b bad, w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look("during a request")
	n := s.n
	s.n++
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	if !s.honest && b.serve(s, w, r, n) {
		return
	}
	w.Header().Set("ETag", s.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.data))
}

// Twelve ways in which servers misbehave, each striking at many places of a file, in our
// own layout and in the hub's: at no moment is anything but the right file to be seen, and
// what can be had in the end is had.
func TestServersThatMisbehave(t *testing.T) {
	if len(behaviours) != 12 {
		t.Fatalf("%d behaviours", len(behaviours))
	}
	data := someBytes(24_000)
	const token = "hf_notForStorage"
	for _, layout := range []string{"own", "hub"} {
		for _, b := range behaviours {
			t.Run(layout+"/"+b.name, func(t *testing.T) {
				var s *badServer
				var tokens []string
				handler := func(w http.ResponseWriter, r *http.Request) {
					if auth := r.Header.Get("Authorization"); auth != "" && r.Host == s.other {
						tokens = append(tokens, r.Host)
					}
					if r.Method == http.MethodHead {
						s.look("while the hub is asked")
						w.Header().Set("X-Repo-Commit", someCommit)
						w.Header().Set("X-Linked-Etag", `"`+sumOf(data)+`"`)
						if s.sized {
							w.Header().Set("X-Linked-Size", fmt.Sprint(len(data)))
						} else {
							w.Header().Set("Location", "/elsewhere") // a plain 200 would tell it
							w.WriteHeader(http.StatusOK)
						}
						return
					}
					s.serves(b, w, r)
				}
				address, o := serve(t, handler)
				other, _ := serve(t, handler)
				// One client that trusts both.
				o.web.client.Transport.(*http.Transport).TLSClientConfig.InsecureSkipVerify = true
				o.web.idle = 10 * time.Second
				if b.idle > 0 {
					o.web.idle = b.idle
				}
				o.web.sleep = func(ctx context.Context, d time.Duration) error {
					s.waits = append(s.waits, d)
					return ctx.Err()
				}
				t.Setenv("HF_ENDPOINT", address)
				t.Setenv("HF_TOKEN", token)
				shown := 0
				for i := range *cuts {
					base := t.TempDir()
					t.Setenv("TLKIT_CACHE", filepath.Join(base, "own"))
					t.Setenv("HF_HOME", filepath.Join(base, "hub"))
					s = &badServer{data: data, k: i * len(data) / *cuts, odd: i%2 == 1, sized: i/2%2 == 1, other: strings.TrimPrefix(other, "https://"), tag: `"right"`}
					s.look = func(when string) { shown += lookAround(t, base, data, fmt.Sprintf("%s, cut at %d", when, s.k)) }
					f := File{Name: "w.bin", SHA256: sumOf(data), Sources: []Source{{URL: address + "/w.bin"}}}
					if layout == "hub" {
						f.Sources[0] = Source{HF: &HF{Repo: "timm/tiny", File: "w.bin"}}
						f.SHA256 = "" // the hub says it
					}
					if s.sized {
						f.Bytes = int64(len(data))
					}
					p, err := f.Get(t.Context(), o)
					s.look("after the first Get")
					if fails := b.fails(s); fails == (err == nil) {
						t.Fatalf("cut at %d (odd %v, size known %v): err = %v, want an error: %v; asked for %q", s.k, s.odd, s.sized, err, fails, s.ranges)
					}
					if err != nil {
						if text := err.Error(); strings.Contains(text, token) || strings.Contains(text, "secret") {
							t.Fatalf("cut at %d: the error tells a secret: %s", s.k, text)
						}
						s.honest = true
						if p, err = f.Get(t.Context(), o); err != nil {
							t.Fatalf("cut at %d: the server is honest now, err = %v", s.k, err)
						}
					}
					s.look("at the end")
					mustHold(t, p, data)
					if b.check != nil {
						b.check(t, s)
					}
				}
				if len(tokens) > 0 {
					t.Errorf("the token went to another host")
				}
				if shown == 0 {
					t.Errorf("no file was ever seen: the test looks in the wrong place")
				}
			})
		}
	}
}

// lookAround counts the files that can be seen under a final name, and fails when one
// is not the right one.
func lookAround(t *testing.T, base string, want []byte, when string) (seen int) {
	t.Helper()
	err := filepath.WalkDir(base, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && d.IsDir() {
			return nil
		}
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(base, p)
		rel = filepath.ToSlash(rel)
		final := strings.HasPrefix(rel, "own/files/") && !strings.HasPrefix(d.Name(), ".") ||
			strings.Contains(rel, "/snapshots/") || strings.Contains(rel, "/blobs/") && !strings.HasSuffix(rel, ".incomplete") && !strings.HasPrefix(d.Name(), ".")
		if !final {
			return nil
		}
		seen++
		if got, err := os.ReadFile(p); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %s is to be seen with %d bytes (%v), and they are not the file", when, rel, len(got), err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return seen
}

const someCommit = "0123456789abcdef0123456789abcdef01234567"
