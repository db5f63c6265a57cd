// Package tlkit is transfer learning in a few lines of a notebook cell.
//
//	var bees = tlkit.Learner{Name: "ants-and-bees", Backbone: "mobilenetv2", Data: "hymenoptera"}
//
//	%%
//	bees.FitHead()          // backbone frozen: one pass through it, cached; live curves
//	bees.FineTune(5)        // trains the backbone too, where that pays; prints its plan first
//	bees.ShowCurves()       // loss and accuracy of every step of both
//	bees.Evaluate()         // scores by label, confusion matrix, worst mistakes
//	bees.Predict("new.jpg") // the picture with its labels and their probabilities
//	bees.Export("ants-and-bees.head.safetensors")
//
// A Learner is a plain value. Declaring one opens nothing, so it can stand at the top of a
// notebook, where every cell sees it. Its results are files in .tlkit/NAME: another cell, or
// another day, continues from there.
//
// These functions and methods return no errors. One that fails prints what went wrong and
// what to do about it, and ends the program (in a notebook: the cell) with status 1; after
// an interrupt, with status 130. The same lines work in a Go program. To handle errors
// yourself, use package run, which does the same jobs and returns errors.
package tlkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/worker"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/results"
	"github.com/tlkit/transfer-learning/tlkit/show"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Show displays any value, so that it can end any line of a cell. A figure, a curve, a confusion
// matrix or the result of a rate finder is shown as a picture with a caption; an image as a
// picture; a network as the table of its stages; a table, a map, a struct or a slice of structs as a
// table; a value with a text form of its own as that text; and anything else as fmt prints it.
func Show(v any) {
	verb("Show", func(context.Context) error {
		return showOn(show.Default, v)
	})
}

// ShowDrawn is [Show] for a figure that contains only pictures drawn by this project. Its output is
// marked as such, and may be saved with a notebook.
func ShowDrawn(f show.Figure) {
	verb("ShowDrawn", func(context.Context) error { return show.Default.Pictures("pictures", show.Drawn, f) })
}

// Channels returns a figure of the values of a prepared picture, channel by channel; see
// [results.Channels].
func Channels(x transforms.Tensor) plots.Figure { return Must(results.Channels(x)) }

// Must returns v. If err is not nil, it shows the error and ends the cell. It is for mixing these
// functions with the packages below.
func Must[T any](v T, err error) T {
	if err != nil {
		verb("This", func(context.Context) error { return err })
	}
	return v
}

// verb runs a function or method of this package: it can be interrupted, its output is always
// flushed, and its error is shown as a card.
func verb(what string, do func(context.Context) error) { verbIn(what, "", do) }

// inWorker, in the worker of a kernel, runs verbs instead: the signals and the exit belong to the cell.
var inWorker func(what, where string, do func(context.Context) error)

func verbIn(what, where string, do func(context.Context) error) {
	if inWorker != nil {
		inWorker(what, where, do)
		return
	}
	// A notebook that closes leaves a broken pipe; the work continues, so that results reach the
	// disk.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second interrupt ends the program at once
	defer show.Default.Flush()   // also after a panic, so that earlier output stays
	finished := make(chan struct{})
	defer close(finished)
	if show.Default.InCell() {
		context.AfterFunc(ctx, func() { lastWords(what, where, finished) })
	}
	if status := conclude(ctx, what, where, do(ctx)); status != 0 {
		os.Exit(status)
	}
}

// ended is the error of a verb that has shown its card already, with the status to end with.
type ended int

func (e ended) Error() string { return fmt.Sprintf("the verb ended with status %d", int(e)) }

// conclude shows how a verb ended, and returns the status to end the program with; 0 = it goes on.
func conclude(ctx context.Context, what, where string, err error) (status int) {
	defer show.Default.Flush()
	show.Default.Clear()
	var shown ended
	switch {
	case err == nil:
		if show.Default.Flush(); ctx.Err() == nil {
			return 0
		}
		// The interrupt came too late for this verb, but it was meant for the whole cell.
		show.Default.Text("paused: " + what + " is done, the rest of the cell is not; run the cell again to go on")
		return interruptedStatus
	case errors.As(err, &shown):
		return int(shown)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		show.Default.Card(paused(what, where, keptBy(err)))
		return interruptedStatus
	}
	show.Default.Card(card(what, where, err))
	return 1
}

// interruptedStatus is what shells expect: 128 + SIGINT.
const interruptedStatus = 130

// home is the folder of all runs, run.Home.
const home = ".tlkit"

const featuresKept = "features computed so far are kept"

// paused is the card of an interrupt, which is no failure.
func paused(what, where, kept string) show.Card {
	return show.Card{What: what, Pause: true, Where: where, Why: "You interrupted it; " + kept + ".", Fix: "run the cell again to go on"}
}

// grace is how long an interrupted verb may take to end by itself. GoNB kills a cell after five
// seconds, without any message.
const grace = worker.Grace

// lastWords ends a cell whose interrupted work does not end by itself; XLA's compiler, for example,
// cannot be stopped. No file is lost, because files are written completely or not at all.
func lastWords(what, where string, finished <-chan struct{}) {
	select {
	case <-finished:
		return
	case <-time.After(grace):
	}
	show.Default.Clear()
	show.Default.Card(paused(what, where, featuresKept))
	show.Default.Flush()
	os.Exit(interruptedStatus)
}

// card formats an error for the user: what failed, why, and what to do.
func card(what, where string, err error) show.Card {
	why, fix := advice.Split(err)
	c := show.Card{What: what, Where: where, Why: invoke.Hints(why), Fix: invoke.Hints(fix)}
	if c.Fix == "" && errors.Is(err, syscall.ENAMETOOLONG) {
		c.Fix = "choose a shorter name"
	}
	return c
}
