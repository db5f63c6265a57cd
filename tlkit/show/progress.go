package show

import (
	"fmt"
	"time"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/tlkit/transfer-learning/internal/pace"
)

const (
	betweenStates = 200 * time.Millisecond // in a cell: at most five updates a second
	firstLine     = 5 * time.Second        // elsewhere: the first line comes after this time,
	betweenLines  = 30 * time.Second       // the next ones at this interval
	signOfLife    = 10 * time.Second       // in a cell: how often the time is updated without progress
)

// progress is what is being done and how far it has got.
type progress struct {
	what        string
	done, total int64
	pace        pace.Pace

	place string // display id; "" = nothing is displayed in the cell
	ended bool   // cleared: what is displayed is out of date
	shown time.Time
	timer *time.Timer // shows the newest state later
	idle  bool        // the timer only updates the time
}

// Progress shows what is being done ("extracting features") and how far it has got: done of
// total, or total 0 if that is not known. In a cell it is one line that is updated at most
// five times a second, and the newest state is always shown in the end. Outside of notebooks
// it is a line now and then when something takes long. Clear removes it.
func (s *Screen) Progress(what string, done, total int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, now := &s.doing, time.Now()
	other := what != p.what
	p.what, p.done, p.total = what, done, total
	p.pace.Step(what, done, total, now)
	if !s.inCell() {
		if other || p.timer == nil {
			s.later(firstLine, s.progressLine)
		}
		return
	}
	if wait := betweenStates - now.Sub(p.shown); wait > 0 && p.place != "" && !p.ended {
		if p.timer == nil || p.idle {
			s.later(wait, s.progressBlock)
		}
		return
	}
	s.progressBlock()
}

// later calls do with the lock held, unless the progress is cleared or postponed first.
func (s *Screen) later(wait time.Duration, do func()) {
	p := &s.doing
	p.stop()
	p.idle = false
	var mine *time.Timer
	mine = time.AfterFunc(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if p.timer == mine {
			p.timer = nil
			do()
		}
	})
	p.timer = mine
}

func (p *progress) stop() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}

func (s *Screen) progressLine() {
	fmt.Fprintln(s.Out, s.doing.words(time.Now()))
	s.later(betweenLines, s.progressLine)
}

func (s *Screen) progressBlock() {
	p, now := &s.doing, time.Now()
	if p.place == "" {
		p.place = gonbui.UniqueId()
	}
	p.shown, p.ended = now, false
	words := p.words(now)
	_ = s.cell.send(bundle{place: p.place, text: words, html: render(progressHTML, map[string]any{"Done": p.done, "Total": p.total, "Words": words})})
	if s.inCell() {
		s.later(signOfLife, s.progressBlock)
		p.idle = true
	}
}

// words returns the state as in "extracting features: 40 of 397, about 8s left". If the remaining
// time is not known, it gives the time taken so far.
func (p *progress) words(now time.Time) string {
	words := clean(p.what)
	if p.total > 0 {
		words += fmt.Sprintf(": %d of %d", p.done, p.total)
	}
	if left, ok := p.pace.Left(now); ok {
		return words + fmt.Sprintf(", about %s left", left)
	}
	if took := now.Sub(p.pace.Began()).Round(time.Second); took >= firstLine && p.done < max(p.total, 1) {
		words += fmt.Sprintf(", %s so far", took)
	}
	return words
}

// Clear ends the progress. The next thing shown takes its place: GoNB can replace an output
// but not remove it, and an empty one would stay in the notebook.
func (s *Screen) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doing.stop()
	s.doing = progress{place: s.doing.place, ended: true}
}

// take returns the place of the progress, which is always the lowest in the cell, for an
// output that stays; progress continues below it. "" means a new place.
func (s *Screen) take() string {
	p := &s.doing
	place := p.place
	p.stop()
	p.place = ""
	return place
}

// wipe empties the place of the progress if no output took it.
func (s *Screen) wipe() {
	if s.doing.ended && s.inCell() {
		if place := s.take(); place != "" {
			_ = s.cell.send(bundle{place: place})
		}
	}
}
