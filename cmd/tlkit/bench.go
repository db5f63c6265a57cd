package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/kernel/bench"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

func (c *command) bench() *cobra.Command {
	var o bench.Options
	markdown, all := false, false
	var names []string
	for _, m := range bench.All() {
		names = append(names, string(m))
	}
	cmd := &cobra.Command{
		Use:   "bench [" + strings.Join(names, "|") + "]...",
		Short: "Measure this machine, next to PyTorch when there is one (--python)",
		Long: `Measure this machine. With --python PY (a Python with torch and torchvision, timm for what
torchvision lacks) PyTorch does the same work in turn with ours, and the ratio is printed.

  job       a folder becomes a head: nothing cached but weights and plugin, then with all
            cached, and where the time goes
  head      25 epochs of a head on cached features
  pictures  decode, resize, crop, normalise, on one core
  forward   feature extraction in the fastest form: ResNet-18, MobileNetV2, EfficientNet-Lite0
            and a ResNet-50 of half the width (22 MB), next to PyTorch as it is, PyTorch's
            frozen jit, and ONNX Runtime (if PY has onnx and onnxruntime)
  step      training steps of ResNet-18 and MobileNetV2, their memory, and steps of the last
            stages (minutes; not part of the default)
            forward and step with --all or --models measure networks side by side: pictures/s,
            processor time, and compiling, once with nothing cached. Weights are made up, and
            PyTorch's threads sleep while they wait
  onnx      feature extraction from the ONNX file, next to ONNX Runtime (needs onnxruntime in
            PY; fetches 22 MB; not part of the default)
  predict   tlkit predict on 1,000 JPEG files (not part of the default)
  overlap   extraction from files as a share of the network alone
  tutorial  PyTorch's tutorial, 25 epochs through the frozen network, against our job
            (minutes; not part of the default)
  finetune  the tutorial's other half, all layers, against our plan; shares of checkpoints and
            plots (minutes; not part of the default)
  recipes   pictures right after 5 epochs of our plan, next to a careful recipe in PyTorch and
            fastai's fine_tune (if PY has fastai), --seeds times (minutes a seed; not part of
            the default)
  serve     tlkit serve: latency with one client, throughput with 16, and --requests requests,
            some of them faulty, with every answer compared with predict; next to a server
            with FastAPI and torch (if PY has fastapi, uvicorn and python-multipart; not part
            of the default)
  robot     25 demonstrations of bench/sort to a policy, one look, 100 episodes in closed loop, and
            memory; next to R3M's protocol in PyTorch on the same demonstrations: pooled features
            of the same weights and a network of two layers, in the same scenes (minutes; not
            part of the default)
  cells     start of the notebook kernel and warm cells through it, in turn with plain
            GoNB (sets notebooks up; not part of the default)

--json prints the seconds of cells by name, and of everything else a list: what was measured (what, model, batch, norms), ours (rate in pictures/s,
or ours and its unit), and the peers in the same unit. --markdown prints a table with the
processor, its instruction set and the versions above it, for this machine.`,
		Example: `  tlkit bench
  tlkit bench forward step --python PY --json
  tlkit bench forward step --all --python PY
  tlkit bench step --models swin_t,convnext_tiny --python PY
  tlkit bench job forward --python PY --markdown`,
		ValidArgs: names,
		Args:      cobra.OnlyValidArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all {
				o.Networks = append(bench.Networks(), o.Networks...)
			}
			which := bench.Quick()
			switch {
			case len(args) > 0:
				which = nil
			case len(o.Networks) > 0:
				args, which = []string{"forward", "step"}, nil
			}
			for _, a := range args {
				which = append(which, bench.Measurement(a))
			}
			o.Offline, o.SetUp = c.offline, func(ctx context.Context) error {
				_, err := c.prepare(ctx, wanted{notebooks: true, terse: true})
				return err
			}
			p := c.progress()
			defer p.close()
			o.Progress = p
			figures, err := bench.Run(cmd.Context(), o, which...)
			if err != nil {
				return err
			}
			p.close()
			c.result = figures
			if len(which) == 1 && which[0] == bench.Cells {
				c.result = bench.Cells.Seconds(figures)
			}
			if markdown && !c.json {
				e, err := engine.Open(cmd.Context(), engine.Options{})
				if err != nil {
					return err
				}
				defer e.Close()
				_, err = fmt.Fprint(c.out, bench.ThisMachine(e).Markdown(figures)) // with the name tlkit in it
				return err
			}
			if !c.json {
				for _, f := range figures {
					if f.Processor == "" {
						c.say("%s", f)
					}
				}
				c.sayNetworks(figures)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Python, "python", "", "a Python with torch, to compare with")
	f.Float64Var(&o.Seconds, "seconds", 2, "how long each rate is measured; five rounds, the median counts")
	f.BoolVar(&all, "all", false, "forward, step: one network of each kind, side by side (minutes)")
	f.StringSliceVar(&o.Networks, "models", nil, "forward, step: these networks, side by side: a,b,c")
	f.BoolVar(&markdown, "markdown", false, "print the figures as a table in Markdown, with this machine above it")
	f.StringVar(&o.Data, "data", "", "data set of job, overlap, tutorial, finetune and recipes (default: hymenoptera when it is here, else insects)")
	f.IntVar(&o.Epochs, "epochs-timed", 25, "tutorial, finetune: epochs that PyTorch really runs; its time is scaled to 25")
	f.IntVar(&o.Requests, "requests", 2000, "serve: how many requests to send, some of them faulty")
	f.IntVar(&o.Seeds, "seeds", 1, "recipes: how many seeds")
	cmd.AddCommand(benchOne(c, "one-forward", bench.MeasurePass), benchOne(c, "one-step", bench.MeasureStep), c.benchTune())
	return cmd
}

// sayNetworks prints the networks that were measured side by side.
func (c *command) sayNetworks(figures []bench.Figure) {
	t := show.Table{Header: []string{"", "network", "form", "pictures/s", "PyTorch", "ratio", "CPU ms", "PyTorch", "ratio", "compiling", "cached"}, Left: 3}
	for _, f := range figures {
		if f.Processor == "" {
			continue
		}
		t.Caption = f.Processor
		number := func(v float64, format string) string {
			if v == 0 {
				return ""
			}
			return fmt.Sprintf(format, v)
		}
		form := f.Form
		if form == "" {
			form = fmt.Sprintf("batch=%d", f.Batch)
		}
		t.Rows = append(t.Rows, []string{f.What, f.Model, form,
			number(f.Ours, "%.1f"), number(f.Peers["torch"], "%.1f"), number(f.Ratio("torch"), "%.2f×"),
			number(f.CPU, "%.1f"), number(f.PeersCPU["torch"], "%.1f"), number(f.RatioCPU("torch"), "%.2f×"),
			number(f.Compiled, "%.1f s"), number(f.Cached, "%.2f s")})
	}
	if len(t.Rows) > 0 {
		c.sayTable(t, "cached", "compiling")
	}
}

// benchOne measures one kind of work in this process, for bench forward and bench step.
func benchOne[Job any](c *command, use string, measure func(context.Context, Job) (bench.Timed, error)) *cobra.Command {
	return &cobra.Command{
		Use: use + " JOB", Short: "Measure one kind of work (bench starts this)", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var job Job
			if err := json.Unmarshal([]byte(args[0]), &job); err != nil {
				return fmt.Errorf("bench %s: the job is not JSON: %w", use, err)
			}
			timed, err := measure(cmd.Context(), job)
			if err != nil {
				return err
			}
			c.result = timed
			return nil
		},
	}
}
