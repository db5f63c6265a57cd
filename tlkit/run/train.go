package run

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"github.com/tlkit/transfer-learning/data"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/learner"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// neighbours is the k of the baseline, fixed in advance so that nothing is chosen.
const neighbours = 5

// Train fits a head on the frozen features of a data set and leaves everything about it in
// the run's folder. Nothing is chosen on the pictures the result is reported on.
//
// ctx interrupts it; features computed so far stay cached, and the folder has no
// result.json, which is what tells a finished run.
func Train(ctx context.Context, s Spec, place Place, p Progress) (result *Result, err error) {
	if p == nil {
		p = Silent{}
	}
	if s.Seeds < 0 || s.Folds < 0 || s.Folds == 1 || s.Seeds > 1 && s.Folds > 0 {
		return nil, fmt.Errorf("run: %d seeds and %d folds, want at least 1 seed, at least 2 folds, and not both", s.Seeds, s.Folds)
	}
	if s.Finetune < 0 || s.Finetune > 0 && s.Folds > 0 || s.Finetune == 0 && s.Plan+s.From != "" {
		return nil, fmt.Errorf("run: %d epochs of fine-tuning with plan %q from stage %q and %d folds: want 1 or more, --plan and --from only with --finetune, and no --folds (its own folds choose how to fine-tune)", s.Finetune, s.Plan, s.From, s.Folds)
	}
	// What a plan would refuse is refused before anything is fetched.
	some := head.Samples{Y: []int{0, 1}, Classes: 2}
	if s.Head == learner.Ridge {
		some = head.Samples{Targets: []float64{0, 1}, Classes: 1}
	}
	if _, err := learner.NewPlan(s.Head, some, s.Epochs, s.Views, s.Seed); err != nil {
		return nil, err
	}
	s.Seeds = max(s.Seeds, 1)
	if err := place.ready(); err != nil {
		return nil, err
	}
	f, done, err := openFolder(place, s, p.Say)
	if err != nil {
		return nil, err
	}
	defer f.close()
	clock := startClock()
	if done != nil && place.Resume {
		return f.resumed(ctx, done, s, place, p)
	}
	if done != nil {
		if err := f.setAside(); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, f.bringBack())
			} else {
				err = os.RemoveAll(f.aside())
			}
		}()
	} else {
		if err := f.clear(place.Resume && s.Finetune > 0, f.head != nil && s.Finetune > 0); err != nil {
			return nil, err
		}
		defer func() { // a mistyped name of a data set leaves no folder behind
			if err != nil && f.bare() {
				_ = os.RemoveAll(f.path)
			}
		}()
	}
	r := &Result{Model: s.Model, Data: s.Data, Seed: s.Seed, Run: f.path, Head: f.file("head.safetensors")}
	var runs []One
	var histories []curves.Run
	for i := range s.Seeds {
		one := s
		one.Seed = s.Seed + uint64(i)
		t, err := trainOne(ctx, one, place, f, i, clock, p)
		if err != nil {
			return nil, err
		}
		runs = append(runs, t.figures)
		histories = append(histories, t.history)
		if i > 0 {
			continue
		}
		r.take(t)
		if place.Out != "" {
			if err := t.head.Write(place.Out); err != nil {
				return nil, err
			}
			r.Head = place.Out
		}
	}
	if s.Seeds > 1 {
		r.Runs = runs
		mean, err := meanOf(runs)
		if err != nil {
			return nil, err
		}
		r.Interval = mean.Interval
		if r.Task == datasets.Classes {
			r.Accuracy = mean.Value
		} else {
			r.Score = mean.Value
		}
		if r.Probe != nil {
			if r.Probe, err = probeOver(runs); err != nil {
				return nil, err
			}
		}
	}
	p.State("saving", 0, 0)
	r.Figures = append([]plots.Figure{plots.Curves(histories...)}, r.Figures...)
	for i, name := range []string{"curves.png", r.FigureFile()} {
		if err := atomicfile.Write(f.file(name), 0o644, r.Figures[i].PNG); err != nil {
			return nil, fmt.Errorf("run: %s: %w", name, err)
		}
	}
	if err := atomicfile.WriteBytes(f.file("report.txt"), []byte(r.Report), 0o644); err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	clock.lap("saving")
	r.Phases, r.Seconds = clock.phases, clock.seconds()
	return r, f.write("result.json", r)
}

