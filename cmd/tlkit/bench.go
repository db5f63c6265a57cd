package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"image/jpeg"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

//go:embed peer.py
var peerSource string

// figure is one line of tlkit bench: ours, and the peer's from the same run.
type figure struct {
	What  string  `json:"what"`
	Ours  float64 `json:"ours"`
	Unit  string  `json:"unit"`
	Peer  float64 `json:"peer,omitempty"`
	By    string  `json:"by,omitempty"`
	Ratio float64 `json:"ratio,omitempty"` // how many times better than the peer; above 1 we are faster
	Note  string  `json:"note,omitempty"`
}

// bench is a benchmark in progress.
type benchRun struct {
	c       *command
	p       *progress
	python  string
	seconds float64
	figures []figure
}

func (c *command) bench() *cobra.Command {
	b := &benchRun{c: c}
	var data string
	var epochs int
	cmd := &cobra.Command{
		Use:   "bench [job|head|pictures|forward|onnx|overlap|tutorial|finetune|cells]...",
		Short: "Measure this machine, next to PyTorch when there is one (--python)",
		Long: `Measure this machine. With --python PY (a Python with torch and torchvision, timm for
EfficientNet-Lite) the same work is done by PyTorch in turn with ours, and the ratio printed.

  job       a folder becomes a head: nothing cached but weights and plugin, then once more
  head      25 epochs of a head on cached features
  pictures  decode, resize, crop, normalise, on one core
  forward   feature extraction at batch 32: ResNet-18, MobileNetV2, EfficientNet-Lite0
  onnx      feature extraction from the ONNX file, next to ONNX Runtime (needs onnxruntime in
            PY; fetches 22 MB; not part of the default)
  overlap   extraction from files as a share of the network alone
  tutorial  PyTorch's tutorial, 25 epochs through the frozen network, against our job
            (minutes; not part of the default)
  finetune  the tutorial's other half, all layers, against our plan; training steps of
            ResNet-18 and MobileNetV2, their memory, suffix training, checkpoints and plots
            (minutes; not part of the default)
  cells     start of the notebook kernel and warm cells through it, in turn with plain
            GoNB (sets notebooks up; not part of the default)`,
		ValidArgs: []string{"job", "head", "pictures", "forward", "onnx", "overlap", "tutorial", "finetune", "cells"},
		Args:      cobra.OnlyValidArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"job", "head", "pictures", "forward", "overlap"}
			}
			if data == "" {
				data = defaultData
				if _, err := datasets.Open(cmd.Context(), "hymenoptera", datasets.Options{Offline: true}); err == nil {
					data = "hymenoptera"
				}
			}
			b.p = c.progress()
			defer b.p.close()
			for _, what := range args {
				var err error
				switch what {
				case "job":
					_, err = b.job(cmd.Context(), data)
				case "head":
					err = b.head(cmd.Context())
				case "pictures":
					err = b.pictures(cmd.Context())
				case "forward":
					err = b.forward(cmd.Context())
				case "onnx":
					err = b.onnx(cmd.Context())
				case "overlap":
					err = b.overlap(cmd.Context(), data)
				case "cells":
					err = b.cells(cmd.Context())
				case "tutorial":
					err = b.tutorial(cmd.Context(), data, epochs)
				case "finetune":
					err = b.finetune(cmd.Context(), data, epochs)
				}
				if err != nil {
					return fmt.Errorf("bench %s: %w", what, err)
				}
			}
			b.p.close()
			c.result = b.figures
			if !c.json {
				for _, f := range b.figures {
					c.say("%s", f)
				}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&b.python, "python", "", "a Python with torch, to measure beside us")
	f.Float64Var(&b.seconds, "seconds", 4, "how long each rate is measured; three rounds, the median counts")
	f.StringVar(&data, "data", "", "data set of job, overlap, tutorial and finetune (default: hymenoptera when it is here, else insects)")
	f.IntVar(&epochs, "epochs-timed", 25, "tutorial, finetune: epochs that PyTorch really runs; its time is scaled to 25")
	cmd.AddCommand(c.benchStep())
	return cmd
}

