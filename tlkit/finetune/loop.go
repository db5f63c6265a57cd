package finetune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/learner"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/optim"
)

// ErrInterrupted is wrapped, together with the error of the context, when a training is interrupted
// and its state is saved.
var ErrInterrupted = errors.New("interrupted")

// DivergedError reports a step with a loss or a gradient that is not finite. The weights are those
// before the step.
type DivergedError struct {
	Step, Epoch int
	Rate        float64 // the largest of all groups
	Loss, Norm  float64
	Files       []string // pictures of the batch
	Saved       bool     // the last good state is in the run's folder
}

func (e *DivergedError) Error() string {
	files := e.Files
	more := ""
	if len(files) > 8 {
		files, more = files[:8], fmt.Sprintf(" and %d more", len(e.Files)-8)
	}
	state := "the weights are unchanged"
	if e.Saved {
		state = "the state before the step is saved"
	}
	return fmt.Sprintf("finetune: step %d (epoch %d) gave loss %v and a gradient of norm %v at rate %.3g; the pictures of the batch are %s%s, and %s",
		e.Step+1, e.Epoch+1, e.Loss, e.Norm, e.Rate, strings.Join(files, ", "), more, state) + advice.Join(e.Advice())
}

// Advice says what to try.
func (e *DivergedError) Advice() string { return "try half the rate" }

// loop is one training: a tuner, its batches and its position.
type loop struct {
	tuner  *tuner
	feed   *feeder
	cursor cursor
	total  int   // steps
	held   []int // held-out training pictures, whose loss may end training; nil = none
	best   map[string][]float32
	record *recording
	epochSoFar
	report func(done, total int)
	hurry  *hurry // nil = there is no deadline
	after  int    // steps of other trainings that must follow this one

	folder   checkpoints
	identity map[string]string
	every    int // steps between checkpoints; 0 = so that they take at most 1 % of the time
	lastSave time.Time
	cost     time.Duration // of the last save
	saving   time.Duration // of all saves
}

// epochSoFar is what the training pictures of an epoch got, for scores that need all of them. It is
// not in checkpoints: an epoch that was resumed in its middle has no such score.
type epochSoFar struct {
	items  []int
	logits []float32
}

// recording is where the figures of an epoch are recorded.
type recording struct {
	recorder learner.Recorder
	steps    int     // of the head's history
	epochs   float64 // the same in epochs
	valid    *feeder // pictures that are only measured; nil = none
	split    string
}

// begin sets everything to the start.
func (l *loop) begin(h *head.Linear) error {
	l.cursor, l.epochSoFar = cursor{Moved: make([]int, len(l.tuner.plan.Groups))}, epochSoFar{}
	l.total = l.tuner.plan.Epochs * l.feed.perEpoch()
	return l.tuner.restart(h)
}

// again goes back to the start, for a training at smaller rates.
func (l *loop) again(h *head.Linear) error {
	retry := l.cursor.Retry + 1
	if err := l.begin(h); err != nil {
		return err
	}
	l.cursor.Retry, l.best = retry, nil
	return l.save() // the checkpoints of the broken training go
}

// startStep is the step of the history after which this training begins.
func (l *loop) startStep() int { return l.record.steps + l.cursor.Retry*l.total }

// resume continues from a checkpoint.
func (l *loop) resume(s *saved) error {
	vars := l.tuner.variables()
	if len(vars) != len(s.tensors) {
		return advice.New(fmt.Errorf("finetune: the checkpoint has %d tensors, the training %d", len(s.tensors), len(vars)), "train without --resume")
	}
	for name, data := range s.tensors {
		if err := put(vars[name], data); err != nil {
			return fmt.Errorf("finetune: checkpoint: %s: %w", name, err)
		}
	}
	l.cursor = s.Cursor
	return nil
}

// save writes a checkpoint of the current state.
func (l *loop) save() error {
	if l.folder.dir == "" {
		return nil
	}
	began := time.Now()
	all, err := l.tensors()
	if err != nil {
		return err
	}
	err = l.folder.save(&saved{Identity: l.identity, Cursor: l.cursor, tensors: all})
	l.lastSave = time.Now()
	l.cost = l.lastSave.Sub(began)
	l.saving += l.cost
	return err
}

// due reports whether a checkpoint is worth its time.
func (l *loop) due() bool {
	if l.folder.dir == "" {
		return false
	}
	if l.every > 0 {
		return l.cursor.Step%l.every == 0
	}
	return time.Since(l.lastSave) > max(checkpointPause, checkpointShare*l.cost)
}

// rates returns the rates of all groups at a step, and the momentum.
func (l *loop) rates(step int) (rates []float64, momentum float64) {
	per := l.feed.perEpoch()
	factor := l.tuner.plan.Schedule.Factor(step, l.total, per)
	if l.cursor.Watch.Factor != 0 {
		factor *= l.cursor.Watch.Factor
	}
	factor *= math.Pow(retryFactor, float64(l.cursor.Retry))
	for _, g := range l.tuner.plan.Groups {
		if step/per < g.After {
			rates = append(rates, 0)
			continue
		}
		rates = append(rates, g.Rate*factor)
	}
	return rates, l.tuner.plan.Schedule.Momentum(step, l.total, l.tuner.plan.Rule.Momentum)
}

