// Package budget trains the best classifier that a time allows.
//
//	b := budget.Budget{Time: 10 * time.Minute}
//	result, err := budget.Train(ctx, run.Spec{Data: "hymenoptera", Seed: 1}, b, run.Place{}, nil)
//	record, err := budget.Of(result) // what was tried, what was left, and how to repeat it
//
// It compares backbones by linear probe on folds of the training pictures, the cheap ones first, fits
// the head of the one to build on, and fine-tunes that where the folds say that it pays and the
// forecast says that there is time. The pictures that the result is reported on decide nothing.
//
// Which backbones there was time for depends on the machine and on what else it does. The result does
// not: the record has the command that gives the same one without a budget.
package budget

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/compare"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Budget is a time to train in.
type Budget struct {
	Time  time.Duration // from Began until the result is written
	Began time.Time     // zero = when Train is called
}

// Record is how a budget was spent. It is in the result, and in the run's result.json.
type Record struct {
	Asked float64 `json:"asked_seconds"`
	Spent float64 `json:"spent_seconds"` // with earlier processes, if they were continued
	// Over says why the budget was too small, and what was done all the same; "" = it was not.
	Over  string  `json:"over,omitempty"`
	Rule  string  `json:"rule,omitempty"` // how the backbone was picked; absent if there was no choice
	Tried []Tried `json:"tried"`          // networks, the best first, then fine-tunings
	Left  []Left  `json:"left,omitempty"` // what there was no time for
	// Repeat is the command that gives the same result without a budget.
	Repeat []string `json:"repeat,omitempty"`
	// Interrupted means that a call with Place.Resume continues.
	Interrupted bool `json:"interrupted,omitempty"`

	Model    string `json:"model"` // of the result
	Finetune int    `json:"finetune,omitempty"`
}

// Tried is something that was measured on folds of the training pictures.
type Tried struct {
	Model    string `json:"model"`
	Finetune int    `json:"finetune,omitempty"` // epochs; 0 = the head on the frozen network
	// Score of the folds. That of the picked one is a little too good, because it was picked by it.
	metrics.Score
	Seconds float64 `json:"seconds"`             // that it took; less if features were cached
	Picture float64 `json:"seconds_per_picture"` // of prediction; 0 = not measured
	Picked  bool    `json:"picked,omitempty"`    // the result is built on it
	Pays    bool    `json:"pays,omitempty"`      // of a fine-tuning
}

// Left is something that there was no time for.
type Left struct {
	What    string  `json:"what"`
	Why     string  `json:"why"`
	Seconds float64 `json:"expected_seconds,omitempty"` // what it would have taken; 0 = unknown
}

// Of returns how the budget of a result was spent. It is an error if it had none.
func Of(r *run.Result) (*Record, error) {
	if len(r.Budget) == 0 {
		return nil, errors.New("budget: the result had no time budget")
	}
	out := &Record{}
	if err := json.Unmarshal(r.Budget, out); err != nil {
		return nil, fmt.Errorf("budget: %w", err)
	}
	for i := range out.Tried {
		out.Tried[i].Upgrade()
	}
	return out, nil
}

// rule is how the backbone is picked.
const rule = "of the networks within one standard error of the best, paired on the training pictures, the fastest"

// comparing is the share of the time that the comparison may take, if fine-tuning fits into the rest.
const comparing = 0.5

// later returns until when the comparison may go on, where fine-tuning the best so far does not fit into
// the time that is left: then nothing else needs it but the head.
func (j *job) later(ctx context.Context) func(*compare.Comparison) time.Time {
	return func(c *compare.Comparison) time.Time {
		best := *j
		picked := c.Pick()
		best.spec.Model, best.picture = picked.Model, picked.Seconds
		epochs, _, err := best.plan(ctx)
		if err != nil || epochs > 0 {
			return time.Time{}
		}
		// The head is fitted once more, on features that are in the cache by then.
		return j.deadline().Add(-writing - time.Duration(1.5*picked.Fitting*float64(time.Second)))
	}
}

// Train trains within a budget. Model of the spec is the network to build on; "" compares those that
// are on this machine or come in a small package. Finetune of the spec is the number of epochs if
// fine-tuning pays and fits; 0 = as many as fit, up to the recipe's own number.
//
// A budget that is too small still gives a result, that of the default network's head, and Over of the
// record says so. When ctx is cancelled, Train returns the best result so far, if there is one, together
// with ctx's error. With Resume of the place, it continues with what was left of the budget, or returns
// the result if nothing was interrupted. p may be nil.
//
// Work that cannot be stopped, such as XLA's compiler, may continue in the background after Train has
// returned; the run's folder is locked until it ends.
//
// It is an error if the spec is invalid or has Folds or several Seeds, or if the data or the weights
// are not available.
func Train(ctx context.Context, s run.Spec, b Budget, place run.Place, p run.Progress) (*run.Result, error) {
	if b.Began.IsZero() {
		b.Began = time.Now()
	}
	if b.Time <= 0 {
		return nil, advice.New(fmt.Errorf("budget: a time of %s, want more than 0", b.Time), "write 10m for ten minutes")
	}
	if s.Folds > 0 || s.Seeds > 1 {
		return nil, advice.New(fmt.Errorf("budget: %d folds and %d seeds within a time, want a single training", s.Folds, s.Seeds), "leave both out")
	}
	shown, done := place.Shown(p)
	defer done()
	j := &job{spec: s, budget: b, place: place, progress: once(shown)}
	if j.open() {
		return j.again(ctx)
	}
	if err := j.work(ctx); err != nil && j.result == nil {
		return nil, errors.Join(err, j.close(ctx.Err() != nil))
	}
	return j.result, errors.Join(ctx.Err(), j.close(ctx.Err() != nil))
}

