package engine

import (
	"errors"
	"runtime"
	"strings"
	"sync"

	"github.com/gomlx/compute"
)

// shared is a backend that several Engines of this process may use.
type shared struct {
	key     string
	backend compute.Backend
	cache   *compileCache
	users   int
}

var (
	sharedMu sync.Mutex
	sharing  = map[string]*shared{}
)

// acquire returns an Engine on the backend of that key, and makes the backend if it does not
// exist. Panics of the backend become errors.
func acquire(key string, open func() (compute.Backend, *compileCache, error)) (e *Engine, err error) {
	sharedMu.Lock()
	defer sharedMu.Unlock()
	s := sharing[key]
	if s == nil || s.backend.IsFinalized() {
		s = &shared{key: key}
		err := caught(func() (err error) {
			s.backend, s.cache, err = open()
			return err
		})
		if err != nil {
			return nil, err
		}
		if s.backend == nil {
			return nil, errors.New("the backend opened as nothing")
		}
		sharing[key] = s
	}
	s.users++
	name, _, _ := strings.Cut(key, "@")
	return &Engine{Backend: s.backend, Name: name, Threads: runtime.NumCPU(), Frozen: FrozenEither, share: s}, nil
}

// Close releases the backend if no other Engine of this process uses it. It may be called
// twice.
func (e *Engine) Close() {
	e.once.Do(func() {
		sharedMu.Lock()
		defer sharedMu.Unlock()
		s := e.share
		if s.users--; s.users > 0 {
			return
		}
		if sharing[s.key] == s {
			delete(sharing, s.key)
		}
		_ = caught(func() error { s.backend.Finalize(); return nil })
		releaseMemory()
	})
}
