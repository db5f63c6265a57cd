// Package pace estimates how long counted work will still take.
package pace

import "time"

// window is how many observations an estimate remembers.
const window = 64

// Pace follows progress bars, one after another. The zero value is ready to use.
//
// The rate is that of the later half of the bar so far, so cached parts, which count at once when a
// bar begins, and a slow start soon cease to matter.
type Pace struct {
	what  string
	total int64
	last  mark
	seen  []mark        // of this bar, oldest first
	gap   time.Duration // minimum between two observations
}

type mark struct {
	at   time.Time
	done int64
}

// Step records progress. A different what, a different total, or less done than before begins a new
// bar; Step reports whether it does.
func (p *Pace) Step(what string, done, total int64, now time.Time) (fresh bool) {
	if p.seen == nil || what != p.what || total != p.total || done < p.last.done {
		first := mark{now, done}
		*p = Pace{what: what, total: total, last: first, seen: []mark{first}, gap: 10 * time.Millisecond}
		return true
	}
	if done == p.last.done {
		return false
	}
	p.last = mark{now, done}
	if now.Sub(p.seen[len(p.seen)-1].at) < p.gap {
		return false
	}
	p.seen = append(p.seen, p.last)
	if len(p.seen) > window { // from now on half as often
		kept := p.seen[:0]
		for i := 0; i < len(p.seen); i += 2 {
			kept = append(kept, p.seen[i])
		}
		p.seen, p.gap = kept, max(2*p.gap, now.Sub(p.seen[0].at)/window)
	}
	return false
}

// Began returns when the bar began.
func (p *Pace) Began() time.Time {
	if p.seen == nil {
		return time.Time{}
	}
	return p.seen[0].at
}

// Rate returns how many parts a second are being done; ok is false while that is not known.
func (p *Pace) Rate(now time.Time) (parts float64, ok bool) {
	if len(p.seen) < 3 || now.Sub(p.seen[0].at) < time.Second {
		return 0, false
	}
	from := p.seen[1] // cached parts, done at once, do not count
	half := p.seen[0].at.Add(now.Sub(p.seen[0].at) / 2)
	for _, m := range p.seen[1:] {
		if m.at.After(half) || m.done == p.last.done {
			break
		}
		from = m
	}
	n, took := p.last.done-from.done, p.last.at.Sub(from.at)
	if n <= 0 || took <= 0 {
		return 0, false
	}
	// A part that takes much longer than the others lowers the rate even before it is done.
	if waits := now.Sub(p.last.at); waits > 2*took/time.Duration(n) {
		took += waits
	}
	return float64(n) / took.Seconds(), true
}

// Left returns how long the rest will take; ok is false while that is not known.
func (p *Pace) Left(now time.Time) (left time.Duration, ok bool) {
	rate, ok := p.Rate(now)
	if !ok || p.last.done >= p.total {
		return 0, false
	}
	left = time.Duration(float64(p.total-p.last.done)/rate*float64(time.Second)) - now.Sub(p.last.at)
	return max(left, time.Second).Round(time.Second), true
}