func (f figure) String() string {
	s := fmt.Sprintf("%-46s %8.2f %s", f.What, f.Ours, f.Unit)
	if f.Peer > 0 {
		s += fmt.Sprintf("   %s %.2f, ratio %.2f", f.By, f.Peer, f.Ratio)
	}
	if f.Note != "" {
		s += "   " + f.Note
	}
	return s
}

func (b *benchRun) add(f figure) {
	b.figures = append(b.figures, f)
	b.p.Say(f.String())
}

// peer asks PyTorch to do a job; ok is false without --python.
func (b *benchRun) peer(ctx context.Context, job map[string]any) (answer struct {
	Rate, Seconds        float64
	Peak                 float64 // MiB
	CPU                  float64 // ms a picture
	Correct, Best, Total int
	By                   string
}, ok bool, err error) {
	if b.python == "" {
		return answer, false, nil
	}
	arg, err := json.Marshal(job)
	if err != nil {
		return answer, false, err
	}
	cmd := exec.CommandContext(ctx, b.python, "-c", peerSource, string(arg))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return answer, false, fmt.Errorf("%s: %w: %s", b.python, err, lastLine(errs.String()))
	}
	return answer, true, json.Unmarshal(out, &answer)
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// rates measures ours and the peer's in turn, three rounds, and keeps the medians.
func (b *benchRun) rates(ctx context.Context, what, unit string, ours func() (float64, error), job map[string]any) error {
	var mine, theirs []float64
	var by string
	for range 3 {
		v, err := ours()
		if err != nil {
			return err
		}
		mine = append(mine, v)
		a, ok, err := b.peer(ctx, job)
		if err != nil {
			return err
		}
		if ok {
			theirs, by = append(theirs, a.Rate), a.By
		}
	}
	f := figure{What: what, Unit: unit, Ours: median(mine), By: by}
	if theirs != nil {
		f.Peer = median(theirs)
		f.Ratio = f.Ours / f.Peer
	}
	b.add(f)
	return nil
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// repeat calls fn, which handles n pictures, until the time is over: pictures a second.
func (b *benchRun) repeat(n int, fn func() error) (float64, error) {
	if err := fn(); err != nil { // the first call is not like the others
		return 0, err
	}
	start, done := time.Now(), 0
	for time.Since(start).Seconds() < b.seconds {
		if err := fn(); err != nil {
			return 0, err
		}
		done += n
	}
	return float64(done) / time.Since(start).Seconds(), nil
}

// job runs `tlkit train` in processes of its own with a cache that has weights and plugin
// and nothing else, then once more with everything cached.
func (b *benchRun) job(ctx context.Context, data string) (first float64, err error) {
	ds, err := datasets.Open(ctx, data, datasets.Options{Offline: b.c.offline})
	if err != nil {
		return 0, err
	}
	self, err := b.apart(ctx)
	if err != nil {
		return 0, err
	}
	defer self.close()
	train := func() (seconds float64, r run.Result, err error) {
		seconds, err = self.run(ctx, &r, "train", ds.Root, "--json")
		return seconds, r, err
	}
	b.p.State("training, nothing cached", 0, 0)
	first, r, err := train()
	if err != nil {
		return 0, err
	}
	b.add(figure{What: "job " + ds.Name + ", nothing cached", Ours: first, Unit: "s", Note: fmt.Sprintf("%d of %d right", r.Correct, r.Total)})
	again, _, err := train()
	if err != nil {
		return 0, err
	}
	b.add(figure{What: "job " + ds.Name + ", features and programs cached", Ours: again, Unit: "s", Note: "process start included"})
	return first, nil
}

// apart is this program in processes of their own, with a cache that has weights and plugin
// and nothing else.
type apart struct{ program, dir, cache string }

func (b *benchRun) apart(ctx context.Context) (*apart, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	full, err := cachedir.Dir()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tlkit-bench-*")
	if err != nil {
		return nil, err
	}
	a := &apart{self, dir, filepath.Join(dir, "cache")}
	if err := linkTree(full, a.cache, "features", "compile"); err != nil {
		a.close()
		return nil, err
	}
	// The copied cache's files are new to their stamps: one look, so that hashing 200 MB is
	// not taken for work. Doctor compiles no network.
	_, _ = a.run(ctx, nil, "doctor", "--json")
	return a, nil
}

func (a *apart) close() { os.RemoveAll(a.dir) }

// run runs one command line, reads the JSON it prints into out, and says how long it took,
// process start included.
func (a *apart) run(ctx context.Context, out any, args ...string) (seconds float64, err error) {
	cmd := exec.CommandContext(ctx, a.program, args...)
	cmd.Dir = a.dir
	cmd.Env = append(os.Environ(), "TLKIT_CACHE="+a.cache, "TLKIT_PROGRESS=off")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	start := time.Now()
	raw, err := cmd.Output()
	seconds = time.Since(start).Seconds()
	if err != nil {
		return seconds, fmt.Errorf("%s: %w: %s", args[0], err, lastLine(errs.String()))
	}
	if out == nil {
		return seconds, nil
	}
	return seconds, json.Unmarshal(raw, out)
}

// linkTree copies a cache by hard links, leaving out some of its folders.
func linkTree(from, to string, without ...string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if slices.Contains(without, rel) {
			return fs.SkipDir
		}
		target := filepath.Join(to, rel)
		switch {
		case e.IsDir():
			return os.MkdirAll(target, 0o700)
		case !e.Type().IsRegular():
			return nil
		}
		if err := os.Link(path, target); err == nil {
			return nil
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
}

// head times 25 epochs of the tutorial's SGD on features that are there, and the default head.
func (b *benchRun) head(ctx context.Context) error {
	const n, c = 244, 1280 // ants and bees, MobileNetV2
	s := head.Samples{X: make([]float32, n*c), Features: c, Y: make([]int, n), Classes: 2}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range s.X {
		s.X[i] = rng.Float32()
		if s.Y[i/c] = i / c % 2; i/c%2 == i%2 {
			s.X[i] += 0.1
		}
	}
	start := time.Now()
	if _, err := head.SGD(ctx, s, head.SGDOptions{Epochs: 25}); err != nil {
		return err
	}
	b.add(figure{What: "head, 25 epochs of SGD, 244 x 1280", Ours: time.Since(start).Seconds(), Unit: "s"})
	folds := make([][]int, 5)
	for i := range n {
		folds[i%5] = append(folds[i%5], i)
	}
	start = time.Now()
	if _, err := head.Logistic(ctx, s, head.LogisticOptions{Folds: folds}); err != nil {
		return err
	}
	b.add(figure{What: "head, logistic, strength by 5 folds", Ours: time.Since(start).Seconds(), Unit: "s"})
	return nil
}

// pictures times the evaluation pipeline on one core. The picture is a 500 x 375 JPEG of
// quality 90 made on the spot, 4:2:0 as photographs are.
func (b *benchRun) pictures(ctx context.Context) error {
	const w, h = 500, 375
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, &transforms.Picture{Width: w, Height: h, Pix: smooth(w, h)}, &jpeg.Options{Quality: 90}); err != nil {
		return err
	}
	file := filepath.Join(os.TempDir(), fmt.Sprintf("tlkit-bench-%d.jpg", os.Getpid()))
	if err := os.WriteFile(file, buf.Bytes(), 0o600); err != nil {
		return err
	}
	defer os.Remove(file)
	row, err := zoo.Find("mobilenetv2")
	if err != nil {
		return err
	}
	pipeline := row.Preset.Eval()
	b.p.State("preparing pictures", 0, 0)
	return b.rates(ctx, "pictures, 500x375 JPEG to 224 tensor, one core", "pictures/s", func() (float64, error) {
		return b.repeat(1, func() error {
			_, err := pipeline.LoadFile(nil, file, transforms.DecodeOptions{}, transforms.Rand{})
			return err
		})
	}, map[string]any{"what": "pictures", "path": file, "seconds": b.seconds})
}

// smooth is a picture as hard to code as a photograph: slow ramps and a little grain.
func smooth(w, h int) []uint8 {
	rng := rand.New(rand.NewPCG(3, 4))
	out := make([]uint8, 0, w*h*3)
	for y := range h {
		for x := range w {
			for c := range 3 {
				out = append(out, uint8(60+(x*(c+1)/6+y*(3-c)/5)%120+rng.IntN(20)))
			}
		}
	}
	return out
}

// forward times feature extraction alone, batch 32.
func (b *benchRun) forward(ctx context.Context) error {
	e, err := engine.Open(ctx, engine.Options{Install: !b.c.offline, Report: fetching(b.p)})
	if err != nil {
		return err
	}
	const batch = 32
	for _, name := range []string{"resnet18", "mobilenetv2", "efficientnet_lite0"} {
		net, err := formulaNet(ctx, name)
		if err != nil {
			return err
		}
		b.p.State("forward "+name, 0, 0)
		x, err := net.NewExtractor(e.Backend, batch)
		if err != nil {
			return err
		}
		input := make([]float32, batch*net.Preset.Size*net.Preset.Size*3)
		rng := rand.New(rand.NewPCG(5, 6))
		for i := range input {
			input[i] = float32(rng.NormFloat64())
		}
		err = b.rates(ctx, fmt.Sprintf("forward %s, batch %d, %s", name, batch, e.Name), "pictures/s", func() (float64, error) {
			return b.repeat(batch, func() error { _, _, err := x.Run(input); return err })
		}, map[string]any{"what": "forward", "model": name, "batch": batch, "seconds": b.seconds, "threads": e.Threads})
		x.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// onnx times feature extraction from an ONNX file, next to ONNX Runtime on the same file, as batches and one by one.
func (b *benchRun) onnx(ctx context.Context) error {
	e, err := engine.Open(ctx, engine.Options{Install: !b.c.offline, Report: fetching(b.p)})
	if err != nil {
		return err
	}
	net, err := zoo.Load(ctx, "resnet50_thin", zoo.Options{Offline: b.c.offline, Report: fetching(b.p)})
	if err != nil {
		return err
	}
	for _, batch := range []int{8, 1} {
		b.p.State("forward "+net.Row.Name, 0, 0)
		x, err := net.NewExtractor(e.Backend, batch)
		if err != nil {
			return err
		}
		input := golden.Input(net.Preset.Size, batch)
		err = b.rates(ctx, fmt.Sprintf("forward %s (ONNX), batch %d, %s", net.Row.Name, batch, e.Name), "pictures/s", func() (float64, error) {
			return b.repeat(batch, func() error { _, _, err := x.Run(input); return err })
		}, map[string]any{"what": "onnx", "path": net.Path, "batch": batch, "seconds": b.seconds, "threads": e.Threads})
		x.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// formulaNet is an architecture with made-up weights: speed needs no real ones.
func formulaNet(ctx context.Context, name string) (*zoo.Net, error) {
	row, err := zoo.Find(name)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tlkit-bench-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "formula.safetensors")
	if err := formulanet.Write(file, row.Arch(), row.Preset.Size, 1); err != nil {
		return nil, err
	}
	return zoo.Load(ctx, name, zoo.Options{Weights: file})
}

// overlap compares extraction from files, nothing cached, with the network alone on the
// same batches.
func (b *benchRun) overlap(ctx context.Context, data string) error {
	ds, err := datasets.Open(ctx, data, datasets.Options{Offline: b.c.offline})
	if err != nil {
		return err
	}
	e, err := engine.Open(ctx, engine.Options{Install: !b.c.offline, Report: fetching(b.p)})
	if err != nil {
		return err
	}
	net, err := zoo.Load(ctx, defaultModel(), zoo.Options{Offline: b.c.offline, Report: fetching(b.p)})
	if err != nil {
		return err
	}
	back := features.FromNet(net, e)
	run, err := back.Open(ctx, net.Preset.Size)
	if err != nil {
		return err
	}
	back.Open = func(context.Context, int) (func([]float32) ([]float32, error), error) { return run, nil }
	items, pipeline := ds.In("all"), net.Preset.Eval()
	items = items[:min(len(items), 400)]
	var whole, alone []float64
	for range 3 {
		b.p.State("extracting from files", 0, 0)
		start := time.Now()
		err := features.Forward(ctx, back, features.Pass{
			Size: net.Preset.Size, Pictures: len(items),
			Prepare: func(i int) (transforms.Tensor, error) {
				return pipeline.LoadFile(nil, items[i].Path, transforms.DecodeOptions{}, transforms.Rand{})
			},
			Use: func([]int, []float32) error { return nil },
			Bad: func(int, error) {},
		})
		if err != nil {
			return err
		}
		whole = append(whole, float64(len(items))/time.Since(start).Seconds())
		input := make([]float32, back.Batch*net.Preset.Size*net.Preset.Size*3)
		rate, err := b.repeat(back.Batch, func() error { _, err := run(input); return err })
		if err != nil {
			return err
		}
		alone = append(alone, rate)
	}
	b.add(figure{What: "extraction from files, " + net.Row.Name, Ours: median(whole), Unit: "pictures/s",
		Peer: median(alone), By: "the network alone", Ratio: median(whole) / median(alone)})
	return nil
}

// tutorial lets PyTorch do its tutorial's job, then sets our job's time beside it.
func (b *benchRun) tutorial(ctx context.Context, data string, timed int) error {
	if b.python == "" {
		return fmt.Errorf("needs --python PY with torch and torchvision: it is the peer")
	}
	ds, job, err := b.tutorialJob(ctx, data, timed)
	if err != nil {
		return err
	}
	ours, err := b.job(ctx, data)
	if err != nil {
		return err
	}
	b.p.State("PyTorch's tutorial", 0, 0)
	a, _, err := b.peer(ctx, job)
	if err != nil {
		return err
	}
	b.add(figure{What: "tutorial's job on " + ds.Name + ", frozen, 25 epochs", Ours: ours, Unit: "s", Peer: a.Seconds, By: a.By, Ratio: a.Seconds / ours,
		Note: fmt.Sprintf("(%d epochs timed; PyTorch has %d of %d right)", timed, a.Correct, a.Total)})
	return nil
}

// tutorialJob is what PyTorch's side of its tutorial needs to know.
func (b *benchRun) tutorialJob(ctx context.Context, data string, timed int) (*datasets.Dataset, map[string]any, error) {
	if timed < 1 || timed > 25 {
		return nil, nil, fmt.Errorf("--epochs-timed %d, want 1 to 25", timed)
	}
	ds, err := datasets.Open(ctx, data, datasets.Options{Offline: b.c.offline})
	if err != nil {
		return nil, nil, err
	}
	net, err := zoo.Load(ctx, "mobilenetv2", zoo.Options{Offline: b.c.offline, Report: fetching(b.p)})
	if err != nil {
		return nil, nil, err
	}
	valid := ""
	for _, name := range []string{"val", "valid", "test"} {
		if _, err := os.Stat(filepath.Join(ds.Root, name)); err == nil && valid == "" {
			valid = name
		}
	}
	return ds, map[string]any{"what": "tutorial", "folder": ds.Root, "valid": valid, "weights": net.Path, "epochs": 25, "timed": timed, "threads": 2}, nil
}