// train runs the loop to its end. When ctx is done it finishes the step, saves, and returns
// ErrInterrupted.
func (l *loop) train(ctx context.Context) error {
	l.lastSave = time.Now()
	l.hurry.begin()
	feeding, stop := context.WithCancel(ctx)
	defer stop()
	batches := l.feed.run(feeding, l.cursor.Step, l.total)
	for {
		if err := ctx.Err(); err != nil {
			return l.interrupted(err)
		}
		if l.cursor.Seen > 0 && l.cursor.Step%l.feed.perEpoch() == 0 {
			if err := l.epoch(ctx); err != nil {
				if ctx.Err() != nil {
					// The steps are saved; the epoch's figures are recorded after resuming.
					err = l.interrupted(ctx.Err())
				}
				return err
			}
		}
		if l.cursor.Step >= l.total || l.cursor.Over {
			return l.finish()
		}
		b, ok := <-batches
		if !ok {
			return l.interrupted(ctx.Err())
		}
		if b.err != nil {
			return b.err
		}
		if err := l.step(b); err != nil {
			return err
		}
		if l.report != nil {
			l.report(l.cursor.Step, l.total)
		}
		if err := l.hurry.check(l.total - l.cursor.Step + l.after); err != nil {
			return err
		}
		if l.due() {
			if err := l.save(); err != nil {
				return err
			}
		}
	}
}

// step takes a step with a batch.
func (l *loop) step(b *batch) error {
	if err := l.wake(b); err != nil {
		return err
	}
	rates, momentum := l.rates(l.cursor.Step)
	o, err := l.tuner.run(b, l.tuner.plan.Rule.Now(l.cursor.Moved, rates, momentum))
	if err != nil {
		return err
	}
	if !o.finite {
		return l.diverged(b, o, rates)
	}
	for i, r := range rates {
		if r > 0 {
			l.cursor.Moved[i]++
		}
	}
	n := len(b.items)
	l.cursor.Loss += o.loss * float64(n)
	if obj := l.tuner.objective; obj.task.Metric().Counts() {
		l.cursor.Right += right(o.logits, b.targets, n, obj.k)
	}
	l.items, l.logits = append(l.items, b.items...), append(l.logits, o.logits[:n*l.tuner.objective.k]...)
	l.cursor.Seen += n
	l.cursor.Step++
	return nil
}

// finish returns to the best epoch, if held-out pictures chose one.
func (l *loop) finish() error {
	if l.cursor.Best == nil {
		return nil
	}
	if l.best == nil {
		s, err := l.folder.at(l.cursor.Best.Step)
		if err != nil {
			return err
		}
		l.best = s.tensors
	}
	vars := l.tuner.variables()
	for name, data := range l.best {
		if err := put(vars[name], data); err != nil {
			return fmt.Errorf("finetune: %s: %w", name, err)
		}
	}
	return nil
}

// wake resets the optimiser of groups that begin to move in this epoch.
func (l *loop) wake(b *batch) error {
	if b.index != 0 || b.epoch == 0 {
		return nil
	}
	for i, g := range l.tuner.plan.Groups {
		if g.After != b.epoch {
			continue
		}
		mine := l.tuner.params[:0:0]
		for _, p := range l.tuner.params {
			if p.Group == i {
				mine = append(mine, p)
			}
		}
		if err := l.tuner.plan.Rule.Reset(l.tuner.store, mine); err != nil {
			return err
		}
	}
	return nil
}

// epoch ends an epoch: it records the figures and decides whether training continues. Only training
// pictures take part in that decision.
func (l *loop) epoch(ctx context.Context) error {
	loss := l.cursor.Loss / float64(l.cursor.Seen)
	f := l.newFigures()
	f.add(curves.Train, curves.Loss, loss, 0)
	if score, ok := l.trainScore(loss); ok {
		f.add(curves.Train, l.metric(), score, l.counted(l.cursor.Seen))
	}
	rates, _ := l.rates(l.cursor.Step - 1)
	for i, g := range l.tuner.plan.Groups {
		f.add(g.Name, curves.Rate, rates[i], 0)
	}
	if l.record != nil && l.record.valid != nil {
		if _, err := f.measure(ctx, l.record.valid, l.record.valid.rows, l.record.split); err != nil {
			return err
		}
	}
	if len(l.held) > 0 {
		heldLoss, err := f.measure(ctx, l.feed, l.held, curves.Folds)
		if err != nil {
			return err
		}
		if err := l.watch(heldLoss); err != nil {
			return err
		}
	}
	if l.record != nil && l.record.recorder != nil {
		if err := l.record.recorder.Add(f.points...); err != nil {
			return fmt.Errorf("finetune: the history cannot be written: %w", err)
		}
	}
	if l.tuner.plan.Schedule.Kind == optim.Plateau {
		l.cursor.Watch.Hear(l.tuner.plan.Schedule, loss)
	}
	l.cursor.Loss, l.cursor.Right, l.cursor.Seen, l.epochSoFar = 0, 0, 0, epochSoFar{}
	if l.cursor.Best != nil && l.cursor.Best.Step == l.cursor.Step {
		return l.save()
	}
	return nil
}

