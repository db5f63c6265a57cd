package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/serve"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

const (
	servedPhotos = 64
	many         = 16 // clients
	milliseconds = "ms"
)

// serving is a server in a process of its own, the pictures that are sent to it, and what predict
// says about them.
type serving struct {
	*session
	ours     *tlkit
	pictures [][]byte
	want     []export.Prediction
	forms    []form // each picture as clients send it
	server   *serverProcess
	peer     *serverProcess // nil = none
	peerBy   string
	model    string
	head     *export.Classifier // the same head in this process
	eng      *engine.Engine
}

// form is a picture in multipart/form-data.
type form struct {
	kind string
	body []byte
}

// serve times tlkit serve with one client and with 16, then sends it many requests, hostile ones
// among them, and compares every answer with that of predict.
func (s *session) serve(ctx context.Context) error {
	b := &serving{session: s, model: zoo.Rows()[0].Name}
	defer b.close()
	for _, step := range []func(context.Context) error{b.prepare, b.begin, b.oneClient, b.manyClients, b.soak} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *serving) close() {
	for _, p := range []*serverProcess{b.server, b.peer} {
		if p != nil {
			p.stop()
		}
	}
	if b.eng != nil {
		b.eng.Close()
	}
	if b.ours != nil {
		b.ours.close()
	}
}

// prepare draws the pictures, trains a head and has predict say what is in them.
func (b *serving) prepare(ctx context.Context) (err error) {
	if b.ours, err = b.tlkit(ctx); err != nil {
		return err
	}
	b.doing("drawing pictures")
	folder := filepath.Join(b.ours.dir, "photos")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	for i := range servedPhotos {
		data, err := photo(uint64(i))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%04d.jpg", i)), data, 0o600); err != nil {
			return err
		}
		f, err := inForm(data)
		if err != nil {
			return err
		}
		b.pictures, b.forms = append(b.pictures, data), append(b.forms, f)
	}
	b.doing("training a head")
	if _, err := b.ours.run(ctx, nil, "train", "insects-few", "--name", "photos", "--json"); err != nil {
		return err
	}
	if _, err := b.ours.run(ctx, &b.want, "predict", "photos", folder, "--json"); err != nil {
		return err
	}
	h, err := export.Read(filepath.Join(b.ours.dir, ".tlkit", "photos", "head.safetensors"))
	if err != nil {
		return err
	}
	if b.eng, err = b.open(ctx); err != nil {
		return err
	}
	b.head, err = h.Open(ctx, b.eng, export.Options{Zoo: zoo.Options{Offline: b.Offline}})
	return err
}

func inForm(picture []byte) (form, error) {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part, err := w.CreateFormFile("picture", "picture.jpg")
	if err == nil {
		_, err = part.Write(picture)
	}
	if err == nil {
		err = w.Close()
	}
	return form{w.FormDataContentType(), body.Bytes()}, err
}

// serverProcess is a server that prints {"url": ...} when it answers.
type serverProcess struct {
	cmd    *exec.Cmd
	url    string
	client *http.Client
	errs   bytes.Buffer
}

func startServer(cmd *exec.Cmd) (*serverProcess, error) {
	p := &serverProcess{cmd: cmd, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * many}}}
	cmd.Stderr = &p.errs
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	var on struct{ URL string }
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&on); err != nil {
		p.stop()
		return nil, fmt.Errorf("the server did not start: %w: %s", err, lastLine(p.errs.String()))
	}
	p.url = on.URL
	return p, nil
}

func (p *serverProcess) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(20*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	_ = p.cmd.Wait()
}

// begin starts our server, and the peer's where there is a Python.
func (b *serving) begin(ctx context.Context) (err error) {
	b.doing("starting servers")
	cmd := exec.CommandContext(ctx, b.ours.program, "serve", "photos", "--addr", "127.0.0.1:0", "--timeout", "5s", "--json")
	cmd.Dir, cmd.Env = b.ours.dir, append(os.Environ(), cachedir.EnvVar+"="+b.ours.cache)
	if b.server, err = startServer(cmd); err != nil || b.Python == "" {
		return err
	}
	job, err := json.Marshal(peerJob{"what": "serve", "classes": len(b.head.Head.Labels)})
	if err != nil {
		return err
	}
	if b.peer, err = startServer(exec.CommandContext(ctx, b.Python, "-c", peerScript, string(job))); err != nil {
		return err
	}
	r, err := http.Get(b.peer.url)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	var about struct{ By string }
	err = json.NewDecoder(r.Body).Decode(&about)
	b.peerBy = about.By
	return err
}

