package run

import "time"

// clock measures the phases of a run, in seconds.
type clock struct {
	start, lapStart time.Time
	phases          []Phase
}

func startClock() *clock { now := time.Now(); return &clock{start: now, lapStart: now} }

// lap ends a phase and starts the next.
func (c *clock) lap(name string) {
	now := time.Now()
	c.phases = append(c.phases, Phase{name, now.Sub(c.lapStart).Seconds()})
	c.lapStart = now
}

func (c *clock) seconds() float64 { return time.Since(c.start).Seconds() }
