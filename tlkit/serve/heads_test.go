package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/export"
)

// replaceFile puts a head's bytes in the place of a file, as tlkit does: at once.
func replaceFile(t *testing.T, path string, h *export.Head, spoil func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(headFile(t, "new", h))
	if err == nil && spoil != nil {
		data = spoil(data)
	}
	if err == nil {
		err = os.WriteFile(path+".tmp", data, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func labelsOf(t *testing.T, s *fixture) (labels string, refused string) {
	t.Helper()
	_, text := get(t, s.url+"/heads")
	h := decoded[struct{ Heads []headInfo }](t, text).Heads[0]
	return strings.Join(h.Labels, " "), h.Refused
}

// A replaced head takes over once it verifies; one that does not is refused and the old one goes on.
func TestReload(t *testing.T) {
	e := newEngine(t)
	path := headFile(t, "insects", newHead(t, e, classes))
	s := serving(t, Options{Engine: e, Heads: []Head{{Path: path}}})
	old := strings.Join(classes.labels, " ")
	if err := s.Reload(t.Context()); err != nil || strings.Contains(s.log.String(), "replaced") {
		t.Fatalf("an unchanged file: %v", err)
	}
	next := classes
	next.labels, next.seed = []string{"x", "y", "z", "w"}, 9
	foreign := newHead(t, e, next)
	foreign.Backbone.SHA256 = strings.Repeat("0f", 32)
	changed := newHead(t, e, next)
	changed.Parity[1] += 10
	for what, c := range map[string]struct {
		h      *export.Head
		spoil  func([]byte) []byte
		reason string
	}{
		"a flipped bit":        {newHead(t, e, next), func(b []byte) []byte { b[len(b)-3] ^= 1; return b }, "damaged"},
		"a part":               {newHead(t, e, next), func(b []byte) []byte { return b[:len(b)/2] }, "cut off"},
		"nothing":              {newHead(t, e, next), func([]byte) []byte { return nil }, "file"},
		"another file":         {newHead(t, e, next), func([]byte) []byte { return []byte("hello") }, "text"},
		"another backbone":     {foreign, nil, "sha256"},
		"other parity vectors": {changed, nil, "differ"},
	} {
		replaceFile(t, path, c.h, c.spoil)
		if err := s.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, want %q", what, err, c.reason)
		}
		labels, refused := labelsOf(t, s)
		if labels != old || !strings.Contains(refused, c.reason) {
			t.Errorf("%s: labels %s, refused %q", what, labels, refused)
		}
		_, metrics := get(t, s.url+"/metrics")
		if !strings.Contains(metrics, `tlkit_serve_head_stale{head="insects"} 1`) || !strings.Contains(s.log.String(), "head refused") {
			t.Errorf("%s: neither metric nor log", what)
		}
		alive(t, s)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(t.Context()); err == nil {
		t.Error("a file that is gone")
	}
	alive(t, s)

	replaceFile(t, path, newHead(t, e, next), nil)
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if labels, refused := labelsOf(t, s); labels != "x y z w" || refused != "" || len(s.trunks) != 1 {
		t.Errorf("labels %s, refused %q, %d networks", labels, refused, len(s.trunks))
	}
	alive(t, s)
	_, metrics := get(t, s.url+"/metrics")
	for _, line := range []string{`tlkit_serve_head_stale{head="insects"} 0`, `reloads_total{head="insects",result="opened"} 1`, `reloads_total{head="insects",result="refused"} 7`} {
		if !strings.Contains(metrics, line) {
			t.Errorf("no %s", line)
		}
	}
}

// A head on another network replaces one under load: no request is lost, every answer is of one of
// the two, and the network that none uses any more is retired.
func TestReloadUnderLoad(t *testing.T) {
	e := newEngine(t)
	path := headFile(t, "insects", newHead(t, e, classes))
	s := serving(t, Options{Engine: e, Heads: []Head{{Path: path}}, Poll: 10 * time.Millisecond})
	picture := photo(t, 2)
	tuned := classes
	tuned.tuned, tuned.labels = true, []string{"x", "y", "z"}
	heads := []*export.Head{newHead(t, e, tuned), newHead(t, e, classes)}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				status, text := post(t, s.url+"/predict", "image/png", picture)
				if status != 200 {
					t.Errorf("%d %s", status, text)
					return
				}
				p := decoded[predictions](t, text).Predictions[0]
				if _, isNew := p.Probabilities["x"]; len(p.Probabilities) != 3 || isNew == (*p.Label == "ants" || *p.Label == `be"es`) && isNew {
					t.Errorf("a mixture: %s", text)
				}
			}
		})
	}
	for i := range 4 {
		replaceFile(t, path, heads[i%2], nil)
		want := strings.Join(heads[i%2].Labels, " ")
		waitUntil(t, func() bool { labels, _ := labelsOf(t, s); return labels == want })
	}
	close(stop)
	clients.Wait()
	if len(s.trunks) != 1 {
		t.Errorf("%d networks", len(s.trunks))
	}
	alive(t, s)
}

