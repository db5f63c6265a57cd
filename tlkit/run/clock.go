package run

import (
	"sync"
	"time"
)

// clock measures the phases of a run, in seconds. It is the Progress of the run too: each new state
// begins a part of the phase.
type clock struct {
	Progress

	mu              sync.Mutex
	start, lapStart time.Time
	phases          []Phase
	state           string // "" before the first state of the phase
	stateStart      time.Time
	parts           []Phase // of the phase that is being measured
}

func startClock(p Progress) *clock {
	now := time.Now()
	return &clock{Progress: p, start: now, lapStart: now}
}

// State implements [Progress].
func (c *clock) State(what string, done, total int64) {
	c.mu.Lock()
	if what != c.state {
		c.endPart(time.Now())
		c.state = what
	}
	c.mu.Unlock()
	c.Progress.State(what, done, total)
}

// Fold shows lines behind their summary, if p can.
func (c *clock) Fold(summary string, lines []string) {
	if f, ok := c.Progress.(folding); ok {
		f.Fold(summary, lines)
	} else {
		c.Say(summary)
	}
}

// endPart ends the part of the present state. A state that returns within a phase adds to its part.
func (c *clock) endPart(now time.Time) {
	if c.state != "" {
		seconds := now.Sub(c.stateStart).Seconds()
		known := false
		for i := range c.parts {
			if c.parts[i].Name == c.state {
				c.parts[i].Seconds += seconds
				known = true
			}
		}
		if !known {
			c.parts = append(c.parts, Phase{Name: c.state, Seconds: seconds})
		}
	}
	c.state, c.stateStart = "", now
}

// lap ends a phase and starts the next.
func (c *clock) lap(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.endPart(now)
	c.phases = append(c.phases, Phase{Name: name, Seconds: now.Sub(c.lapStart).Seconds(), Parts: c.parts})
	c.lapStart, c.parts = now, nil
}

func (c *clock) seconds() float64 { return time.Since(c.start).Seconds() }
