// Package tlkit is transfer learning in the words one types into a notebook cell.
//
//	var bees = tlkit.Learner{Name: "ants-and-bees", Backbone: "mobilenetv2", Data: "hymenoptera"}
//
//	%%
//	bees.FitHead()     // frozen: one pass through the backbone, cached; live curves
//	bees.FineTune(5)   // the backbone moves too, where that pays; says its plan first
//	bees.ShowCurves()  // loss and accuracy of every step, the border between the two
//	bees.Evaluate()    // per label, confusion, what it was most wrong about
//	bees.Export("ants-and-bees.head.safetensors")
//
// A Learner is a plain value that opens nothing, so it may stand at the top of a notebook,
// where every cell sees it. What it learns lies on disk, in .tlkit/NAME: a later cell, or a
// later day, goes on from there.
//
// These verbs return no errors. When one cannot do its work it says what went wrong and
// what to do about it, and ends the program (in a notebook: the cell) with status 1. The
// same lines are a Go program. Whoever wants errors as values, or pieces, uses the packages
// below this one: package run does the same jobs and returns them.
package tlkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Show displays any value, so that every line of a cell may be its last: a figure, a curve, a
// rate finder's find or a confusion matrix as a picture with its words, an image, a table, a slice of structs as a
// table, what has a Text method as that text, anything else as fmt prints it.
func Show(v any) {
	verb("Show", func(context.Context) error {
		switch v := v.(type) {
		case []curves.Run:
			return show.Default.Figure("curves", plots.Curves(v...))
		case curves.Run:
			return show.Default.Figure("curves", plots.Curves(v))
		case metrics.Confusion:
			return show.Default.Figure("confusion", plots.Confusion(v))
		case *finetune.RateFind:
			rates, losses := v.Series()
			return show.Default.Figure("rates", plots.Rates(rates, losses, v.Suggested))
		default:
			return show.Default.Value(v)
		}
	})
}

// ShowDrawn is Show for a figure that holds pictures which this project drew: its output is
// marked so, and may be kept with a notebook.
func ShowDrawn(f show.Figure) {
	verb("ShowDrawn", func(context.Context) error { return show.Default.Pictures("pictures", show.Drawn, f) })
}

// Channels is a figure of what reaches a network from one prepared picture, see
// [evaluate.Channels].
func Channels(x transforms.Tensor) plots.Figure { return Must(evaluate.Channels(x)) }

// Must gives the value of a call that may fail, and ends the cell with the error's card when
// it did: for mixing these verbs with the packages below.
func Must[T any](v T, err error) T {
	if err != nil {
		verb("This", func(context.Context) error { return err })
	}
	return v
}

// Models shows the table of networks a head can be trained on.
func Models() {
	verb("Models", func(context.Context) error {
		t := show.Table{Header: []string{"model", "licence", "size", "parameters", "features", "top-1"}, Left: 2}
		for _, r := range zoo.Rows() {
			top1 := "-"
			if r.Top1 > 0 {
				top1 = fmt.Sprintf("%.1f", r.Top1)
			}
			t.Rows = append(t.Rows, []string{r.Name, r.Licence, fmt.Sprint(r.Preset.Size), fmt.Sprintf("%.1f M", float64(r.Params)/1e6), fmt.Sprint(r.Features), top1})
		}
		show.Default.Table(t)
		return nil
	})
}

// verb runs one of the words of this package: interruptible, always flushed, its error told
// in a card.
func verb(what string, do func(context.Context) error) { verbIn(what, "", do) }

// verb of a learner: its card says which one, and where that lives.
func (l Learner) verb(what string, do func(context.Context) error) {
	if l.Name == "" {
		verb(what, do)
		return
	}
	verbIn(what+" of "+l.Name, filepath.Join(run.Home, l.Name), do)
}

func verbIn(what, where string, do func(context.Context) error) {
	// A notebook that went away closes the pipe it read from; the work goes on without it, so
	// that what is being learnt gets to the disk.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second interrupt ends the program at once
	defer show.Default.Flush()   // also when something panics: what was shown stays
	finished := make(chan struct{})
	defer close(finished)
	if show.Default.InCell() {
		context.AfterFunc(ctx, func() { lastWords(what, where, finished) })
	}
	err := do(ctx)
	show.Default.Clear()
	if err == nil {
		show.Default.Flush()
		if ctx.Err() == nil {
			return
		}
		// It came too late for this verb, but it was meant for the whole cell.
		show.Default.Text("interrupted; " + what + " is done, what follows it is not")
		show.Default.Flush()
		os.Exit(130)
	}
	status := 1
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		status = 130 // what shells expect: 128 + SIGINT
		if errors.Is(err, finetune.ErrInterrupted) {
			err = errors.New("interrupted, and the state is saved; run it again: it goes on from there")
		} else {
			err = errInterrupted
		}
	}
	show.Default.Card(card(what, where, err))
	show.Default.Flush()
	os.Exit(status)
}

var errInterrupted = errors.New("interrupted; run it again: it goes on from there, features computed so far are kept")

// grace is how long an interrupted verb may take to its end: GoNB kills a cell after five
// seconds, and nobody would be told anything.
const grace = 4500 * time.Millisecond

// lastWords ends a cell whose interrupted work does not end by itself: XLA's compiler, for
// one, cannot be stopped. Files are written whole or not at all, so this costs none.
func lastWords(what, where string, finished <-chan struct{}) {
	select {
	case <-finished:
		return
	case <-time.After(grace):
	}
	show.Default.Clear()
	show.Default.Card(card(what, where, errInterrupted))
	show.Default.Flush()
	os.Exit(130)
}

// card is an error for a person: what could not be done, why, and what to do. Errors here
// say "what happened; what to type".
func card(what, where string, err error) show.Card {
	c := show.Card{What: what, Where: where, Why: invoke.Hints(err.Error())}
	if i := strings.LastIndex(c.Why, "; "); i >= 0 {
		c.Why, c.Fix = c.Why[:i], c.Why[i+2:]
	}
	if c.Fix == "" && errors.Is(err, syscall.ENAMETOOLONG) {
		c.Fix = "choose a shorter name"
	}
	return c
}

// reporter shows what a job does: state words at one place, sentences below each other.
type reporter struct{}

var _ run.Progress = reporter{}

func (reporter) State(what string, done, total int64) { show.Default.Progress(what, done, total) }
func (reporter) Say(sentence string)                  { show.Default.Text(invoke.Hints(sentence)) }

// place is where runs go: the folder of the notebook, or the current one.
func place(name string) run.Place {
	p := run.Place{Name: name, Keep: true, Offline: os.Getenv("TLKIT_OFFLINE") != "", NonCommercial: os.Getenv("TLKIT_NONCOMMERCIAL") != ""}
	if dir := os.Getenv("GONB_DIR"); dir != "" && show.Default.InCell() {
		if here, err := os.Getwd(); err != nil || here != dir {
			p.Folder = dir
		}
	}
	return p
}
