package serve

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/export"
)

// slot is the place of a head: its file, and what serves now.
type slot struct {
	name, path string

	// Under Server.mu.
	now     *served
	refused string // why the file on disk does not serve; "" = it does

	// Under Server.reloading.
	seen   stamp // of the file that serves or was refused
	before stamp // at the last look
}

// served is an opened head.
type served struct {
	classifier *export.Classifier
	trunk      *trunk
	sha256     string
	since      time.Time
}

// stamp tells versions of a file apart without reading it.
type stamp struct {
	size int64
	time time.Time
	file os.FileInfo // for os.SameFile
}

func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, err
	}
	return stamp{info.Size(), info.ModTime(), info}, nil
}

func (s stamp) same(t stamp) bool {
	return s.size == t.size && s.time.Equal(t.time) && (s.file == nil) == (t.file == nil) && (s.file == nil || os.SameFile(s.file, t.file))
}

// servingForm is how networks run for requests: all processors for one call, which takes as many
// pictures as there are. It is used where ONNX Runtime is here.
var servingForm = engine.Form{Runtime: engine.ONNXRuntime, Batch: largestBatch}

// openAll opens every head of the options.
func (s *Server) openAll(ctx context.Context) error {
	for _, h := range s.options.Heads {
		name := h.Name
		if name == "" {
			name = nameOf(h.Path)
		}
		if slices.ContainsFunc(s.heads, func(other *slot) bool { return other.name == name }) {
			return advice.New(fmt.Errorf("serve: two heads are called %s", name), "give them names: tlkit serve a=FILE b=FILE")
		}
		at := &slot{name: name, path: h.Path}
		at.seen, _ = stampOf(h.Path) // Read says what is wrong
		at.before = at.seen
		now, err := s.open(ctx, at)
		if err != nil {
			return fmt.Errorf("serve: %s: %w", name, err)
		}
		s.install(at, now)
		s.heads = append(s.heads, at)
		s.log.Info("head opened", "head", name, "labels", len(now.classifier.Head.Labels), "backbone", now.classifier.Head.Backbone.Name, "sha256", now.sha256, "parity", now.classifier.Parity)
	}
	return nil
}

// nameOf is the name of a head by its file: that of the run for .tlkit/NAME/head.safetensors.
func nameOf(path string) string {
	base := filepath.Base(path)
	if base == "head.safetensors" {
		if abs, err := filepath.Abs(path); err == nil {
			return filepath.Base(filepath.Dir(abs))
		}
	}
	return strings.TrimSuffix(strings.TrimSuffix(base, ".safetensors"), ".head")
}

// open reads and verifies a head file, and opens it on the network of another head where it can.
func (s *Server) open(ctx context.Context, at *slot) (*served, error) {
	h, err := export.Read(at.path)
	if err != nil {
		return nil, err
	}
	sum, err := fileSHA256(at.path)
	if err != nil {
		return nil, err
	}
	n := &served{sha256: sum, since: time.Now()}
	s.mu.RLock()
	trunks := slices.Clone(s.trunks)
	s.mu.RUnlock()
	for _, t := range trunks {
		if t.first.Shares(h) {
			n.trunk = t
			n.classifier, err = t.first.With(ctx, h)
			return n, err
		}
	}
	n.classifier, err = h.Open(ctx, s.options.Engine, export.Options{Zoo: s.options.Zoo, Form: servingForm})
	if err != nil {
		return nil, err
	}
	n.trunk, err = newTrunk(ctx, n.classifier, s.options.Engine, s.metrics)
	if err != nil {
		return nil, err
	}
	n.trunk.onlooker = onlookerOf(n.classifier.Net(), s.log)
	return n, nil
}

func fileSHA256(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", sum.Sum(nil)), nil
}

// install makes an opened head the one that serves, and retires a network that none uses any more.
func (s *Server) install(at *slot, n *served) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := at.now
	at.now, at.refused = n, ""
	if !slices.Contains(s.trunks, n.trunk) {
		s.trunks = append(s.trunks, n.trunk)
	}
	s.metrics.opened(at.name, n)
	s.metrics.stale.WithLabelValues(at.name).Set(0)
	if old == nil || slices.ContainsFunc(s.heads, func(h *slot) bool { return h.now.trunk == old.trunk }) {
		return
	}
	s.trunks = slices.DeleteFunc(s.trunks, func(t *trunk) bool { return t == old.trunk })
	s.done.Go(old.trunk.retire)
}

// watch looks at the head files now and then. A look takes microseconds and works on every file
// system; notifications of changes do not, over a network or through the links of a mounted volume.
func (s *Server) watch(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = s.reload(ctx, true) // logged
		}
	}
}

