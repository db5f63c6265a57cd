// Package quiet silences work that was given up and cannot be stopped, such as XLA's compiler.
package quiet

import "sync"

// Reporter is what work reports to; see run.Progress.
type Reporter interface {
	State(what string, done, total int64)
	Say(sentence string)
}

// Progress passes reports on until it is silenced.
type Progress struct {
	to Reporter // nil = silenced
	mu sync.Mutex
}

// New returns a Progress that reports to to.
func New(to Reporter) *Progress { return &Progress{to: to} }

// Silence ends the reports. None is under way when it returns.
func (p *Progress) Silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = nil
}

// State passes on a state.
func (p *Progress) State(what string, done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.to != nil {
		p.to.State(what, done, total)
	}
}

// Say passes on a sentence.
func (p *Progress) Say(sentence string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.to != nil {
		p.to.Say(sentence)
	}
}
