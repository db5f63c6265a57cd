package worker

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Client is a cell's connection to its kernel's worker.
type Client struct {
	conn net.Conn
	in   *gob.Decoder
	out  *gob.Encoder
	PID  int // of the worker
}

const (
	startWait = 30 * time.Second     // for a worker to answer for the first time
	again     = 5 * time.Millisecond // between two looks whether it does
	dialWait  = 10 * time.Second     // for the answer to a hello
	retries   = 3                    // workers that are replaced, one after the other
	logTail   = 1 << 20              // bytes of its log in which the reason for its end is looked for
)

// Connect returns a connection to the worker of this process's kernel. It starts one where there is none,
// and replaces one of another program. api is the hash of the verbs that the caller knows.
func Connect(ctx context.Context, api string) (*Client, error) {
	folder, program := os.Getenv(FolderVar), os.Getenv(ProgramVar)
	if folder == "" || program == "" {
		return nil, advice.New(errors.New("worker: this program was built for a cell of the Go (tlkit) kernel, and runs outside of one"), "build it without the tag %s", Tag)
	}
	for range retries {
		c, refused, err := dial(folder, hello{Version: Version, API: api, Program: identity(program), Fixed: fixed(os.Environ())})
		switch {
		case err == nil && refused == accepted:
			return c, nil
		case err == nil && refused == otherAPI:
			return nil, advice.New(errors.New("worker: the kernel's program and the tlkit that this cell compiles against are not of the same version"), "run: tlkit setup; then restart the kernel")
		}
		// There is none, or the one that was there ends now.
		if err := start(ctx, folder, program); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("worker: %s does not answer as a worker of this version", program)
}

// dial says hello to the worker of a folder.
func dial(folder string, h hello) (*Client, Refusal, error) {
	conn, err := net.Dial("unix", filepath.Join(folder, socketName))
	if err != nil {
		return nil, accepted, err
	}
	c := &Client{conn: conn, in: gob.NewDecoder(conn), out: gob.NewEncoder(conn)}
	_ = conn.SetDeadline(time.Now().Add(dialWait))
	var w welcome
	if err = c.out.Encode(h); err == nil {
		err = c.in.Decode(&w)
	}
	if err != nil || w.Refused != accepted {
		conn.Close()
		return nil, w.Refused, err
	}
	_ = conn.SetDeadline(time.Time{})
	c.PID = w.PID
	return c, accepted, nil
}

// start starts a worker, unless another process is doing so.
func start(ctx context.Context, folder, program string) error {
	lock := flock.New(filepath.Join(folder, lockName))
	if ok, err := lock.TryLockContext(ctx, again); err != nil || !ok {
		return fmt.Errorf("worker: the kernel's folder: %w", err)
	}
	defer lock.Unlock()
	socket := filepath.Join(folder, socketName)
	if conn, err := net.Dial("unix", socket); err == nil {
		conn.Close()
		return nil
	}
	log, err := os.OpenFile(filepath.Join(folder, logName), os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(program, "worker", folder)
	// The cell ends only when nobody holds its output any more, so it must not be inherited.
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = Environ()
	cmd.Dir = folder
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return advice.New(fmt.Errorf("worker: %w", err), "run: tlkit setup; then restart the kernel")
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for late := time.After(startWait); ; {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err() // the worker goes on starting, for the next cell
		case err := <-ended:
			return fmt.Errorf("worker: it ended while it was starting: %w: %s", err, tail(folder))
		case <-late:
			return fmt.Errorf("worker: it does not answer after %s: %s", startWait, tail(folder))
		case <-time.After(again):
		}
	}
}

// Environ returns this process's environment, without what belongs to its cell alone.
func Environ() []string { return withoutCell(os.Environ()) }

// withoutCell drops what belongs to one cell from an environment.
func withoutCell(env []string) (out []string) {
	for _, kv := range env {
		if !strings.HasPrefix(kv, "GONB_PIPE") {
			out = append(out, kv)
		}
	}
	return out
}

// Call runs a verb. It passes on what the worker shows, until the verb is done. When ctx ends, the verb is
// told, and Call still waits for its end. begun reports whether the verb had begun when the worker was
// lost; the error is [ErrLost] then.
func (c *Client) Call(ctx context.Context, call Call, told func(Event)) (out Outcome, begun bool, err error) {
	if err := c.out.Encode(request{Call: &call}); err != nil {
		return out, false, lost(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.out.Encode(request{Cancel: true}) })
	defer stop()
	for {
		var e Event
		if err := c.in.Decode(&e); err != nil {
			return out, begun, lost(err)
		}
		switch {
		case e.Begun:
			begun = true
		case e.Done != nil:
			return *e.Done, true, nil
		default:
			told(e)
		}
	}
}

func lost(err error) error { return fmt.Errorf("%w: %w", ErrLost, err) }

// Quit ends the worker.
func (c *Client) Quit() {
	if c.out.Encode(request{Quit: true}) == nil {
		_ = c.in.Decode(&Event{}) // until it has closed the connection
	}
	c.conn.Close()
}

// Close ends the connection. A verb that runs is cancelled.
func (c *Client) Close() error { return c.conn.Close() }

// Why returns what is known about the end of the kernel's worker.
func Why() string {
	text := "\n" + tail(os.Getenv(FolderVar))
	for _, sign := range []string{"\npanic: ", "\nfatal error: ", "\nSIG", "\nworker: "} {
		if i := strings.LastIndex(text, sign); i >= 0 {
			line, _, _ := strings.Cut(text[i+1:], "\n")
			return line
		}
	}
	return "it was ended from outside, most likely because the memory of this machine was used up"
}

// tail returns the end of the worker's log.
func tail(folder string) string {
	text, err := os.ReadFile(filepath.Join(folder, logName))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text[max(0, len(text)-logTail):]))
}
