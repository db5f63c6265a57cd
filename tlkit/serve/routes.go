package serve

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// leastToken is the shortest token, in characters.
const leastToken = 16

// route is a path with its only method. HEAD comes with GET.
type route struct {
	method, path string
	open         bool // needs no token
	do           func(http.ResponseWriter, *http.Request) error
}

func (s *Server) table() []route {
	return []route{
		{http.MethodPost, "/predict", false, s.predict},
		{http.MethodGet, "/heads", false, s.listHeads},
		{http.MethodGet, "/metrics", false, s.showMetrics},
		{http.MethodGet, "/healthz", true, func(w http.ResponseWriter, _ *http.Request) error { return writeJSON(w, map[string]bool{"ok": true}) }},
		{http.MethodGet, "/readyz", true, s.showReady},
		{http.MethodGet, "/openapi.json", true, s.describe},
		{http.MethodGet, "/{$}", true, pageFile("index.html")},
		{http.MethodGet, "/page.css", true, pageFile("page.css")},
		{http.MethodGet, "/page.js", true, pageFile("page.js")},
	}
}

// routes returns the handler of a table of routes.
func (s *gate) routes(table []route) http.Handler {
	mux := http.NewServeMux()
	for _, r := range table {
		mux.Handle(r.method+" "+r.path, s.serve(r))
		allow := r.method
		if allow == http.MethodGet {
			allow += ", " + http.MethodHead
		}
		mux.Handle(r.path, s.serve(route{path: r.path, open: true, do: func(w http.ResponseWriter, q *http.Request) error {
			w.Header().Set("Allow", allow)
			return problemf(http.StatusMethodNotAllowed, "%s of %s, want %s", words.Quote(q.Method), r.path, r.method)
		}}))
	}
	mux.Handle("/", s.serve(route{path: "other", open: true, do: func(_ http.ResponseWriter, q *http.Request) error {
		return notFound("there is no %s here; /openapi.json describes what there is", words.Quote(q.URL.Path))
	}}))
	return s.guarded(mux)
}

// guarded sends the headers of all answers, refuses requests of other sites' pages, and turns panics
// into answers.
func (s *gate) guarded(next http.Handler) http.Handler {
	var origin http.CrossOriginProtection
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		// Also where nobody reads the body: net/http does before it answers. Not every ResponseWriter
		// has it, such as that of httptest.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.limits.Body))
		defer func() {
			e := recover()
			if e == http.ErrAbortHandler {
				panic(e)
			}
			if e != nil {
				s.log.Error("a request failed", "panic", e, "stack", string(debug.Stack()))
				problemf(http.StatusInternalServerError, "the server failed; its log says why").write(w)
			}
		}()
		switch {
		case !s.knownHost(r.Host):
			problemf(http.StatusForbidden, "the name %s is not one of this server; allow it with --allow-host", words.Quote(r.Host)).write(w)
		case origin.Check(r) != nil:
			problemf(http.StatusForbidden, "another site's page sent this request").write(w)
		default:
			next.ServeHTTP(&parting{w, &s.draining, false}, r)
		}
	})
}

// parting tells the client of a server that is stopping that its connection takes no other request,
// also where the stop began while the request was answered.
type parting struct {
	http.ResponseWriter
	draining *atomic.Bool
	begun    bool
}

func (p *parting) WriteHeader(status int) {
	if p.begun = true; p.draining.Load() {
		p.Header().Set("Connection", "close")
	}
	p.ResponseWriter.WriteHeader(status)
}

