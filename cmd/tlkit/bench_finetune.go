package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/optim"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// finetune sets fine-tuning beside PyTorch's: the tutorial's job, single steps, memory; and
// measures what else training spends time on.
func (b *benchRun) finetune(ctx context.Context, data string, timed int) error {
	if b.python == "" {
		return fmt.Errorf("needs --python PY with torch and torchvision: it is the peer")
	}
	if err := b.finetuneJob(ctx, data, timed); err != nil {
		return err
	}
	self, err := b.apart(ctx)
	if err != nil {
		return err
	}
	defer self.close()
	full := map[string]float64{} // pictures a second with frozen norms
	for _, c := range []stepJob{
		{Model: "resnet18", Batch: 8, Norms: finetune.FrozenNorms}, {Model: "resnet18", Batch: 8, Norms: finetune.BatchNorms},
		{Model: "resnet18", Batch: 32, Norms: finetune.FrozenNorms}, {Model: "resnet18", Batch: 32, Norms: finetune.BatchNorms},
		{Model: "mobilenetv2", Batch: 32, Norms: finetune.FrozenNorms}, {Model: "mobilenetv2", Batch: 32, Norms: finetune.BatchNorms},
	} {
		rate, err := b.step(ctx, self, c)
		if err != nil {
			return err
		}
		if c.Norms == finetune.FrozenNorms {
			full[fmt.Sprint(c.Model, c.Batch)] = rate
		}
	}
	for _, c := range []stepJob{
		{Model: "mobilenetv2", Batch: 32, Norms: finetune.FrozenNorms, From: "features.18"},
		{Model: "mobilenetv2", Batch: 32, Norms: finetune.FrozenNorms, From: "features.17"},
		{Model: "resnet18", Batch: 32, Norms: finetune.FrozenNorms, From: "layer4"},
	} {
		a, err := b.ourStep(ctx, self, c)
		if err != nil {
			return err
		}
		whole := full[fmt.Sprint(c.Model, c.Batch)]
		b.add(figure{What: fmt.Sprintf("step %s from %s on, batch %d", c.Model, c.From, c.Batch), Ours: a.Rate, Unit: "pictures/s",
			Peer: whole, By: "our full step", Ratio: a.Rate / whole, Note: "the frozen part is cached"})
	}
	return b.shares(ctx, data)
}

// finetuneJob is the whole job: PyTorch's recipe, then our default plan with nothing cached.
func (b *benchRun) finetuneJob(ctx context.Context, data string, timed int) error {
	ds, job, err := b.tutorialJob(ctx, data, timed)
	if err != nil {
		return err
	}
	job["everything"] = true
	b.p.State("PyTorch fine-tunes all layers", 0, 0)
	peer, _, err := b.peer(ctx, job)
	if err != nil {
		return err
	}
	self, err := b.apart(ctx)
	if err != nil {
		return err
	}
	defer self.close()
	b.p.State("our plan, nothing cached", 0, 0)
	var r run.Result
	seconds, err := self.run(ctx, &r, "train", ds.Root, "--finetune", "5", "--json")
	if err != nil {
		return err
	}
	pays := "fine-tuning pays"
	if !r.Finetune.Pays {
		pays = "fine-tuning does not pay, the head alone is kept"
	}
	theirs := fmt.Sprintf("PyTorch ends with %d of %d, best of its epochs %d", peer.Correct, peer.Total, peer.Best)
	if timed < 25 {
		theirs = fmt.Sprintf("PyTorch ran %d of 25 epochs, its time is scaled", timed)
	}
	b.add(figure{What: "fine-tuning " + ds.Name + ", mobilenetv2, whole job", Ours: seconds, Unit: "s", Peer: peer.Seconds, By: peer.By, Ratio: peer.Seconds / seconds,
		Note: fmt.Sprintf("ours %d of %d (%s), the head alone %d; %s", r.Correct, r.Total, pays, r.Probe.Correct, theirs)})
	b.add(figure{What: "fine-tuning " + ds.Name + ", choosing and training", Ours: r.Finetune.Seconds, Unit: "s", Peer: peer.Seconds, By: peer.By, Ratio: peer.Seconds / r.Finetune.Seconds})
	return nil
}

// stepJob is one kind of training step: SGD with momentum, made-up weights and pixels.
type stepJob struct {
	Model   string         `json:"model"`
	Batch   int            `json:"batch"`
	Norms   finetune.Norms `json:"norms"`
	From    string         `json:"from"` // "" = the whole network moves
	Seconds float64        `json:"seconds"`
}

// stepped is what a process of ours says about it.
type stepped struct {
	Rate     float64 `json:"rate"`     // pictures/s
	CPU      float64 `json:"cpu"`      // ms of processor time a picture; other programs on the machine show less in it
	Compiled float64 `json:"compiled"` // s
	Peak     float64 `json:"peak"`     // MiB, of the process; 0 = not known here
	Engine   string  `json:"engine"`
	Threads  int     `json:"threads"`
}

func (b *benchRun) ourStep(ctx context.Context, self *apart, c stepJob) (stepped, error) {
	c.Seconds = b.seconds
	arg, err := json.Marshal(c)
	if err != nil {
		return stepped{}, err
	}
	var s stepped
	_, err = self.run(ctx, &s, "bench", "step", string(arg), "--json")
	return s, err
}

