//go:build !tlkit_worker

package tlkit

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"

	"github.com/janpfeifer/gonb/gonbui/protocol"

	"github.com/tlkit/transfer-learning/internal/worker"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

func init() { worker.Open, worker.API = func() worker.Handler { return new(guest).do }, stubsHash }

// Forget ends the process that computes for this notebook, with what it keeps in memory: networks,
// compiled programs, features. The next verb starts a new one. Elsewhere it does nothing.
func Forget() {}

// guest is a cell for which this process computes. It has a screen of its own, so that a figure which is
// shown again replaces the earlier one of the same cell.
type guest struct {
	screen *show.Screen
	tell   func(worker.Event) error
}

// leaving ends a verb, as os.Exit does in a cell.
type leaving struct{ status int }

// do runs a verb for the cell. The worker runs one at a time.
func (g *guest) do(ctx context.Context, call worker.Call, tell func(worker.Event) error) (out worker.Outcome) {
	g.tell = tell
	if g.screen == nil {
		g.screen = show.New(g, "")
		if call.Cell {
			g.screen = show.Through(func(d *protocol.DisplayData) error { return g.tell(worker.Event{Show: d}) }, g)
		}
	}
	before := show.Default
	show.Default = g.screen
	inWorker = func(what, where string, do func(context.Context) error) {
		if status := conclude(ctx, what, where, do(ctx)); status != 0 {
			panic(leaving{status})
		}
	}
	defer func() {
		p := recover()
		if left, ok := p.(leaving); ok {
			out = worker.Outcome{Status: left.status}
		} else if p != nil {
			out = worker.Outcome{Status: 2, Panic: fmt.Sprintf("panic: %v\n\n%s", p, debug.Stack())}
		}
		g.screen.Flush()
		show.Default, inWorker = before, nil
	}()
	return perform(call)
}

// Write is standard output for the screen.
func (g *guest) Write(p []byte) (int, error) { return len(p), g.tell(worker.Event{Text: p}) }

// perform calls the verb with its arguments.
func perform(call worker.Call) (out worker.Outcome) {
	verb, known := verbs[call.Verb]
	if !known || reflect.TypeOf(verb).NumIn() != len(call.Args) {
		fmt.Fprintln(os.Stderr, "worker: no verb", call.Verb)
		return worker.Outcome{Status: 1, Panic: "tlkit: the worker does not know " + call.Verb}
	}
	f := reflect.ValueOf(verb)
	args := make([]reflect.Value, len(call.Args))
	for i, packed := range call.Args {
		to := reflect.New(f.Type().In(i))
		if err := worker.Unpack(packed, to); err != nil {
			return worker.Outcome{Status: 1, Panic: err.Error()}
		}
		args[i] = to.Elem()
	}
	do := f.Call
	if f.Type().IsVariadic() {
		do = f.CallSlice
	}
	for _, v := range do(args) {
		packed, err := worker.Pack(v)
		if err != nil {
			return worker.Outcome{Status: 1, Panic: err.Error()}
		}
		out.Values = append(out.Values, packed)
	}
	return out
}