// trainScore returns the score of the epoch's training pictures, from their mean loss if that is
// enough. Mixed pictures have no labels to score.
func (l *loop) trainScore(loss float64) (score float64, ok bool) {
	o := l.tuner.objective
	if score, ok := o.loss.epochScore(loss, l.cursor.Right, l.cursor.Seen); ok {
		return score, true
	}
	if len(l.items) != l.cursor.Seen || l.tuner.plan.Mixup > 0 {
		return 0, false
	}
	_, judged := o.truthOf(l.feed.pictures.items, l.items).judge(l.logits)
	return judged.Value, finite(judged.Value)
}

// watch keeps the epoch with the lowest loss on held-out training pictures, and ends training when
// there has been no better one for Patience epochs.
func (l *loop) watch(heldLoss float64) (err error) {
	if l.cursor.Best == nil || heldLoss < l.cursor.Best.Loss {
		l.cursor.Best, l.cursor.Stale = &best{l.cursor.Step, heldLoss}, 0
		l.best, err = l.tensors()
		return err
	}
	l.cursor.Stale++
	l.cursor.Over = l.cursor.Stale >= l.tuner.plan.Patience
	return nil
}

func (l *loop) metric() metrics.Metric { return l.tuner.objective.task.Metric() }

// counted returns the number of pictures behind a score that is a fraction of them, and 0 for other
// scores.
func (l *loop) counted(pictures int) int {
	if l.metric().Counts() {
		return pictures
	}
	return 0
}

// figures are the history points of an epoch.
type figures struct {
	loop   *loop
	base   curves.Point // without split, metric and value
	points []curves.Point
}

func (l *loop) newFigures() *figures {
	f := &figures{loop: l, base: curves.Point{Step: l.cursor.Step, Epoch: float64(l.cursor.Step / l.feed.perEpoch()), Phase: curves.Finetune}}
	if l.record != nil {
		again := l.cursor.Retry * l.total
		f.base.Step, f.base.Epoch = f.base.Step+l.record.steps+again, f.base.Epoch+l.record.epochs+float64(again/l.feed.perEpoch())
	}
	return f
}

func (f *figures) add(split string, metric metrics.Metric, value float64, n int) {
	p := f.base
	p.Split, p.Metric, p.Value, p.N = split, metric, value, n
	f.points = append(f.points, p)
}

// measure adds the loss and the score of some pictures, and returns the loss.
func (f *figures) measure(ctx context.Context, feed *feeder, rows []int, split string) (float64, error) {
	logits, err := feed.logitsOf(ctx, f.loop.tuner, rows)
	if err != nil {
		return 0, err
	}
	known := f.loop.tuner.objective.truthOf(feed.pictures.items, rows)
	loss, score := known.judge(logits)
	f.add(split, curves.Loss, loss, 0)
	f.add(split, score.Metric, score.Value, f.loop.counted(known.len()))
	return loss, nil
}

// tensors returns all tensors that training changes.
func (l *loop) tensors() (map[string][]float32, error) {
	out := map[string][]float32{}
	for name, v := range l.tuner.variables() {
		data, err := value(v)
		if err != nil {
			return nil, fmt.Errorf("finetune: %s: %w", name, err)
		}
		out[name] = data
	}
	return out, nil
}

// right returns the number of pictures whose largest logit is at the class with the largest target.
func right(logits, targets []float32, n, k int) float64 {
	hit := 0
	for i := range n {
		if largest(logits[i*k:(i+1)*k]) == largest(targets[i*k:(i+1)*k]) {
			hit++
		}
	}
	return float64(hit)
}

func largest(v []float32) int {
	best := 0
	for i := range v {
		if v[i] > v[best] {
			best = i
		}
	}
	return best
}

func (l *loop) interrupted(cause error) error {
	if cause == nil {
		cause = context.Canceled
	}
	if l.folder.dir == "" {
		return fmt.Errorf("finetune: fine-tuning: %w", cause)
	}
	if err := l.save(); err != nil {
		return errors.Join(cause, err)
	}
	return fmt.Errorf("finetune: fine-tuning %w after step %d of %d, which is saved: run the same command again with --resume to continue: %w", ErrInterrupted, l.cursor.Step, l.total, cause)
}

func (l *loop) diverged(b *batch, o outcome, rates []float64) error {
	e := &DivergedError{Step: l.cursor.Step, Epoch: b.epoch, Loss: o.loss, Norm: o.norm}
	for _, r := range rates {
		e.Rate = max(e.Rate, r)
	}
	for _, i := range b.items {
		e.Files = append(e.Files, l.feed.pictures.items[i].Rel)
	}
	if l.folder.dir != "" {
		if err := l.save(); err != nil {
			return errors.Join(e, err)
		}
		e.Saved = true
	}
	return e
}
