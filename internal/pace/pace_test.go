package pace

import (
	"math/rand/v2"
	"testing"
	"time"
)

// walk feeds a bar of total parts, of which cached are there at once and the others take as long as
// each says, and returns the worst ratio of an estimate to what was left, from a tenth of the way on.
func walk(p *Pace, now time.Time, cached, total int64, each func(i int64) time.Duration) (worst float64, end time.Time) {
	var all, gone time.Duration
	for i := cached; i < total; i++ {
		all += each(i)
	}
	p.Step("bar", 0, total, now)
	for i := range cached {
		p.Step("bar", i+1, total, now.Add(time.Duration(i)*time.Microsecond))
	}
	worst = 1
	for i := cached; i < total-1; i++ {
		gone += each(i)
		p.Step("bar", i+1, total, now.Add(gone))
		if left, ok := p.Left(now.Add(gone)); ok && gone > all/10 && all-gone > 5*time.Second {
			ratio := left.Seconds() / (all - gone).Seconds()
			worst = max(worst, ratio, 1/ratio)
		}
	}
	return worst, now.Add(all)
}

func TestTimeLeftIsTrue(t *testing.T) {
	start := time.Unix(0, 0)
	second := func(int64) time.Duration { return time.Second }
	for name, c := range map[string]struct {
		cached, total int64
		each          func(int64) time.Duration
		worst         float64
	}{
		"even":          {0, 200, second, 1.05},
		"half cached":   {5000, 5200, second, 1.3},
		"nearly all":    {999, 1099, second, 1.3},
		"slow start":    {0, 400, func(i int64) time.Duration { return time.Second + time.Duration(max(0, 15-5*i))*time.Second }, 2.5},
		"quick":         {0, 100000, func(int64) time.Duration { return time.Millisecond }, 1.2},
		"in large step": {0, 12, func(int64) time.Duration { return 20 * time.Second }, 1.3},
	} {
		var p Pace
		worst, _ := walk(&p, start, c.cached, c.total, c.each)
		if worst > c.worst {
			t.Errorf("%s: an estimate is wrong by a factor of %.2f, want at most %.2f", name, worst, c.worst)
		}
	}
}

// A bar does not inherit the clock of the one before, also under the same words.
func TestEachBarHasItsClock(t *testing.T) {
	var p Pace
	_, now := walk(&p, time.Unix(0, 0), 0, 100, func(int64) time.Duration { return 10 * time.Second })
	for range 3 {
		var worst float64
		if worst, now = walk(&p, now.Add(time.Hour), 0, 100, func(int64) time.Duration { return time.Second }); worst > 1.1 {
			t.Errorf("wrong by a factor of %.2f", worst)
		}
	}
	if !p.Step("another", 99, 100, now) || !p.Step("another", 0, 100, now) || p.Step("another", 0, 100, now) {
		t.Error("where bars begin")
	}
}

func TestNoEstimateWithoutARate(t *testing.T) {
	var p Pace
	now := time.Unix(0, 0)
	if _, ok := p.Left(now); ok {
		t.Error("of nothing")
	}
	p.Step("x", 0, 100, now)
	p.Step("x", 90, 100, now.Add(time.Second))
	if _, ok := p.Left(now.Add(time.Minute)); ok {
		t.Error("of what may all have been cached")
	}
	p.Step("spinner", 0, 0, now)
	if _, ok := p.Left(now.Add(time.Hour)); ok {
		t.Error("of work that is not counted")
	}
	// Whatever comes, no estimate is negative or a panic.
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		now = now.Add(time.Duration(r.IntN(2e9)))
		p.Step("y", r.Int64N(50), 50, now)
		if left, ok := p.Left(now); ok && left < 0 {
			t.Fatal(left)
		}
	}
}
