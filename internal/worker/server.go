package worker

import (
	"context"
	"encoding/gob"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// Open and API are set by package tlkit where it has the verbs in it: what does the calls of a new
// connection, and the hash of the list of verbs.
var (
	Open func() Handler
	API  string
)

const (
	// Grace is how long a verb may take to end by itself once it is told to. GoNB kills a cell after five
	// seconds, without any message.
	Grace       = 4500 * time.Millisecond
	look        = 500 * time.Millisecond // between two looks whether the kernel still runs
	idleMinutes = 30
	outdatedEnd = 50 * time.Millisecond // for the answer to a client that is refused to arrive
)

// server computes for the cells of one kernel.
type server struct {
	folder  string
	program string
	started []string // the fixed part of the environment
	open    func() Handler
	api     string

	turn chan struct{} // held by the call that runs: the environment and the screen belong to it

	mu    sync.Mutex
	conns int
	used  time.Time
	quit  func()
}

// Serve computes for the cells of the kernel whose private folder that is, until the kernel ends, a client
// asks for the end, or nobody has asked for anything for a while.
func Serve(ctx context.Context, folder string) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	if p := os.Getenv(ProgramVar); p != "" {
		program = p // as clients write it
	}
	s := &server{folder: folder, program: identity(program), started: fixed(os.Environ()), open: Open, api: API, turn: make(chan struct{}, 1), used: time.Now()}
	if s.open == nil {
		return fmt.Errorf("worker: %s has no verbs in it", program)
	}
	return s.serve(ctx)
}

func (s *server) serve(ctx context.Context) error {
	ctx, s.quit = context.WithCancel(ctx)
	defer s.quit()
	// Whatever is in the way is from a worker that was killed: the client that started this one holds the
	// lock, and has found that nobody answers.
	path := s.socket()
	_ = os.Remove(path)
	l, err := listen(path)
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	mine, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	defer func() {
		// One that replaces this worker may have made its own already.
		if now, err := os.Lstat(path); err == nil && os.SameFile(mine, now) {
			_ = os.Remove(path)
		}
	}()
	context.AfterFunc(ctx, func() { l.Close() })
	go s.watch(ctx)
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("worker: %w", err)
		}
		go s.client(ctx, conn)
	}
}

func (s *server) socket() string { return filepath.Join(s.folder, socketName) }

