package serve

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Prediction is what one head answers about a picture. Which fields are set depends on its task.
type Prediction struct {
	Head        string   `json:"head"`
	Label       *string  `json:"label,omitempty"` // for one label a picture; "" = unknown
	Probability *float64 `json:"probability,omitempty"`
	// The most probable label is below the threshold, or the picture is unlike the training pictures.
	Unknown *bool `json:"unknown,omitempty"`
	// For several labels: those the picture gets.
	Labels        []string           `json:"labels,omitzero"`
	Probabilities map[string]float64 `json:"probabilities,omitempty"`
	// With ?top=K: the most probable labels, the most probable first.
	Top    []Ranked           `json:"top,omitempty"`
	Values map[string]float64 `json:"values,omitempty"` // for real values, in the units of the training data

	// As those of [export.Prediction].
	Set         []string              `json:"set,omitempty"`
	Intervals   map[string][2]float64 `json:"intervals,omitempty"`
	Familiar    *bool                 `json:"familiar,omitempty"`
	Strangeness *float64              `json:"strangeness,omitempty"`
}

// Ranked is a label with its probability.
type Ranked struct {
	Label       string  `json:"label"`
	Probability float64 `json:"probability"`
}

// predictions is the answer of POST /predict.
type predictions struct {
	Predictions []Prediction `json:"predictions"`
}

// predict answers POST /predict.
func (s *Server) predict(w http.ResponseWriter, r *http.Request) error {
	top, err := topOf(r)
	if err != nil {
		return err
	}
	a, release, err := s.take(r.URL.Query()["head"])
	if err != nil {
		return err
	}
	defer release()
	b, err := s.readPicture(w, r)
	if err != nil {
		return err
	}
	defer b.release()
	if !s.waiting.TryAcquire(1) {
		return s.busy("too many requests wait for an answer")
	}
	defer s.waiting.Release(1)
	s.metrics.inFlight.Inc()
	defer s.metrics.inFlight.Dec()
	start := time.Now()
	defer func() { s.usual.add(time.Since(start).Seconds()) }()
	// A client that has closed its side after the body still waits for the answer, and net/http
	// cannot tell it from one that has gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), s.limits.Answer)
	defer cancel()
	rows, err := s.rows(ctx, a.trunks, b)
	if err != nil {
		return err
	}
	out := predictions{}
	for i, h := range a.heads {
		p, err := h.classifier.Answer(rows[h.trunk])
		if err != nil {
			return err
		}
		out.Predictions = append(out.Predictions, s.prediction(a.names[i], p, top))
		s.metrics.count(a.names[i], out.Predictions[i])
	}
	return writeJSON(w, out)
}

// busy is the answer to one request too many.
func (s *gate) busy(why string) *problem {
	p := problemf(http.StatusTooManyRequests, "%s", why)
	p.retry = int(math.Ceil(max(s.usual.value(), 1)))
	return p
}

// topOf returns K of ?top=K; 0 = not asked.
func topOf(r *http.Request) (int, error) {
	text := r.URL.Query().Get("top")
	if text == "" {
		return 0, nil
	}
	k, err := strconv.Atoi(text)
	if err != nil || k < 1 {
		return 0, badRequest("top is %.20q, want a number from 1", text)
	}
	return k, nil
}

// rows returns the features of a picture by each network.
func (s *Server) rows(ctx context.Context, trunks []*trunk, b *body) (map[*trunk][]float32, error) {
	found, err := transforms.DecodeOptions{}.Pixels(b.data)
	if err != nil {
		return nil, err
	}
	if found > s.limits.Pixels {
		return nil, problemf(http.StatusRequestEntityTooLarge, "the picture has %d pixels, wanted at most %d", found, s.limits.Pixels)
	}
	jobs := make([]*job, len(trunks))
	for i, t := range trunks {
		buffer := t.free.Get().(*[]float32)
		defer t.free.Put(buffer)
		if jobs[i], err = s.prepare(ctx, t, b.data, *buffer, found); err != nil {
			// A buffer that a batch still reads must not be used again.
			waitFor(jobs[:i])
			return nil, err
		}
	}
	waitFor(jobs)
	rows := make(map[*trunk][]float32, len(trunks))
	for i, t := range trunks {
		if jobs[i].err != nil {
			s.log.Error("the network failed", "error", jobs[i].err)
			return nil, jobs[i].err
		}
		rows[t] = jobs[i].row
	}
	return rows, nil
}

func waitFor(jobs []*job) {
	for _, j := range jobs {
		<-j.done
	}
}

// largePicture is a number of pixels above which pictures are decoded one at a time.
const largePicture = 12 << 20

// prepare decodes a picture for a network and puts it into its queue.
func (s *Server) prepare(ctx context.Context, t *trunk, data []byte, into []float32, found int) (*job, error) {
	share := int64(1)
	if found > largePicture {
		share = int64(runtime.GOMAXPROCS(0))
	}
	if err := s.decoding.Acquire(ctx, share); err != nil {
		return nil, err
	}
	defer s.decoding.Release(share)
	t.preparing.Add(1)
	start := time.Now()
	x, err := t.pipeline.Load(into, data, transforms.DecodeOptions{}, transforms.Rand{})
	t.preparing.Add(-1)
	s.metrics.stage.WithLabelValues("decode").Observe(time.Since(start).Seconds())
	if err == nil && len(x.Data) != t.numbers() {
		err = fmt.Errorf("serve: a prepared picture has %d values, want %d", len(x.Data), t.numbers())
	}
	if err != nil {
		var d *transforms.DecodeError
		if !errors.As(err, &d) {
			s.log.Error("a picture cannot be prepared", "error", err)
		}
		return nil, err
	}
	t.onlooker.look(x)
	return t.features(ctx, x.Data)
}

// prediction is a head's prediction as it is sent.
func (s *Server) prediction(head string, p export.Prediction, top int) Prediction {
	out := Prediction{Head: head, Labels: p.Labels, Probabilities: p.Probabilities, Values: p.Values,
		Set: p.Set, Intervals: p.Intervals, Familiar: p.Familiar, Strangeness: p.Strangeness}
	if p.Labels == nil && p.Values == nil {
		unknown := p.Probability < s.options.Threshold || p.Unlike()
		label := p.Label
		if unknown {
			label = ""
		}
		out.Label, out.Probability, out.Unknown = &label, &p.Probability, &unknown
	}
	if top > 0 && p.Probabilities != nil {
		for label, q := range p.Probabilities {
			out.Top = append(out.Top, Ranked{label, q})
		}
		slices.SortFunc(out.Top, func(a, b Ranked) int {
			return cmp.Or(cmp.Compare(b.Probability, a.Probability), cmp.Compare(a.Label, b.Label))
		})
		out.Top = out.Top[:min(top, len(out.Top))]
	}
	return out
}

// writeJSON answers with a value.
func writeJSON(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n')) // the client may be gone
	return nil
}
