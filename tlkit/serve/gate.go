package serve

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// gate is what stands before any server of this package: token, names, limits, log and metrics.
type gate struct {
	limits  Limits
	log     *slog.Logger
	secret  string            // the token; "" = none
	token   [sha256.Size]byte // of secret
	hosts   []string
	metrics *meters
	handler http.Handler

	reading  *semaphore.Weighted // requests whose bodies arrive
	waiting  *semaphore.Weighted // requests that are being answered
	memory   *semaphore.Weighted // bytes of bodies
	decoding *semaphore.Weighted // pictures that are being decoded
	usual    average             // seconds that a picture takes
	draining atomic.Bool
}

// leastReading is how many bodies may arrive at the same time at least: slow ones among them must not
// keep others out.
const leastReading = 256

func newGate(l Limits, token string, hosts []string, log *slog.Logger) *gate {
	l = l.withDefaults()
	if log == nil {
		log = slog.Default()
	}
	return &gate{
		limits: l, log: log, secret: token, token: sha256.Sum256([]byte(token)), hosts: hosts, metrics: newMeters(),
		reading: semaphore.NewWeighted(max(4*int64(l.Waiting), leastReading)), waiting: semaphore.NewWeighted(int64(l.Waiting)), memory: semaphore.NewWeighted(l.Memory),
		decoding: semaphore.NewWeighted(int64(runtime.GOMAXPROCS(0))),
	}
}

// checkGate reports limits that nothing could pass, and a token that can be guessed.
func checkGate(l Limits, token string) error {
	if token != "" && len(token) < leastToken {
		return advice.New(fmt.Errorf("serve: a token of %d characters can be guessed, want %d or more", len(token), leastToken), "make one: openssl rand -hex 32")
	}
	return l.check()
}

// ServeHTTP implements [http.Handler].
func (s *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }
