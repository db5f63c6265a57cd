package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/serve"
)

// server is tlkit serve as a process of its own.
type server struct {
	t   *testing.T
	cmd *exec.Cmd
	url string
	log *lockedBuffer
}

// lockedBuffer is read while a process still writes to it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startServer starts a copy of this test binary as tlkit serve and waits until it answers.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, cmd: exec.Command(self, append([]string{"serve", "--addr", "127.0.0.1:0", "--json"}, args...)...), log: &lockedBuffer{}}
	s.cmd.Stderr = s.log
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	})
	var on servingOn
	if err := json.NewDecoder(out).Decode(&on); err != nil {
		t.Fatalf("%v\n%s", err, s.log)
	}
	s.url = on.URL
	return s
}

// ask sends a picture.
func (s *server) ask(picture []byte) (serve.Prediction, error) {
	r, err := http.Post(s.url+"predict", "image/png", bytes.NewReader(picture))
	if err != nil {
		return serve.Prediction{}, err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return serve.Prediction{}, err
	}
	var a struct{ Predictions []serve.Prediction }
	if err := json.Unmarshal(text, &a); err != nil || len(a.Predictions) == 0 {
		return serve.Prediction{}, fmt.Errorf("%s %s", r.Status, text)
	}
	return a.Predictions[0], nil
}

// stopped waits for the end of the process.
func (s *server) stopped() error {
	s.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(30 * time.Second):
		s.t.Fatalf("the server does not end\n%s", s.log)
		return nil
	}
}

// picturesOfShapes are the pictures of a folder with what predict says about them.
func picturesOfShapes(t *testing.T, folder string) (pictures [][]byte, want []export.Prediction) {
	t.Helper()
	out, _ := predictStatus(t, 0, "predict", "shapes", folder, "--json")
	want = one[[]export.Prediction](t, out)
	for _, p := range want {
		data, err := os.ReadFile(p.Path)
		if err != nil {
			t.Fatal(err)
		}
		pictures = append(pictures, data)
	}
	return pictures, want
}

// The process answers what predict says; a stop by signal answers all it has; after a kill it starts
// again; a replaced head takes over by signal.
func TestServeProcess(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("signals")
	}
	folder := shapesHead(t)
	pictures, want := picturesOfShapes(t, folder)
	check := func(i int, p serve.Prediction) error {
		if p.Label == nil || *p.Label != want[i].Label || math.Abs(*p.Probability-want[i].Probability) > 1e-4 {
			return fmt.Errorf("%s: %+v, want %+v", want[i].Path, p, want[i])
		}
		return nil
	}
	for _, how := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGKILL} {
		s := startServer(t, "shapes")
		var answered, after, resets atomic.Int64
		var stopping atomic.Bool
		var clients sync.WaitGroup
		for c := range 8 {
			clients.Go(func() {
				for i := c; ; i++ {
					k := i % len(pictures)
					p, err := s.ask(pictures[k])
					if how == syscall.SIGKILL && err != nil || errors.Is(err, syscall.ECONNREFUSED) {
						return
					}
					// The system may take a connection in the instant in which the listener closes.
					if errors.Is(err, syscall.ECONNRESET) && stopping.Load() && resets.Add(1) == 1 {
						return
					}
					if err == nil {
						err = check(k, p)
					}
					if err != nil {
						t.Errorf("%v: %v", how, err)
						return
					}
					if answered.Add(1); stopping.Load() {
						after.Add(1)
					}
				}
			})
		}
		for deadline := time.Now().Add(time.Minute); answered.Load() < 40; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d answers\n%s", answered.Load(), s.log)
			}
		}
		stopping.Store(true)
		if err := s.cmd.Process.Signal(how); err != nil {
			t.Fatal(err)
		}
		err := s.stopped()
		clients.Wait()
		if how != syscall.SIGKILL && (err != nil || after.Load() == 0 || !strings.Contains(s.log.String(), "stopping")) {
			t.Errorf("%v: %v, %d answers after the signal\n%s", how, err, after.Load(), s.log)
		}
	}

	path, err := filepath.Glob(".tlkit/shapes/head.safetensors")
	if err != nil || len(path) != 1 {
		t.Fatal(path, err)
	}
	h, err := export.Read(path[0])
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t, "shapes", "renamed=shapes", "--threshold", "1")
	p, err := s.ask(pictures[0])
	if err != nil || !*p.Unknown || *p.Label != "" || p.Head != "shapes" {
		t.Errorf("%+v %v", p, err)
	}
	for i, l := range h.Labels {
		h.Labels[i] = "new " + l
	}
	if err := h.Write(path[0]); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); p.Probabilities["new discs"] == 0; time.Sleep(10 * time.Millisecond) {
		if p, err = s.ask(pictures[0]); err != nil || time.Now().After(deadline) {
			t.Fatalf("%+v %v\n%s", p, err, s.log)
		}
	}
}

func TestServeRefuses(t *testing.T) {
	shapesHead(t)
	empty := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		word string
	}{
		{nil, "no head is named"}, {[]string{"nowhere"}, "no head file nowhere"}, {[]string{"mobilenetv2"}, "a network, not a trained head"},
		{[]string{"shapes", "shapes"}, "two heads are called shapes"}, {[]string{"shapes", "--addr", "0.0.0.0:0"}, "no token"}, {[]string{"shapes", "--addr", "8080"}, "HOST:PORT"},
		{[]string{"shapes", "--token-file", empty}, "is empty"}, {[]string{"shapes", "--threshold", "2"}, "0 to 1"}, {[]string{"shapes", "--max-mb", "0"}, "--max-mb"},
		{[]string{"shapes", "--max-waiting", "0"}, "--max-waiting"}, {[]string{"shapes", "--log-level", "loud"}, "log-level"},
	} {
		if _, errs := predictStatus(t, 1, append([]string{"serve", "--addr", "127.0.0.1:0"}, c.args...)...); !strings.Contains(errs, c.word) {
			t.Errorf("%v: %s, want %q", c.args, errs, c.word)
		}
	}
}
