package fetch

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

const childVar = "TLKIT_FETCH_CHILD"

// TestChild is no test: it is what the processes of TestProcesses do.
func TestChild(t *testing.T) {
	if os.Getenv(childVar) == "" {
		t.Skip("started by TestProcesses")
	}
	p, err := tiny().Get(t.Context(), Options{})
	fmt.Printf("child: %s %v\n", p, err)
}

// One process is killed in the middle of a download; of two others one goes on where it
// stopped while the other waits.
func TestProcesses(t *testing.T) {
	h := newFakeHub()
	half := len(h.weights) / 2
	var mu sync.Mutex
	var ranges, conditions []string
	started, killed := make(chan bool, 1), make(chan bool)
	h.storage = func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		ranges, conditions = append(ranges, r.Header.Get("Range")), append(conditions, r.Header.Get("If-Range"))
		first := len(ranges) == 1
		mu.Unlock()
		w.Header().Set("ETag", `"v1"`)
		if !first {
			time.Sleep(300 * time.Millisecond) // long enough for the other one to meet the lock
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(h.weights))
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(h.weights)))
		w.Write(h.weights[:half])
		w.(http.Flusher).Flush()
		started <- true
		<-killed
	}
	_, _ = h.start(t)
	child := func() *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.v")
		cmd.Env = append(os.Environ(), childVar+"=1")
		return cmd
	}
	victim := child()
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-started:
	case <-time.After(30 * time.Second):
		t.Fatal("the first process never asked for the file")
	}
	// Its bytes must have come before it goes.
	for deadline := time.Now().Add(10 * time.Second); (&download{part: partOf(h)}).have() < int64(half) && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	victim.Process.Kill()
	victim.Wait()
	close(killed)
	if p, ok := tiny().Cached(); ok {
		t.Errorf("half a file is to be seen: %s", p)
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			out, err := child().CombinedOutput()
			if err != nil || !strings.Contains(string(out), "model.safetensors <nil>") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	p, err := tiny().Get(t.Context(), Options{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, p, h.weights)
	if want := fmt.Sprintf("bytes=%d-", half); len(ranges) != 2 || ranges[1] != want || conditions[1] != `"v1"` {
		t.Errorf("asked for %q under %q, want the rest once: %s under the tag it was sent with", ranges, conditions, want)
	}
}

// partOf is where the hub's file grows.
func partOf(h *fakeHub) string {
	c, _ := hubSettings()
	return c.folder("owner/tiny") + "/blobs/" + sumOf(h.weights) + ".incomplete"
}
