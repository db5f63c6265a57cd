package bench

import (
	"context"
	"encoding/json"
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

// Stepped is how fast the steps were, and the resources they used.
type Stepped struct {
	Rate     float64 `json:"rate"`     // pictures/s
	CPU      float64 `json:"cpu"`      // ms of processor time a picture, which other programs change little
	Compiled float64 `json:"compiled"` // s, for compiling the step or finding it in the cache
	Peak     float64 `json:"peak"`     // MiB, of the process; 0 = unknown
	Engine   string  `json:"engine"`
	Threads  int     `json:"threads"`
}

// MeasureStep measures one kind of training step in this process, which should have done
// nothing else before: Peak is the most memory it ever had.
func MeasureStep(ctx context.Context, job Step) (Stepped, error) {
	e, err := engine.Open(ctx, engine.Options{})
	if err == nil {
		err = e.Agreed()
	}
	if err != nil {
		return Stepped{}, err
	}
	defer e.Close()
	net, err := madeUpNet(ctx, job.Model)
	if err != nil {
		return Stepped{}, err
	}
	plan, err := stepPlan(net, job)
	if err != nil {
		return Stepped{}, err
	}
	out := Stepped{Engine: e.Name, Threads: e.Threads}
	err = finetune.MeasureSteps(net, e, plan, func(step func() error, compiled time.Duration) error {
		steps, before := -1, machine.ProcessorTime() // the first one is not counted
		out.Rate, err = repeat(job.Seconds, job.Batch, func() error {
			if steps++; steps == 1 {
				before = machine.ProcessorTime()
			}
			return step()
		})
		used := (machine.ProcessorTime() - before).Seconds()
		out.CPU, out.Compiled = 1000*used/float64(steps*job.Batch), compiled.Seconds()
		out.Peak = float64(machine.PeakMemory()) / (1 << 20)
		return err
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
func (s *session) ourStep(ctx context.Context, t *tlkit, job Step) (Stepped, error) {
	job.Seconds = s.Seconds
	arg, err := json.Marshal(job)
	if err != nil {
		return Stepped{}, err
	}
	var out Stepped
	_, err = t.run(ctx, &out, "bench", "one-step", string(arg), "--json")
	return out, err
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
