package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/tlkit/transfer-learning/internal/invoke"
)

// progress shows what a run does: on a terminal as a bar with rate and time left, elsewhere as a
// line when something new begins and one every 30 s. TLKIT_PROGRESS chooses: bar, plain or off.
type progress struct {
	mu   sync.Mutex
	out  io.Writer
	mode string

	what  string
	since time.Time
	last  time.Time // of the last plain line

	bars *mpb.Progress
	bar  *mpb.Bar
}

const plainEvery = 30 * time.Second

func (c *command) progress() *progress {
	p := &progress{out: c.err, mode: os.Getenv("TLKIT_PROGRESS")}
	if p.mode == "" {
		p.mode = "plain"
		if f, ok := c.err.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
			p.mode = "bar"
		}
	}
	if p.mode == "bar" {
		p.bars = mpb.New(mpb.WithOutput(c.err), mpb.WithWidth(40), mpb.WithRefreshRate(120*time.Millisecond))
	}
	return p
}

// State is called very often; the mode decides what is shown.
func (p *progress) State(what string, done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh := what != p.what
	if fresh {
		p.what, p.since = what, time.Now()
	}
	switch p.mode {
	case "bar":
		p.draw(fresh, done, total)
	case "plain":
		p.line(fresh, done, total)
	}
}

func (p *progress) draw(fresh bool, done, total int64) {
	if fresh {
		p.drop()
		if total > 0 {
			p.bar = p.bars.AddBar(total, mpb.BarRemoveOnComplete(),
				mpb.PrependDecorators(decor.Name(p.what+" ", decor.WC{C: decor.DindentRight})),
				mpb.AppendDecorators(decor.CurrentNoUnit("%d"), decor.TotalNoUnit("/%d"), decor.Name(" · "),
					decor.AverageSpeed(0, "%.0f/s"), decor.Name(" · "), decor.AverageETA(decor.ET_STYLE_MMSS)))
		} else {
			p.bar = p.bars.AddSpinner(0, mpb.BarWidth(1), mpb.BarRemoveOnComplete(), mpb.AppendDecorators(decor.Name(" "+p.what)))
		}
	}
	if total > 0 {
		p.bar.SetTotal(total, false)
		p.bar.SetCurrent(done)
	}
}

func (p *progress) drop() {
	if p.bar != nil {
		p.bar.Abort(true)
		p.bar.Wait()
		p.bar = nil
	}
}

// line prints what begins, and every 30 s how far it is.
func (p *progress) line(fresh bool, done, total int64) {
	if fresh || time.Since(p.last) < plainEvery {
		if fresh {
			p.last = time.Now()
			fmt.Fprintln(p.out, p.what)
		}
		return
	}
	p.last = time.Now()
	if total > 0 && done > 0 {
		left := time.Duration(float64(time.Since(p.since)) / float64(done) * float64(total-done)).Round(time.Second)
		fmt.Fprintf(p.out, "%s: %d of %d, about %s left\n", p.what, done, total, left)
		return
	}
	fmt.Fprintf(p.out, "%s: %s so far\n", p.what, time.Since(p.since).Round(time.Second))
}

// Say prints a message above the bar.
func (p *progress) Say(sentence string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sentence = invoke.Hints(sentence)
	switch p.mode {
	case "bar":
		fmt.Fprintln(p.bars, sentence)
	case "plain":
		fmt.Fprintln(p.out, sentence)
	}
}

// close clears the bar; nothing is shown after it.
func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mode == "bar" {
		p.drop()
		p.bars.Wait()
	}
	p.mode = "off"
}
