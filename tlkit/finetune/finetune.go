// Package finetune trains a backbone together with its fitted head by a [Plan].
//
//	plan, err := finetune.NewPlan(finetune.Tlkit, data, finetune.Options{Epochs: 5, Seed: 1})
//	result, err := finetune.Train(ctx, data, plan, recorder)
//
// Training starts from the fitted head of package learner. The output of the frozen stages is
// computed once for each picture and cached on disk; a step only runs the other stages. The state
// is saved while training runs, and on a CPU an interrupted training ends with the same bits as an
// uninterrupted one.
//
// Every choice (rate, mix, temperature, when to stop) is made on training pictures. Validation pictures
// are only measured, for the curve; they decide nothing.
//
// Where to look: defaults.go has all default numbers, plan.go the fields of a plan, recipes.go the
// ready plans, loss_*.go the loss of each task, search.go the choice by folds, loop.go a training
// from its first step to its last, step.go one step, and checkpoint.go the saved state.
package finetune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/learner"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Result is the outcome of fine-tuning.
type Result struct {
	Head *head.Linear
	Net  *zoo.Net // the net with the changed tensors
	Plan Plan     // with the choices of the search
	// False if the head alone is the result, because fine-tuning did not beat it on folds of the
	// training pictures, or failed on all of them.
	Pays   bool
	Why    string  // the reason, in one sentence
	Trials []Trial // of the search, the head alone first; nil without a search
	Steps  int     // of the final training
	// OutOfFold has the logits or values of each training picture, [N, Outputs], from a network
	// trained by the chosen plan without that picture. nil without a search, and if Pays is false.
	OutOfFold []float32

	temperature float64 // of the chosen trial, 0 without a search

	// Time of the final training in this process, and its part for checkpoints.
	Training, Saving time.Duration
}

// Train trains the stages of the plan together with the head, and records the history. recorder may
// be nil.
//
// When ctx is cancelled, Train finishes the current step, saves the state and returns an error that
// wraps ErrInterrupted. The same call with Resume continues, and on a CPU ends with the same bits
// as an uninterrupted training. A [DivergedError] reports a loss or a gradient that is not finite.
// The error for a step that does not fit into memory says what to change.
//
// If ctx has a deadline, Train ends as soon as the pace of its steps shows that it cannot be done by
// then, with an error that wraps [context.DeadlineExceeded] and has a method Takes() time.Duration: how
// long the whole training would take.
func Train(ctx context.Context, d Data, p Plan, recorder learner.Recorder) (*Result, error) {
	j, err := newTraining(d, p, recorder)
	if err != nil {
		return nil, err
	}
	j.hurry = newHurry(ctx)
	train, err := openPictures(ctx, d, view{items: d.Train, plan: p, borders: p.borders(d.Net), augmented: true})
	if err != nil {
		return nil, err
	}
	defer train.close()
	out := &Result{Plan: p, Net: d.Net, Head: d.Head.Head}
	if p.Search != nil {
		if pays, err := j.choose(ctx, out, train); err != nil || !pays {
			return out, err
		}
	}
	out.Pays = true
	return out, j.final(ctx, out, train)
}

// training is a checked fine-tuning: its data, its objective and where its state is kept.
type training struct {
	data      Data
	objective objective
	plan      Plan
	recorder  learner.Recorder
	kept      checkpoints
	hurry     *hurry
	identity  map[string]string // everything that a checkpoint depends on
}

func newTraining(d Data, p Plan, recorder learner.Recorder) (*training, error) {
	o, err := d.check(p)
	if err != nil {
		return nil, err
	}
	if p.Batch > len(d.Train) {
		return nil, advice.New(fmt.Errorf("finetune: plan %s: a batch of %d with %d training pictures", p.Name, p.Batch, len(d.Train)), "take at most %d", len(d.Train))
	}
	j := &training{data: d, objective: o, plan: p, recorder: recorder}
	j.identity, err = d.identity(p)
	if err != nil {
		return nil, err
	}
	if d.Folder == "" {
		return j, nil
	}
	j.kept.dir = filepath.Join(d.Folder, "checkpoints")
	if !d.Resume {
		err = j.kept.clear()
	}
	return j, err
}

// choose lets folds of the training pictures choose what the plan leaves open, and reports whether
// fine-tuning pays.
func (j *training) choose(ctx context.Context, out *Result, train *pictures) (pays bool, err error) {
	out.Trials, err = j.search(ctx, train)
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("finetune: fine-tuning %w during the search; finished trials are kept: run the same command again with --resume: %w", ErrInterrupted, ctx.Err())
		}
		return false, err
	}
	alone, best := out.Trials[0], choose(out.Trials)
	if best < 0 {
		out.Why = fmt.Sprintf("fine-tuning does not pay here: on folds of the training pictures the head alone gets %s with loss %.4f, and no trial is better by more than chance (twice the standard error)", brief(alone), alone.Loss)
		out.Plan.Mix = 0
		return false, j.markHeadAlone()
	}
	t := out.Trials[best]
	out.Plan.Groups, out.Plan.Mix = j.plan.groupsFrom(j.data.Net, t.From, t.Rate, j.plan.Search), t.Mix
	out.Why = fmt.Sprintf("from %s on at rate %g, mix %g: on folds of the training pictures %s with loss %.4f, the head alone %s with loss %.4f (gain %.4f ± %.4f)", t.From, t.Rate, t.Mix, brief(t), t.Loss, brief(alone), alone.Loss, t.Gain, t.Error)
	out.OutOfFold = j.objective.loss.units(divided(t.Logits, t.Temperature))
	out.temperature = t.Temperature
	j.data.say("%s", out.Why)
	return true, nil
}

