package run

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/learner"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// neighbours is the k of the baseline, fixed in advance so that nothing is chosen.
const neighbours = 5

// training is one seed's work: what it is given, and what each step of it leaves for the next ones.
type training struct {
	spec     Spec
	place    Place
	folder   *folder
	first    bool // the seed whose head is written
	clock    *clock
	progress Progress

	opened *opened

	train, eval *sample // eval is what is reported on; with folds the training pictures themselves
	split       string  // what the reported pictures are called

	plan     learner.Plan
	fitted   *learner.Result
	recorder *curves.Recorder
	tuned    *tuning // nil without fine-tuning
	history  curves.Run

	logits   []float32 // of eval
	reading  task.Reading
	report   evaluate.Report
	folds    []One
	baseline *Baseline
	figures  One
	head     *export.Head
}

// run trains a head, and the backbone where that is asked for, and says how good it is.
func (t *training) run(ctx context.Context) error {
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

// open opens data set, network and engine, and refuses what the plans of this spec would refuse.
func (t *training) open(ctx context.Context) (err error) {
	if t.opened, err = open(ctx, t.spec, t.place, t.progress); err != nil {
		return err
	}
	if t.first && !t.goesOn() {
		t.opened.introduce(t.progress)
	}
	train, eval, split, err := parts(t.opened.data, t.spec)
	if err != nil {
		return err
	}
	t.split, t.train, t.eval = split, &sample{items: train}, &sample{items: eval}
	if t.spec.Head, err = task.HeadKind(t.opened.task, t.spec.Head); err != nil {
		return err
	}
	if t.spec.Finetune > 0 {
		_, err = t.opened.tunePlan(t.spec, train)
	}
	return err
}

// goesOn reports whether fine-tuning goes on from a head whose training said all there is to say.
func (t *training) goesOn() bool { return t.folder.head != nil && t.spec.Finetune > 0 }

// extract computes the features of the pictures to learn from and to report on. Views are for
// learning; what is reported sees the picture itself.
func (t *training) extract(ctx context.Context) (err error) {
	reported := t.eval.items
	if t.spec.Folds > 0 {
		reported = t.train.items
	}
	b := features.FromNet(t.opened.net, t.opened.eng)
	if t.train, err = t.opened.sample(ctx, b, t.train.items, views{t.spec.Views, t.spec.Seed}, t.progress); err != nil {
		return err
	}
	if t.eval = t.train; t.spec.Folds == 0 || t.spec.Views > 0 {
		if t.eval, err = t.opened.sample(ctx, b, reported, views{0, t.spec.Seed}, t.progress); err != nil {
			return err
		}
	}
	return t.train.enough(t.opened.data)
}

// fit fits the head on all training pictures.
func (t *training) fit(ctx context.Context) (err error) {
	t.progress.State("training", 0, 0)
	if t.plan, err = learner.NewPlan(t.opened.task, t.train.s, t.spec.learning()); err != nil {
		return err
	}
	if t.first {
		if !t.goesOn() {
			t.progress.Say(t.plan.String())
		}
		if err := t.folder.write("plan.json", t.plan); err != nil {
			return err
		}
	}
	if t.recorder, err = t.startHistory(); err != nil {
		return err
	}
	learn := learner.Data{Task: t.opened.task, Train: t.train.s, Folds: t.train.folds(t.plan.Folds, t.spec.Seed)}
	if t.spec.Folds == 0 {
		learn.Valid, learn.Split = t.eval.s, t.split
	}
	t.fitted, err = learner.FitHead(ctx, learn, t.plan, t.recorder)
	if err != nil || t.spec.Finetune > 0 {
		return err
	}
	return t.closeHistory(nil)
}

// startHistory starts the history of one seed: history.jsonl, for further seeds history.seedN.jsonl.
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
	w, run, err := curves.Run{Name: t.spec.Model + " on " + filepath.Base(t.spec.Data), Axis: t.plan.Axis()}.AppendTo(t.folder.file(name))
	if err != nil {
		return nil, err
	}
	return curves.NewRecorder(run, w, 2*time.Second, t.place.Curves), nil
}

// closeHistory closes the history behind the last step that writes it, or behind one that failed.
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

// tune trains the backbone behind the fitted head.
func (t *training) tune(ctx context.Context) (err error) {
	if t.tuned, err = t.finetune(ctx); err != nil {
		return err
	}
	return t.closeHistory(nil)
}

// judge says how good the result is on the reported pictures.
func (t *training) judge(ctx context.Context) (err error) {
	t.progress.State("evaluating", 0, 0)
	if t.logits, err = t.answers(ctx); err != nil {
		return err
	}
	outOfFold := t.fitted.Fit.OutOfFold
	if t.tuned != nil {
		outOfFold = t.tuned.outOfFold(t.train.s.Classes, outOfFold)
	}
	if t.reading, err = t.opened.task.Reading(t.train.s, outOfFold); err != nil {
		return err
	}
	reading := t.reading
	if t.spec.Folds > 0 {
		reading = task.Reading{} // the stored thresholds were fitted on these very pictures
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
		return err
	}
	return t.compareNeighbours()
}

// answers are the logits of the reported pictures: the fitted head's, the tuned network's, or those
// of heads that did not see them.
func (t *training) answers(ctx context.Context) (logits []float32, err error) {
	if t.spec.Folds > 0 {
		logits, t.folds, err = t.opened.crossValidate(ctx, t.spec, t.train, t.eval, t.progress)
		return logits, err
	}
	logits = t.fitted.Fit.Head.Logits(t.eval.s.X)
	if t.tuned == nil {
		return logits, nil
	}
	return t.tuned.judge(ctx, t, logits)
}

// compareNeighbours is the baseline: nothing is trained.
func (t *training) compareNeighbours() error {
	votes, err := head.KNN(t.train.s, t.eval.s.X, neighbours)
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

// parts are the pictures to learn from and those to report on, which are nil with folds: then each
// picture is reported on by a head that did not see it.
func parts(ds *datasets.Dataset, s Spec) (train, eval []datasets.Item, split string, err error) {
	train = ds.In("train")
	if s.Folds > 0 {
		if ds.Dealt {
			train = ds.In("all")
		}
		if ds.Task == datasets.Classes {
			if err := twoLabels(ds.Labels); err != nil {
				return nil, nil, "", err
			}
		}
		if k := len(datasets.Folds(train, s.Folds, s.Seed)); k != s.Folds {
			return nil, nil, "", fmt.Errorf("run: %d pictures cannot be dealt into %d folds, at most into %d", len(train), s.Folds, k)
		}
		return train, nil, fmt.Sprintf("%d folds of %d pictures", s.Folds, len(train)), nil
	}
	if err := ds.CheckTraining(); err != nil {
		return nil, nil, "", err
	}
	split = string(ds.Evaluation())
	if s.Split != "" {
		// "training" and "Train" mean train too, and "all" holds it.
		named, ok := data.SplitNamed(s.Split)
		if !ok || named == "train" {
			return nil, nil, "", fmt.Errorf("run: split %q to report on: want valid or test; what the head learns from says nothing about it", s.Split)
		}
		split = string(named)
	}
	if eval = ds.In(datasets.Split(split)); len(eval) == 0 {
		return nil, nil, "", fmt.Errorf("run: split %q of %s has no pictures to report on; it has %v (train is what the head learns from)", split, s.Data, ds.Splits())
	}
	return train, eval, split, nil
}
