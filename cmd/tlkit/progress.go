package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/pace"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/compare"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// progress shows what a run does: on a terminal as a bar with rate and time left, elsewhere as a
// line when something new begins and one every 30 s. TLKIT_PROGRESS chooses: bar, plain or off.
type progress struct {
	mu   sync.Mutex
	out  io.Writer
	mode string

	what        string
	done, total int64
	pace        pace.Pace
	timer       *time.Timer  // of the next plain line
	shown       atomic.Value // string: what speed returned last

	bars  *mpb.Progress
	bar   *mpb.Bar
	lines []*tableLine // of a table above the bar
}

// tableLine is a line of a table that fills in.
type tableLine struct {
	bar  *mpb.Bar
	text atomic.Value // string
}

const plainEvery = 30 * time.Second

func (c *command) progress() *progress {
	mode := os.Getenv("TLKIT_PROGRESS")
	if mode == "" {
		mode = "plain"
		if isTerminal(c.err) && os.Getenv("TERM") != "dumb" {
			mode = "bar"
		}
	}
	return c.progressAs(mode)
}

// besideLines is the progress of a command that writes lines to standard output meanwhile: a bar would
// stand between them on a terminal.
func (c *command) besideLines() *progress {
	if os.Getenv("TLKIT_PROGRESS") == "" && isTerminal(c.out) {
		return c.progressAs("plain")
	}
	return c.progress()
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (c *command) progressAs(mode string) *progress {
	p := &progress{out: c.err, mode: mode}
	p.shown.Store("")
	if p.mode == "bar" {
		p.bars = mpb.New(mpb.WithOutput(c.err), mpb.WithWidth(40), mpb.WithRefreshRate(120*time.Millisecond))
	}
	return p
}

// State is called very often; the mode decides what is shown.
func (p *progress) State(what string, done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	other := what != p.what
	p.what, p.done, p.total = what, done, total
	fresh := p.pace.Step(what, done, total, time.Now())
	switch p.mode {
	case "bar":
		p.draw(fresh)
	case "plain":
		if other {
			fmt.Fprintln(p.out, what)
			p.later()
		}
	}
}

func (p *progress) draw(fresh bool) {
	if fresh {
		p.drop()
		if p.total > 0 {
			p.bar = p.bars.AddBar(p.total, mpb.BarRemoveOnComplete(),
				mpb.PrependDecorators(decor.Name(p.what+" ", decor.WC{C: decor.DindentRight})),
				mpb.AppendDecorators(decor.CurrentNoUnit("%d"), decor.TotalNoUnit("/%d"), decor.Any(p.speed)))
		} else {
			p.bar = p.bars.AddSpinner(0, mpb.BarWidth(1), mpb.BarRemoveOnComplete(), mpb.AppendDecorators(decor.Name(" "+p.what), decor.Any(p.speed)))
		}
	}
	if p.total > 0 {
		p.bar.SetTotal(p.total, false)
		p.bar.SetCurrent(p.done)
	}
}

func (p *progress) drop() {
	if p.bar != nil {
		p.bar.Abort(true)
		p.bar.Wait()
		p.bar = nil
	}
}

// later prints a line every 30 s, also when nothing is reported meanwhile.
func (p *progress) later() {
	if p.timer != nil {
		p.timer.Stop()
	}
	var mine *time.Timer
	mine = time.AfterFunc(plainEvery, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.timer == mine && p.mode == "plain" {
			fmt.Fprintln(p.out, p.line(time.Now()))
			p.later()
		}
	})
	p.timer = mine
}

// line says how far the work is.
func (p *progress) line(now time.Time) string {
	words := p.what
	if p.total > 0 {
		words += fmt.Sprintf(": %d of %d", p.done, p.total)
	}
	if left, ok := p.pace.Left(now); ok {
		return words + fmt.Sprintf(", about %s left", left)
	}
	return words + fmt.Sprintf(", %s so far", now.Sub(p.pace.Began()).Round(time.Second))
}

// speed is called by the bar, which must not wait for the lock: State holds it while it ends a bar.
func (p *progress) speed(decor.Statistics) string {
	if !p.mu.TryLock() {
		return p.shown.Load().(string)
	}
	defer p.mu.Unlock()
	p.shown.Store(tail(&p.pace, time.Now()))
	return p.shown.Load().(string)
}

// tail is what follows the counts of a bar: rate and time left, or the time so far. A bar's own
// clock would count what was cached.
func tail(p *pace.Pace, now time.Time) string {
	rate, known := p.Rate(now)
	if left, ok := p.Left(now); ok && known {
		return fmt.Sprintf(" · %.3g/s · %s left", rate, left)
	}
	if took := now.Sub(p.Began()).Round(time.Second); took >= time.Second {
		return " · " + took.String()
	}
	return ""
}

// Say prints a message above the bar.
func (p *progress) Say(sentence string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sentence = words.Screen(invoke.Hints(sentence))
	switch p.mode {
	case "bar":
		fmt.Fprintln(p.bars, sentence)
	case "plain":
		fmt.Fprintln(p.out, sentence)
	}
}

// Watch shows a comparison as a table that fills in, where there is a bar.
func (p *progress) Watch(g compare.Growing) {
	if p.mode != "bar" {
		p.Say(g.Said)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	rows := g.Table()
	text := show.Table{Header: rows[0], Rows: rows[1:], Left: 1}.Text()
	for i, line := range strings.Split(strings.TrimRight(text, "\n")+"\n"+g.Left, "\n") {
		if i == len(p.lines) {
			p.lines = append(p.lines, p.addLine(i))
		}
		p.lines[i].text.Store(line)
	}
}

// addLine adds line i to the table, which stands above the bar.
func (p *progress) addLine(i int) *tableLine {
	l := &tableLine{}
	l.text.Store("")
	fill := func(w io.Writer, s decor.Statistics) error {
		line := []rune(l.text.Load().(string))
		_, err := io.WriteString(w, string(line[:min(len(line), max(s.AvailableWidth, 0))]))
		return err
	}
	l.bar = p.bars.MustAdd(1, mpb.BarFillerFunc(fill), mpb.BarPriority(i-tableRoom), mpb.BarRemoveOnComplete(), mpb.BarFillerTrim())
	return l
}

// tableRoom is more than a table has lines; the bars come after it.
const tableRoom = 1000

// close clears the bar; nothing is shown after it.
func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mode == "bar" {
		p.drop()
		for _, l := range p.lines {
			l.bar.Abort(true)
			l.bar.Wait()
		}
		p.bars.Wait()
	}
	p.mode = "off"
	if p.timer != nil {
		p.timer.Stop()
	}
}
