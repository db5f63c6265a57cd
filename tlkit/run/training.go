package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/confidence"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/heads"
	"github.com/tlkit/transfer-learning/tlkit/learner"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/results"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// neighbours is the k of the k-NN baseline, fixed so that nothing is chosen.
const neighbours = 5

// training is the work of one seed: its inputs, and the results of each step for the following
// ones.
type training struct {
	spec     Spec
	place    Place
	folder   *folder
	first    bool // the seed whose head is written
	clock    *clock
	progress Progress

	opened  *opened
	noticed *results.Brief // of the first seed

	train, eval *sample // eval is reported on; with folds, it is the training pictures
	split       string  // name of the reported pictures
	// builtIn waits for the features of the built-in pictures, which are computed while the head is
	// fitted; nil with fine-tuning, which changes them.
	builtIn func() ([]float32, error)
	// votes waits for what the baseline says of the reported pictures; nil with folds.
	votes func() ([]float32, error)

	plan     learner.Plan
	fitted   *learner.Result
	recorder *curves.Recorder
	tuned    *tuning // nil without fine-tuning
	history  curves.Run

	logits   []float32 // of eval
	reading  task.Reading
	known    confidence.Known
	report   evaluate.Report
	folds    []One
	baseline *Baseline
	words    []Baseline // with Spec.ZeroShot
	figures  One
	head     *export.Head
}

// run trains a head, and the backbone if asked for, and scores the result.
func (t *training) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer func() { // nothing uses the engine after the run
		cancel()
		if t.builtIn != nil {
			_, _ = t.builtIn()
		}
	}()
	steps := []struct {
		phase string
		do    func(context.Context) error
	}{
		{"opening", t.open},
		{"extracting features", t.extract},
		{"training", t.fit},
		{"fine-tuning", t.tune},
		{"evaluating", t.judge},
	}
	for _, step := range steps {
		if step.phase == "fine-tuning" && t.spec.Finetune == 0 {
			continue
		}
		if err := step.do(ctx); err != nil {
			return t.closeHistory(err)
		}
		t.clock.lap(step.phase)
	}
	return t.write(ctx)
}

// open opens the data set, the network and the engine, and reports early what the plans would
// reject.
func (t *training) open(ctx context.Context) (err error) {
	t.opened, err = open(ctx, t.spec, t.place, t.progress, t.choose)
	if err != nil {
		return err
	}
	t.opened.prefer(t.folder.form(t.opened.eng))
	if t.first && !t.continues() {
		t.opened.introduce(t.progress)
	}
	if t.spec.Finetune > 0 {
		_, err = t.opened.tunePlan(t.spec, t.train.items)
	}
	return err
}

// choose selects the pictures to learn from and to report on, and the kind of head.
func (t *training) choose(ds *datasets.Dataset) error {
	train, eval, split, err := divide(ds, t.spec)
	if err != nil {
		return err
	}
	t.split, t.train, t.eval = split, &sample{items: train}, &sample{items: eval}
	kind, err := task.Named(ds.Task)
	if err != nil {
		return err
	}
	if err := t.spec.learning().CheckTask(kind); err != nil {
		return err
	}
	return nil
}

// continues reports whether fine-tuning continues from a head whose training has already reported
// data, licences and plan.
func (t *training) continues() bool { return t.folder.head != nil && t.spec.Finetune > 0 }

// extract computes the features of the pictures to learn from and of those to report on. Only
// training uses augmented views; the report uses the pictures themselves.
func (t *training) extract(ctx context.Context) (err error) {
	reported := t.eval.items
	if t.spec.Folds > 0 {
		reported = t.train.items
	}
	v := views{t.spec.Views, t.spec.Seed}
	if t.spec.Folds > 0 && v.n == 0 {
		t.train, err = t.opened.sample(ctx, reported, v, t.progress)
		t.eval = t.train
	} else {
		t.train, t.eval, err = t.opened.samples(ctx, t.train.items, reported, v, t.progress)
	}
	if err != nil {
		return err
	}
	if err := t.opened.settle(t.progress); err != nil {
		return err
	}
	if t.spec.Finetune == 0 {
		o := t.opened
		t.builtIn = meanwhile(func() ([]float32, error) { return export.BuiltIn(ctx, o.frozen, o.net.Preset) })
	}
	if t.spec.Folds == 0 {
		train, x := t.train.s, t.eval.s.X
		t.votes = meanwhile(func() ([]float32, error) { return head.KNN(train, x, neighbours) })
	}
	if t.first {
		if err := t.folder.writeLeftOut(t.opened.data.Report, t.progress); err != nil {
			return err
		}
	}
	if err := t.train.enough(t.opened.data); err != nil {
		return err
	}
	if t.first {
		if err := t.notice(ctx); err != nil {
			return err
		}
	}
	return t.folder.keepForm(t.opened)
}

