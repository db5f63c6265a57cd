// Package worker lets a process that stays compute for programs that come and go: the cells of a
// notebook. A cell links a thin client instead of GoMLX and XLA, and its verbs run in the worker, which
// belongs to the kernel.
//
// A client and its worker speak gob over a socket in the kernel's private folder. A connection is one
// cell. On it the client sends calls, one after the other, and cancels one; the worker answers with what
// is to be shown, while it works, and at the end with the value or the status.
package worker

import (
	"context"
	"encoding/gob"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/janpfeifer/gonb/gonbui/protocol"
)

// Version is the version of the protocol. Both sides refuse another one.
const Version = 1

// Tag is the build tag of programs that leave the work to a worker.
const Tag = "tlkit_worker"

// Variables of the kernel's environment.
const (
	ProgramVar = "TLKIT_WORKER_PROGRAM" // what is started as "PROGRAM worker FOLDER"
	FolderVar  = "TLKIT_WORKER_FOLDER"  // the kernel's private folder, where the socket is
	IdleVar    = "TLKIT_WORKER_IDLE"    // minutes without a call after which a worker ends; 30
)

// Files in the kernel's private folder.
const (
	socketName  = "worker.sock"
	lockName    = "worker.lock"
	logName     = "worker.log"
	kernelsLock = "lock" // held as long as the kernel runs: see package wrapper
)

// Call is a verb with its arguments, and what it finds around it.
type Call struct {
	Verb string
	Args [][]byte // each as Pack writes it
	Env  []string
	Dir  string // the working folder
	Cell bool   // outputs go to a notebook's cell; else they are text
}

// Event is what a worker tells while it works. One field is set.
type Event struct {
	Begun bool // no other call is in the way any more
	Show  *protocol.DisplayData
	Text  []byte // for standard output
	Done  *Outcome
}

// Outcome is how a call ended.
type Outcome struct {
	Values [][]byte // what the verb returned, each as Pack writes it
	Status int      // 0, or that with which the cell ends; then a card has said why
	Panic  string   // the trace of a panic
}

// Handler does the work of a call. It ends early when ctx does.
type Handler func(ctx context.Context, call Call, tell func(Event) error) Outcome

// hello opens a connection, and welcome answers it.
type hello struct {
	Version int
	API     string   // hash of the verbs that both sides know
	Program string   // the worker's program file, as identity describes it
	Fixed   []string // the environment that holds for the life of a process
}

type welcome struct {
	Refused Refusal
	PID     int
}

// Refusal is why a worker does not serve a client.
type Refusal string

// The reasons.
const (
	accepted Refusal = ""
	outdated Refusal = "outdated" // the worker ends, and a new one can be started
	otherAPI Refusal = "api"      // the client was compiled from other sources than the program
)

// request is what a client sends after the hello: a call, or the end of the one that runs.
type request struct {
	Call   *Call
	Cancel bool
	Quit   bool // the worker ends
}

func init() {
	// As package show registers them: a display is a gob of these.
	gob.Register(map[string]any{})
	gob.Register([]any{})
}

// ErrLost is the error of a call whose worker ended while it worked.
var ErrLost = errors.New("worker: the process that computes for this notebook has ended")

// startVars begin the names of variables that libraries read once, when they are first used.
var startVars = []string{"XLA_", "PJRT_", "CUDA_", "NVIDIA_", "TF_", "GOMLX_", "OMP_", "ONNXRUNTIME_", "LD_", "DYLD_", "GODEBUG=", "GOGC=", "GOMAXPROCS=", "GOMEMLIMIT=", "MUJOCO_"}

// fixed returns the part of an environment that holds for the life of a process.
func fixed(env []string) (out []string) {
	for _, kv := range env {
		if slices.ContainsFunc(startVars, func(v string) bool { return strings.HasPrefix(kv, v) }) {
			out = append(out, kv)
		}
	}
	slices.Sort(out)
	return out
}

// identity describes a program file so that a newer one of the same name is another.
func identity(program string) string {
	info, err := os.Stat(program)
	if err != nil {
		return program
	}
	return strings.Join([]string{program, info.ModTime().UTC().String(), info.Mode().String()}, " ")
}
