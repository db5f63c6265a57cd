package serve

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
)

// form puts a picture into a form.
func form(t testing.TB, field, file string, picture []byte) (kind string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile(field, file)
	if err == nil {
		_, err = part.Write(picture)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.Bytes()
}

func inJSON(t testing.TB, text string) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]string{"picture": text})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A picture gets what predict says, whatever way it is sent, from heads of every task, frozen and
// fine-tuned, in both kinds of forms.
func TestPredict(t *testing.T) {
	forms := map[string]engine.Form{"chosen": {}, "fixed batches": {Runtime: engine.XLA, Batch: 8}}
	for what, f := range forms {
		e, err := engine.Open(t.Context(), engine.Options{Form: f})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		for _, name := range []datasets.Task{datasets.Classes, datasets.Labels, datasets.Values} {
			for _, tuned := range []bool{false, true} {
				t.Run(fmt.Sprint(what, " ", name, " ", tuned), func(t *testing.T) {
					k := classes
					k.task, k.tuned = name, tuned
					s := serving(t, Options{Engine: e, Heads: []Head{{Path: headFile(t, "a", newHead(t, e, k))}}})
					everyWay(t, s)
				})
			}
		}
	}
}

func everyWay(t *testing.T, s *fixture) {
	t.Helper()
	for k := range 6 {
		picture := photo(t, k)
		want := expected(t, s.Server, 0, picture)[0]
		named, inForm := form(t, "picture", "a.png", picture)
		other, inOtherForm := form(t, "anything", "../../etc/passwd\"<script>\r\nX: y", picture)
		for way, c := range map[string]struct {
			kind string
			body []byte
		}{
			"by its type":  {"image/png", picture},
			"by bytes":     {"application/octet-stream", picture},
			"as curl does": {"application/x-www-form-urlencoded", picture},
			"without type": {"", picture},
			"wrong type":   {"image/jpeg", picture}, // the first bytes decide
			"in a form":    {named, inForm},
			"other form":   {other, inOtherForm},
			"JSON":         {"application/json; charset=utf-8", inJSON(t, base64.StdEncoding.EncodeToString(picture))},
			"JSON raw":     {"application/json", inJSON(t, base64.RawStdEncoding.EncodeToString(picture))},
			"JSON, URL":    {"application/json", inJSON(t, base64.URLEncoding.EncodeToString(picture))},
			"data URL":     {"application/json", inJSON(t, "data:image/png;base64,"+base64.StdEncoding.EncodeToString(picture))},
		} {
			status, text := post(t, s.url+"/predict", c.kind, c.body)
			if status != http.StatusOK {
				t.Fatalf("picture %d %s: %d %s", k, way, status, text)
			}
			got := decoded[predictions](t, text).Predictions
			if len(got) != 1 || got[0].Head != "a" || got[0].Top != nil {
				t.Fatalf("picture %d %s: %s", k, way, text)
			}
			if err := same(got[0], want); err != nil {
				t.Errorf("picture %d %s: %v", k, way, err)
			}
		}
	}
}

func TestTopAndThreshold(t *testing.T) {
	s := serving(t, Options{Threshold: 0.999})
	picture := photo(t, 3)
	want := expected(t, s.Server, 0, picture)[0]
	_, text := post(t, s.url+"/predict?top=2", "image/png", picture)
	p := decoded[predictions](t, text).Predictions[0]
	if len(p.Top) != 2 || p.Top[0].Label != want.Label || p.Top[0].Probability < p.Top[1].Probability || len(p.Probabilities) != 3 {
		t.Errorf("%s, want %s first", text, want.Label)
	}
	if want.Probability >= 0.999 {
		t.Fatalf("the picture is too easy: %v", want.Probability)
	}
	if !*p.Unknown || *p.Label != "" || *p.Probability != p.Top[0].Probability || !strings.Contains(text, `"label":""`) {
		t.Errorf("below the threshold: %s", text)
	}
	if _, text := post(t, s.url+"/predict?top=99", "image/png", picture); len(decoded[predictions](t, text).Predictions[0].Top) != 3 {
		t.Errorf("more than there are: %s", text)
	}
	for _, query := range []string{"?top=0", "?top=-1", "?top=x", "?top=1e9999"} {
		if status, text := post(t, s.url+"/predict"+query, "image/png", picture); status != http.StatusBadRequest || !strings.Contains(text, "top is") {
			t.Errorf("%s: %d %s", query, status, text)
		}
	}
}

