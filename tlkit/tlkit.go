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
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/tlkit/compare"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
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
// [evaluate.Channels].
func Channels(x transforms.Tensor) plots.Figure { return Must(evaluate.Channels(x)) }

// Must returns v. If err is not nil, it shows the error and ends the cell. It is for mixing these
// functions with the packages below.
func Must[T any](v T, err error) T {
	if err != nil {
		verb("This", func(context.Context) error { return err })
	}
	return v
}

// Models shows the networks that a head can be trained on, with licence, picture size in pixels,
// millions of parameters, number of features, and top-1 accuracy on ImageNet in percent.
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

// verb runs a function or method of this package: it can be interrupted, its output is always
// flushed, and its error is shown as a card.
func verb(what string, do func(context.Context) error) { verbIn(what, "", do) }

// verb runs a method of a learner; its card names the learner and its folder.
func (l Learner) verb(what string, do func(context.Context) error) {
	if l.Name == "" {
		verb(what, do)
		return
	}
	verbIn(what+" of "+l.Name, filepath.Join(run.Home, l.Name), do)
}

func verbIn(what, where string, do func(context.Context) error) {
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
	err := do(ctx)
	show.Default.Clear()
	if err == nil {
		show.Default.Flush()
		if ctx.Err() == nil {
			return
		}
		// The interrupt came too late for this verb, but it was meant for the whole cell.
		show.Default.Text("paused: " + what + " is done, the rest of the cell is not; run the cell again to go on")
		show.Default.Flush()
		os.Exit(130)
	}
	status := 1
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		status = 130 // what shells expect: 128 + SIGINT
		kept := featuresKept
		if errors.Is(err, finetune.ErrInterrupted) {
			kept = "what was trained so far is saved"
		}
		show.Default.Card(paused(what, where, kept))
	} else {
		show.Default.Card(card(what, where, err))
	}
	show.Default.Flush()
	os.Exit(status)
}

const featuresKept = "features computed so far are kept"

// paused is the card of an interrupt, which is no failure.
func paused(what, where, kept string) show.Card {
	return show.Card{What: what, Pause: true, Where: where, Why: "You interrupted it; " + kept + ".", Fix: "run the cell again to go on"}
}

// grace is how long an interrupted verb may take to end by itself. GoNB kills a cell after five
// seconds, without any message.
const grace = 4500 * time.Millisecond

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
	os.Exit(130)
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

// reporter shows the progress of a job: states in one place, sentences one below the other.
type reporter struct{}

var _ run.Progress = reporter{}

func (reporter) State(what string, done, total int64) { show.Default.Progress(what, done, total) }
func (reporter) Say(sentence string)                  { show.Default.Text(invoke.Hints(sentence)) }

// Watch shows a comparison that grows: a line for each network, and in a cell a figure that changes.
func (r reporter) Watch(g compare.Growing) {
	r.Say(g.Said)
	if show.Default.InCell() && len(g.Done) > 1 {
		_ = show.Default.Live("compare", g.Figure()) // the last one reports what fails
	}
}

// Fold shows what a run works with: one line that opens. Later cells of the kernel do not repeat it.
func (reporter) Fold(summary string, lines []string) {
	if show.Default.InCell() && said(os.Getenv("GONB_TMP_DIR"), append(lines, summary)) {
		return
	}
	show.Default.Folded(summary, lines)
}

// said reports whether the kernel whose folder is room has shown lines before, and notes that it has now.
func said(room string, lines []string) bool {
	if room == "" {
		return false
	}
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	f, err := os.OpenFile(filepath.Join(room, fmt.Sprintf("said-%x", sum[:8])), os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errors.Is(err, fs.ErrExist)
	}
	f.Close()
	return false
}

// place returns where runs are stored: in the folder of the notebook, or in the current folder.
func place(name string) run.Place {
	p := run.Place{Name: name, Keep: true, Offline: os.Getenv("TLKIT_OFFLINE") != "", NonCommercial: os.Getenv("TLKIT_NONCOMMERCIAL") != ""}
	if dir := os.Getenv("GONB_DIR"); dir != "" && show.Default.InCell() {
		if here, err := os.Getwd(); err != nil || here != dir {
			p.Folder = dir
		}
	}
	return p
}
