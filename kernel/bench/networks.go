package bench

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/internal/machine"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Networks returns one network of each kind that people transfer from today, for [Options].Networks.
func Networks() []string {
	return []string{
		"vit_small_patch16_224.augreg_in21k_ft_in1k", "vit_small_patch14_reg4_dinov2.lvd142m", "swin_t", "convnext_tiny",
		"mobilenet_v3_large", "efficientnet_b0", "mobilenetv2", "resnet50",
	}
}

// The batches of networks side by side, and how often each is measured.
const (
	passBatch     = 32
	stepBatch     = 8
	networkRounds = 3
)

// Pass is one kind of forward pass, up to the features, on made-up weights and pixels.
type Pass struct {
	Model   string  `json:"model"`
	Batch   int     `json:"batch"` // pictures a call of XLA; 0 = in the form that is chosen on this machine
	Seconds float64 `json:"seconds"`
}

// MeasurePass measures one kind of forward pass in this process.
func MeasurePass(ctx context.Context, job Pass) (Timed, error) {
	e, err := engine.Open(ctx, engine.Options{})
	if err == nil {
		err = e.Agreed()
	}
	if err != nil {
		return Timed{}, err
	}
	defer e.Close()
	net, err := madeUpNet(ctx, job.Model)
	if err != nil {
		return Timed{}, err
	}
	out := Timed{Engine: e.Name, Threads: e.Threads, Size: net.Preset.Size}
	if job.Batch == 0 {
		return out, out.chosen(ctx, features.FromNet(net, e), job.Seconds)
	}
	watch := newWatch()
	x, err := net.NewExtractor(e.Backend, job.Batch)
	if err != nil {
		return Timed{}, err
	}
	defer x.Close()
	out.Compiled, _ = watch.read()
	pictures := golden.Input(net.Preset.Size, job.Batch)
	out.Form = engine.Form{Runtime: engine.XLA, Batch: job.Batch}
	return out, out.repeat(job.Seconds, job.Batch, func() error { _, _, err := x.Run(pictures); return err })
}

// chosen measures a network in the form that long work would choose.
func (t *Timed) chosen(ctx context.Context, b features.Backbone, seconds float64) error {
	const many = 100_000 // pictures
	c, err := b.Choose(ctx, many)
	if err != nil {
		return err
	}
	calls, err := newCalls(ctx, c.Backbone, t.Size)
	if err != nil {
		return err
	}
	t.Form = c.Form
	if _, err := calls.rate(0); err != nil { // the first call also compiles
		return err
	}
	done, watch := 0, newWatch()
	for took := 0.0; took < seconds || done == 0; took, _ = watch.read() {
		if err := calls.each(); err != nil {
			return err
		}
		done += calls.side * calls.batch
	}
	t.per(done, watch)
	return nil
}

// timings are those of one kind of work, round by round.
type timings []Timed

func (t timings) median(of func(Timed) float64) float64 {
	var all []float64
	for _, one := range t {
		all = append(all, of(one))
	}
	return median(all)
}

// figure describes the work next to PyTorch's. Only the first process had to compile.
func (t timings) figure(f Figure, peers timings) Figure {
	f.Ours, f.Unit = t.median(func(t Timed) float64 { return t.Rate }), picturesPerSecond
	f.CPU, f.Processor = t.median(func(t Timed) float64 { return t.CPU }), machine.Processor()
	f.Compiled, f.Cached = t[0].Compiled, t[len(t)-1].Compiled
	if len(peers) == 0 {
		return f
	}
	f = f.against(torch, peers[0].By, peers.median(func(t Timed) float64 { return t.Rate }))
	f.PeersCPU = map[Peer]float64{torch: peers.median(func(t Timed) float64 { return t.CPU })}
	return f
}