// Heads on one frozen backbone share a pass; a fine-tuned one has its own.
func TestHeadsShareAPass(t *testing.T) {
	e := newEngine(t)
	second, tuned := classes, classes
	second.labels, second.seed = []string{"x", "y", "z"}, 5
	tuned.tuned = true
	s := serving(t, Options{Engine: e, Heads: []Head{
		{Path: headFile(t, "first", newHead(t, e, classes))}, {Name: "second", Path: headFile(t, "b", newHead(t, e, second))}, {Path: headFile(t, "tuned", newHead(t, e, tuned))},
	}})
	if len(s.trunks) != 2 {
		t.Fatalf("%d networks for two", len(s.trunks))
	}
	var calls [2]int
	for i, tr := range s.trunks {
		run := tr.run
		tr.run = func(x []float32) ([]float32, error) { calls[i]++; return run(x) }
	}
	picture := photo(t, 1)
	status, text := post(t, s.url+"/predict?head=second&head=first&head=second", "image/png", picture)
	got := decoded[predictions](t, text).Predictions
	if status != 200 || len(got) != 2 || got[0].Head != "second" || got[1].Head != "first" || calls != [2]int{1, 0} {
		t.Fatalf("%d %s, calls %v", status, text, calls)
	}
	for i, k := range []int{1, 0} {
		if err := same(got[i], expected(t, s.Server, k, picture)[0]); err != nil {
			t.Error(err)
		}
	}
	_, text = post(t, s.url+"/predict?head=first&head=tuned", "image/png", picture)
	got = decoded[predictions](t, text).Predictions
	if err := same(got[1], expected(t, s.Server, 2, picture)[0]); err != nil || calls != [2]int{2, 1} {
		t.Errorf("%v, calls %v", err, calls)
	}
	if status, text := post(t, s.url+"/predict?head=third%0a", "image/png", picture); status != 404 || !strings.Contains(text, "third") {
		t.Errorf("%d %s", status, text)
	}
	_, text = get(t, s.url+"/heads")
	all := decoded[struct{ Heads []headInfo }](t, text).Heads
	if len(all) != 3 || fmt.Sprint(all[0].Shares) != "[second]" || all[2].Shares != nil || all[0].Task != datasets.Classes || !strings.Contains(all[0].ScoreWords, "9 of 10") {
		t.Errorf("%s", text)
	}
}

// Pictures that arrive together are computed together, and each gets its own answer.
func TestBatches(t *testing.T) {
	s := serving(t, Options{})
	const pictures = 24
	all := make([][]byte, pictures)
	for k := range all {
		all[k] = photo(t, k)
	}
	want := expected(t, s.Server, 0, all...)
	tr := s.trunks[0]
	run := tr.run
	var mu sync.Mutex
	sizes := map[int]int{}
	tr.run = func(x []float32) ([]float32, error) {
		mu.Lock()
		sizes[len(x)/tr.numbers()]++
		mu.Unlock()
		return run(x)
	}
	var clients sync.WaitGroup
	for c := range 16 {
		clients.Go(func() {
			for i := range 3 * pictures {
				k := (i*7 + c*5) % pictures
				r, err := http.Post(s.url+"/predict", "image/png", bytes.NewReader(all[k]))
				if err != nil {
					t.Error(err)
					return
				}
				status, text := drain(t, r)
				if status != 200 {
					t.Errorf("%d %s", status, text)
					return
				}
				if err := same(decoded[predictions](t, text).Predictions[0], want[k]); err != nil {
					t.Errorf("picture %d: %v", k, err)
				}
			}
		})
	}
	clients.Wait()
	together, n := 0, 0
	for size, times := range sizes {
		n += size * times
		if size > tr.batch {
			t.Errorf("a call of %d pictures, want at most %d", size, tr.batch)
		}
		if size > 1 {
			together += times
		}
	}
	if n != 16*3*pictures || together == 0 {
		t.Errorf("%d pictures in batches %v", n, sizes)
	}
	t.Log("batches by size", sizes)

	// One client alone never waits for others.
	clear(sizes)
	for k := range pictures {
		post(t, s.url+"/predict", "image/png", all[k])
	}
	if sizes[1] != pictures {
		t.Errorf("one client: batches %v", sizes)
	}
}

// A batch waits for pictures that are being decoded, and for nothing else.
func TestWindow(t *testing.T) {
	s := serving(t, Options{})
	tr := s.trunks[0]
	tr.took.add(60) // a window of a minute, which only waiting for a picture opens
	idle := tr.gather(&job{})
	if len(idle) != 1 {
		t.Errorf("idle: %d jobs", len(idle))
	}
	held := &trunk{batch: 8, jobs: make(chan *job, 8)}
	held.took.add(60)
	held.preparing.Store(1)
	got := make(chan []*job)
	go func() { got <- held.gather(&job{}) }()
	select {
	case b := <-got:
		t.Fatalf("a batch of %d without the picture that is being decoded", len(b))
	case <-t.Context().Done():
	case held.jobs <- &job{}:
	}
	held.preparing.Store(0)
	if b := <-got; len(b) != 2 {
		t.Errorf("a batch of %d, want 2", len(b))
	}
	held.preparing.Store(1) // and it never comes
	held.took = average{}
	held.took.add(0.01)
	if b := held.gather(&job{}); len(b) != 1 {
		t.Errorf("a batch of %d, want 1 after the window", len(b))
	}
}

// What the network gives up on is told, and the next request is answered.
func TestNetworkFails(t *testing.T) {
	s := serving(t, Options{})
	tr := s.trunks[0]
	run := tr.run
	for what, bad := range map[string]func([]float32) ([]float32, error){
		"error":   func([]float32) ([]float32, error) { return nil, context.Canceled },
		"panic":   func([]float32) ([]float32, error) { panic("no memory") },
		"short":   func([]float32) ([]float32, error) { return make([]float32, 3), nil },
		"numbers": func(x []float32) ([]float32, error) { y, err := run(x); y[2] /= 0; return y, err },
	} {
		tr.run = bad
		if status, text := post(t, s.url+"/predict", "image/png", photo(t, 0)); status != 500 || strings.Contains(text, "memory") {
			t.Errorf("%s: %d %s", what, status, text)
		}
	}
	tr.run = run
	if status, text := post(t, s.url+"/predict", "image/png", photo(t, 0)); status != 200 {
		t.Errorf("after them: %d %s", status, text)
	}
	if !strings.Contains(s.log.String(), "no memory") {
		t.Error("the log does not say why")
	}
}