// ask sends a picture and returns the answer.
func (p *serverProcess) ask(ctx context.Context, f form) (status int, body []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"predict", bytes.NewReader(f.body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", f.kind)
	a, err := p.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer a.Body.Close()
	body, err = io.ReadAll(a.Body)
	return a.StatusCode, body, err
}

// load sends pictures from so many clients for some seconds, and returns the milliseconds of each
// request, sorted, and pictures a second.
func (b *serving) load(ctx context.Context, p *serverProcess, clients int, seconds float64) (took []float64, rate float64, err error) {
	var mu sync.Mutex
	var work sync.WaitGroup
	start := time.Now()
	for c := range clients {
		work.Go(func() {
			for i := c; time.Since(start).Seconds() < seconds; i += clients {
				began := time.Now()
				status, body, e := p.ask(ctx, b.forms[i%len(b.forms)])
				if e == nil && status != http.StatusOK {
					e = fmt.Errorf("status %d: %.200s", status, body)
				}
				mu.Lock()
				took = append(took, float64(time.Since(began).Microseconds())/1000)
				if e != nil {
					err = e
				}
				mu.Unlock()
				if e != nil {
					return
				}
			}
		})
	}
	work.Wait()
	slices.Sort(took)
	return took, float64(len(took)) / time.Since(start).Seconds(), err
}

func quantile(sorted []float64, q float64) float64 {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// oneClient compares the time of a request with that of decoding and the network alone.
func (b *serving) oneClient(ctx context.Context) error {
	b.doing("one client")
	alone, err := b.onePicture(ctx)
	if err != nil {
		return err
	}
	var middle, late, parts, peers, peersLate []float64
	for range rounds {
		took, _, err := b.load(ctx, b.server, 1, b.Seconds)
		if err != nil {
			return err
		}
		middle, late = append(middle, quantile(took, 0.5)), append(late, quantile(took, 0.99))
		part, err := alone()
		if err != nil {
			return err
		}
		parts = append(parts, part)
		if b.peer == nil {
			continue
		}
		if took, _, err = b.load(ctx, b.peer, 1, b.Seconds); err != nil {
			return err
		}
		peers, peersLate = append(peers, quantile(took, 0.5)), append(peersLate, quantile(took, 0.99))
	}
	p50 := Figure{Name: "serve, 1 client, p50", Model: b.model, Ours: median(middle), Unit: milliseconds}.
		against(otherWay, "decode + network alone", median(parts))
	p99 := Figure{Name: "serve, 1 client, p99", Model: b.model, Ours: median(late), Unit: milliseconds}
	if b.peer != nil {
		p50, p99 = p50.against(torch, b.peerBy, median(peers)), p99.against(torch, b.peerBy, median(peersLate))
	}
	b.add(p50)
	b.add(p99)
	return nil
}

// onePicture returns a function that measures the median milliseconds of decoding a picture and
// running it through the network, in this process.
func (b *serving) onePicture(ctx context.Context) (func() (float64, error), error) {
	run, err := b.network(ctx)
	if err != nil {
		return nil, err
	}
	return func() (float64, error) {
		var took []float64
		for begin, i := time.Now(), 0; time.Since(begin).Seconds() < b.Seconds; i++ {
			start := time.Now()
			x, err := b.decode(nil, i)
			if err == nil {
				_, err = run(x)
			}
			if err != nil {
				return 0, err
			}
			took = append(took, float64(time.Since(start).Microseconds())/1000)
		}
		return median(took), nil
	}, nil
}

// servedBatch is how many pictures a server runs through a network at a time.
const servedBatch = 8

// network opens the network in this process as a server does.
func (b *serving) network(ctx context.Context) (func([]float32) ([]float32, error), error) {
	choice, err := features.FromNet(b.head.Net(), b.eng).Prefer(engine.Form{Runtime: engine.ONNXRuntime, Batch: servedBatch}).Choose(ctx, 1)
	if err != nil {
		return nil, err
	}
	return choice.Backbone.Open(ctx, b.head.Head.Preset.Size)
}

func (b *serving) decode(into []float32, i int) ([]float32, error) {
	x, err := b.head.Head.Preset.Eval().Load(into, b.pictures[i%len(b.pictures)], transforms.DecodeOptions{}, transforms.Rand{})
	return x.Data, err
}

// batches returns a function that measures pictures a second where batches are decoded on all
// processors, then run through the network: what a server could reach if sending cost nothing.
func (b *serving) batches(ctx context.Context) (func() (float64, error), error) {
	run, err := b.network(ctx)
	if err != nil {
		return nil, err
	}
	size := b.head.Head.Preset.Size
	each := size * size * 3
	pixels := make([]float32, servedBatch*each)
	return func() (float64, error) {
		at := 0
		return repeat(b.Seconds, servedBatch, func() error {
			var decoding errgroup.Group
			decoding.SetLimit(runtime.GOMAXPROCS(0))
			for k := range servedBatch {
				decoding.Go(func() error { _, err := b.decode(pixels[k*each:(k+1)*each], at+k); return err })
			}
			at += servedBatch
			if err := decoding.Wait(); err != nil {
				return err
			}
			_, err := run(pixels)
			return err
		})
	}, nil
}

// manyClients compares the rate of 16 clients with that of the same batches in this process.
func (b *serving) manyClients(ctx context.Context) error {
	b.doing("16 clients")
	alone, err := b.batches(ctx)
	if err != nil {
		return err
	}
	var ours, batched, predicted, late, peers, peersLate []float64
	for range rounds {
		took, rate, err := b.load(ctx, b.server, many, b.Seconds)
		if err != nil {
			return err
		}
		ours, late = append(ours, rate), append(late, quantile(took, 0.99))
		if rate, err = alone(); err != nil {
			return err
		}
		batched = append(batched, rate)
		if rate, err = b.predictRate(ctx); err != nil {
			return err
		}
		predicted = append(predicted, rate)
		if b.peer == nil {
			continue
		}
		if took, rate, err = b.load(ctx, b.peer, many, b.Seconds); err != nil {
			return err
		}
		peers, peersLate = append(peers, rate), append(peersLate, quantile(took, 0.99))
	}
	rate := Figure{Name: "serve, 16 clients", Model: b.model, Ours: median(ours), Unit: picturesPerSecond}.
		against(otherWay, "the same batches without a server", median(batched))
	p99 := Figure{Name: "serve, 16 clients, p99", Model: b.model, Ours: median(late), Unit: milliseconds}
	if b.peer != nil {
		rate, p99 = rate.against(torch, b.peerBy, median(peers)), p99.against(torch, b.peerBy, median(peersLate))
	}
	b.add(rate)
	b.add(p99)
	b.add(Figure{Name: "predict, the same pictures", Model: b.model, Ours: median(predicted), Unit: picturesPerSecond})
	return nil
}

// predictRate measures pictures a second of what tlkit predict does, in this process.
func (b *serving) predictRate(ctx context.Context) (float64, error) {
	s := export.Stream{Paths: make([]string, 512), Read: func(i int) ([]byte, error) { return b.pictures[i%len(b.pictures)], nil }}
	s.Use = func(p export.Prediction) error {
		if p.Error != "" {
			return errors.New(p.Error)
		}
		return nil
	}
	start := time.Now()
	err := b.head.Stream(ctx, s)
	return float64(len(s.Paths)) / time.Since(start).Seconds(), err
}

// same reports whether an answer is what predict says.
func (b *serving) same(i int, body []byte) bool {
	var got struct{ Predictions []serve.Prediction }
	if json.Unmarshal(body, &got) != nil || len(got.Predictions) != 1 || got.Predictions[0].Label == nil {
		return false
	}
	p, want := got.Predictions[0], b.want[i]
	if *p.Label != want.Label || len(p.Probabilities) != len(want.Probabilities) {
		return false
	}
	for label, q := range want.Probabilities {
		if math.Abs(p.Probabilities[label]-q) > 1e-4 {
			return false
		}
	}
	return true
}

// tally counts what a soak saw.
type tally struct {
	answers, wrong, faults, misjudged, lost atomic.Int64
	first                                   atomic.Value // string: what went wrong first
}

func (t *tally) blame(n *atomic.Int64, format string, args ...any) {
	n.Add(1)
	t.first.CompareAndSwap(nil, fmt.Sprintf(format, args...))
}

// soak sends Requests requests from 16 clients. Every tenth is one that nobody should send.
func (b *serving) soak(ctx context.Context) error {
	var t tally
	var next atomic.Int64
	var work sync.WaitGroup
	total := int64(b.Requests)
	start := time.Now()
	memory := b.watchMemory(ctx, &next)
	for range many {
		work.Go(func() {
			for i := next.Add(1) - 1; i < total && ctx.Err() == nil; i = next.Add(1) - 1 {
				if i%10 == 9 {
					b.fault(ctx, int(i/10), &t)
				} else {
					b.good(ctx, int(i)%len(b.forms), &t)
				}
				if i%256 == 0 {
					b.Progress.State("soak", i, total)
				}
			}
		})
	}
	work.Wait()
	seconds := time.Since(start).Seconds()
	held, err := memory()
	if err != nil {
		return err
	}
	sent := t.answers.Load() + t.faults.Load() // fewer than asked for after an interrupt
	b.add(Figure{Name: fmt.Sprintf("serve, soak of %d requests, 16 clients", sent), Model: b.model, Ours: float64(t.answers.Load()) / seconds, Unit: picturesPerSecond,
		Note: fmt.Sprintf("%d answers, %d wrong, %d lost; %d faults, %d with another status than theirs; %.0f s", t.answers.Load(), t.wrong.Load(), t.lost.Load(), t.faults.Load(), t.misjudged.Load(), seconds)})
	b.add(Figure{Name: "serve, soak, memory after a tenth of it", Model: b.model, Ours: held[0], Unit: "MiB"})
	b.add(Figure{Name: "serve, soak, memory at the end", Model: b.model, Ours: held[1], Unit: "MiB", Note: fmt.Sprintf("largest %.0f MiB", held[2])})
	if err := ctx.Err(); err != nil {
		return err
	}
	if bad := t.wrong.Load() + t.lost.Load() + t.misjudged.Load(); bad > 0 {
		return fmt.Errorf("%d of %d requests went wrong; the first: %s", bad, sent, t.first.Load())
	}
	return nil
}

// good sends a picture and compares the answer with predict's.
func (b *serving) good(ctx context.Context, i int, t *tally) {
	status, body, err := b.server.ask(ctx, b.forms[i])
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		t.blame(&t.lost, "%v", err)
	case status != http.StatusOK:
		t.blame(&t.lost, "status %d: %.200s", status, body)
	case !b.same(i, body):
		t.blame(&t.wrong, "%.300s, predict says %s %v", body, b.want[i].Label, b.want[i].Probability)
	}
	t.answers.Add(1)
}

// watchMemory samples the server's memory and returns a function that ends it: MiB after a tenth of
// the requests, at the end, and the largest.
func (b *serving) watchMemory(ctx context.Context, done *atomic.Int64) func() ([3]float64, error) {
	var held [3]float64
	var failed error
	look := func() float64 {
		v, err := b.server.resident(ctx)
		if err != nil && ctx.Err() == nil {
			failed = err
		}
		held[2] = max(held[2], v)
		return v
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			case <-time.After(500 * time.Millisecond):
				v := look()
				if v > 0 {
					held[1] = v
				}
				if held[0] == 0 && done.Load() >= int64(b.Requests/10) {
					held[0] = v
				}
			}
		}
	}()
	return func() ([3]float64, error) {
		close(stop)
		<-ended
		if v := look(); v > 0 {
			held[1] = v
		}
		if held[0] == 0 {
			held[0] = held[1]
		}
		return held, failed
	}
}

// resident reads the server's memory from its metrics, in MiB.
func (p *serverProcess) resident(ctx context.Context) (float64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"metrics", nil)
	if err != nil {
		return 0, err
	}
	a, err := p.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer a.Body.Close()
	for lines := bufio.NewScanner(a.Body); lines.Scan(); {
		var v float64
		if n, _ := fmt.Sscanf(lines.Text(), "process_resident_memory_bytes %g", &v); n == 1 {
			return v / (1 << 20), nil
		}
	}
	return 0, errors.New("no process_resident_memory_bytes among the metrics")
}