// step measures ours and PyTorch's in turn, a process each, three rounds; medians count.
func (b *benchRun) step(ctx context.Context, self *apart, c stepJob) (float64, error) {
	name := fmt.Sprintf("step %s, batch %d, norms %s", c.Model, c.Batch, c.Norms)
	b.p.State(name, 0, 0)
	var mine, theirs, cpu, peerCPU, peak, peerPeak, compiled []float64
	var by string
	for range 3 {
		s, err := b.ourStep(ctx, self, c)
		if err != nil {
			return 0, err
		}
		a, _, err := b.peer(ctx, map[string]any{"what": "step", "model": c.Model, "batch": c.Batch, "norms": c.Norms, "seconds": b.seconds, "threads": s.Threads})
		if err != nil {
			return 0, err
		}
		by = a.By
		mine, theirs, cpu, peerCPU = append(mine, s.Rate), append(theirs, a.Rate), append(cpu, s.CPU), append(peerCPU, a.CPU)
		peak, peerPeak, compiled = append(peak, s.Peak), append(peerPeak, a.Peak), append(compiled, s.Compiled)
	}
	b.add(figure{What: name, Ours: median(mine), Unit: "pictures/s", Peer: median(theirs), By: by, Ratio: median(mine) / median(theirs),
		Note: fmt.Sprintf("processor time a picture: %.1f and %.1f ms", median(cpu), median(peerCPU))})
	if m := median(peak); m > 0 {
		// The first process compiled, which takes memory of its own: the smallest is the training's.
		b.add(figure{What: name + ", memory", Ours: m, Unit: "MiB", Peer: median(peerPeak), By: by, Ratio: median(peerPeak) / m, Note: fmt.Sprintf("%.0f MiB when it also compiles", peak[0])})
	}
	b.add(figure{What: name + ", compiling", Ours: compiled[0], Unit: "s", Note: fmt.Sprintf("%.2f s in the next process", median(compiled[1:]))})
	return median(mine), nil
}

// benchStep measures one kind of step in a process of its own.
func (c *command) benchStep() *cobra.Command {
	return &cobra.Command{
		Use: "step JOB", Short: "Measure one kind of training step (bench finetune starts this)", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var j stepJob
			if err := json.Unmarshal([]byte(args[0]), &j); err != nil {
				return fmt.Errorf("bench step: %w", err)
			}
			e, err := engine.Open(cmd.Context(), engine.Options{})
			if err != nil {
				return err
			}
			defer e.Close()
			net, err := formulaNet(cmd.Context(), j.Model)
			if err != nil {
				return err
			}
			p := finetune.Plan{Name: "speed", Epochs: 1, Batch: j.Batch, Norms: j.Norms, Mix: 1, Rule: optim.Rule{Name: optim.SGD, Momentum: 0.9}, Schedule: optim.Schedule{Kind: optim.Constant}}
			everything := finetune.Group{Name: "everything", Rate: 1e-3, Stages: []string{finetune.HeadStage}}
			moves := j.From == ""
			for _, s := range net.Declaration().Stages {
				if moves = moves || s.Name == j.From; moves {
					everything.Stages = append(everything.Stages, s.Name)
				}
			}
			p.Groups = []finetune.Group{everything}
			s, err := finetune.NewStepper(net, e, 2, p)
			if err != nil {
				return err
			}
			defer s.Close()
			steps, before := -1, 0.0 // the first one is not counted
			rate, err := (&benchRun{seconds: j.Seconds}).repeat(j.Batch, func() error {
				if steps++; steps == 1 {
					before = processorTime()
				}
				return s.Step()
			})
			if err != nil {
				return err
			}
			c.result = stepped{Rate: rate, CPU: 1000 * (processorTime() - before) / float64(steps*j.Batch), Compiled: s.Compiled.Seconds(), Peak: peakMemory(), Engine: e.Name, Threads: e.Threads}
			return nil
		},
	}
}

// peakMemory is the most memory that this process has had, in MiB; 0 where that cannot be told.
func peakMemory() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kib); n == 1 {
			return kib / 1024
		}
	}
	return 0
}

// shares says how much of a training goes into checkpoints and into drawing the curve.
func (b *benchRun) shares(ctx context.Context, data string) error {
	dir, err := os.MkdirTemp("", "tlkit-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var drawing atomic.Int64
	place := run.Place{Folder: dir, Name: "shares", Offline: b.c.offline, Curves: func(r curves.Run) {
		began := time.Now()
		var png bytes.Buffer
		_ = plots.Curves(r).PNG(&png)
		drawing.Add(int64(time.Since(began)))
	}}
	began := time.Now()
	r, err := run.Train(ctx, run.Spec{Data: data, Model: "mobilenetv2", Seed: 1, Finetune: 4, Plan: finetune.Fastai}, place, b.p)
	if err != nil {
		return err
	}
	f := r.Finetune
	note := fmt.Sprintf("of %.0f s: 4 epochs of plan fastai on %s, all layers", f.Training, r.Data)
	b.add(figure{What: "checkpoints, share of training", Ours: 100 * f.Saving / f.Training, Unit: "%", Note: note})
	b.add(figure{What: "drawing the curve, share of the run", Ours: 100 * time.Duration(drawing.Load()).Seconds() / time.Since(began).Seconds(), Unit: "%", Note: note})
	return nil
}