func (p *parting) Write(b []byte) (int, error) {
	if !p.begun {
		p.WriteHeader(http.StatusOK)
	}
	return p.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (p *parting) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// knownHost reports whether a browser that shows a page of this name may be answered. A token says
// enough; without one, an attacker's name that leads to this machine must not.
func (s *gate) knownHost(host string) bool {
	if s.secret != "" {
		return true
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if _, err := netip.ParseAddr(name); err == nil || name == "localhost" || strings.HasSuffix(name, ".localhost") || name == "" {
		return true
	}
	return slices.ContainsFunc(s.hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// serve answers a route, and counts, logs and checks its requests.
func (s *gate) serve(t route) http.Handler {
	path := strings.TrimSuffix(t.path, "{$}")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		seen := &watched{ResponseWriter: w, status: http.StatusOK}
		err := error(nil)
		if !t.open && !s.allowed(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="tlkit"`)
			err = problemf(http.StatusUnauthorized, "the bearer token is missing or wrong")
		} else {
			err = t.do(seen, r)
		}
		if err != nil {
			p := problemOf(err)
			if p.Status == http.StatusInternalServerError {
				s.log.Error("a request failed", "route", path, "error", err)
			}
			p.write(seen)
		}
		took := time.Since(start)
		s.metrics.requests.WithLabelValues(path, strconv.Itoa(seen.status)).Inc()
		s.metrics.seconds.WithLabelValues(path).Observe(took.Seconds())
		s.log.Debug("request", "method", r.Method, "route", path, "status", seen.status, "seconds", took.Seconds(), "from", r.RemoteAddr)
	})
}

// allowed reports whether a request carries the token. Digests are compared, so that the time says
// nothing, not even the token's length.
func (s *gate) allowed(r *http.Request) bool {
	if s.secret == "" {
		return true
	}
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return subtle.ConstantTimeCompare(sum[:], s.token[:]) == 1 && strings.EqualFold(kind, "Bearer")
}

// watched remembers the status of an answer.
type watched struct {
	http.ResponseWriter
	status int
}

func (w *watched) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (s *gate) showMetrics(w http.ResponseWriter, r *http.Request) error {
	promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	return nil
}

// showReady answers /readyz. A server that is stopping is not ready, but answers all the same.
func (s *Server) showReady(w http.ResponseWriter, r *http.Request) error {
	out := ready{Why: "the server is stopping", Heads: []readyHead{}}
	if !s.draining.Load() {
		out = s.replay(r.Context())
	}
	if !out.Ready {
		w.Header().Set("Retry-After", "5")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	return writeJSON(w, out)
}

// headInfo is an element of the answer of /heads.
type headInfo struct {
	Name       string        `json:"name"`
	Task       datasets.Task `json:"task"`
	Labels     []string      `json:"labels"`
	Thresholds []float64     `json:"thresholds,omitempty"` // of several labels
	Threshold  float64       `json:"threshold,omitempty"`  // of one label a picture, below which it is unknown
	Backbone   string        `json:"backbone"`
	Licence    string        `json:"licence,omitempty"` // of the backbone
	Data       string        `json:"data"`
	Split      string        `json:"split"`
	Score      metrics.Score `json:"score"`
	ScoreWords string        `json:"score_words"` // "accuracy 95.4 % (146 of 153, 95 % 90.9-97.8)"
	SHA256     string        `json:"sha256"`      // of the head file
	Parity     float64       `json:"parity"`
	Since      time.Time     `json:"since"`
	Refused    string        `json:"refused,omitempty"` // why the file on disk does not serve
	Shares     []string      `json:"shares,omitempty"`  // the other heads of the same pass
}

// listHeads answers /heads.
func (s *Server) listHeads(w http.ResponseWriter, _ *http.Request) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := []headInfo{}
	for _, at := range s.heads {
		h := at.now.classifier.Head
		info := headInfo{
			Name: at.name, Task: h.Task, Labels: h.Labels, Thresholds: h.Thresholds, Backbone: h.Backbone.Name, Licence: h.Backbone.Licence,
			Data: h.Data.Name, Split: h.Result.Split, Score: h.Result.Score, ScoreWords: h.Result.Score.String(),
			SHA256: at.now.sha256, Parity: at.now.classifier.Parity, Since: at.now.since, Refused: at.refused,
		}
		if info.Task == "" {
			info.Task = datasets.Classes
		}
		if info.Task == datasets.Classes {
			info.Threshold = s.options.Threshold
		}
		for _, other := range s.heads {
			if other != at && other.now.trunk == at.now.trunk {
				info.Shares = append(info.Shares, other.name)
			}
		}
		out = append(out, info)
	}
	return writeJSON(w, map[string]any{"heads": out})
}
