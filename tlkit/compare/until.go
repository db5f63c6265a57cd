package compare

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tlkit/transfer-learning/internal/quiet"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

const (
	// What a source of weights is expected to send in a second, in bytes.
	fetchRate = 2e6
	// What a backbone takes whose features are in the cache.
	fitting = 1500 * time.Millisecond
	// How long a backbone whose time is over may take to stop by itself.
	grace = 500 * time.Millisecond
)

// errExpired is the reason of a backbone that was given up.
var errExpired = errors.New("given up, because time was up")

// hurry sets a limit, and puts the default network first, which is probed in any case.
func (f *forecast) hurry(until time.Time) {
	f.until = until
	if until.IsZero() {
		return
	}
	usual := zoo.Rows()[0].Name
	var first, rest []int
	for i, r := range f.rows {
		if r.Name == usual {
			first = append(first, i)
		} else {
			rest = append(rest, i)
		}
	}
	f.reorder(append(first, rest...))
}

// tooLong returns why a row is left out for want of time; "" = it is not.
func (f *forecast) tooLong(ctx context.Context, i int, in probing) string {
	if f.until.IsZero() || i == 0 {
		return ""
	}
	takes, fetching := f.takes(ctx, i, in)
	if takes > time.Until(f.until) && f.later != nil && !f.expired {
		if later := f.later(); later.After(f.until) {
			f.until = later
		}
	}
	left := time.Until(f.until)
	if f.expired || left <= 0 {
		return "no time was left"
	}
	if takes <= left {
		return ""
	}
	return fmt.Sprintf("it takes about %s%s", roughly(takes), fetching)
}

// takes returns what a row is expected to take, and in words what has to be fetched first.
func (f *forecast) takes(ctx context.Context, i int, in probing) (takes time.Duration, fetching string) {
	row := f.rows[i]
	takes = time.Duration(f.expected(i) * float64(time.Second))
	if bytes := toFetch(row); bytes > 0 {
		return takes + time.Duration(bytes/fetchRate*float64(time.Second)), fmt.Sprintf(", with %.0f MB to fetch", bytes/1e6)
	}
	// What is in the cache takes no time. To know that, the weights have to be read, so it is not
	// asked where there is time anyway.
	if takes <= time.Until(f.until) {
		return takes, ""
	}
	net, err := zoo.Load(ctx, row.Name, in.place.Zoo(nil))
	if err != nil {
		return takes, "" // the probe would say why
	}
	missing, err := in.bench.Missing(ctx, net)
	if err != nil {
		return takes, ""
	}
	return fitting + time.Duration(float64(takes)*float64(missing)/float64(max(f.pictures, 1))), ""
}

// roughly writes a duration with the precision of a forecast.
func roughly(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.0f s", max(d.Seconds(), 1))
	}
	return words(d)
}

// probe probes a row. With a limit, it gives up when that is over, except for the first row.
func (f *forecast) probe(ctx context.Context, i int, p run.Progress, in probing) (*Ranked, head.Samples, error) {
	if f.until.IsZero() {
		return in.probe(ctx, f.rows[i], p)
	}
	in.brief = true
	if i == 0 {
		return in.probe(ctx, f.rows[i], p)
	}
	ctx, stop := context.WithDeadline(ctx, f.until)
	defer stop()
	type outcome struct {
		r     *Ranked
		truth head.Samples
		err   error
	}
	done, heard := make(chan outcome, 1), quiet.New(p)
	go func() {
		r, truth, err := in.probe(ctx, f.rows[i], heard)
		done <- outcome{r, truth, err}
	}()
	var o outcome
	select {
	case o = <-done:
	case <-ctx.Done():
		select {
		case o = <-done:
		case <-time.After(grace): // XLA's compiler cannot be stopped
			o.err = ctx.Err()
		}
	}
	heard.Silence()
	if errors.Is(o.err, context.DeadlineExceeded) && ctx.Err() != nil {
		f.expired = true
		o.err = errExpired
	}
	return o.r, o.truth, o.err
}
