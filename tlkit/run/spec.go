package run

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/learner"
)

// Spec is what a run is asked for: everything that decides its numbers, and nothing else.
type Spec struct {
	// Name of a ready set, a folder, or a CSV file.
	Data string `json:"data"`
	// Data is a folder of shards: features that [Spec.ExtractParts] has computed, with their labels.
	Shards bool `json:"shards,omitempty"`
	// The top folders of Data are labels, whatever they look like; see datasets.Options.
	LabelFolders bool `json:"label_folders,omitempty"`
	// Leave out labels with fewer pictures to train on; 0 = keep all.
	MinPerLabel int `json:"min_per_label,omitempty"`
	// A CSV file of pictures to leave out or to relabel; see datasets.Options.
	Changes string `json:"changes,omitempty"`
	// What columns of the CSV file hold where that cannot be seen, see datasets.Options.
	Columns string `json:"columns,omitempty"`
	// Which pictures belong together, see datasets.Group; "" = each is by itself.
	Group datasets.Group `json:"group,omitempty"`

	Model string `json:"model"` // row of the zoo, or my.onnx[#VALUE]; see zoo.Load
	// A weights file instead of the published one.
	Weights string `json:"weights,omitempty"`
	// Where in that file the weights are, such as "state_dict_ema"; "" = where they are found.
	Entry string `json:"entry,omitempty"`
	// Take range, mean, std and channel order from these statistics or this row.
	Statistics string    `json:"statistics,omitempty"`
	Preset     string    `json:"preset,omitempty"` // take the whole preset from this row
	Size       int       `json:"size,omitempty"`   // side of the pictures in pixels; 0 = the preset's
	Head       head.Kind `json:"head,omitempty"`   // "" = the default of the task
	Epochs     int       `json:"epochs,omitempty"` // for head.SGDKind; 0 = 25
	// Augmented views of each training picture; 0 = the picture itself.
	Views int `json:"views,omitempty"`
	// Weigh classes by N/(K n), where n of the N training pictures have that class, in the head and
	// in fine-tuning, so that rare ones count as much; for one label a picture.
	ClassWeights bool `json:"class_weights,omitempty"`
	// Descriptions of the labels that the head starts from and is pulled towards, in the form that
	// EvaluateModel takes; "*" = a photo of a LABEL; "" = none, the head starts from zeros. For networks
	// that were trained on words.
	ZeroShot string `json:"zero_shot,omitempty"`
	// Cross-validate: report the mean over so many held-out folds, at least 2; 0 = do not. Not
	// together with Finetune, or with several Seeds.
	Folds int `json:"folds,omitempty"`
	// The split to report on; "" = valid, or test if there is no valid.
	Split string `json:"split,omitempty"`
	Seed  uint64 `json:"seed"`
	// Runs with seeds Seed, Seed+1, ...; 0 = 1.
	Seeds int `json:"seeds,omitempty"`
	// Epochs of fine-tuning after the head; 0 = none.
	Finetune int `json:"finetune,omitempty"`
	// Recipe of fine-tuning; "" = finetune.Tlkit. Only with Finetune, as From.
	Plan finetune.Recipe `json:"plan,omitempty"`
	// First stage of the backbone that fine-tuning trains; "" = the plan's choice.
	From string `json:"from,omitempty"`
	// What replaces the recipe's settings, only with Finetune; see finetune.Options.
	Rate    float64              `json:"rate,omitempty"`
	Batch   int                  `json:"batch,omitempty"`
	Mixup   float64              `json:"mixup,omitempty"`
	Augment learner.Augmentation `json:"augment,omitempty"`
	// Low-rank adaptation instead of training whole tensors of the backbone; the zero value = does not.
	LoRA backbone.LoRA `json:"lora,omitzero"`
	// The form in which frozen networks run; the zero value = chosen by measurement, or that of the
	// run that is repeated.
	Form engine.Form `json:"form,omitzero"`
}

