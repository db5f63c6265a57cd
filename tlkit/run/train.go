package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Train fits a head on the frozen features of a data set, fine-tunes the backbone if the spec asks
// for it, and stores everything about the run in its folder. Nothing is chosen on the pictures that
// the result is reported on. p may be nil.
//
// When ctx is cancelled, Train returns its error. Features computed so far stay cached, and an
// interrupted fine-tuning can be resumed. The folder has no result.json then; only finished runs
// have one.
//
// It is an error if the spec is invalid, if the data or the weights are not available, or if
// another process is working on the same run.
func Train(ctx context.Context, s Spec, place Place, p Progress) (result *Result, err error) {
	p, shown := place.Shown(p)
	defer shown()
	if err := s.check(); err != nil {
		return nil, err
	}
	if err := place.ready(); err != nil {
		return nil, err
	}
	s.Seeds = max(s.Seeds, 1)
	f, done, err := openFolder(place, s, p.Say)
	if err != nil {
		return nil, err
	}
	defer f.close()
	if done != nil && place.Resume {
		return f.resumed(ctx, done, s, place, p)
	}
	end, err := f.begin(done, s, place, p.Say)
	if err != nil {
		return nil, err
	}
	defer func() { err = end(err) }()
	clock := startClock(p)
	p = clock
	used, uses := cachedir.Recording(ctx)
	runs, err := f.trainSeeds(used, s, place, clock, p)
	if !f.bare() { // an interrupted run goes on from what it used
		err = errors.Join(err, uses.Keep(filepath.Dir(f.path), f.path))
	}
	if err != nil {
		return nil, err
	}
	r, err := summary(s, runs)
	if err != nil {
		return nil, err
	}
	return r, save(r, f, runs, place, clock)
}

// begin empties the folder for a run. end must be called with the error of the run: if a finished
// run was being computed again and the new one failed, end restores it.
func (f *folder) begin(done *Result, s Spec, place Place, say func(string)) (end func(error) error, err error) {
	if done != nil {
		if err := f.setAside(); err != nil {
			return nil, err
		}
		return func(err error) error {
			if err != nil {
				return errors.Join(err, f.bringBack())
			}
			return os.RemoveAll(f.aside())
		}, nil
	}
	if err := f.clear(kept{head: f.head != nil && s.Finetune > 0, tuning: place.Resume && s.Finetune > 0}); err != nil {
		return nil, err
	}
	return func(err error) error {
		if err != nil {
			f.leave(say)
		}
		return err
	}, nil
}

// trainSeeds trains once for each seed.
func (f *folder) trainSeeds(ctx context.Context, s Spec, place Place, clock *clock, p Progress) ([]*training, error) {
	var runs []*training
	ctx = cachedir.About(ctx, filepath.Base(s.Model)+" on "+filepath.Base(s.Data))
	for i := range s.Seeds {
		one := s
		one.Seed = s.Seed + uint64(i)
		t := &training{spec: one, place: place, folder: f, first: i == 0, clock: clock, progress: p}
		if err := t.run(ctx); err != nil {
			return nil, err
		}
		runs = append(runs, t)
	}
	return runs, nil
}

// summary returns the first seed's result, with the mean score of all seeds.
func summary(s Spec, runs []*training) (*Result, error) {
	first := runs[0]
	r := &Result{
		Task: first.opened.data.Task, Score: first.figures.Score, Split: first.split, Baseline: first.baseline, Words: first.words,
		Model: first.opened.net.Row.Name, Data: first.opened.data.Name, Labels: first.opened.data.Labels,
		Train: first.train.pictures(), Seed: s.Seed, Strength: first.fitted.Fit.Strength, Choices: first.fitted.Fit.Choices, Family: first.fitted.Kind, Families: first.fitted.Families,
		Engine: first.opened.eng.Name, Form: first.opened.form, Steps: len(first.history.Points), Folds: first.folds,
		Probe: first.figures.Probe, Finetune: first.figures.Finetune,
		Run: first.folder.path, Head: first.folder.file(headFile), Fingerprint: first.opened.fingerprint, Weights: first.opened.net.SHA256,
		Guard: first.opened.verdict, Audit: first.noticed,
		Figures: []plots.Figure{first.report.Figure()}, Details: first.report.Details(),
	}
	r.LogLoss, _ = first.report.Loss()
	if parts, ok := first.report.(interface{ PerLabel() []metrics.LabelScore }); ok {
		r.PerLabel = parts.PerLabel()
	}
	if parts, ok := first.report.(interface{ PerValue() []metrics.ValueScore }); ok {
		r.PerValue = parts.PerValue()
	}
	if len(runs) == 1 {
		return r, nil
	}
	for _, t := range runs {
		r.Runs = append(r.Runs, t.figures)
	}
	var err error
	r.Score, err = metrics.OverSeeds(scores(r.Runs))
	if err == nil && r.Probe != nil {
		r.Probe, err = probeOver(r.Runs)
	}
	return r, err
}