// work does what there is time for.
func (j *job) work(ctx context.Context) error {
	steps := []func(context.Context) error{j.compare, j.fit, j.tune}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// compare picks the network to build on.
func (j *job) compare(ctx context.Context) error {
	if j.spec.Model != "" {
		return nil
	}
	c, err := compare.Run(ctx, compare.Spec{
		Data: j.spec.Data, Columns: j.spec.Columns, Split: j.spec.Split, Seed: j.spec.Seed, LabelFolders: j.spec.LabelFolders, MinPerLabel: j.spec.MinPerLabel, Changes: j.spec.Changes, Group: j.spec.Group,
		OnTraining: true, Until: time.Now().Add(time.Duration(comparing * float64(j.left()))), Later: j.later(ctx),
	}, j.place, j.progress)
	if c == nil || err != nil && len(c.Ranked) == 0 {
		return err
	}
	j.noteComparison(c)
	if len(c.Ranked) == 0 { // no label can be held out, say; what is wrong with the default network, fit finds
		j.spec.Model = zoo.Rows()[0].Name
		return nil
	}
	picked := c.Pick()
	j.compared = ctx.Err() == nil
	j.spec.Model, j.picture = picked.Model, picked.Seconds
	for i := range j.record.Tried {
		t := &j.record.Tried[i]
		t.Picked = t.Model == picked.Model
	}
	return nil
}

// noteComparison notes what was compared and what was left.
func (j *job) noteComparison(c *compare.Comparison) {
	j.record.Rule = rule
	for _, r := range c.Ranked {
		j.record.Tried = append(j.record.Tried, Tried{Model: r.Model, Score: r.Score, Seconds: r.Took, Picture: r.Seconds})
	}
	for _, s := range c.Skipped {
		j.record.Left = append(j.record.Left, Left{What: s.Model, Why: s.Skipped, Seconds: s.Seconds})
	}
	if len(c.Ranked) == 1 && len(c.Skipped) > 0 {
		j.record.Rule = ""
		j.record.Over = "too little to compare networks, so this is the head of the default network"
	}
}

// fit fits the head of the picked network. After an interrupt it does so all the same, because the head
// of the best so far is worth a few seconds.
func (j *job) fit(ctx context.Context) error {
	if j.result != nil { // of the process that is continued
		return nil
	}
	if ctx.Err() != nil {
		j.progress.Say(fmt.Sprintf("interrupted: fitting the head of %s, the best so far; a second interrupt leaves it", j.spec.Model))
		ctx = context.WithoutCancel(ctx)
	}
	s := headOf(j.spec)
	j.keep() // what is picked, for whoever goes on after an interrupt
	r, err := run.Train(ctx, s, j.place, j.progress)
	if err != nil {
		return err
	}
	j.take(r, s)
	return nil
}

// take makes r the best result so far.
func (j *job) take(r *run.Result, s run.Spec) {
	s.Form = r.Form // the same bits when it is repeated
	j.result, j.record.Model, j.record.Finetune, j.record.Repeat = r, s.Model, s.Finetune, Repeat(s)
}

// once returns a Progress that says each sentence once: opening the same data and network again says the
// same again.
func once(p run.Progress) *saidOnce { return &saidOnce{Progress: p} }

type saidOnce struct {
	run.Progress
	said []string
}

func (o *saidOnce) Say(sentence string) {
	if !slices.Contains(o.said, sentence) {
		o.said = append(o.said, sentence)
		o.Progress.Say(sentence)
	}
}

// Watch shows a comparison that grows, if the Progress can.
func (o *saidOnce) Watch(g compare.Growing) {
	if w, ok := o.Progress.(compare.Watcher); ok {
		w.Watch(g)
	} else {
		o.Say(g.Said)
	}
}

// Fold shows lines behind their summary, if the Progress can.
func (o *saidOnce) Fold(summary string, lines []string) {
	if slices.Contains(o.said, summary) {
		return
	}
	f, ok := o.Progress.(interface{ Fold(string, []string) })
	if !ok {
		o.Say(summary)
		return
	}
	o.said = append(o.said, summary)
	f.Fold(summary, lines)
}
