//go:build tlkit_worker

package tlkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/worker"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// With the tag tlkit_worker, as in the cells of the Go (tlkit) kernel, the verbs of this package run in
// the kernel's worker. stubs.go is made from the other build of the package: see CONTRIBUTING.md.

// Open returns a Classifier for a head file. It does not read the file; [Classifier.Classify] does.
func Open(path string) Classifier { return Classifier{Path: path} }

// Forget ends the process that computes for this notebook, with what it keeps in memory: networks,
// compiled programs, features. The next verb starts a new one. Elsewhere it does nothing.
func Forget() {
	verb("Forget", func(ctx context.Context) error {
		if connected == nil {
			var err error
			if connected, err = worker.Connect(ctx, stubsHash); err != nil {
				return err
			}
		}
		connected.Quit()
		connected = nil
		return nil
	})
}

// connected is this cell's connection to the worker, made by its first verb.
var connected *worker.Client

// remote runs a verb in the worker. returned are pointers to what it returns.
func remote(name string, returned []any, args ...any) {
	what, where := titled(name, args)
	verbIn(what, where, func(ctx context.Context) error {
		call, err := callOf(name, args)
		if err != nil {
			return err
		}
		out, err := asked(ctx, call)
		switch {
		case err != nil:
			return err
		case out.Panic != "":
			show.Default.Flush()
			fmt.Fprintln(os.Stderr, out.Panic)
			return ended(out.Status)
		case out.Status != 0:
			return ended(out.Status)
		}
		for i, to := range returned {
			if err := worker.Unpack(out.Values[i], reflect.ValueOf(to)); err != nil {
				return err
			}
		}
		return nil
	})
}

// titled returns what a card says of a verb that the worker can no longer speak for.
func titled(name string, args []any) (what, where string) {
	_, what, method := strings.Cut(name, ".")
	if !method {
		return name, ""
	}
	switch of := args[0].(type) {
	case Learner:
		if of.Name != "" {
			return what + " of " + of.Name, filepath.Join(home, of.Name)
		}
	case Robot:
		return what + " of " + of.Name, ""
	}
	return what, ""
}

func callOf(name string, args []any) (worker.Call, error) {
	call := worker.Call{Verb: name, Env: worker.Environ(), Cell: show.Default.InCell()}
	call.Dir, _ = os.Getwd() // without a folder, verbs that need one say so
	for _, a := range args {
		packed, err := worker.Pack(reflect.ValueOf(a))
		if err != nil {
			return call, err
		}
		call.Args = append(call.Args, packed)
	}
	return call, nil
}

// asked has the worker do a call. One that had not begun when the worker ended is done by the next.
func asked(ctx context.Context, call worker.Call) (out worker.Outcome, err error) {
	for range 2 {
		if connected == nil {
			if connected, err = worker.Connect(ctx, stubsHash); err != nil {
				return out, err
			}
		}
		var begun bool
		out, begun, err = connected.Call(ctx, call, tell)
		if err == nil {
			return out, nil
		}
		connected.Close()
		connected = nil
		if begun && ctx.Err() != nil {
			return out, context.Canceled // it was told to end, and took the worker with it
		}
		if begun {
			break
		}
	}
	if errors.Is(err, worker.ErrLost) {
		err = advice.New(fmt.Errorf("the process that computes for this notebook has ended: %s", worker.Why()), "run the cell again: a new one starts, and what was finished before is kept")
	}
	return out, err
}

// tell shows what the worker tells.
func tell(e worker.Event) {
	if e.Show != nil {
		show.Default.Forward(e.Show)
	}
	if e.Text != nil {
		_, _ = os.Stdout.Write(e.Text)
	}
}

// keptBy says what of an interrupted verb is kept, where the worker did not say it itself.
func keptBy(error) string { return featuresKept }