// save writes the figures, the report and, last, the result into the folder.
func save(r *Result, f *folder, runs []*training, place Place, clock *clock) error {
	if place.Out != "" {
		if err := runs[0].head.Write(place.Out); err != nil {
			return err
		}
		r.Head = place.Out
	}
	histories := make([]curves.Run, len(runs))
	for i, t := range runs {
		histories[i] = t.history
	}
	r.Figures = append([]plots.Figure{plots.Curves(histories...)}, r.Figures...)
	clock.State("drawing the figures", 0, 0)
	names := [2]string{"curves.png", r.FigureFile()}
	var errs [2]error
	var drawing sync.WaitGroup
	for i, name := range names {
		drawing.Go(func() { errs[i] = atomicfile.Write(f.file(name), 0o644, r.Figures[i].PNG) })
	}
	drawing.Wait()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("run: %s: %w", names[i], err)
		}
	}
	clock.State("saving", 0, 0)
	if err := atomicfile.WriteBytes(f.file("report.txt"), []byte(runs[0].report.Text()), 0o644); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	if err := f.writeFacts(runs[0]); err != nil {
		return err
	}
	r.Seconds = clock.seconds() // the card has it
	if err := f.writeCards(r); err != nil {
		return err
	}
	clock.lap("saving")
	r.Phases, r.Seconds = clock.phases, clock.seconds()
	return f.write("result.json", r)
}

// resumed returns a finished run, unless its data or weights have changed.
func (f *folder) resumed(ctx context.Context, done *Result, s Spec, place Place, p Progress) (*Result, error) {
	if err := f.unchanged(ctx, done, s, place, p); err != nil {
		return nil, err
	}
	h, err := export.Read(f.file(headFile))
	if err != nil {
		return nil, advice.New(err, "%s; features are kept", retrain)
	}
	done.Head = f.file(headFile)
	if place.Out != "" {
		if err := h.Write(place.Out); err != nil {
			return nil, err
		}
		done.Head = place.Out
	}
	done.Run = f.path
	report, err := os.ReadFile(f.file("report.txt"))
	if err != nil {
		return nil, advice.New(fmt.Errorf("run: %w", err), "%s; features are kept", retrain)
	}
	_, done.Details, _ = strings.Cut(string(report), "\n") // without the line of the score
	p.Say("resumed " + f.path + ": " + f.note)
	return done, nil
}

// unchanged reports pictures or weights that differ from those of a finished run.
func (f *folder) unchanged(ctx context.Context, done *Result, s Spec, place Place, p Progress) error {
	ds, _, err := openData(ctx, s, place, p)
	if err != nil {
		return err
	}
	if got := ds.Fingerprint(); got != done.Fingerprint {
		return advice.New(fmt.Errorf("run: the pictures of %s changed since %s was trained (fingerprint %.12s now, %.12s then)", s.Data, f.path, got, done.Fingerprint), "to train on them, give this run another name, or %s", retrain)
	}
	if file, own := zoo.OwnFile(s.Model); own && s.Weights == "" {
		s.Weights = file
	}
	if s.Weights == "" {
		return nil
	}
	if got, err := zoo.Sum(ctx, s.Weights); err != nil || got != done.Weights {
		return advice.New(fmt.Errorf("run: %s is not the weights file that %s was trained with (sha256 %.12s there, %.12s now)", s.Weights, f.path, done.Weights, got), "give this run another name, or %s", retrain)
	}
	return nil
}
