package serve

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/policy"
)

// episodes remembers what was seen in the episodes that are going on.
type episodes struct {
	guard policy.Guard
	most  int
	idle  time.Duration

	mu    sync.Mutex
	known map[string]*episode
}

// episode is one that is going on. Its looks are one after the other.
type episode struct {
	mu    sync.Mutex
	actor policy.Actor
	last  [sha256.Size]byte // of the picture before; zero = none
	used  time.Time
	users int
}

// take returns an episode for one look, and what to call after it. One too many gets an error.
func (s *episodes) take(id string) (*episode, func(), error) {
	if id == "" {
		actor, err := s.guard.Start(0)
		return &episode{actor: actor}, func() {}, err
	}
	e, err := s.find(id)
	if err != nil {
		return nil, nil, err
	}
	e.mu.Lock()
	return e, func() {
		e.mu.Unlock()
		s.mu.Lock()
		e.users--
		e.used = time.Now()
		s.mu.Unlock()
	}, nil
}

// forget ends an episode, if there is such a one and nobody looks at that moment.
func (s *episodes) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.known[id]; e != nil && e.users == 0 {
		delete(s.known, id)
	}
}

func (s *episodes) find(id string) (*episode, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.known[id]
	if e != nil && e.users == 0 && time.Since(e.used) > s.idle {
		e = nil // it was over long ago
	}
	if e == nil {
		for other, old := range s.known {
			if old.users == 0 && time.Since(old.used) > s.idle {
				delete(s.known, other)
			}
		}
		if len(s.known) >= s.most {
			p := unavailable("%d episodes are going on, and no more are remembered; one ends when nobody asks for %s", s.most, s.idle)
			p.Status, p.Title = 429, "Too Many Requests"
			return nil, p
		}
		actor, err := s.guard.Start(0)
		if err != nil {
			return nil, err
		}
		e = &episode{actor: actor}
		s.known[id] = e
	}
	e.users++
	return e, nil
}
