package serve

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// quietLog lets each kind of line through every ten seconds, with the number of those that it left out.
type quietLog struct {
	to *slog.Logger

	mu    sync.Mutex
	kinds map[string]*quietKind
}

type quietKind struct {
	last    time.Time
	leftOut int
}

const (
	quietFor  = 10 * time.Second
	mostKinds = 64 // that are remembered
)

func (q *quietLog) say(kind string, level slog.Level, text string, args ...any) {
	q.mu.Lock()
	k := q.kinds[kind]
	if k == nil {
		k = new(quietKind)
		if q.kinds == nil || len(q.kinds) >= mostKinds {
			q.kinds = map[string]*quietKind{}
		}
		q.kinds[kind] = k
	}
	if !k.last.IsZero() && time.Since(k.last) < quietFor {
		k.leftOut++
		q.mu.Unlock()
		return
	}
	if k.leftOut > 0 {
		args = append(args, "left_out", k.leftOut)
	}
	*k = quietKind{last: time.Now()}
	q.mu.Unlock()
	q.to.Log(context.Background(), level, text, args...)
}
