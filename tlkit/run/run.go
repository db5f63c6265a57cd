// Package run does whole jobs: a spec goes in, a folder with everything about the run and
// a result come out. The command line and the notebook's verbs both call it, so they give
// the same numbers.
//
//	result, err := run.Train(ctx, run.Spec{Data: "hymenoptera", Model: "mobilenetv2", Seed: 1}, run.Place{}, nil)
//	fmt.Println(result.Line()) // accuracy 96.1 % (147 of 153, 95 % 91.7-98.2) on valid
//
// A run lives in .tlkit/NAME of the working folder:
//
//	spec.json        what was asked for
//	plan.json        how the head was fitted, with reasons
//	history.jsonl    every step: loss and accuracy of train, folds and valid
//	curves.png       the history drawn
//	confusion.png    truth against prediction; labels.png or values.png of other tasks
//	report.txt       the score on the first line, then its parts
//	finetune.json    with fine-tuning: how the backbone was trained, with reasons and trials
//	finetune/        its checkpoints, while it is under way
//	head.safetensors the trained head (package export)
//	result.json      the figures, written last: a folder with it is a finished run
//
// One process writes a run folder at a time. An older run under the same name that was
// asked for differently is moved aside, never overwritten.
package run

// Progress receives what a run does; nil is a Progress that goes nowhere. Its methods are called from one goroutine at a time.
type Progress interface {
	// State says what is being done now: "fetching X", "extracting features", "training";
	// total 0 = not countable.
	State(what string, done, total int64)
	// Say is a sentence a person should see: a fallback, a warning, where something went.
	Say(sentence string)
}

// silent is a Progress that goes nowhere.
type silent struct{}

func (silent) State(string, int64, int64) {}
func (silent) Say(string)                 {}

// orSilent is p, or one that goes nowhere for nil.
func orSilent(p Progress) Progress {
	if p == nil {
		return silent{}
	}
	return p
}