// resumed gives back a finished run, unless what it was made of has changed.
func (f *folder) resumed(ctx context.Context, done *Result, s Spec, place Place, p Progress) (*Result, error) {
	ds, err := datasets.Open(ctx, s.Data, datasets.Options{Offline: place.Offline, Seed: s.Seed, Report: fetching(p)})
	if err != nil {
		return nil, err
	}
	if got := ds.Fingerprint(); got != done.Fingerprint {
		return nil, fmt.Errorf("run: the pictures of %s changed since %s was made (fingerprint %.12s, then %.12s); give this run another name to train on them, delete the folder, or run without --resume", s.Data, f.path, got, done.Fingerprint)
	}
	if file, own := zoo.OwnFile(s.Model); own && s.Weights == "" {
		s.Weights = file
	}
	if s.Weights != "" {
		if got, err := zoo.Sum(ctx, s.Weights); err != nil || got != done.Weights {
			return nil, fmt.Errorf("run: %s is not the weights file that %s was made with (sha256 %.12s there, %.12s now); give this run another name, or run without --resume", s.Weights, f.path, done.Weights, got)
		}
	}
	h, err := export.Read(f.file("head.safetensors"))
	if err != nil {
		return nil, fmt.Errorf("%w; to make it anew delete %s (features are kept)", err, f.path)
	}
	done.Head = f.file("head.safetensors")
	if place.Out != "" {
		if err := h.Write(place.Out); err != nil {
			return nil, err
		}
		done.Head = place.Out
	}
	done.Run = f.path
	report, err := os.ReadFile(f.file("report.txt"))
	if err != nil {
		return nil, fmt.Errorf("run: %w; to make it anew delete %s (features are kept)", err, f.path)
	}
	done.Report = string(report)
	p.Say("resumed " + f.path + ": " + f.note)
	return done, nil
}

// trained is one seed's work.
type trained struct {
	figures  One
	folds    []One
	report   *verdict
	baseline *Baseline
	history  curves.Run
	head     *export.Head
	open     *opened
	split    string
	train    int
	strength float64
	choices  []head.Choice
}

func (r *Result) take(t *trained) {
	r.Task, r.Metric, r.Score = t.open.data.Task, t.figures.Metric, t.figures.Score
	r.Accuracy, r.Correct, r.Total, r.Interval = t.figures.Accuracy, t.figures.Correct, t.figures.Total, t.figures.Interval
	r.Split, r.LogLoss, r.Baseline = t.split, t.report.logLoss(), t.baseline
	if t.report.labels != nil {
		r.PerLabel = t.report.labels.Labels
	}
	if t.report.values != nil {
		r.PerValue = t.report.values.Values
	}
	r.Labels, r.Train, r.Strength, r.Engine = t.open.data.Labels, t.train, t.strength, t.open.eng.Name
	r.Fingerprint, r.Weights = t.open.fingerprint, t.open.net.SHA256
	r.Data, r.Model = t.open.data.Name, t.open.net.Row.Name
	r.Folds, r.Choices = t.folds, t.choices
	r.Probe, r.Finetune = t.figures.Probe, t.figures.Finetune
	r.Steps = len(t.history.Points)
	r.Figures, r.Report = []plots.Figure{t.report.figure()}, t.report.text()
}

// sample is the features of some pictures with their labels.
type sample struct {
	items []datasets.Item // of each row
	s     head.Samples
}

func (o *opened) sample(ctx context.Context, b features.Backbone, items []datasets.Item, views int, seed uint64, p Progress) (*sample, error) {
	m, err := o.extract(ctx, features.Job{Items: items, Preset: o.net.Preset, Backbone: b, Views: views, Seed: seed}, p)
	if err != nil {
		return nil, err
	}
	out := &sample{}
	for _, i := range m.Items {
		out.items = append(out.items, items[i])
	}
	out.s = samples(o.data, m.Data, m.Features, out.items)
	return out, nil
}

// pictures counts the different files behind the rows; views of one picture are one.
func (s *sample) pictures() int {
	seen := map[string]bool{}
	for _, item := range s.items {
		seen[item.Rel] = true
	}
	return len(seen)
}

