// Package bench measures this machine: how long tlkit takes for whole jobs and for their parts, and
// how long a peer (PyTorch, ONNX Runtime or plain GoNB) takes for the same work.
//
// Rates are medians of five rounds, ours and the peers' in turn. Whole jobs and training
// steps run in processes of their own, so that a warm cache or the memory of a compiler does
// not change the next figure.
package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Measurement is one thing that [Run] measures.
type Measurement string

// The measurements, in the order of [All].
const (
	Job      Measurement = "job"      // a folder becomes a head: nothing cached, then once more
	Head     Measurement = "head"     // 25 epochs of a head on cached features
	Pictures Measurement = "pictures" // decode, resize, crop and normalise on one core
	Forward  Measurement = "forward"  // feature extraction of four networks
	training Measurement = "step"     // training steps of the whole network and of its end
	onnxFile Measurement = "onnx"     // feature extraction from an ONNX file
	thousand Measurement = "predict"  // tlkit predict on 1,000 JPEG files
	overlaps Measurement = "overlap"  // extraction from files as a share of the network alone
	Tutorial Measurement = "tutorial" // PyTorch's tutorial, frozen, against our job
	Finetune Measurement = "finetune" // the tutorial with all layers; shares of a training
	Recipes  Measurement = "recipes"  // our plan's pictures right, next to careful recipes in PyTorch
	serves   Measurement = "serve"    // tlkit serve: one client, 16, and many requests with faults
	robots   Measurement = "robot"    // a policy from demonstrations, next to R3M's protocol in PyTorch
	Cells    Measurement = "cells"    // kernel start and warm cells, next to plain GoNB
)

// All returns every measurement.
func All() []Measurement {
	return []Measurement{Job, Head, Pictures, Forward, training, onnxFile, thousand, overlaps, Tutorial, Finetune, Recipes, serves, robots, Cells}
}

// Quick returns the measurements that need neither a peer nor a set-up and do not take minutes.
func Quick() []Measurement {
	return []Measurement{Job, Head, Pictures, Forward, overlaps}
}

// Options say what the measurements have to work with. The zero value measures tlkit alone.
type Options struct {
	// Python is a program with torch and torchvision (timm for EfficientNet-Lite, onnx and onnxruntime
	// for ONNX Runtime), which does the same work in turn with ours; "" = no peer.
	Python string
	// Networks are what forward and step measure, by name, instead of the few that they begin with.
	Networks []string
	// Seconds is how long each rate is measured, in each of five rounds; 0 = 2.
	Seconds float64
	// Data is the data set of Job, overlap, Tutorial, Finetune and Recipes; "" = hymenoptera when it is
	// on this machine, else insects, which is drawn.
	Data string
	// Epochs is how many of the 25 epochs of Tutorial and Finetune PyTorch really runs, its
	// time scaled up; 0 = all 25.
	Epochs int
	// Seeds is how many seeds Recipes repeats everything with; 0 = 1.
	Seeds int
	// Requests is how many requests the soak of the server has; 0 = 2,000.
	Requests int
	// Program is the tlkit that runs in processes of its own; "" = this program.
	Program string
	// Offline keeps every measurement off the network.
	Offline bool
	// SetUp makes this machine ready for notebooks, which Cells needs; nil = it is ready.
	SetUp func(context.Context) error
	// Progress receives what is being measured, and each figure; nil = no reports.
	Progress run.Progress
}

// tutorialEpochs is how many epochs PyTorch's tutorial trains.
const tutorialEpochs = 25

func (o Options) withDefaults(ctx context.Context) Options {
	if o.Seconds == 0 {
		o.Seconds = 2
	}
	if o.Epochs == 0 {
		o.Epochs = tutorialEpochs
	}
	if o.Seeds == 0 {
		o.Seeds = 1
	}
	if o.Requests == 0 {
		o.Requests = 2000
	}
	if o.Progress == nil {
		o.Progress = silent{}
	}
	if o.Data == "" {
		o.Data = "insects"
		if _, err := datasets.Open(ctx, "hymenoptera", datasets.Options{Offline: true}); err == nil {
			o.Data = "hymenoptera"
		}
	}
	return o
}

// Run makes the measurements in the order given and returns their figures. After an error it
// returns those that were complete.
func Run(ctx context.Context, o Options, which ...Measurement) ([]Figure, error) {
	s := &session{Options: o.withDefaults(ctx)}
	for _, m := range which {
		if err := s.measure(ctx, m); err != nil {
			return s.figures, fmt.Errorf("bench %s: %w", m, err)
		}
	}
	return s.figures, nil
}

// session is the measurements of one Run: its options, and the figures so far.
type session struct {
	Options
	figures []Figure
	now     Measurement
}

// picturesPerSecond is the unit of rates.
const picturesPerSecond = "pictures/s"

func (s *session) measure(ctx context.Context, m Measurement) error {
	s.now = m
	switch m {
	case Job:
		_, err := s.job(ctx)
		return err
	case Head:
		return s.head(ctx)
	case Pictures:
		return s.pictures(ctx)
	case Forward:
		return s.forward(ctx)
	case training:
		return s.steps(ctx)
	case thousand:
		return s.predict(ctx)
	case onnxFile:
		return s.onnx(ctx)
	case overlaps:
		return s.overlap(ctx)
	case Tutorial:
		return s.tutorial(ctx)
	case Finetune:
		return s.finetune(ctx)
	case Recipes:
		return s.recipes(ctx)
	case serves:
		return s.serve(ctx)
	case robots:
		return s.robots(ctx)
	case Cells:
		return s.cells(ctx)
	}
	return advice.New(errors.New("no such measurement"), "want one of %v", All())
}

// add keeps a figure and tells it.
func (s *session) add(f Figure) {
	if f.What == "" {
		f.What = string(s.now)
	}
	if f.Unit == picturesPerSecond {
		f.Rate = f.Ours
	}
	s.figures = append(s.figures, f)
	s.Progress.Say(f.String())
}

// doing tells what is measured now.
func (s *session) doing(what string) { s.Progress.State(what, 0, 0) }

func (s *session) open(ctx context.Context) (*engine.Engine, error) {
	e, err := engine.Open(ctx, engine.Options{Install: !s.Offline, Report: s.Progress.State})
	if err != nil {
		return nil, err
	}
	return e, e.Agreed()
}

func (s *session) load(ctx context.Context, network string) (*zoo.Net, error) {
	return zoo.Load(ctx, network, zoo.Options{Offline: s.Offline, Report: s.Progress.State})
}

func (s *session) dataset(ctx context.Context) (*datasets.Dataset, error) {
	return datasets.Open(ctx, s.Data, datasets.Options{Offline: s.Offline})
}

var errNoPeer = errors.New("PyTorch is the peer here: name a Python with torch and torchvision: --python PY")

// silent is a Progress that goes nowhere.
type silent struct{}

func (silent) State(string, int64, int64) {}
func (silent) Say(string)                 {}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}
