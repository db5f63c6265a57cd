// Package run does whole jobs: a spec goes in, a folder with everything about the run and
// a result come out. The command line and the notebook's verbs both call it, so they give
// the same numbers.
//
//	result, err := run.Train(ctx, run.Spec{Data: "hymenoptera", Model: "mobilenetv2", Seed: 1}, run.Place{}, run.Silent{})
//	fmt.Println(result.Line())   // accuracy 96.1 % (147 of 153, 95 % 91.7-98.2) on valid
//
// A run lives in .tlkit/NAME of the working folder:
//
//	spec.json        what was asked for
//	plan.json        how the head was fitted, with reasons
//	history.jsonl    every step: loss and accuracy of train, folds and valid
//	curves.png       the history drawn
//	confusion.png    truth against prediction; labels.png or values.png of other tasks
//	report.txt       the score and its parts
//	finetune.json    with fine-tuning: how the backbone was trained, with reasons and trials
//	finetune/        its checkpoints, while it is under way
//	head.safetensors the trained head (package export)
//	result.json      the figures, written last: a folder with it is a finished run
//
// One process writes a run folder at a time. An older run under the same name that was
// asked for differently is moved aside, never overwritten.
package run

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/learner"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
)

// Spec is what was asked for: everything that decides the numbers, and nothing else.
type Spec struct {
	Data       string `json:"data"`                 // name of a ready set, a folder, or a CSV file
	Model      string `json:"model"`                // row of the zoo
	Weights    string `json:"weights,omitempty"`    // a file instead of the row's
	Statistics string `json:"statistics,omitempty"` // range, mean, std and channel order of another preset
	Preset     string `json:"preset,omitempty"`     // the whole preset of another row
	Head       string `json:"head,omitempty"`       // "" = what the task is learnt by: learner.Logistic, learner.Ridge for values; or learner.SGD
	Epochs     int    `json:"epochs,omitempty"`     // of SGD; 0 = 25
	Views      int    `json:"views,omitempty"`      // augmented views of each training picture
	Folds      int    `json:"folds,omitempty"`      // cross-validate: report the mean over K held-out folds
	Split      string `json:"split,omitempty"`      // reported split; "" = valid, else test
	Seed       uint64 `json:"seed"`
	Seeds      int    `json:"seeds,omitempty"`    // runs with seeds Seed, Seed+1, ...; 0 = 1
	Finetune   int    `json:"finetune,omitempty"` // epochs of fine-tuning behind the head; 0 = none
	Plan       string `json:"plan,omitempty"`     // of fine-tuning; "" = learner.Tlkit
	From       string `json:"from,omitempty"`     // first stage of the backbone that fine-tuning moves; "" = the plan's choice
}

// Place is where a run goes and how it is carried out; none of it changes a number.
type Place struct {
	Folder  string // working folder, "" = the current one
	Name    string // of the run folder; "" = data set, model and 8 hex digits of the spec
	Out     string // also write the head here
	Resume  bool   // a finished run of the same spec is read back instead of computed, an interrupted fine-tuning goes on
	Offline bool   // never touch the network
	// NonCommercial is the person's word that their use is not commercial; some weights ask for it.
	NonCommercial bool
	Keep          bool // an older run under the name that was asked for differently is refused, not moved aside

	// Curves is called with the history so far, every two seconds at most, from a goroutine
	// of its own that training never waits for. It may be nil.
	Curves func(curves.Run)
}

// Progress hears what a run does. Its methods are called from one goroutine at a time.
type Progress interface {
	// State says what is being done now: "fetching X", "extracting features", "training";
	// total 0 = not countable.
	State(what string, done, total int64)
	// Say is a sentence a person should see: a fallback, a warning, where something went.
	Say(sentence string)
}

// Silent is a Progress that nobody hears.
type Silent struct{}

func (Silent) State(string, int64, int64) {}
func (Silent) Say(string)                 {}

