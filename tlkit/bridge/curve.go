package bridge

import (
	"errors"
	"fmt"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/metric"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// CurveOptions say what [Attach] records and where it is seen. The zero value records the training
// losses and metrics in memory.
type CurveOptions struct {
	Name   string        // of the run; "" = training
	Screen *show.Screen  // draws the curves while training runs, in a cell or a terminal; nil = nowhere
	File   string        // also appends the curves to this file, and goes on with what it holds; "" = none
	Valid  train.Dataset // measured at the end of each epoch, or every Every steps; nil = nothing
	// Every is the number of steps between two points of training: their losses are averaged. 0 = a tenth of
	// an epoch, and 10 for a data set whose epochs are unknown.
	Every int
}

// Curve is the history of a loop.
type Curve struct {
	options  CurveOptions
	recorder *curves.Recorder
	kept     curves.Run
	epoch    int // steps in an epoch; 0 = not known
	sum      float64
	steps    int // in sum
	measured int // the step at which Valid was measured last
}

// Attach records the training and validation losses and metrics of a loop, and draws them live. The x
// axis counts epochs if the loop runs over a [Dataset], steps otherwise. Metrics are those that the
// trainer was made with: the ones of type "accuracy" become the accuracy, others keep their names.
// The curve goes on over several runs of the loop.
//
// Drawing takes at most 2 % of the time and never stops the training; an error of the file does.
func Attach(loop *train.Loop, o CurveOptions) *Curve {
	c := &Curve{options: o, kept: curves.Run{Name: o.Name, Axis: curves.Iterations}}
	if c.kept.Name == "" {
		c.kept.Name = "training"
	}
	const name, last = "tlkit curves", 200 // behind hooks that change what is measured
	loop.OnStart(name, last, c.start)
	loop.OnStep(name, last, c.step)
	loop.OnEnd(name, last, c.end)
	return c
}

// Run returns the points so far.
func (c *Curve) Run() curves.Run {
	if c.recorder == nil {
		return c.kept.Clone()
	}
	return c.recorder.Run()
}

// Figure draws the curves.
func (c *Curve) Figure() plots.Figure { return plots.Curves(c.Run()) }

// Close ends the recording. A loop that ends without an error does so itself; one that fails does not
// call its hooks.
func (c *Curve) Close() error {
	if c.recorder == nil {
		return nil
	}
	c.kept = c.recorder.Run()
	err := c.recorder.Close()
	c.recorder = nil
	return err
}

func (c *Curve) start(_ *train.Loop, ds train.Dataset) error {
	if err := c.Close(); err != nil { // of a run that failed
		return err
	}
	if d, ok := ds.(*Dataset); ok {
		c.epoch, c.kept.Axis = d.Steps(), curves.Epochs
	}
	c.sum, c.steps = 0, 0
	var file *curves.Writer
	if c.options.File != "" {
		var err error
		file, c.kept, err = c.kept.AppendTo(c.options.File)
		if err != nil {
			return err
		}
	}
	var draw func(curves.Run)
	if s := c.options.Screen; s != nil {
		draw = func(r curves.Run) { _ = s.Live(r.Name, plots.Curves(r)) }
	}
	c.recorder = curves.NewRecorder(c.kept, file, 2*time.Second, draw)
	return nil
}

// every returns the number of steps between two points.
func (c *Curve) every() int {
	switch {
	case c.options.Every > 0:
		return c.options.Every
	case c.epoch > 0:
		return max(c.epoch/10, 1)
	}
	return 10
}

func (c *Curve) step(loop *train.Loop, values []*tensors.Tensor) error {
	loss, err := scalar(values[0])
	if err != nil {
		return err
	}
	c.sum += loss
	c.steps++
	done := loop.LoopStep + 1
	if done%c.every() == 0 {
		if err := c.train(loop, done, values); err != nil {
			return err
		}
	}
	if c.epoch > 0 && done%c.epoch == 0 || c.epoch == 0 && done%c.every() == 0 {
		return c.valid(loop, done)
	}
	return nil
}

func (c *Curve) end(loop *train.Loop, values []*tensors.Tensor) error {
	done := loop.LoopStep
	err := c.train(loop, done, values)
	if err == nil {
		err = c.valid(loop, done)
	}
	return errors.Join(err, c.Close())
}

// train records the mean loss since the last point, and the metrics as they are now.
func (c *Curve) train(loop *train.Loop, done int, values []*tensors.Tensor) error {
	if c.steps == 0 {
		return nil
	}
	mean := c.sum / float64(c.steps)
	c.sum, c.steps = 0, 0
	points := []curves.Point{c.point(done, curves.Train, curves.Loss, mean)}
	// The first is the loss of the batch, the second its moving average.
	more, err := c.points(done, curves.Train, loop.Trainer.TrainMetrics()[2:], values[2:])
	if err != nil {
		return err
	}
	return c.recorder.Add(append(points, more...)...)
}

// valid measures the validation pictures, once for a step.
func (c *Curve) valid(loop *train.Loop, done int) error {
	if c.options.Valid == nil || c.measured == done {
		return nil
	}
	c.measured = done
	values, err := loop.Trainer.Eval(c.options.Valid)
	if err != nil {
		return err
	}
	loss, err := scalar(values[0])
	if err != nil {
		return err
	}
	points := []curves.Point{c.point(done, curves.Valid, curves.Loss, loss)}
	more, err := c.points(done, curves.Valid, loop.Trainer.EvalMetrics()[1:], values[1:])
	if err != nil {
		return err
	}
	if d, ok := c.options.Valid.(*Dataset); ok {
		for i := range more {
			if more[i].Metric == curves.Accuracy {
				more[i].N = d.Len()
			}
		}
	}
	return c.recorder.Add(append(points, more...)...)
}

// points returns one point for each metric.
func (c *Curve) points(done int, split string, of []metric.Interface, values []*tensors.Tensor) ([]curves.Point, error) {
	var points []curves.Point
	for i, m := range of {
		v, err := scalar(values[i])
		if err != nil {
			return nil, advice.New(fmt.Errorf("bridge: metric %q: %w", m.Name(), err), "leave it out of the trainer, or make it a scalar")
		}
		name := metrics.Metric(m.Name())
		if m.MetricType() == metric.AccuracyMetricType {
			name = curves.Accuracy
		}
		points = append(points, c.point(done, split, name, v))
	}
	return points, nil
}

func (c *Curve) point(done int, split string, m metrics.Metric, v float64) curves.Point {
	p := curves.Point{Step: done, Phase: curves.Finetune, Split: split, Metric: m, Value: v}
	if c.epoch > 0 {
		p.Epoch = float64(done) / float64(c.epoch)
	}
	return p
}

// scalar returns a single number as float64.
func scalar(t *tensors.Tensor) (float64, error) {
	if t.Size() != 1 {
		return 0, fmt.Errorf("bridge: a value of shape %s, want a single number", t.Shape())
	}
	switch t.DType() {
	case dtypes.Float32:
		return float64(tensors.ToScalar[float32](t)), nil
	case dtypes.Float64:
		return tensors.ToScalar[float64](t), nil
	}
	return 0, advice.New(fmt.Errorf("bridge: a loss or metric of type %s", t.DType()), "convert it to float32 in your function")
}