// final trains on all pictures by a plan without open choices.
func (j *training) final(ctx context.Context, out *Result, train *pictures) error {
	start := j.startingHead(out.Plan)
	t, err := newTuner(j.data.Net, j.data.Engine, j.objective, start, out.Plan)
	if err != nil {
		return err
	}
	defer t.close()
	valid, err := openPictures(ctx, j.data, view{items: j.data.Valid, plan: out.Plan, borders: out.Plan.borders(j.data.Net)})
	if err != nil {
		return err
	}
	defer valid.close()
	l := j.finalLoop(t, train, valid)
	if err := l.begin(start); err != nil {
		return err
	}
	if err := j.resume(l); err != nil {
		return err
	}
	for {
		values, broke, err := j.attempt(ctx, out, l)
		if err != nil {
			return err
		}
		if broke == "" {
			return j.accept(out, l, values)
		}
		if l.cursor.Retry == retries {
			out.Pays, out.Why, out.Plan.Mix, out.OutOfFold = false, broke, 0, nil
			return j.markHeadAlone()
		}
		j.data.say("%s; training starts again at %g of the rate", broke, math.Pow(retryFactor, float64(l.cursor.Retry+1)))
		if err := l.again(start); err != nil {
			return err
		}
	}
}

// attempt trains once, from where the loop is. broke says why the result is of no use, "" if it is.
func (j *training) attempt(ctx context.Context, out *Result, l *loop) (values map[string][]float32, broke string, err error) {
	if l.cursor.Step == 0 {
		if err := j.mark(curves.Mark{Kind: curves.Unfreeze, Step: l.startStep(), Epoch: float64(l.startStep()), Text: "from " + out.Plan.Groups[0].Name + " on"}); err != nil {
			return nil, "", err
		}
	}
	began := time.Now()
	err = l.train(ctx)
	out.Training, out.Saving, out.Steps = out.Training+time.Since(began), l.saving, l.cursor.Step
	var diverged *DivergedError
	if len(out.Trials) > 0 && errors.As(err, &diverged) {
		return nil, fmt.Sprintf("fine-tuning on all pictures diverged at step %d, although it did well on folds, so the head alone is kept", diverged.Step+1), nil
	}
	if err != nil {
		return nil, "", err
	}
	if out.Plan.Norms == Reestimated {
		if err := l.reestimate(ctx); err != nil {
			return nil, "", err
		}
	}
	tuned, err := l.tuner.tuned()
	if err != nil {
		return nil, "", err
	}
	values = l.tuner.mixed(tuned, out.Plan.Mix)
	broke, err = l.broke(ctx, values, out.Trials)
	return values, broke, err
}

// startingHead returns the fitted head in the units of training, or a new one.
func (j *training) startingHead(p Plan) *head.Linear {
	if p.Fresh {
		return freshHead(j.data.Outputs, j.data.Net.Row.Features, p.Seed)
	}
	return j.objective.loss.inTraining(j.data.Head.Head)
}

// finalLoop returns the loop of the final training, with held-out pictures if the plan has
// patience.
func (j *training) finalLoop(t *tuner, train, valid *pictures) *loop {
	rows, held := all(len(j.data.Train)), []int(nil)
	if t.plan.Patience > 0 {
		if folds := datasets.Folds(j.data.Train, heldOutFolds, t.plan.Seed); len(folds) > 1 {
			held, rows = folds[0], rest(folds[0], len(j.data.Train))
		}
	}
	l := &loop{tuner: t, feed: newFeeder(t, train, rows), held: held, folder: j.kept, identity: j.identity, every: j.data.Every, hurry: j.hurry,
		report: func(step, steps int) { j.data.state("fine-tuning", step, steps) }}
	l.record = &recording{recorder: j.recorder, steps: j.data.Steps, epochs: float64(j.data.Steps), split: j.data.Split}
	if j.data.Split == "" {
		l.record.split = curves.Valid
	}
	if len(j.data.Valid) > 0 {
		l.record.valid = newFeeder(t, valid, all(len(j.data.Valid)))
	}
	return l
}