// digest is what default names and comparisons use. The data set and the weights are part
// of it by name: their contents are checked by fingerprint when a run is read back.
func (s Spec) digest() string {
	b, _ := json.Marshal(s) // a struct of strings and numbers always marshals
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

var unsafeName = regexp.MustCompile(`[^\pL\pN._-]+`)

// defaultName is short, readable and different for different specs.
func (s Spec) defaultName() string {
	clean := func(v string) string {
		v = strings.Trim(unsafeName.ReplaceAllString(filepath.Base(v), "-"), "-.")
		if r := []rune(v); len(r) > 40 {
			v = string(r[:40])
		}
		if v == "" {
			v = "run"
		}
		return v
	}
	model, _, _ := strings.Cut(s.Model, "#") // of a file of yours: where it is cut
	return clean(s.Data) + "-" + clean(model) + "-" + s.digest()[:8]
}

// Result is what a training run found. It is the command line's JSON.
type Result struct {
	Task     datasets.Task    `json:"task"`
	Metric   string           `json:"metric"`             // what Score is of: Accuracy, MAP or R2
	Score    float64          `json:"score"`              // over seeds or folds: the mean. In JSON for every task, else see Accuracy
	Accuracy float64          `json:"accuracy"`           // of classes; over seeds or folds: the mean
	Correct  int              `json:"correct"`            // of classes: of the first seed; over folds: all together
	Total    int              `json:"total"`              // pictures
	Interval metrics.Interval `json:"interval"`           // 95 % of the score: Wilson's or a bootstrap's, over seeds or folds Student's t
	Split    string           `json:"split"`              // what the figures are of: valid, test, or folds of all
	LogLoss  float64          `json:"log_loss"`           // nats; not of values
	Baseline *Baseline        `json:"baseline,omitempty"` // not with folds

	Model    string        `json:"model"`
	Data     string        `json:"data"`
	Labels   []string      `json:"labels"` // or the names of values
	Train    int           `json:"train"`  // training pictures
	Seed     uint64        `json:"seed"`
	Strength float64       `json:"strength,omitempty"` // L2 of the written head
	Choices  []head.Choice `json:"choices,omitempty"`  // what the folds said about each strength
	Engine   string        `json:"engine"`
	Steps    int           `json:"points,omitempty"` // of history.jsonl
	Seconds  float64       `json:"seconds"`
	Phases   []Phase       `json:"phases"`

	// Of the first seed, or of all folds together.
	PerLabel []metrics.LabelScore `json:"per_label,omitempty"` // several labels a picture
	PerValue []metrics.ValueScore `json:"per_value,omitempty"` // real values, in their own units

	// With fine-tuning: what the head alone gets on the same pictures, and how the backbone was trained.
	Probe    *Probe      `json:"probe,omitempty"`
	Finetune *Finetuning `json:"finetune,omitempty"` // of the first seed

	Run   string `json:"run"`  // the run's folder
	Head  string `json:"head"` // the head file
	Runs  []One  `json:"runs,omitempty"`
	Folds []One  `json:"folds,omitempty"`

	Fingerprint string         `json:"fingerprint"` // of the data set
	Weights     string         `json:"weights"`     // sha256
	Figures     []plots.Figure `json:"-"`           // curves, and the one that the task's report draws
	Report      string         `json:"-"`           // the report's text
}

// FigureFile is the name, in the run's folder, of the figure beside the curves.
func (r *Result) FigureFile() string { return figureName(r.Task) }

// Baseline is what k-NN on the same features gets, with nothing trained.
type Baseline struct {
	Method  string  `json:"method"`
	Metric  string  `json:"metric"`
	Score   float64 `json:"score"`   // of classes only in JSON, see Correct
	Correct int     `json:"correct"` // of classes
	Total   int     `json:"total"`
}

// Phase is one stretch of a run's time.
type Phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

// One is one seed's or one fold's figures.
type One struct {
	Seed     uint64           `json:"seed"`
	Fold     int              `json:"fold,omitempty"` // 1, 2, ...
	Metric   string           `json:"metric"`
	Score    float64          `json:"score"`    // of classes only in JSON, see Accuracy
	Accuracy float64          `json:"accuracy"` // of classes
	Correct  int              `json:"correct"`  // of classes
	Total    int              `json:"total"`
	Interval metrics.Interval `json:"interval"` // unknown for a fold of labels or values
	Strength float64          `json:"strength,omitempty"`
	Probe    *Probe           `json:"probe,omitempty"`
	Finetune *Finetuning      `json:"finetune,omitempty"`
}

// Probe is how the head alone does, on the backbone as it was published.
type Probe struct {
	Metric   string           `json:"metric"`
	Score    float64          `json:"score"`    // over seeds: the mean. Of classes only in JSON, see Accuracy
	Accuracy float64          `json:"accuracy"` // of classes; over seeds: the mean
	Correct  int              `json:"correct"`  // of classes, of the first seed
	Total    int              `json:"total"`
	Interval metrics.Interval `json:"interval"`
	LogLoss  float64          `json:"log_loss"` // nats, of the first seed; not of values
	// Gain is the score with fine-tuning minus that of the head alone, on the same pictures. Its 95 % interval is that of
	// metrics.Compare, CompareMAP or CompareR2 for one seed, Student's t of the differences over several that are not all
	// alike.
	Gain         float64          `json:"gain"`
	GainInterval metrics.Interval `json:"gain_interval"`
}

// alone is a fine-tuned result with the figures of the head that it began from.
func (r *Result) alone() *Result {
	if r.Probe == nil {
		return r
	}
	out := *r
	out.Accuracy, out.Correct, out.Total, out.Interval, out.LogLoss = r.Probe.Accuracy, r.Probe.Correct, r.Probe.Total, r.Probe.Interval, r.Probe.LogLoss
	out.Score, out.Probe, out.Finetune, out.PerLabel, out.PerValue = r.Probe.Score, nil, nil, nil, nil
	return &out
}

func (p *Probe) words() string {
	switch p.Metric {
	case R2:
		return fmt.Sprintf("%.3f", p.Score)
	case MAP:
		return fmt.Sprintf("%.1f %%", 100*p.Score)
	}
	return fmt.Sprintf("%.1f %%", 100*p.Accuracy)
}

// ScoreLine is the score with its interval, as that of Result.
func (p *Probe) ScoreLine() string {
	return (&Evaluation{Metric: p.Metric, Score: p.Score, Interval: p.Interval, Correct: p.Correct, Total: p.Total}).ScoreLine()
}

// GainLine is what fine-tuning gained: "gain +5.4 points (95 % +3.4 to +7.3)".
func (p *Probe) GainLine() string {
	if p.Metric == R2 {
		return fmt.Sprintf("gain %+.3f (95 %% %+.3f to %+.3f)", p.Gain, p.GainInterval.Low, p.GainInterval.High)
	}
	return fmt.Sprintf("gain %+.1f points (95 %% %+.1f to %+.1f)", 100*p.Gain, 100*p.GainInterval.Low, 100*p.GainInterval.High)
}

// Finetuning is how the backbone was trained.
type Finetuning struct {
	Plan    string          `json:"plan"`
	Epochs  int             `json:"epochs"`
	Pays    bool            `json:"pays"` // false: the result is the head alone
	Why     string          `json:"why"`
	From    string          `json:"from,omitempty"` // first stage that moved
	Rate    float64         `json:"rate,omitempty"` // the largest
	Mix     float64         `json:"mix"`            // how far from the start to the tuned weights
	Steps   int             `json:"steps"`
	Changed int             `json:"changed"` // tensors
	Trials  []learner.Trial `json:"trials,omitempty"`
	Seconds float64         `json:"seconds"` // choosing included

	Training float64 `json:"training_seconds"`   // of the final training
	Saving   float64 `json:"checkpoint_seconds"` // of these, for checkpoints
}

// Line is the result in one line, always with interval and counts.
func (r *Result) Line() string {
	if r.Probe != nil {
		r := *r
		p := r.Probe
		r.Probe = nil
		return r.Line() + "; the head alone " + p.words() + ", " + p.GainLine()
	}
	if r.Task == datasets.Labels || r.Task == datasets.Values {
		of := fmt.Sprintf("%d pictures", r.Total)
		switch {
		case len(r.Folds) > 0:
			of = fmt.Sprintf("mean of %d folds of %d pictures", len(r.Folds), r.Total)
			return scoreWords(r.Metric, r.Score, r.Interval, of)
		case len(r.Runs) > 1:
			of = fmt.Sprintf("mean of %d seeds, %d pictures", len(r.Runs), r.Total)
		}
		return scoreWords(r.Metric, r.Score, r.Interval, of) + " on " + r.Split
	}
	switch {
	case len(r.Folds) > 0:
		return fmt.Sprintf("accuracy %.1f %% (95 %% %.1f-%.1f, mean of %d folds; %d of %d together)", 100*r.Accuracy, 100*r.Interval.Low, 100*r.Interval.High, len(r.Folds), r.Correct, r.Total)
	case len(r.Runs) > 1:
		return fmt.Sprintf("accuracy %.1f %% (95 %% %.1f-%.1f, mean of %d seeds; seed %d: %d of %d) on %s", 100*r.Accuracy, 100*r.Interval.Low, 100*r.Interval.High, len(r.Runs), r.Seed, r.Correct, r.Total, r.Split)
	}
	return fmt.Sprintf("accuracy %.1f %% (95 %% %.1f-%.1f, %d of %d) on %s", 100*r.Accuracy, 100*r.Interval.Low, 100*r.Interval.High, r.Correct, r.Total, r.Split)
}