// enough wants two labels or more and two pictures or more of each: what was listed may
// have turned out unreadable, and --folds needs no split that datasets could ask for.
func (s *sample) enough(ds *datasets.Dataset) error {
	labels := ds.Labels
	if ds.Task != datasets.Classes {
		left := datasets.Dataset{Name: ds.Name, Task: ds.Task, Labels: labels, Items: slices.Clone(s.items)}
		for i := range left.Items {
			left.Items[i].Split = "train"
		}
		return left.CheckLearning()
	}
	files := make([]map[string]bool, len(labels))
	for i := range files {
		files[i] = map[string]bool{}
	}
	for _, item := range s.items {
		if item.Class < 0 {
			return fmt.Errorf("run: %s has no label; put the pictures of each label in a folder of its own", item.Rel)
		}
		files[item.Class][item.Rel] = true
	}
	if err := twoLabels(labels); err != nil {
		return err
	}
	for c, label := range labels {
		if n := len(files[c]); n < 2 {
			return fmt.Errorf("run: label %q has %d readable picture(s) to learn from, want at least 2; add pictures or remove the label", label, n)
		}
	}
	return nil
}

func twoLabels(labels []string) error {
	if len(labels) >= 2 {
		return nil
	}
	return fmt.Errorf("run: %d label(s) %q, want at least 2; put the pictures of each label in a folder of its own", len(labels), labels)
}

// folds holds out rows by picture: views and duplicates of one picture stay together,
// because datasets.Folds keeps equal contents together.
func (s *sample) folds(k int, seed uint64) [][]int {
	if k < 2 {
		return nil
	}
	return datasets.Folds(s.items, k, seed)
}

// parts are the pictures to learn from and those to report on, which are nil with folds: then each picture is reported
// on by a head that did not see it.
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
	if split = ds.Evaluation(); s.Split != "" {
		// "training" and "Train" mean train too, and "all" holds it.
		named, ok := data.SplitNamed(s.Split)
		if !ok || named == "train" {
			return nil, nil, "", fmt.Errorf("run: split %q to report on: want valid or test; what the head learns from says nothing about it", s.Split)
		}
		split = named
	}
	if eval = ds.In(split); len(eval) == 0 {
		return nil, nil, "", fmt.Errorf("run: split %q of %s has no pictures to report on; it has %v (train is what the head learns from)", split, s.Data, ds.Splits())
	}
	return train, eval, split, nil
}

