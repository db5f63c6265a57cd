//go:build unix

package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/janpfeifer/gonb/gonbui/protocol"
)

// This test's program is the worker too: "PROGRAM worker FOLDER".
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "worker" {
		API = "verbs"
		Open = func() Handler { return fake }
		if err := Serve(context.Background(), os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fake are the verbs of the tests.
func fake(ctx context.Context, call Call, tell func(Event) error) Outcome {
	switch call.Verb {
	case "say":
		_ = tell(Event{Show: &protocol.DisplayData{Data: map[protocol.MIMEType]any{protocol.MIMETextPlain: "shown"}, Metadata: map[string]any{"tlkit": map[string]any{"pictures": "chart"}}, DisplayID: "a"}})
		_ = tell(Event{Text: []byte("text\n")})
		return Outcome{Values: call.Args}
	case "where":
		dir, _ := os.Getwd()
		packed, _ := Pack(reflect.ValueOf(dir + " " + os.Getenv("TLKIT_PICTURES") + os.Getenv("GONB_PIPE")))
		return Outcome{Values: [][]byte{packed}}
	case "wait":
		<-ctx.Done()
		return Outcome{Status: interrupted}
	case "stubborn":
		select {}
	case "crash":
		go func() { panic("in a goroutine of its own") }()
		select {}
	}
	return Outcome{Status: 1}
}

// kernel makes the private folder of a kernel, with a short path.
func kernel(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tlk-")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(FolderVar, dir)
	t.Setenv(ProgramVar, self)
	t.Cleanup(func() {
		os.RemoveAll(dir) // and its worker ends
	})
	return dir
}

func connect(t *testing.T) *Client {
	t.Helper()
	c, err := Connect(t.Context(), "verbs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func call(t *testing.T, c *Client, verb string) (Outcome, []Event) {
	t.Helper()
	var events []Event
	out, _, err := c.Call(t.Context(), Call{Verb: verb, Env: Environ()}, func(e Event) { events = append(events, e) })
	if err != nil {
		t.Fatal(err)
	}
	return out, events
}

func TestWorkerStaysBetweenCells(t *testing.T) {
	dir := kernel(t)
	first := connect(t)
	out, events := call(t, first, "say")
	if out.Status != 0 || len(events) != 2 || events[0].Show.DisplayID != "a" || string(events[1].Text) != "text\n" {
		t.Errorf("%+v %+v", out, events)
	}
	first.Close()
	second := connect(t)
	if second.PID != first.PID {
		t.Errorf("the second cell has worker %d, the first had %d", second.PID, first.PID)
	}
	if info, err := os.Stat(filepath.Join(dir, socketName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v %v", info.Mode(), err)
	}
}

func TestFiveCellsStartOneWorker(t *testing.T) {
	kernel(t)
	var all sync.Map
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			c, err := Connect(t.Context(), "verbs")
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if out, _, err := c.Call(t.Context(), Call{Verb: "say"}, func(Event) {}); err != nil || out.Status != 0 {
				t.Errorf("%+v %v", out, err)
			}
			all.Store(c.PID, true)
		})
	}
	wg.Wait()
	n := 0
	all.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d workers for one kernel", n)
	}
}

// A call finds the folder and the environment of its cell, but not the pipe of another cell.
func TestCallFindsItsSurroundings(t *testing.T) {
	kernel(t)
	c := connect(t)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TLKIT_PICTURES", "drawn")
	t.Setenv("GONB_PIPE", "/a/pipe")
	for _, want := range []string{dir + " drawn", dir + " "} {
		var where string
		out, _, err := c.Call(t.Context(), Call{Verb: "where", Dir: dir, Env: Environ()}, func(Event) {})
		if err != nil || Unpack(out.Values[0], reflect.ValueOf(&where)) != nil || where != want {
			t.Errorf("%q %v, want %q", where, err, want)
		}
		os.Unsetenv("TLKIT_PICTURES")
	}
}