// fit fits the head on all training pictures.
func (t *training) fit(ctx context.Context) (err error) {
	t.progress.State("training", 0, 0)
	t.plan, err = t.opened.plan(t.train, t.spec)
	if err != nil {
		return err
	}
	if t.first {
		if !t.continues() {
			t.progress.Say(t.plan.String())
		}
		if err := t.folder.write("plan.json", t.plan); err != nil {
			return err
		}
	}
	t.recorder, err = t.startHistory()
	if err != nil {
		return err
	}
	learn := learner.Data{Task: t.opened.task, Train: t.train.s, Towards: t.opened.words, Folds: t.train.folds(t.plan.Folds, t.spec.Seed), Progress: fitting(t.progress)}
	if t.spec.Folds == 0 {
		learn.Valid, learn.Split = t.eval.s, t.split
	}
	t.fitted, err = learner.FitHead(ctx, learn, t.plan, t.recorder)
	if err != nil || t.spec.Finetune > 0 {
		return err
	}
	if t.first && t.fitted.Families != nil {
		t.progress.Say("head  " + heads.Line(t.fitted.Families))
	}
	return t.closeHistory(nil)
}

// startHistory starts the history of one seed: history.jsonl, or history.seedN.jsonl for further
// seeds.
func (t *training) startHistory() (*curves.Recorder, error) {
	name := "history.jsonl"
	if !t.first {
		name = fmt.Sprintf("history.seed%d.jsonl", t.spec.Seed)
	}
	if !t.first && !(t.place.Resume && t.spec.Finetune > 0) {
		if err := os.RemoveAll(t.folder.file(name)); err != nil {
			return nil, fmt.Errorf("run: %w", err)
		}
	}
	path := t.folder.file(name)
	fresh := curves.Run{Name: t.spec.Model + " on " + filepath.Base(t.spec.Data), Axis: t.plan.Axis()}
	w, run, err := fresh.AppendTo(path)
	if errors.Is(err, atomicfile.ErrDamaged) {
		aside, asideErr := fetch.SetAside(path)
		if asideErr != nil {
			return nil, errors.Join(err, asideErr)
		}
		t.progress.Say(fmt.Sprintf("%v; the file was set aside as %s, and the curve begins here; the training is not affected", err, aside))
		w, run, err = fresh.AppendTo(path)
	}
	if err != nil {
		return nil, err
	}
	return curves.NewRecorder(run, w, 2*time.Second, t.place.Curves), nil
}

// closeHistory closes the history after the last step that writes to it, or after a failed step,
// and returns failed or the error of closing.
func (t *training) closeHistory(failed error) error {
	if t.recorder == nil {
		return failed
	}
	t.history = t.recorder.Run()
	closed := t.recorder.Close()
	t.recorder = nil
	if failed != nil {
		return failed
	}
	return closed
}

// tune trains the backbone with the fitted head.
func (t *training) tune(ctx context.Context) (err error) {
	t.opened.frozen = features.Backbone{} // nothing needs it from here on, and its program takes memory
	t.tuned, err = t.finetune(ctx)
	if err != nil {
		return err
	}
	return t.closeHistory(nil)
}

// judge scores the result on the reported pictures.
func (t *training) judge(ctx context.Context) (err error) {
	t.progress.State("evaluating", 0, 0)
	if err := t.learnConfidence(t.outOfFold()); err != nil {
		return err
	}
	t.logits, err = t.answers(ctx)
	if err != nil {
		return err
	}
	t.reading, err = t.opened.task.Reading(t.train.s, t.outOfFold())
	if err != nil {
		return err
	}
	reading := t.reading
	if t.spec.Folds > 0 {
		reading = task.Reading{} // use 0.5: the stored thresholds were fitted on these pictures
	}
	t.report, err = evaluate.New(t.opened.task, evaluate.Input{Names: t.opened.data.Labels, Truth: t.eval.s, Logits: t.logits, Reading: reading, Files: t.eval.files()})
	if err != nil {
		return err
	}
	t.figures = One{Seed: t.spec.Seed, Score: t.report.Score(), Strength: t.fitted.Fit.Strength}
	if t.tuned != nil {
		t.figures.Probe, t.figures.Finetune = t.tuned.probe, t.tuned.summary
	}
	if t.spec.Folds > 0 {
		t.figures.Score, err = metrics.OverFolds(scores(t.folds), t.figures.Score)
	} else {
		err = t.compareNeighbours()
	}
	if err == nil && t.opened.words != nil {
		t.words, err = t.compareWords(ctx)
	}
	return err
}