// resume continues from the newest intact checkpoint, if Data.Resume is set.
func (j *training) resume(l *loop) error {
	if !j.data.Resume || j.kept.dir == "" {
		return nil
	}
	s, skipped, err := j.kept.newest(j.identity)
	if err != nil {
		return err
	}
	for _, sentence := range skipped {
		j.data.say("%s", sentence)
	}
	if s == nil {
		return nil
	}
	if err := l.resume(s); err != nil {
		return err
	}
	j.data.say("continuing after step %d of %d", l.cursor.Step, l.total)
	return nil
}

// accept makes trained values the result.
func (j *training) accept(out *Result, l *loop, values map[string][]float32) (err error) {
	out.Head, out.Net, err = l.tuner.result(values)
	if err != nil {
		return err
	}
	if out.temperature > 0 {
		out.Head = tempered(out.Head, out.temperature)
	}
	chosen := l.chosen()
	if out.Why == "" {
		out.Why = fmt.Sprintf("plan %s, %s", out.Plan.Name, chosen.Text)
	}
	if n := l.cursor.Retry; n > 0 {
		out.Why += fmt.Sprintf("; trained again at %g of the rate, because the network broke", math.Pow(retryFactor, float64(n)))
	}
	return j.mark(chosen)
}

// chosen returns the mark of the state that is kept.
func (l *loop) chosen() curves.Mark {
	step, text := l.cursor.Step, "last epoch"
	if b := l.cursor.Best; b != nil {
		step, text = b.Step, "lowest loss on held-out training pictures"
	}
	before := l.startStep()
	return curves.Mark{Kind: curves.Chosen, Step: before + step, Epoch: float64(before + step/l.feed.perEpoch()), Text: text}
}

// broke reports a network that did well on folds but is broken after training on all pictures: its
// loss on the pictures it learnt from is higher than that of the head alone on unseen ones. It
// returns the reason, or "" if the network is fine.
func (l *loop) broke(ctx context.Context, values map[string][]float32, trials []Trial) (why string, err error) {
	if len(trials) == 0 {
		return "", nil // without a search, the plan is followed in any case
	}
	if err := l.tuner.put(values); err != nil {
		return "", err
	}
	logits, err := l.feed.logitsOf(ctx, l.tuner, l.feed.rows)
	if err != nil {
		if ctx.Err() != nil {
			err = l.interrupted(ctx.Err())
		}
		return "", err
	}
	loss, _ := l.tuner.objective.truthOf(l.feed.pictures.items, l.feed.rows).judge(logits)
	if alone := trials[0].Loss; !(loss <= alone) {
		return fmt.Sprintf("fine-tuning on all pictures failed, although it did well on folds: its loss on the pictures it learnt from is %.4f, that of the head alone on unseen ones %.4f, so the head alone is kept; try another seed or a smaller rate", loss, alone), nil
	}
	return "", nil
}

// reestimate computes the running statistics of the moving norms again, as their plain mean over
// the training pictures, in batches. An incomplete last batch is left out, unless it is the only
// one.
func (l *loop) reestimate(ctx context.Context) error {
	f := l.feed.plain()
	for i := range max(len(f.rows)/f.plan.Batch, 1) {
		if err := ctx.Err(); err != nil {
			return l.interrupted(err)
		}
		b := f.batch(f.rows[i*f.plan.Batch:min((i+1)*f.plan.Batch, len(f.rows))], -1, i)
		if b.err != nil {
			return b.err
		}
		if err := l.tuner.follow(b, 1/float32(i+1)); err != nil {
			return err
		}
	}
	return nil
}

func (j *training) mark(m curves.Mark) error {
	if j.recorder == nil {
		return nil
	}
	if err := j.recorder.Mark(m); err != nil {
		return fmt.Errorf("finetune: the history cannot be written: %w", err)
	}
	return nil
}

func (j *training) markHeadAlone() error {
	return j.mark(curves.Mark{Kind: curves.Chosen, Step: j.data.Steps, Epoch: float64(j.data.Steps), Text: "the head alone"})
}

// tempered returns a head whose logits are divided by a temperature.
func tempered(h *head.Linear, temperature float64) *head.Linear {
	out := *h
	out.Weight, out.Bias = divided(h.Weight, temperature), divided(h.Bias, temperature)
	return &out
}

// freshHead returns a head with nn.Linear's initial weights: uniform within 1/√C.
func freshHead(outputs, features int, seed uint64) *head.Linear {
	rng := rand.New(rand.NewPCG(seed, 0x68656164))
	h := &head.Linear{Classes: outputs, Features: features, Weight: make([]float32, outputs*features), Bias: make([]float32, outputs)}
	bound := 1 / math.Sqrt(float64(features))
	for _, v := range [][]float32{h.Weight, h.Bias} {
		for i := range v {
			v[i] = float32((2*rng.Float64() - 1) * bound)
		}
	}
	return h
}

// all returns the numbers 0 to n-1.
func all(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// rest returns the numbers 0 to n-1 without those in held.
func rest(held []int, n int) []int {
	out := make(map[int]bool, len(held))
	for _, i := range held {
		out[i] = true
	}
	var rows []int
	for i := range n {
		if !out[i] {
			rows = append(rows, i)
		}
	}
	return rows
}