func TestInterrupt(t *testing.T) {
	kernel(t)
	c := connect(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if out, _, err := c.Call(ctx, Call{Verb: "wait"}, func(Event) {}); err != nil || out.Status != interrupted {
		t.Errorf("%+v %v", out, err)
	}
	call(t, c, "say")
}

// The worker outlives a killed cell: its verb ends, and the next cell is served.
func TestKilledCell(t *testing.T) {
	kernel(t)
	c := connect(t)
	go func() { _, _, _ = c.Call(t.Context(), Call{Verb: "wait"}, func(Event) {}) }()
	time.Sleep(50 * time.Millisecond)
	c.conn.Close()
	next := connect(t)
	if next.PID != c.PID {
		t.Error("another worker")
	}
	call(t, next, "say")
}

func TestKilledWorkerIsReplaced(t *testing.T) {
	kernel(t)
	c := connect(t)
	time.AfterFunc(50*time.Millisecond, func() { _ = syscall.Kill(c.PID, syscall.SIGKILL) })
	_, begun, err := c.Call(t.Context(), Call{Verb: "wait"}, func(Event) {})
	if !begun || !errors.Is(err, ErrLost) {
		t.Errorf("begun %v, %v", begun, err)
	}
	if why := Why(); !strings.Contains(why, "memory") {
		t.Errorf("why: %s", why)
	}
	next := connect(t)
	if next.PID == c.PID {
		t.Error("the same worker")
	}
	call(t, next, "say")
}

func TestCrashSaysWhy(t *testing.T) {
	kernel(t)
	c := connect(t)
	if _, begun, err := c.Call(t.Context(), Call{Verb: "crash"}, func(Event) {}); !begun || !errors.Is(err, ErrLost) {
		t.Errorf("begun %v, %v", begun, err)
	}
	if why := Why(); why != "panic: in a goroutine of its own" {
		t.Errorf("why: %q", why)
	}
}

// A worker of another program, or started in another environment, is replaced; a cell that was compiled
// from other sources is told.
func TestOtherWorkers(t *testing.T) {
	dir := kernel(t)
	first := connect(t)
	first.Close()
	t.Setenv("XLA_FLAGS", "--other")
	second := connect(t)
	if second.PID == first.PID {
		t.Error("a worker with other XLA_FLAGS was used")
	}
	call(t, second, "say")
	second.Close()
	if _, err := Connect(t.Context(), "other verbs"); err == nil || !strings.Contains(err.Error(), "tlkit setup") {
		t.Errorf("other verbs: %v", err)
	}
	third := connect(t)
	third.Quit()
	for i := 0; ; i++ {
		if _, err := os.Stat(filepath.Join(dir, socketName)); os.IsNotExist(err) {
			break
		} else if i > 100 {
			t.Fatal("the worker did not end")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := os.WriteFile(filepath.Join(dir, socketName), []byte("in the way"), 0o600); err != nil {
		t.Fatal(err)
	}
	call(t, connect(t), "say")
}

func TestFolderCannotBeWritten(t *testing.T) {
	if os.Getuid() == 0 {
		t.Setenv(FolderVar, "/proc/no such folder")
	} else {
		dir := kernel(t)
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(dir, 0o700)
	}
	self, _ := os.Executable()
	t.Setenv(ProgramVar, self)
	if _, err := Connect(t.Context(), "verbs"); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("error %v", err)
	}
	t.Setenv(ProgramVar, "")
	if _, err := Connect(t.Context(), "verbs"); err == nil || !strings.Contains(err.Error(), Tag) {
		t.Errorf("outside of a kernel: %v", err)
	}
}

// A worker ends with its kernel, and after idle time.
func TestWorkerEnds(t *testing.T) {
	dir := kernel(t)
	lock := flock.New(filepath.Join(dir, kernelsLock))
	if ok, err := lock.TryLock(); err != nil || !ok {
		t.Fatal(err)
	}
	c := connect(t)
	time.Sleep(3 * look)
	call(t, c, "say")
	c.Close()
	lock.Unlock()
	gone(t, c.PID)

	t.Setenv(IdleVar, "0.001")
	c = connect(t)
	c.Close()
	gone(t, c.PID)
}

// gone waits for the end of a process.
func gone(t *testing.T, pid int) {
	t.Helper()
	for i := 0; running(pid); i++ {
		if i > 200 {
			t.Fatalf("worker %d still runs", pid)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func running(pid int) bool { return syscall.Kill(pid, 0) == nil }

// A verb that does not end when it is told to takes the worker with it; the next cell gets a new one.
func TestStubbornVerb(t *testing.T) {
	if testing.Short() {
		t.Skip("takes five seconds")
	}
	kernel(t)
	c := connect(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, _, err := c.Call(ctx, Call{Verb: "stubborn"}, func(Event) {}); !errors.Is(err, ErrLost) || time.Since(began) < Grace {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	call(t, connect(t), "say")
}

type sample struct {
	Name   string
	Values map[string]float64
	Of     *sample
}

func TestPack(t *testing.T) {
	for _, v := range []any{"a", 3, []string{"a", ""}, []string(nil), sample{Name: "x", Of: &sample{Values: map[string]float64{"a": 1}}}, &sample{Name: "p"}, time.Minute, sample{}} {
		packed, err := Pack(reflect.ValueOf(v))
		if err != nil {
			t.Fatal(err)
		}
		to := reflect.New(reflect.TypeOf(v))
		if err := Unpack(packed, to); err != nil || !reflect.DeepEqual(to.Elem().Interface(), v) && fmt.Sprint(to.Elem().Interface()) != fmt.Sprint(v) {
			t.Errorf("%#v became %#v: %v", v, to.Elem().Interface(), err)
		}
	}
}
