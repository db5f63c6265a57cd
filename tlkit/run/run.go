// Package run does complete jobs: from a spec it makes a result and a folder with everything about
// the run. The command line and package tlkit both call it, so they give the same numbers.
//
//	spec := run.Spec{Data: "hymenoptera", Model: "mobilenetv2", Seed: 1}
//	result, err := run.Train(ctx, spec, run.Place{}, nil)
//	fmt.Println(result.Line()) // accuracy 95.4 % (146 of 153, 95 % 90.9-97.8) on valid
//
// A run lives in .tlkit/NAME of the working folder:
//
//	spec.json        what was asked for
//	plan.json        how the head was fitted, with reasons
//	history.jsonl    every step: loss and accuracy of train, folds and valid
//	curves.png       the history drawn
//	confusion.png    truth against prediction; labels.png or values.png of other tasks
//	report.txt       the score on the first line, then the details
//	report.json      the same with all numbers
//	answers.safetensors what it answered about the held-back pictures, for tlkit runs
//	data.json        how many pictures the data set had, and how many were left out
//	finetune.json    with fine-tuning: how the backbone was trained, with reasons and trials
//	finetune/        its checkpoints, while it is running
//	head.safetensors the trained head (package export)
//	cache.json       what the run used of the cache, for tlkit cache
//	left_out.csv     the files of the data set that were not used, with the reasons
//	card.md          the model card, as every export brings it; also card.html
//	result.json      the result, written last: a folder with it is a finished run
//
// Only one process at a time writes a run folder. An older run of the same name with another spec
// is moved aside, never overwritten.
package run

import (
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// Progress receives the progress of a run. Nil shows it in a notebook cell, and discards it
// elsewhere. Its methods are called from one goroutine at a time.
type Progress interface {
	// State reports what the run is doing: "fetching X", "extracting features", "training". done
	// and total count its parts; total is 0 if they cannot be counted.
	State(what string, done, total int64)
	// Say reports a sentence that the user should see: a fallback, a warning, the name of a file.
	Say(sentence string)
}

// silent is a Progress that discards everything.
type silent struct{}

func (silent) State(string, int64, int64) {}
func (silent) Say(string)                 {}

// Shown returns p, or what nil stands for, see [Progress]. done must be called at the end of the
// work.
func (Place) Shown(p Progress) (shown Progress, done func()) {
	switch {
	case p != nil:
		return p, func() {}
	case show.Default.InCell():
		return inCell{}, show.Default.Clear
	}
	return silent{}, func() {}
}

// inCell shows progress in the notebook cell that runs this program.
type inCell struct{}

func (inCell) State(what string, done, total int64) { show.Default.Progress(what, done, total) }
func (inCell) Say(sentence string)                  { show.Default.Text(invoke.Hints(sentence)) }

// orSilent returns p, or a silent Progress for nil.
func orSilent(p Progress) Progress {
	if p == nil {
		return silent{}
	}
	return p
}