// outOfFold returns the logits of the rows to learn from by models that did not see them; nil = none.
func (t *training) outOfFold() []float32 {
	if t.tuned != nil {
		return t.tuned.outOfFold(t.train.s.Classes, t.fitted.Fit.OutOfFold)
	}
	return t.fitted.Fit.OutOfFold
}

// answers returns the logits of the reported pictures: from the fitted head, from the tuned
// network, or, with folds, from heads that did not see them.
func (t *training) answers(ctx context.Context) (logits []float32, err error) {
	if t.spec.Folds > 0 {
		logits, t.folds, err = t.opened.crossValidate(ctx, t.spec, t.train, t.eval, t.progress)
		return logits, err
	}
	logits = t.fitted.Model.Logits(t.eval.s.X)
	if t.tuned == nil {
		return logits, nil
	}
	return t.tuned.judge(ctx, t, logits)
}

// compareNeighbours scores the baseline, which needs no training.
func (t *training) compareNeighbours() error {
	votes, err := t.votes()
	if err != nil {
		return err
	}
	score, err := t.opened.task.Measure(t.eval.s, votes)
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	t.baseline = &Baseline{Method: fmt.Sprintf("k-NN, k %d", neighbours), Score: score}
	return nil
}

// divide returns the pictures to learn from and those to report on. With folds, the latter are nil:
// each picture is then reported on by a head that did not see it.
func divide(ds *datasets.Dataset, s Spec) (train, eval []datasets.Item, split string, err error) {
	train = ds.In("train")
	if s.Folds > 0 {
		train, split, err = folded(ds, s)
		return train, nil, split, err
	}
	if err := ds.CheckTraining(); err != nil {
		return nil, nil, "", err
	}
	split = string(ds.Evaluation())
	if s.Split != "" {
		// "training" and "Train" are other names for train, and "all" includes it.
		named, ok := data.SplitNamed(s.Split)
		if !ok || named == "train" {
			return nil, nil, "", fmt.Errorf("run: split %q to report on, want valid or test: pictures that the head learns from say nothing about its quality", s.Split)
		}
		split = string(named)
	}
	eval = ds.In(datasets.Split(split))
	if len(eval) == 0 {
		return nil, nil, "", advice.New(fmt.Errorf("run: split %q of %s has no pictures to report on", split, s.Data), "choose another of %v (train is for learning)", ds.Splits())
	}
	return train, eval, split, nil
}

// folded returns the pictures that folds are made of, and what they are called.
func folded(ds *datasets.Dataset, s Spec) (train []datasets.Item, split string, err error) {
	train = ds.In("train")
	if ds.Dealt {
		train = ds.In("all")
	}
	if ds.Task == datasets.Classes {
		if err := twoLabels(ds.Labels); err != nil {
			return nil, "", err
		}
	}
	in := ""
	if g := (&datasets.Dataset{Items: train}).Groups(); g > 0 {
		in = fmt.Sprintf(" in %d groups", g)
	}
	folds := datasets.Folds(train, s.Folds, s.Seed)
	if k := len(folds); k != s.Folds {
		return nil, "", advice.New(fmt.Errorf("run: %d pictures%s cannot be dealt into %d folds", len(train), in, s.Folds), "ask for at most %d", k)
	}
	if err := (&sample{items: train}).enough(ds); err != nil {
		return nil, "", err
	}
	if in != "" && ds.Task == datasets.Classes {
		if err := learntFromOthers(ds, train, folds); err != nil {
			return nil, "", err
		}
	}
	return train, fmt.Sprintf("%d folds of %d pictures%s", s.Folds, len(train), in), nil
}

// learntFromOthers reports a label that one fold has alone, so that it could not be learnt from the others.
func learntFromOthers(ds *datasets.Dataset, items []datasets.Item, folds [][]int) error {
	for k, label := range ds.Labels {
		var in []int
		for f, rows := range folds {
			if slices.ContainsFunc(rows, func(r int) bool { return items[r].Class == k }) {
				in = append(in, f)
			}
		}
		if len(in) == 1 {
			return advice.New(fmt.Errorf("run: all pictures of %q are in groups of one fold, so that it cannot be learnt from the others", label), "add pictures of it from another group, or leave it out: a line for each of its pictures with drop in a file for --changes")
		}
	}
	return nil
}
