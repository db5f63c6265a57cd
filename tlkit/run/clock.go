package run

import "time"

// clock measures the phases of a run.
type clock struct {
	start, at time.Time
	phases    []Phase
}

func startClock() *clock { now := time.Now(); return &clock{start: now, at: now} }

// lap ends a phase.
func (c *clock) lap(name string) {
	now := time.Now()
	c.phases = append(c.phases, Phase{name, now.Sub(c.at).Seconds()})
	c.at = now
}

func (c *clock) seconds() float64 { return time.Since(c.start).Seconds() }
