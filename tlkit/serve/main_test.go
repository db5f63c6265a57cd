package serve

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/internal/ownhome"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

func TestMain(m *testing.M) { os.Exit(ownhome.Run(m)) }

// mobile is a small network: 12 features of pictures of 18 pixels.
const mobile = "../onnx/testdata/mobile.onnx"

// kind is what differs between the heads of the tests.
type kind struct {
	task   datasets.Task
	labels []string // three
	seed   int      // of the weights
	tuned  bool     // the backbone was changed
}

func zooOptions(t testing.TB) zoo.Options {
	t.Helper()
	path, err := filepath.Abs(mobile)
	if err != nil {
		t.Fatal(err)
	}
	return zoo.Options{Weights: path, Offline: true}
}

func newEngine(t testing.TB) *engine.Engine {
	t.Helper()
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// newHead returns a head on the small network, with weights of a formula.
func newHead(t testing.TB, e *engine.Engine, k kind) *export.Head {
	t.Helper()
	data, err := os.ReadFile(mobile)
	if err != nil {
		t.Fatal(err)
	}
	const width = 12
	h := &export.Head{
		Task: k.task, Labels: k.labels, Preset: transforms.Preset{Name: "p", Size: 18, Resize: 20, Geometry: transforms.GeometryShort, Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB"},
		Backbone: export.Backbone{Name: "mobile.onnx#hidden", SHA256: fmt.Sprintf("%x", sha256.Sum256(data)), Features: width, Licence: "that of the file"},
		Data:     export.Data{Name: "insects", Fingerprint: "f", Train: 10},
		Result:   export.Result{Split: "test", Score: metrics.Fraction{Correct: 9, Total: 10}.Score()},
		Linear:   head.Linear{Features: width, Classes: len(k.labels), Bias: make([]float32, len(k.labels))},
	}
	for i := range len(k.labels) * width {
		h.Linear.Weight = append(h.Linear.Weight, float32(3*math.Sin(float64(i*i+k.seed))))
	}
	switch k.task {
	case datasets.Labels:
		for i := range k.labels {
			h.Thresholds = append(h.Thresholds, 0.25*float64(1+i%3))
		}
	case datasets.Values:
		for range k.labels {
			h.Scales = append(h.Scales, task.Scale{SD: 2, Min: -1e4, Max: 1e4})
		}
	}
	if k.tuned {
		h.Changed = []weights.Tensor{weights.FromFloat32("hidden.bias", []int{width}, []float32{5, 4, 3, 2, 1, 0, -1, -2, -3, -4, -5, -6})}
	}
	o := zooOptions(t)
	o.Preset = &h.Preset
	net, err := zoo.Load(t.Context(), h.Backbone.Name, o)
	if err == nil {
		net, err = net.With(h.Changed)
	}
	if err == nil {
		h.Parity, err = export.Parity(t.Context(), features.FromNet(net, e), h.Preset, &h.Linear)
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// headFile writes a head.
func headFile(t testing.TB, name string, h *export.Head) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".head.safetensors")
	if err := h.Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

var classes = kind{labels: []string{"ants", "be\"es", "фы"}}

// fixture is a server with a head of classes, and what it logged.
type fixture struct {
	*Server
	url string
	log *logged
}

// logged is what a server logs.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serving starts a server. Without heads it has one of classes.
func serving(t testing.TB, o Options) *fixture {
	t.Helper()
	if o.Engine == nil {
		o.Engine = newEngine(t)
	}
	o.Zoo = zooOptions(t)
	if o.Heads == nil {
		o.Heads = []Head{{Path: headFile(t, "insects", newHead(t, o.Engine, classes))}}
	}
	f := &fixture{log: &logged{}}
	o.Log = slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if o.Poll == 0 {
		o.Poll = -1
	}
	s, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	f.Server, f.url = s, h.URL
	return f
}

// photo is a PNG of a formula, one for each k.
func photo(t testing.TB, k int) []byte {
	t.Helper()
	w, h := 30+7*(k%5), 25+5*(k%7)
	var b bytes.Buffer
	if err := png.Encode(&b, &transforms.Picture{Width: w, Height: h, Pix: golden.Picture(w, h, k)}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// post sends a body and returns status and answer.
func post(t testing.TB, url, kind string, body []byte) (int, string) {
	t.Helper()
	r, err := http.Post(url, kind, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return drain(t, r)
}

func get(t testing.TB, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	return drain(t, r)
}

func drain(t testing.TB, r *http.Response) (int, string) {
	t.Helper()
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

func decoded[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v: %.300s", err, text)
	}
	return v
}

// expected returns what predict says about pictures.
func expected(t testing.TB, s *Server, head int, pictures ...[]byte) []export.Prediction {
	t.Helper()
	var all []export.Prediction
	err := s.heads[head].now.classifier.Stream(t.Context(), export.Stream{
		Paths: make([]string, len(pictures)),
		Read:  func(i int) ([]byte, error) { return pictures[i], nil },
		Use:   func(p export.Prediction) error { all = append(all, p); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// same reports whether an answer is what predict says, but for the last digits, which may differ
// between batches.
func same(got Prediction, want export.Prediction) error {
	const off = 1e-5
	near := func(a, b map[string]float64) bool {
		for k, v := range b {
			if w, ok := a[k]; !ok || math.Abs(v-w) > off*max(1, math.Abs(v)) {
				return false
			}
		}
		return len(a) == len(b)
	}
	switch {
	case !near(got.Probabilities, want.Probabilities) || !near(got.Values, want.Values):
	case fmt.Sprint(got.Labels) != fmt.Sprint(want.Labels) || (got.Labels == nil) != (want.Labels == nil):
	case want.Labels == nil && want.Values == nil && (got.Label == nil || *got.Label != want.Label || math.Abs(*got.Probability-want.Probability) > off):
	default:
		return nil
	}
	return fmt.Errorf("answered %+v, want %+v", got, want)
}
