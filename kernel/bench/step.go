package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/machine"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/optim"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Step is one kind of training step: SGD with momentum on made-up weights and pixels.
type Step struct {
	Model   string         `json:"model"`
	Batch   int            `json:"batch"`
	Norms   finetune.Norms `json:"norms"`
	From    string         `json:"from"` // the first stage that moves; "" = the whole network
	Seconds float64        `json:"seconds"`
}

// Timed is how fast steps or forward passes were, and the resources they used.
type Timed struct {
	Rate     float64     `json:"rate"`           // pictures/s
	CPU      float64     `json:"cpu"`            // ms of processor time a picture, which other programs change little
	Compiled float64     `json:"compiled"`       // s, for compiling the program or finding it in the cache
	Peak     float64     `json:"peak"`           // MiB, of the process; 0 = unknown
	Form     engine.Form `json:"form,omitempty"` // of a forward pass
	Size     int         `json:"size,omitempty"` // of its pictures
	Engine   string      `json:"engine"`
	Threads  int         `json:"threads"`
	By       string      `json:"by,omitempty"` // a peer
}

// watch counts time, and processor time of this process.
type watch struct {
	began  time.Time
	before time.Duration
}

func newWatch() watch { return watch{time.Now(), machine.ProcessorTime()} }

func (w watch) read() (seconds, processor float64) {
	return time.Since(w.began).Seconds(), (machine.ProcessorTime() - w.before).Seconds()
}

// per notes what one of n pictures took since w began.
func (t *Timed) per(n int, w watch) {
	seconds, processor := w.read()
	t.Rate, t.CPU = float64(n)/seconds, 1000*processor/float64(n)
	t.Peak = float64(machine.PeakMemory()) / (1 << 20)
}

// repeat calls work, which handles n pictures, for some seconds. The first call is not counted.
func (t *Timed) repeat(seconds float64, n int, work func() error) error {
	if err := work(); err != nil {
		return err
	}
	done, w := 0, newWatch()
	for took := 0.0; took < seconds || done == 0; took, _ = w.read() {
		if err := work(); err != nil {
			return err
		}
		done += n
	}
	t.per(done, w)
	return nil
}

// MeasureStep measures one kind of training step in this process, which should have done
// nothing else before: Peak is the most memory it ever had.
func MeasureStep(ctx context.Context, job Step) (Timed, error) {
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
	plan, err := stepPlan(net, job)
	if err != nil {
		return Timed{}, err
	}
	out := Timed{Engine: e.Name, Threads: e.Threads}
	err = finetune.MeasureSteps(net, e, plan, func(step func() error, compiled time.Duration) error {
		out.Compiled = compiled.Seconds()
		return out.repeat(job.Seconds, job.Batch, step)
	})
	return out, err
}

// stepPlan has every stage from job.From on move at one rate.
func stepPlan(net *zoo.Net, job Step) (finetune.Plan, error) {
	moving := finetune.Group{Name: "everything", Rate: 1e-3, Stages: []string{finetune.HeadStage}}
	var names []string
	moves := job.From == ""
	for _, stage := range net.Declaration().Stages {
		names = append(names, stage.Name)
		if moves = moves || stage.Name == job.From; moves {
			moving.Stages = append(moving.Stages, stage.Name)
		}
	}
	if !moves {
		return finetune.Plan{}, advice.New(fmt.Errorf("bench one-step: %s has no stage %q", job.Model, job.From), "it has %s", strings.Join(names, ", "))
	}
	return finetune.Plan{Name: "speed", Epochs: 1, Batch: job.Batch, Norms: job.Norms, Mix: 1,
		Rule:     optim.Rule{Name: optim.SGD, Momentum: 0.9},
		Schedule: optim.Schedule{Kind: optim.Constant},
		Groups:   []finetune.Group{moving}}, nil
}

// ourStep measures a step in a process of its own.
func (s *session) ourStep(ctx context.Context, t *tlkit, job Step) (Timed, error) {
	job.Seconds = s.Seconds
	return s.alone(ctx, t, "one-step", job)
}

// stepRounds are the measurements of one kind of step, round by round.
type stepRounds struct {
	rate, cpu, peak, compiled []float64
	peerRate, peerCPU         []float64
	peerPeak                  []float64
	by                        string
}

// step measures our step and PyTorch's in turn, each in a process of its own, adds the
// figures, and returns the median of our rates.
func (s *session) step(ctx context.Context, t *tlkit, job Step) (float64, error) {
	name := fmt.Sprintf("step %s, batch %d, norms %s", job.Model, job.Batch, job.Norms)
	s.doing(name)
	var r stepRounds
	for range rounds {
		ours, err := s.ourStep(ctx, t, job)
		if err != nil {
			return 0, err
		}
		peer, ok, err := s.peer(ctx, peerJob{"what": "step", "model": job.Model, "batch": job.Batch, "norms": job.Norms,
			"seconds": s.Seconds, "threads": ours.Threads})
		if err != nil {
			return 0, err
		}
		r.rate, r.cpu, r.peak = append(r.rate, ours.Rate), append(r.cpu, ours.CPU), append(r.peak, ours.Peak)
		r.compiled = append(r.compiled, ours.Compiled)
		if ok {
			r.peerRate, r.peerCPU, r.peerPeak = append(r.peerRate, peer.Rate), append(r.peerCPU, peer.CPU), append(r.peerPeak, peer.Peak)
			r.by = peer.By
		}
	}
	for _, f := range r.figures(name, job) {
		s.add(f)
	}
	return median(r.rate), nil
}

// figures are speed, memory and compile time.
func (r stepRounds) figures(name string, job Step) []Figure {
	of := func(what, name string, ours float64, unit string) Figure {
		return Figure{What: what, Name: name, Model: job.Model, Batch: job.Batch, Norms: job.Norms, Ours: ours, Unit: unit}
	}
	speed := of("step", name, median(r.rate), picturesPerSecond)
	speed.Note = fmt.Sprintf("processor time a picture: %.1f ms", median(r.cpu))
	if r.by != "" {
		speed = speed.against(torch, r.by, median(r.peerRate))
		speed.Note += fmt.Sprintf(" and %.1f ms", median(r.peerCPU))
	}
	all := []Figure{speed}
	if m := median(r.peak); m > 0 {
		// The first process compiled, which takes memory too: the median is of training alone.
		memory := of("step memory", name+", memory", m, "MiB")
		memory.Note = fmt.Sprintf("%.0f MiB when it also compiles", r.peak[0])
		if r.by != "" {
			memory = memory.against(torch, r.by, median(r.peerPeak))
		}
		all = append(all, memory)
	}
	compiling := of("step compiling", name+", compiling", r.compiled[0], "s")
	compiling.Note = fmt.Sprintf("%.2f s in the next process", median(r.compiled[1:]))
	return append(all, compiling)
}