// Reload looks at the head files now, and opens those that have changed. The error names those that
// were refused.
func (s *Server) Reload(ctx context.Context) error { return s.reload(ctx, false) }

// reload opens the files that have changed; with settled only those that have not changed since the
// last look, so that a file is not read while it is copied.
func (s *Server) reload(ctx context.Context, settled bool) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.mu.RLock()
	all := slices.Clone(s.heads)
	s.mu.RUnlock()
	var failed []error
	for _, at := range all {
		now, err := stampOf(at.path)
		if err != nil {
			now = stamp{}
		}
		last := at.before
		at.before = now
		if now.same(at.seen) || settled && !now.same(last) {
			continue
		}
		at.seen = now
		if err := s.replace(ctx, at); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// replace opens the changed file of a head.
func (s *Server) replace(ctx context.Context, at *slot) error {
	n, err := s.open(ctx, at)
	if err != nil {
		s.mu.Lock()
		at.refused = words.Plain(err.Error())
		s.mu.Unlock()
		s.metrics.reloads.WithLabelValues(at.name, "refused").Inc()
		s.metrics.stale.WithLabelValues(at.name).Set(1)
		s.log.Error("head refused, the old one stays in use", "head", at.name, "file", at.path, "error", err)
		return fmt.Errorf("serve: %s: %w", at.name, err)
	}
	s.install(at, n)
	s.metrics.reloads.WithLabelValues(at.name, "opened").Inc()
	s.log.Info("head replaced", "head", at.name, "labels", len(n.classifier.Head.Labels), "sha256", n.sha256, "parity", n.classifier.Parity)
	return nil
}

// asked are the heads of a request, by the networks that they need.
type asked struct {
	names  []string
	heads  []*served
	trunks []*trunk // each once
}

// take returns the heads of those names, the first of all for none. release must be called.
func (s *Server) take(names []string) (a asked, release func(), err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.heads) == 0 {
		return a, nil, unavailable("the server is closed")
	}
	if len(names) == 0 {
		names = []string{s.heads[0].name}
	}
	for _, name := range names {
		i := slices.IndexFunc(s.heads, func(h *slot) bool { return h.name == name })
		if i < 0 {
			return a, nil, notFound("there is no head %s; GET heads lists them", words.Quote(name))
		}
		if slices.Contains(a.names, name) {
			continue
		}
		n := s.heads[i].now
		a.names, a.heads = append(a.names, name), append(a.heads, n)
		if !slices.Contains(a.trunks, n.trunk) {
			a.trunks = append(a.trunks, n.trunk)
		}
	}
	for _, t := range a.trunks {
		t.users.Add(1)
	}
	return a, func() {
		for _, t := range a.trunks {
			t.users.Done()
		}
	}, nil
}

// readiness is the last replay of the built-in pictures.
type readiness struct {
	mu   sync.Mutex
	when time.Time
	last ready
}

// ready is the answer of /readyz.
type ready struct {
	Ready  bool        `json:"ready"`
	Why    string      `json:"why,omitempty"`
	Heads  []readyHead `json:"heads"`
	status int
}

type readyHead struct {
	Name   string  `json:"name"`
	Parity float64 `json:"parity"` // the largest difference of logits, as a share of the largest
	Error  string  `json:"error,omitempty"`
}

// replayEvery bounds what probes cost, whoever sends them.
const replayEvery = 5 * time.Second

// replay replays the built-in pictures of every head, or returns the last replay if it is recent.
func (s *Server) replay(ctx context.Context) ready {
	s.ready.mu.Lock()
	defer s.ready.mu.Unlock()
	if time.Since(s.ready.when) < replayEvery {
		return s.ready.last
	}
	s.mu.RLock()
	all := slices.Clone(s.heads)
	now := make([]*served, len(all))
	for i, h := range all {
		now[i] = h.now
	}
	s.mu.RUnlock()
	ctx = context.WithoutCancel(ctx) // a probe that leaves must not make the server unready for others
	r := ready{Ready: len(all) > 0, Heads: []readyHead{}}
	for i, h := range all {
		one := readyHead{Name: h.name}
		var err error
		if one.Parity, err = now[i].classifier.Replay(ctx); err != nil {
			one.Error, r.Ready, r.Why = words.Plain(err.Error()), false, "a head does not get the logits that its file records"
			s.log.Error("not ready", "head", h.name, "error", err)
		}
		r.Heads = append(r.Heads, one)
	}
	s.ready.when, s.ready.last = time.Now(), r
	return r
}
