// Package serve is an HTTP server that predicts with trained heads.
//
//	s, err := serve.New(ctx, serve.Options{Heads: []serve.Head{{Path: "bees.head.safetensors"}}, Engine: e})
//	defer s.Close()
//	l, err := serve.Address{}.Listen()
//	err = s.Serve(ctx, l) // until ctx ends, and every request is answered
//
// The routes:
//
//	POST /predict       a picture → label and probabilities, labels, or values
//	GET  /heads         the heads, with labels, backbone, licence and score
//	GET  /healthz       200 while the process runs
//	GET  /readyz        200 while every head gets the recorded logits of its built-in pictures
//	GET  /metrics       for Prometheus
//	GET  /openapi.json  the OpenAPI 3.1 description of these routes
//	GET  /              a page to drop pictures on
//
// A picture is the body itself (Content-Type image/... or application/octet-stream), the only file
// in a form (multipart/form-data), or base64 in JSON ({"picture": "..."}). ?head=NAME asks a head other
// than the first; repeat it to ask several. ?top=K adds the K most probable labels, in order.
//
// Pictures that arrive together go through the network together: a batch is what arrived while the
// one before was computed. It also waits for pictures that are being decoded at that moment, but never
// longer than a batch takes. Heads on the same frozen backbone share its pass.
//
// An error has a status with a reason, as application/problem+json (RFC 9457):
//
//	400  the request cannot be understood     413  too many bytes or pixels
//	401  the bearer token is missing or wrong 415  not a picture format that tlkit reads
//	403  another site's page sent it          422  the picture is damaged
//	404  no such head or path                 429  too many requests wait; Retry-After says how long
//	405  the path does not have that method   500  the network failed
//	408  the body came too slowly             503  not ready, or too late; Retry-After
//
// When a head file is replaced on disk, the server switches to it once it is read, verified and opened
// completely. If it does not open, the old head stays in use, and log, metrics and /heads say so.
package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tlkit/transfer-learning/internal/pixels"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Head is a head file to serve.
type Head struct {
	Name string // in requests; "" = the name of the file, or of its run
	Path string
}

// Options are what a server serves, and how.
type Options struct {
	Heads  []Head // one or more; requests that name none get the first
	Engine *engine.Engine
	Zoo    zoo.Options // where backbones come from; its Preset is not used

	// Threshold is the least probability of a label, from 0 to 1. Below it the answer is "unknown".
	// It concerns heads for one label a picture.
	Threshold float64
	// Token is what requests must carry as "Authorization: Bearer TOKEN"; "" = nothing. /healthz,
	// /readyz, /openapi.json and the page itself need none.
	Token string
	// Hosts are names under which browsers may reach a server without a token, besides localhost and
	// addresses. It protects from pages that point a name of their own at this machine.
	Hosts []string

	Limits Limits
	Log    *slog.Logger // nil = slog.Default()
	// Poll is how often head files are looked at; 0 = 2 s, below 0 = only when Reload is called.
	Poll time.Duration
}

// Limits bound what requests can take. The zero value of each field stands for its default.
type Limits struct {
	Bytes   int64         // of a picture; 32 MiB
	Pixels  int           // of a picture, before it is decoded; 50 million, or what --max-pixels says
	Body    time.Duration // for a request to arrive; 30 s
	Answer  time.Duration // from there to its answer; 30 s
	Waiting int           // requests that are being answered at the same time; 256
	Memory  int64         // bytes of all requests together; 512 MiB
}

func (l Limits) withDefaults() Limits {
	l.Bytes = cmp.Or(l.Bytes, 32<<20)
	l.Pixels = cmp.Or(l.Pixels, pixels.Allowed(), 50_000_000)
	l.Body = cmp.Or(l.Body, 30*time.Second)
	l.Answer = cmp.Or(l.Answer, 30*time.Second)
	l.Waiting = cmp.Or(l.Waiting, 256)
	l.Memory = max(cmp.Or(l.Memory, 512<<20), 4*withRoom(l.Bytes)) // room for one, as JSON
	return l
}

// check reports limits that nothing could pass.
func (l Limits) check() error {
	if l.Bytes < 0 || l.Pixels < 0 || l.Body < 0 || l.Answer < 0 || l.Waiting < 0 || l.Memory < 0 {
		return fmt.Errorf("serve: limits %+v, want none below 0", l)
	}
	return nil
}

// Server answers requests. It is an [http.Handler].
type Server struct {
	*gate
	options Options

	mu     sync.RWMutex
	heads  []*slot
	trunks []*trunk

	reloading sync.Mutex // one at a time
	ready     readiness
	stop      context.CancelFunc
	done      sync.WaitGroup
}

// New opens the heads and verifies each. It is an error if one of them does not open.
func New(ctx context.Context, o Options) (*Server, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Server{options: o, gate: newGate(o.Limits, o.Token, o.Hosts, o.Log)}
	if err := s.openAll(ctx); err != nil {
		s.Close()
		return nil, err
	}
	s.handler = s.routes(s.table())
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	if o.Poll >= 0 {
		s.done.Go(func() { s.watch(watch, cmp.Or(o.Poll, 2*time.Second)) })
	}
	return s, nil
}

func (o Options) check() error {
	switch {
	case len(o.Heads) == 0:
		return errors.New("serve: no head to serve")
	case o.Engine == nil:
		return errors.New("serve: no engine; see engine.Open")
	case !(o.Threshold >= 0 && o.Threshold <= 1):
		return fmt.Errorf("serve: the threshold is %v, want 0 to 1", o.Threshold)
	}
	return checkGate(o.Limits, o.Token)
}

// Close stops the server's background work and waits for pictures that are in the network. The engine
// stays open.
func (s *Server) Close() {
	if s.stop != nil {
		s.stop()
	}
	s.done.Wait()
	s.mu.Lock()
	old := s.trunks
	s.heads, s.trunks = nil, nil
	s.mu.Unlock()
	for _, t := range old {
		t.retire()
	}
}
