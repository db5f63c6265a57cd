package budget

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tlkit/transfer-learning/internal/quiet"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

const (
	// Seconds to open data and network, to compile a step, and to compile and write the result.
	opening, writing = 6 * time.Second, 3 * time.Second
	// Seconds for a picture through a network whose own is unknown.
	usualPicture = 0.02
	// How long after the deadline the result may come when the training itself was in time.
	grace = 2 * time.Second
)

// tune fine-tunes the picked network, if there is time.
func (j *job) tune(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	epochs, why, err := j.plan(ctx)
	if err != nil {
		why = Left{Why: err.Error()}
	}
	for epochs > 0 && ctx.Err() == nil {
		began := time.Now()
		j.epochs = epochs
		j.keep()
		r, s, err := j.finetune(ctx, epochs)
		if err == nil {
			j.take(r, s)
			j.noteTuning(r, epochs, time.Since(began))
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		var late interface{ Takes() time.Duration }
		switch {
		case errors.As(err, &late):
			why = Left{Why: fmt.Sprintf("%s at least %s", count(epochs), words(late.Takes())), Seconds: late.Takes().Seconds()}
			epochs, err = j.fewer(epochs, late.Takes())
		case errors.Is(err, context.DeadlineExceeded):
			epochs, err, why = 0, nil, Left{Why: "time was up before its first steps"}
		}
		if err != nil {
			return err
		}
	}
	if ctx.Err() == nil {
		why.What = "fine-tuning " + j.spec.Model
		j.record.Left = append(j.record.Left, why)
	}
	return nil
}

// fewer returns how many epochs fit if more of them take too long; 0 = none. The state of those that
// were begun is of no use to the others.
func (j *job) fewer(epochs int, takes time.Duration) (int, error) {
	if j.asked.Finetune > 0 {
		return 0, nil
	}
	fit := int(float64(epochs) * float64(j.left()-opening-j.judging()) / float64(takes))
	fit = min(fit, epochs-1)
	if fit < 1 {
		return 0, nil
	}
	j.progress.Say(fmt.Sprintf("fine-tuning for %d epochs takes too long at this pace: trying %d", epochs, fit))
	if err := os.RemoveAll(filepath.Join(j.result.Run, "finetune")); err != nil {
		return 0, fmt.Errorf("budget: %w", err)
	}
	return fit, nil
}

// plan returns how many epochs of fine-tuning there is time for; 0 = none, and why.
func (j *job) plan(ctx context.Context) (epochs int, why Left, err error) {
	if j.epochs > 0 {
		return j.epochs, why, nil
	}
	choices := []int{j.spec.Finetune}
	if j.spec.Finetune == 0 {
		most := j.spec.Plan.Epochs()
		choices = []int{most, (most + 1) / 2, 2, 1}
	}
	net, data, err := j.opened(ctx)
	if err != nil {
		return 0, why, err
	}
	var atLeast time.Duration
	possible := 0
	left := j.left() - opening - j.judging()
	for _, e := range choices {
		p, err := finetune.NewPlan(j.spec.Plan, data, finetune.Options{Epochs: e, From: j.spec.From, Seed: j.spec.Seed, Rate: j.spec.Rate, Batch: j.spec.Batch, Mixup: j.spec.Mixup, ClassWeights: j.spec.ClassWeights, Augment: j.spec.Augment, LoRA: j.spec.LoRA})
		if err != nil {
			return 0, why, err
		}
		least, most := p.Work(net, len(data.Train))
		atLeast = j.seconds(least)
		if j.seconds(most) <= left {
			return e, why, nil
		}
		if possible == 0 && atLeast <= left {
			possible = e
		}
	}
	if possible == 0 {
		takes := atLeast + opening + j.judging()
		why = Left{Why: fmt.Sprintf("it takes at least about %s", words(takes)), Seconds: takes.Seconds()}
	}
	return possible, why, nil
}

// opened returns the network and the training pictures.
func (j *job) opened(ctx context.Context) (net *zoo.Net, d finetune.Data, err error) {
	o := j.place.Zoo(j.progress)
	o.Weights, o.Entry = j.spec.Weights, j.spec.Entry
	net, err = zoo.Load(ctx, j.spec.Model, o)
	if err != nil {
		return nil, d, err
	}
	ds, err := datasets.Open(ctx, j.spec.Data, j.place.Pictures(j.spec, nil))
	if err != nil {
		return nil, d, err
	}
	kind, err := task.Named(ds.Task)
	return net, finetune.Data{Net: net, Task: kind, Train: ds.In(datasets.Train), Outputs: len(ds.Labels)}, err
}

// seconds returns how long so many passes of a picture through the network take.
func (j *job) seconds(passes float64) time.Duration {
	picture := j.picture
	if picture == 0 {
		picture = usualPicture
	}
	return time.Duration(passes * picture * float64(time.Second))
}

// judging returns how long it takes to score and write the tuned network.
func (j *job) judging() time.Duration {
	pictures := 0
	if j.result != nil { // before, it is not known how many there are to score
		pictures = j.result.Total
	}
	return writing + j.seconds(2*float64(pictures))
}

// finetune fine-tunes for so many epochs. It returns in time even if the work cannot be stopped, as
// while XLA compiles; the work then goes on unheard until the process ends.
func (j *job) finetune(ctx context.Context, epochs int) (*run.Result, run.Spec, error) {
	s := j.spec
	s.Finetune = epochs
	place := j.place
	place.Until = j.deadline().Add(-j.judging())
	last, stop := context.WithDeadline(ctx, j.deadline().Add(grace))
	defer stop()
	type outcome struct {
		r   *run.Result
		err error
	}
	done := make(chan outcome, 1)
	heard := quiet.New(j.progress)
	go func() {
		r, err := run.Train(last, s, place, heard)
		done <- outcome{r, err}
	}()
	o := outcome{}
	select {
	case o = <-done:
	case <-last.Done():
		select {
		case o = <-done: // an interrupt saves the state first
		case <-time.After(grace):
			o.err = last.Err()
		}
	}
	heard.Silence()
	return o.r, s, o.err
}

// noteTuning notes what the folds said of a fine-tuning.
func (j *job) noteTuning(r *run.Result, epochs int, took time.Duration) {
	f := r.Finetune
	t := Tried{Model: j.spec.Model, Finetune: epochs, Seconds: took.Seconds(), Picked: f.Pays, Pays: f.Pays}
	for i, trial := range f.Trials {
		chosen := f.Pays && trial.Rate <= f.Rate && trial.From == f.From && trial.Mix == f.Mix
		best := !f.Pays && i > 0 && trial.Total == f.Trials[0].Total && (t.Total == 0 || trial.Score > t.Value)
		if !chosen && !best {
			continue
		}
		t.Score = metrics.NewScore(trial.Metric, trial.Score, metrics.Unknown(), trial.Total)
		if trial.Metric.Counts() {
			t.Score = metrics.Fraction{Correct: trial.Right, Total: trial.Total}.Score()
		}
	}
	j.record.Tried = append(j.record.Tried, t)
	if !f.Pays {
		return
	}
	for i := range j.record.Tried[:len(j.record.Tried)-1] {
		j.record.Tried[i].Picked = false
	}
}

// count says what takes time.
func count(epochs int) string {
	if epochs == 1 {
		return "one epoch takes"
	}
	return fmt.Sprintf("%d epochs take", epochs)
}

// words writes a duration with the precision of a forecast.
func words(d time.Duration) string {
	switch {
	case d < 90*time.Second:
		return fmt.Sprintf("%.0f s", max(d.Seconds(), 1))
	case d < 90*time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}
