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
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/learner"
)

// Spec is what was asked for: everything that decides the numbers, and nothing else.
type Spec struct {
	Data       string          `json:"data"`                 // name of a ready set, a folder, or a CSV file
	Model      string          `json:"model"`                // row of the zoo
	Weights    string          `json:"weights,omitempty"`    // a file instead of the row's
	Statistics string          `json:"statistics,omitempty"` // range, mean, std and channel order of another preset
	Preset     string          `json:"preset,omitempty"`     // the whole preset of another row
	Head       head.Kind       `json:"head,omitempty"`       // "" = the default of the task
	Epochs     int             `json:"epochs,omitempty"`     // of SGDKind; 0 = 25
	Views      int             `json:"views,omitempty"`      // augmented views of each training picture
	Folds      int             `json:"folds,omitempty"`      // cross-validate: report the mean over K held-out folds
	Split      string          `json:"split,omitempty"`      // reported split; "" = valid, else test
	Seed       uint64          `json:"seed"`
	Seeds      int             `json:"seeds,omitempty"`    // runs with seeds Seed, Seed+1, ...; 0 = 1
	Finetune   int             `json:"finetune,omitempty"` // epochs of fine-tuning behind the head; 0 = none
	Plan       finetune.Recipe `json:"plan,omitempty"`     // of fine-tuning; "" = finetune.Tlkit
	From       string          `json:"from,omitempty"`     // first stage of the backbone that fine-tuning moves; "" = the plan's choice
}

// Place is where a run goes and how it is carried out; none of it changes a number.
type Place struct {
	Folder  string // working folder, "" = the current one
	Name    string // of the run folder; "" = data set, model and 8 hex digits of the spec
	Out     string // also write the head here
	Resume  bool   // a finished run of the same spec is read back instead of computed, an interrupted fine-tuning goes on
	Offline bool   // never touch the network
	// NonCommercial confirms that the use is not commercial; some weights ask for it.
	NonCommercial bool
	Keep          bool // an older run under the name that was asked for differently is refused, not moved aside

	// Curves is called with the history so far, every two seconds at most, from a goroutine
	// of its own that training never waits for. It may be nil.
	Curves func(curves.Run)
}

// check reports a spec that no data could make right, before anything is fetched.
func (s Spec) check() error {
	if s.Seeds < 0 || s.Folds < 0 || s.Folds == 1 || s.Seeds > 1 && s.Folds > 0 {
		return fmt.Errorf("run: %d seeds and %d folds, want at least 1 seed, at least 2 folds, and not both", s.Seeds, s.Folds)
	}
	if s.Finetune < 0 || s.Finetune > 0 && s.Folds > 0 || s.Finetune == 0 && (s.Plan != "" || s.From != "") {
		return fmt.Errorf("run: %d epochs of fine-tuning with plan %q from stage %q and %d folds: want 1 or more, --plan and --from only with --finetune, and no --folds (its own folds choose how to fine-tune)", s.Finetune, s.Plan, s.From, s.Folds)
	}
	return s.learning().Check()
}

// learning are the parts of the spec that make the plan of the head.
func (s Spec) learning() learner.Options {
	return learner.Options{Head: s.Head, Epochs: s.Epochs, Views: s.Views, Seed: s.Seed}
}

// tuning are the parts of the spec that make the plan of fine-tuning.
func (s Spec) tuning() finetune.Options {
	return finetune.Options{Epochs: s.Finetune, From: s.From, Seed: s.Seed}
}

// frozen is the spec without fine-tuning.
func (s Spec) frozen() Spec {
	s.Finetune, s.Plan, s.From = 0, "", ""
	return s
}

// digest is what default names and comparisons use. The data set and the weights are part
// of it by name: their contents are checked by fingerprint when a run is read back.
func (s Spec) digest() string {
	b, _ := json.Marshal(s) // a struct of strings and numbers always marshals
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

var unsafeName = regexp.MustCompile(`[^\pL\pN._-]+`)

// SafeName makes the name of a folder out of any text: letters, digits, '-', '_' and '.', at most 40
// of them, no dot in front; "run" where nothing is left.
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
	model, _, _ := strings.Cut(s.Model, "#") // of a file of yours: where it is cut
	return SafeName(filepath.Base(s.Data)) + "-" + SafeName(filepath.Base(model)) + "-" + s.digest()[:8]
}