// listen makes the socket, which nobody else may use.
func listen(path string) (net.Listener, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// watch ends the worker with its kernel, or when nobody uses it.
func (s *server) watch(ctx context.Context) {
	idle := idleMinutes * time.Minute
	if m, err := strconv.ParseFloat(os.Getenv(IdleVar), 64); err == nil && m > 0 {
		idle = time.Duration(m * float64(time.Minute))
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		s.mu.Lock()
		unused := s.conns == 0
		late := unused && time.Since(s.used) > idle
		s.mu.Unlock()
		// A cell that still runs may be saving what it trained.
		if late || unused && s.orphaned() {
			s.quit()
		}
	}
}

// orphaned reports whether the kernel has ended: its folder is gone, or another process can lock it.
func (s *server) orphaned() bool {
	path := filepath.Join(s.folder, kernelsLock)
	if _, err := os.Lstat(s.folder); err != nil {
		return true
	}
	if _, err := os.Lstat(path); err != nil {
		return false // a folder without a kernel, as in tests
	}
	lock := flock.New(path)
	free, err := lock.TryLock()
	if err == nil && free {
		lock.Unlock()
		return true
	}
	return false
}

// connection is a client, seen from the worker.
type connection struct {
	*server
	conn net.Conn
	in   *gob.Decoder

	mu  sync.Mutex // of out
	out *gob.Encoder
}

func (s *server) client(ctx context.Context, conn net.Conn) {
	s.count(1)
	defer s.count(-1)
	defer conn.Close()
	c := &connection{server: s, conn: conn, in: gob.NewDecoder(conn), out: gob.NewEncoder(conn)}
	var h hello
	if c.in.Decode(&h) != nil {
		return
	}
	refused := s.refuse(h)
	if refused == outdated { // the client finds nobody any more, and starts another
		_ = os.Remove(s.socket())
		defer time.AfterFunc(outdatedEnd, s.quit)
	}
	if c.send(welcome{Refused: refused, PID: os.Getpid()}) != nil {
		return
	}
	if refused != accepted {
		return
	}
	c.serve(ctx)
}

func (s *server) count(n int) {
	s.mu.Lock()
	s.conns += n
	s.used = time.Now()
	s.mu.Unlock()
}

func (s *server) refuse(h hello) Refusal {
	switch {
	case h.Version != Version || h.Program != s.program || strings.Join(h.Fixed, "\n") != strings.Join(s.started, "\n"):
		return outdated
	case h.API != s.api:
		return otherAPI
	}
	return accepted
}

func (c *connection) send(v any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Encode(v)
}

// job is a call with the context in which it runs.
type job struct {
	Call
	ctx  context.Context
	stop context.CancelFunc
}

// serve reads what a client asks for. Calls run one after the other; a cancel ends the one that runs, and
// so does the end of the client.
func (c *connection) serve(ctx context.Context) {
	jobs := make(chan job)
	go c.read(ctx, jobs)
	handle := c.open()
	for j := range jobs {
		out := c.run(j, handle)
		j.stop()
		if c.send(Event{Done: &out}) != nil {
			c.conn.Close() // and read ends
		}
	}
}

func (c *connection) read(ctx context.Context, jobs chan<- job) {
	stop := func() {}
	defer close(jobs)
	defer func() { stop() }()
	for {
		var r request
		if c.in.Decode(&r) != nil {
			return
		}
		switch {
		case r.Quit:
			c.quit()
			return
		case r.Cancel:
			stop()
		case r.Call != nil:
			j := job{Call: *r.Call}
			j.ctx, j.stop = context.WithCancel(ctx)
			stop = j.stop
			jobs <- j
		}
	}
}

// run runs one call. A call that does not end when it is told to takes the whole worker with it, as it
// would take the program of a cell: no file is lost, because files are written completely or not at all.
func (c *connection) run(j job, handle Handler) Outcome {
	ctx := j.ctx
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return Outcome{Status: interrupted}
	}
	defer func() { <-c.turn }()
	if c.send(Event{Begun: true}) != nil {
		return Outcome{Status: interrupted}
	}
	done := make(chan struct{})
	defer close(done)
	defer context.AfterFunc(ctx, func() {
		select {
		case <-done:
		case <-time.After(Grace):
			fmt.Fprintln(os.Stderr, "worker: the verb did not end when it was told to")
			os.Exit(interrupted)
		}
	})()
	restore := surround(j.Call)
	defer restore()
	return handle(ctx, j.Call, func(e Event) error { return c.send(e) })
}

// interrupted is the exit status that shells expect: 128 + SIGINT.
const interrupted = 130

// surround gives this process the environment and the folder of a call.
func surround(call Call) (restore func()) {
	before := os.Environ()
	setEnv(before, call.Env)
	dir, err := os.Getwd()
	if call.Dir != "" {
		_ = os.Chdir(call.Dir) // what needs it says that it is gone
	}
	return func() {
		setEnv(call.Env, before)
		if err == nil {
			_ = os.Chdir(dir)
		}
	}
}

// setEnv changes the environment from one to another.
func setEnv(from, to []string) {
	keep := map[string]bool{}
	for _, kv := range to {
		k, v, _ := strings.Cut(kv, "=")
		keep[k] = true
		if os.Getenv(k) != v {
			_ = os.Setenv(k, v)
		}
	}
	for _, kv := range from {
		if k, _, _ := strings.Cut(kv, "="); !keep[k] {
			_ = os.Unsetenv(k)
		}
	}
}