// passes measures the forward pass of each of Options.Networks: by XLA in large batches, and in the
// form that tlkit chooses, next to PyTorch in the same batches, each in a process of its own.
func (s *session) passes(ctx context.Context) error {
	return s.eachNetwork(ctx, func(t *tlkit, row zoo.Row) error {
		var whole, chosen, peers timings
		for range networkRounds {
			for _, p := range []struct {
				batch int
				kept  *timings
			}{{passBatch, &whole}, {0, &chosen}} {
				ours, err := s.alone(ctx, t, "one-forward", Pass{Model: row.Name, Batch: p.batch, Seconds: s.Seconds})
				if err != nil {
					return err
				}
				*p.kept = append(*p.kept, ours)
			}
			peers = s.besides(ctx, peers, peerJob{"what": "pass", "model": row.Name, "size": row.Preset.Size, "batch": passBatch,
				"seconds": s.Seconds, "threads": whole[0].Threads})
		}
		of := Figure{Name: "forward " + row.Name, Model: row.Name}
		f := whole.figure(of, peers)
		f.Batch, f.Form = passBatch, whole[0].Form.String()
		s.add(f)
		f = chosen.figure(of, peers)
		last := chosen[len(chosen)-1].Form
		f.Batch, f.Form, f.Compiled, f.Cached = last.Batch, last.String(), 0, 0
		s.add(f)
		return nil
	})
}

// wholeNetworks measures the training step of the whole network of each of Options.Networks.
func (s *session) wholeNetworks(ctx context.Context) error {
	return s.eachNetwork(ctx, func(t *tlkit, row zoo.Row) error {
		var ours, peers timings
		for range networkRounds {
			one, err := s.alone(ctx, t, "one-step", Step{Model: row.Name, Batch: stepBatch, Norms: finetune.FrozenNorms, Seconds: s.Seconds})
			if err != nil {
				return err
			}
			ours = append(ours, one)
			peers = s.besides(ctx, peers, peerJob{"what": "step", "model": row.Name, "size": row.Preset.Size, "batch": stepBatch,
				"norms": finetune.FrozenNorms, "seconds": s.Seconds, "threads": one.Threads})
		}
		f := Figure{Name: fmt.Sprintf("step %s, batch %d", row.Name, stepBatch), Model: row.Name, Batch: stepBatch, Norms: finetune.FrozenNorms}
		s.add(ours.figure(f, peers))
		return nil
	})
}

func (s *session) eachNetwork(ctx context.Context, measure func(*tlkit, zoo.Row) error) error {
	rows := make([]zoo.Row, len(s.Networks))
	for i, name := range s.Networks {
		var err error
		if rows[i], err = zoo.Find(name); err != nil {
			return err
		}
		if _, err := backbone.Declare(rows[i].Arch(), rows[i].Preset.Size); err != nil {
			return fmt.Errorf("%s has no weights that could be made up: %w", name, err)
		}
	}
	t, err := s.tlkit(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	for _, row := range rows {
		s.doing(fmt.Sprintf("%s %s", s.now, row.Name))
		if err := measure(t, row); err != nil {
			return fmt.Errorf("%s: %w", row.Name, err)
		}
	}
	return nil
}

// alone has a hidden command of tlkit measure something in a process of its own.
func (s *session) alone(ctx context.Context, t *tlkit, command string, job any) (out Timed, err error) {
	arg, err := json.Marshal(job)
	if err != nil {
		return Timed{}, err
	}
	_, err = t.run(ctx, &out, "bench", command, string(arg), "--json")
	return out, err
}

// besides adds what the peer took. A network that it does not have is left out, and said.
func (s *session) besides(ctx context.Context, peers timings, job peerJob) timings {
	answer, ok, err := s.peer(ctx, job)
	switch {
	case err != nil:
		s.Progress.Say(fmt.Sprintf("%s is left out of %s: %v", torch, job["model"], err))
	case ok:
		return append(peers, Timed{Rate: answer.Rate, CPU: answer.CPU, By: answer.By})
	}
	return peers
}