// Place is where a run is stored and how it is carried out. Nothing in it changes a number.
type Place struct {
	Folder string // working folder, "" = the current one
	Name   string // of the run folder; "" = data set, model and 8 hex digits of the spec
	Out    string // also write the head here
	Force  bool   // replace a file at Out that is no head file
	// Return the result of a finished run of the same spec, and continue an interrupted
	// fine-tuning.
	Resume  bool
	Offline bool // do not use the network
	// PlainGo agrees to compute in plain Go where XLA is missing, which takes about a hundred times
	// as long. Otherwise that is an error, unless TLKIT_PLAIN_GO or GOMLX_BACKEND says so.
	PlainGo bool
	// NonCommercial confirms that the use is not commercial; some weights require it.
	NonCommercial bool
	// The largest share of bad files to leave out; 0 = the default of datasets.Options, 0.05.
	BadLimit float64
	// Until is when fine-tuning has to be done; zero = no limit. As soon as its pace shows that it will
	// not be, Train ends with the error of [finetune.Train], and a head that was fitted by an earlier
	// call stays.
	Until time.Time
	// An older run of this name with another spec is an error, instead of being moved aside.
	Keep bool

	// Curves is called with the history so far, at most every two seconds, from its own goroutine;
	// training never waits for it. May be nil.
	Curves func(curves.Run)
}

// Pictures returns the options for opening the data of a spec. report may be nil.
func (p Place) Pictures(s Spec, report Progress) datasets.Options {
	return datasets.Options{
		Offline: p.Offline, Seed: s.Seed, Report: orSilent(report).State, BadLimit: p.BadLimit, Columns: s.Columns,
		LabelFolders: s.LabelFolders, MinPerLabel: s.MinPerLabel, Changes: s.Changes, Group: s.Group,
	}
}

// learning returns the options of the head's plan.
func (s Spec) learning() learner.Options {
	return learner.Options{Head: s.Head, Epochs: s.Epochs, Views: s.Views, ClassWeights: s.ClassWeights, Seed: s.Seed, ForTuning: s.Finetune > 0}
}

// tuning returns the options of the fine-tuning plan.
func (s Spec) tuning() finetune.Options {
	return finetune.Options{
		Epochs: s.Finetune, From: s.From, Seed: s.Seed,
		Rate: s.Rate, Batch: s.Batch, Mixup: s.Mixup, ClassWeights: s.ClassWeights, Augment: s.Augment, LoRA: s.LoRA,
	}
}

// frozen returns the spec without fine-tuning.
func (s Spec) frozen() Spec {
	s.Finetune, s.Plan, s.From = 0, "", ""
	s.Rate, s.Batch, s.Mixup, s.Augment, s.LoRA = 0, 0, 0, "", backbone.LoRA{}
	return s
}

// digest identifies the spec in default names. Data set and weights enter it by name; their
// contents are checked by fingerprint when a run is resumed.
func (s Spec) digest() string {
	b, _ := json.Marshal(s) // a struct of strings and numbers always marshals
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

var unsafeName = regexp.MustCompile(`[^\pL\pN._-]+`)

// SafeName turns any text into the name of a folder: letters, digits, '-', '_' and '.', at most 40
// characters, without a leading dot; "run" if nothing remains.
func SafeName(text string) string {
	v := strings.Trim(unsafeName.ReplaceAllString(text, "-"), "-.")
	if r := []rune(v); len(r) > 40 {
		v = string(r[:40])
	}
	if v == "" {
		v = "run"
	}
	return v
}

// defaultName is short, readable and different for different specs.
func (s Spec) defaultName() string {
	// For an ONNX file of the user, #VALUE is where it is cut.
	model, _, _ := strings.Cut(s.Model, "#")
	return SafeName(filepath.Base(s.Data)) + "-" + SafeName(filepath.Base(model)) + "-" + s.digest()[:8]
}