func trainOne(ctx context.Context, s Spec, place Place, f *folder, index int, clock *clock, p Progress) (*trained, error) {
	o, err := open(ctx, s, place, p)
	if err != nil {
		return nil, err
	}
	t := &trained{open: o}
	goesOn := f.head != nil && s.Finetune > 0 // all that was said when the head was fitted
	if index == 0 && !goesOn {
		o.introduce(p)
	}
	trainItems, evalItems, split, err := parts(o.data, s)
	if err != nil {
		return nil, err
	}
	t.split = split
	if s.Head, err = headKind(o.data.Task, s.Head); err != nil {
		return nil, err
	}
	if s.Finetune > 0 { // what its plan would refuse is refused before anything is computed
		if _, err := o.tunePlan(s, trainItems); err != nil {
			return nil, err
		}
	}
	clock.lap("opening")
	b := features.FromNet(o.net, o.eng)
	train, err := o.sample(ctx, b, trainItems, s.Views, s.Seed, p)
	if err != nil {
		return nil, err
	}
	eval := train
	if s.Folds == 0 || s.Views > 0 { // views are for learning; what is reported sees the picture itself
		if s.Folds > 0 {
			evalItems = trainItems
		}
		if eval, err = o.sample(ctx, b, evalItems, 0, s.Seed, p); err != nil {
			return nil, err
		}
	}
	clock.lap("extracting features")
	if err := train.enough(o.data); err != nil {
		return nil, err
	}
	p.State("training", 0, 0)
	plan, err := learner.NewPlan(s.Head, train.s, s.Epochs, s.Views, s.Seed)
	if err != nil {
		return nil, err
	}
	if index == 0 {
		if !goesOn {
			p.Say(plan.String())
		}
		if err := f.write("plan.json", plan); err != nil {
			return nil, err
		}
	}
	t.train = train.pictures()
	recorder, err := newHistory(f, index, s, plan, place)
	if err != nil {
		return nil, err
	}
	learn := learner.Data{Train: train.s, Folds: train.folds(plan.Folds, s.Seed)}
	if s.Folds == 0 {
		learn.Valid, learn.Split = eval.s, t.split
	}
	fitted, err := learner.FitHead(ctx, learn, plan, recorder)
	var tuned *tuning
	linear := (*head.Linear)(nil)
	if err == nil {
		linear = fitted.Fit.Head
		if s.Finetune > 0 {
			clock.lap("training")
			tuned, err = o.finetune(ctx, s, place, f, index, train, eval, t.split, fitted, recorder, p)
			clock.lap("fine-tuning")
		}
	}
	t.history = recorder.Run()
	if closed := recorder.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, err
	}
	t.strength, t.choices = fitted.Fit.Strength, fitted.Fit.Choices
	if tuned == nil {
		clock.lap("training")
	}

	p.State("evaluating", 0, 0)
	logits := linear.Logits(eval.s.X)
	if tuned != nil {
		if logits, err = tuned.judge(ctx, o, eval, logits, s, p); err != nil {
			return nil, err
		}
		linear, b = tuned.Head, features.FromNet(tuned.Net, o.eng)
	}
	if s.Folds > 0 {
		if logits, t.folds, err = crossValidate(ctx, s, o.data.Task, train, eval, p); err != nil {
			return nil, err
		}
	}
	files := make([]string, len(eval.items))
	for i, item := range eval.items {
		files[i] = item.Rel
	}
	said, err := thresholds(o.data.Task, train.s, tuned.outOfFold(train.s.Classes, fitted.Fit.OutOfFold))
	if err != nil {
		return nil, err
	}
	reported := said
	if s.Folds > 0 {
		reported = nil // those were chosen on all pictures, so on these too: even odds judge nobody by what he saw
	}
	if t.report, err = judge(o.data.Task, o.data.Labels, eval.s, logits, reported, files); err != nil {
		return nil, err
	}
	t.figures = t.report.figures(s.Seed, t.strength)
	if s.Folds > 0 {
		mean, err := meanOf(t.folds)
		if err != nil {
			return nil, err
		}
		t.figures.Interval = mean.Interval
		if o.data.Task == datasets.Classes {
			t.figures.Accuracy = mean.Value
		} else {
			t.figures.Score = mean.Value
		}
	} else if votes, err := head.KNN(train.s, eval.s.X, neighbours); err != nil {
		return nil, err
	} else {
		near, err := measure(o.data.Task, eval.s, votes)
		if err != nil {
			return nil, fmt.Errorf("run: %w", err)
		}
		t.baseline = &Baseline{Method: fmt.Sprintf("k-NN, k %d", neighbours), Metric: near.Metric, Score: near.Score, Correct: near.Correct, Total: near.Total}
	}
	parity, err := export.Parity(ctx, b, o.net.Preset, linear)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(plan)
	if tuned != nil {
		t.figures.Probe, t.figures.Finetune = tuned.probe, tuned.summary
		raw, err = json.Marshal(map[string]any{"head": plan, "finetune": tuned.Plan})
	}
	if err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	t.head = &export.Head{
		Task: o.data.Task, Thresholds: said, Scales: scales(o.data.Task, train.s),
		Labels: o.data.Labels, Preset: o.net.Preset, Seed: s.Seed, Plan: raw, Linear: *linear, Parity: parity,
		Backbone: export.Backbone{Name: o.net.Row.Name, SHA256: o.net.SHA256, Features: o.net.Row.Features, Origin: o.net.Row.Origin, Licence: o.net.Row.Licence},
		Data:     export.Data{Name: o.data.Name, Fingerprint: o.fingerprint, Train: t.train},
		Result:   export.Result{Split: t.split, Metric: cmp.Or(t.figures.Metric, Accuracy), Score: t.figures.score(), Correct: t.figures.Correct, Total: t.figures.Total, Interval: t.figures.Interval},
		Versions: engine.Versions(),
	}
	t.head.Versions["go"] = runtime.Version()
	if o.data.Set != nil {
		t.head.Data.Licence = o.data.Set.Licence
	}
	if tuned != nil {
		t.head.Changed = tuned.Net.Changes()
	}
	clock.lap("evaluating")
	if index > 0 {
		return t, nil
	}
	return t, t.head.Write(f.file("head.safetensors"))
}