// A file that is still being written is not read.
func TestReloadWaitsForTheWriter(t *testing.T) {
	e := newEngine(t)
	path := headFile(t, "insects", newHead(t, e, classes))
	s := serving(t, Options{Engine: e, Heads: []Head{{Path: path}}})
	next := classes
	next.labels = []string{"x", "y", "z"}
	data, err := os.ReadFile(headFile(t, "next", newHead(t, e, next)))
	if err != nil {
		t.Fatal(err)
	}
	for at := 100; at < len(data); at += len(data) / 5 {
		if err := os.WriteFile(path, data[:at], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.reload(t.Context(), true); err != nil {
			t.Errorf("%d of %d bytes were read: %v", at, len(data), err)
		}
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.reload(t.Context(), true); err != nil {
			t.Fatal(err)
		}
	}
	if labels, _ := labelsOf(t, s); labels != "x y z" {
		t.Error(labels)
	}
}

// The built-in pictures decide whether a server is ready.
func TestReady(t *testing.T) {
	s := serving(t, Options{})
	status, text := get(t, s.url+"/readyz")
	if r := decoded[ready](t, text); status != 200 || !r.Ready || len(r.Heads) != 1 || !(r.Heads[0].Parity < 1e-5) {
		t.Errorf("%d %s", status, text)
	}
	s.ready.when = time.Time{}
	gone, leave := context.WithCancel(t.Context())
	leave() // a probe that does not wait
	if r := s.replay(gone); !r.Ready {
		t.Errorf("after a probe that left: %+v", r)
	}
	h := s.heads[0].now.classifier.Head
	for i := range h.Linear.Weight { // memory goes bad
		h.Linear.Weight[i] *= 1.5
	}
	s.ready.when = time.Time{}
	status, text = get(t, s.url+"/readyz")
	if r := decoded[ready](t, text); status != 503 || r.Ready || r.Heads[0].Error == "" {
		t.Errorf("%d %s", status, text)
	}
	s.draining.Store(true)
	if status, text := get(t, s.url+"/readyz"); status != 503 || !strings.Contains(text, "stopping") {
		t.Errorf("%d %s", status, text)
	}
	if status, _ := get(t, s.url+"/healthz"); status != 200 {
		t.Errorf("health: %d", status)
	}
}

func TestNamesOfHeads(t *testing.T) {
	for path, want := range map[string]string{
		"bees.head.safetensors": "bees", "a/b/my bees.head.safetensors": "my bees", "x.safetensors": "x",
		filepath.Join(".tlkit", "insects", "head.safetensors"): "insects",
	} {
		if got := nameOf(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestWhatCannotBeServed(t *testing.T) {
	e := newEngine(t)
	path := headFile(t, "insects", newHead(t, e, classes))
	good := Options{Engine: e, Zoo: zooOptions(t), Heads: []Head{{Path: path}}, Poll: -1}
	for what, spoil := range map[string]func(*Options){
		"no head":      func(o *Options) { o.Heads = nil },
		"two names":    func(o *Options) { o.Heads = append(o.Heads, o.Heads[0]) },
		"no file":      func(o *Options) { o.Heads = []Head{{Path: path + "x"}} },
		"threshold":    func(o *Options) { o.Threshold = 1.5 },
		"short token":  func(o *Options) { o.Token = "secret" },
		"no engine":    func(o *Options) { o.Engine = nil },
		"limits":       func(o *Options) { o.Limits.Bytes = -1 },
		"no backbone":  func(o *Options) { o.Zoo.Weights = "nowhere.onnx" },
		"another file": func(o *Options) { o.Heads = []Head{{Path: mobile}} },
	} {
		o := good
		o.Heads = append([]Head(nil), good.Heads...)
		spoil(&o)
		if s, err := New(t.Context(), o); err == nil {
			s.Close()
			t.Errorf("%s is served", what)
		} else if !strings.Contains(err.Error(), "serve: ") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// What the server describes is what it has, and its answers have the described fields.
func TestDescription(t *testing.T) {
	s := serving(t, Options{})
	_, text := get(t, s.url+"/openapi.json")
	d := decoded[map[string]any](t, text)
	paths := d["paths"].(map[string]any)
	seen := 0
	for _, r := range s.table() {
		if strings.HasPrefix(r.path, "/page") || r.path == "/{$}" {
			continue
		}
		seen++
		if at, ok := paths[r.path].(map[string]any); !ok || at[strings.ToLower(r.method)] == nil {
			t.Errorf("%s %s is not described", r.method, r.path)
		}
	}
	if len(paths) != seen {
		t.Errorf("%d paths are described, there are %d", len(paths), seen)
	}
	schemas := d["components"].(map[string]any)["schemas"].(map[string]any)
	fields := func(name string, v any) {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		known := schemas[name].(map[string]any)["properties"].(map[string]any)
		for field := range decoded[map[string]any](t, string(raw)) {
			if known[field] == nil {
				t.Errorf("%s: the field %s is not described", name, field)
			}
		}
	}
	label, p, unknown := "a", 0.5, false
	full := Prediction{Head: "a", Label: &label, Probability: &p, Unknown: &unknown, Labels: []string{"a"}, Probabilities: map[string]float64{"a": 1}, Top: []Ranked{{"a", 1}}, Values: map[string]float64{"x": 1}}
	fields("prediction", full)
	fields("head", headInfo{Labels: []string{"a"}, Thresholds: []float64{1}, Threshold: 1, Licence: "a", Refused: "b", Shares: []string{"c"}})
	fields("ready", ready{Why: "a"})
	var refs func(v any)
	refs = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if to, ok := v["$ref"].(string); ok {
				at := any(d)
				for _, step := range strings.Split(strings.TrimPrefix(to, "#/"), "/") {
					at = at.(map[string]any)[step]
				}
				if at == nil {
					t.Errorf("%s leads nowhere", to)
				}
			}
			for _, w := range v {
				refs(w)
			}
		case []any:
			for _, w := range v {
				refs(w)
			}
		}
	}
	refs(d)
	if !strings.Contains(text, `"enum":["insects"]`) {
		t.Error("the head is not named")
	}
}

func TestMetrics(t *testing.T) {
	s := serving(t, Options{})
	for range 3 {
		post(t, s.url+"/predict", "image/png", photo(t, 1))
	}
	post(t, s.url+"/predict", "image/png", nil)
	_, text := get(t, s.url+"/metrics")
	label := expected(t, s.Server, 0, photo(t, 1))[0].Label
	for _, line := range []string{
		`tlkit_serve_requests_total{route="/predict",status="200"} 3`, `tlkit_serve_requests_total{route="/predict",status="400"} 1`,
		fmt.Sprintf(`tlkit_serve_predictions_total{head="insects",label=%q} 3`, label), "tlkit_serve_batch_pictures_count 3", `tlkit_serve_stage_seconds_count{stage="decode"} 3`,
		"tlkit_serve_in_flight 0", "go_goroutines", "process_resident_memory_bytes",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %s", line)
		}
	}
	if r, err := http.Get(s.url + "/metrics"); err != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("%v", err)
	}
}