// newHistory starts the history of one seed: history.jsonl, for further seeds history.seedN.jsonl.
func newHistory(f *folder, index int, s Spec, plan learner.Plan, place Place) (*curves.Recorder, error) {
	name := "history.jsonl"
	if index > 0 {
		name = fmt.Sprintf("history.seed%d.jsonl", s.Seed)
	}
	if index > 0 && !(place.Resume && s.Finetune > 0) {
		if err := os.RemoveAll(f.file(name)); err != nil {
			return nil, fmt.Errorf("run: %w", err)
		}
	}
	w, run, err := curves.Append(f.file(name), s.Model+" on "+filepath.Base(s.Data), plan.Axis())
	if err != nil {
		return nil, err
	}
	return curves.NewRecorder(run, w, 2*time.Second, place.Curves), nil
}

// crossValidate reports on every picture by a head that did not see it: K heads, each with
// its own choice of strength by folds of its own training part. It returns the logits of
// all eval rows in order.
func crossValidate(ctx context.Context, s Spec, task datasets.Task, train, eval *sample, p Progress) ([]float32, []One, error) {
	held := datasets.Folds(eval.items, s.Folds, s.Seed)
	if len(held) < 2 {
		return nil, nil, fmt.Errorf("run: %d pictures cannot be dealt into %d folds", len(eval.items), s.Folds)
	}
	k, c := train.s.Classes, train.s.Features
	logits := make([]float32, eval.s.Len()*k)
	var ones []One
	for f, rows := range held {
		p.State("training folds", int64(f), int64(len(held)))
		out := map[string]bool{}
		for _, r := range rows {
			out[eval.items[r].SHA256] = true
		}
		part := &sample{s: head.Samples{Features: c, Classes: k}}
		for i, item := range train.items {
			if !out[item.SHA256] {
				part.items = append(part.items, item)
				part.s.X = append(part.s.X, train.s.Row(i)...)
				if part.s.Targets = append(part.s.Targets, item.Targets...); task == datasets.Classes {
					part.s.Y = append(part.s.Y, item.Class)
				}
			}
		}
		inner, err := learner.NewPlan(s.Head, part.s, s.Epochs, s.Views, s.Seed)
		if err != nil {
			return nil, nil, err
		}
		fitted, err := learner.FitHead(ctx, learner.Data{Train: part.s, Folds: part.folds(inner.Folds, s.Seed)}, inner, nil)
		if err != nil {
			return nil, nil, fmt.Errorf("run: fold %d: %w", f+1, err)
		}
		mine := head.Samples{Classes: k}
		var heard []float32
		for _, r := range rows {
			row := fitted.Fit.Head.Logits(eval.s.Row(r))
			copy(logits[r*k:], row)
			heard = append(heard, row...)
			if eval.s.Targets == nil {
				mine.Y = append(mine.Y, eval.s.Y[r])
			} else {
				mine.Targets = append(mine.Targets, eval.s.Targets[r*k:(r+1)*k]...)
			}
		}
		one, err := measure(task, mine, heard)
		if err != nil {
			return nil, nil, fmt.Errorf("run: fold %d: %w", f+1, err)
		}
		one.Seed, one.Fold, one.Strength = s.Seed, f+1, fitted.Fit.Strength
		ones = append(ones, one)
	}
	return logits, ones, nil
}

func meanOf(runs []One) (metrics.Mean, error) {
	values := make([]float64, len(runs))
	for i, r := range runs {
		values[i] = r.score()
	}
	if kind := runs[0].Metric; kind == MAP || kind == R2 {
		m, err := metrics.MeanOf(values)
		if err == nil && m.SD == 0 {
			m.Interval = runs[0].Interval // equal runs: what is left is the uncertainty of the pictures
		}
		if m.Interval.Known() { // Student's t knows nothing of bounds
			m.Interval.High = min(m.Interval.High, 1)
			if kind == MAP {
				m.Interval.Low = max(m.Interval.Low, 0)
			}
		}
		return m, err
	}
	m, err := metrics.MeanOf(values)
	if err == nil && m.SD == 0 {
		// Equal runs do not make a figure certain: what is left is the uncertainty of the
		// pictures, for folds of all of them, for seeds of the one set they share.
		right, total := runs[0].Correct, runs[0].Total
		if runs[0].Fold > 0 {
			for _, r := range runs[1:] {
				right, total = right+r.Correct, total+r.Total
			}
		}
		m.Interval = metrics.Wilson(right, total)
	}
	if m.Interval.Known() { // Student's t knows nothing of 0 and 1
		m.Interval = metrics.Interval{Low: max(m.Interval.Low, 0), High: min(m.Interval.High, 1)}
	}
	return m, err
}
