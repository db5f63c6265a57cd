package results

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/heads"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/settings"
)

// Result is the result of a training run. It is also the content of result.json and the JSON of
// tlkit train.
type Result struct {
	Task settings.Task `json:"task"`
	metrics.Score
	// The pictures of the score: valid, test, or folds of all pictures.
	Split    string    `json:"split"`
	LogLoss  float64   `json:"log_loss,omitempty"` // nats; absent for values
	Baseline *Baseline `json:"baseline,omitempty"` // absent with folds
	// With Spec.ZeroShot: the descriptions alone, and a head that starts from zeros, on the same pictures.
	Words []Baseline `json:"words,omitempty"`

	Model    string        `json:"model"`
	Data     string        `json:"data"`
	Labels   []string      `json:"labels"` // or names of values
	Train    int           `json:"train"`  // number of training pictures
	Seed     uint64        `json:"seed"`
	Strength float64       `json:"strength,omitempty"` // L2 of the written head
	Choices  []head.Choice `json:"choices,omitempty"`  // out-of-fold result of each strength
	Family   head.Kind     `json:"family,omitempty"`   // of the written head
	Families []heads.Tried `json:"families,omitempty"` // for heads.AutoKind: out-of-fold result of each family
	Engine   string        `json:"engine"`
	Form     settings.Form `json:"form,omitzero"`    // of the frozen network
	Steps    int           `json:"points,omitempty"` // number of points in history.jsonl
	Seconds  float64       `json:"seconds"`
	Phases   []Phase       `json:"phases"`

	// Of the first seed, or of all folds together.
	PerLabel []metrics.LabelScore `json:"per_label,omitempty"` // several labels a picture
	PerValue []metrics.ValueScore `json:"per_value,omitempty"` // real values, in their own units

	// With fine-tuning: the score of the head alone on the same pictures, and how the backbone was
	// trained.
	Probe    *Probe      `json:"probe,omitempty"`
	Finetune *Finetuning `json:"finetune,omitempty"` // of the first seed

	Run   string `json:"run"`  // the run's folder
	Head  string `json:"head"` // the head file
	Runs  []One  `json:"runs,omitempty"`
	Folds []One  `json:"folds,omitempty"`

	// Whether the pictures are prepared as the network expects them; absent in results written before 0.1.0.
	Guard *Guard `json:"guard,omitempty"`
	// What was noticed about the data; see package audit. It looks at less than tlkit audit, to take no time.
	Audit *Brief `json:"audit,omitempty"`

	// How a time budget was spent, if there was one: a budget.Record.
	Budget json.RawMessage `json:"budget,omitempty"`

	Fingerprint string `json:"fingerprint"` // of the data set
	Weights     string `json:"weights"`     // sha256
	// The curves, and the figure of the task's report.
	Figures []plots.Figure `json:"-"`
	Details string         `json:"-"` // the report without the score
}

// Baseline is the score of another way on the same features, such as k-NN without training.
type Baseline struct {
	Method string `json:"method"`
	metrics.Score
}

// Phase is a part of a run's time.
type Phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Parts   []Phase `json:"parts,omitempty"` // by what was reported as being done
}

// One is the result of one seed or one fold.
type One struct {
	Seed uint64 `json:"seed"`
	Fold int    `json:"fold,omitempty"` // 1, 2, ...
	metrics.Score
	Strength float64     `json:"strength,omitempty"`
	Probe    *Probe      `json:"probe,omitempty"`
	Finetune *Finetuning `json:"finetune,omitempty"`
}

// Probe is the score of the head alone, on the backbone as published. For several seeds it is their
// mean.
type Probe struct {
	metrics.Score
	LogLoss float64 `json:"log_loss,omitempty"` // nats, of the first seed; absent for values
	// Gain is the score with fine-tuning minus that of the head alone, on the same pictures.
	// GainInterval is its 95 % interval: for one seed that of Compare, CompareMAP or CompareR2 of
	// metrics.Clusters; for several seeds Student's t interval of the differences, unless these are
	// all equal.
	Gain         float64          `json:"gain"`
	GainInterval metrics.Interval `json:"gain_interval"`
}

// GainLine formats the gain of fine-tuning: "gain +5.4 points (95 % +3.4 to +7.3)".
func (p *Probe) GainLine() string {
	return metrics.Gain{Value: p.Gain, Interval: p.GainInterval}.Describe(p.Metric)
}

// Finetuning is how the backbone was trained.
type Finetuning struct {
	Plan   settings.Recipe `json:"plan"`
	Epochs int             `json:"epochs"`
	Pays   bool            `json:"pays"` // false: the result is the head alone
	Why    string          `json:"why"`
	From   string          `json:"from,omitempty"` // first stage that moved
	Rate   float64         `json:"rate,omitempty"` // the largest of all stages
	// Where the result lies between the initial weights (0) and the tuned ones (1).
	Mix     float64 `json:"mix"`
	Steps   int     `json:"steps"`
	Changed int     `json:"changed"` // number of changed tensors
	// Low-rank adaptation; absent if whole tensors were trained.
	LoRA *settings.LoRA `json:"lora,omitempty"`
	// Parameters that were trained, the head's and LoRA's among them, and all. 0 in results written
	// before 0.1.0.
	Trainable  int     `json:"trainable,omitempty"`
	Parameters int     `json:"parameters,omitempty"`
	Trials     []Trial `json:"trials,omitempty"`
	Seconds    float64 `json:"seconds"` // including the search

	Training float64 `json:"training_seconds"`   // of the final training
	Saving   float64 `json:"checkpoint_seconds"` // of these, spent on checkpoints
}

// Share formats how many parameters were trained: "0.222 of 22.3 million parameters were trained (0.99 %)".
func (f *Finetuning) Share() string {
	trained, all := float64(f.Trainable), float64(f.Parameters)
	line := fmt.Sprintf("%.3g of %.3g million parameters were trained (%.3g %%)", trained/1e6, all/1e6, 100*trained/all)
	if f.LoRA != nil {
		line += fmt.Sprintf(", LoRA of rank %d", f.LoRA.Rank)
	}
	return line
}

// FigureFile returns the name, in the run's folder, of the figure of the task's report:
// "confusion.png", "labels.png" or "values.png".
func (r *Result) FigureFile() string { return r.Task.Figure() + ".png" }

// KeepBudget sets how a time budget was spent, and writes it into the run's folder.
func (r *Result) KeepBudget(record json.RawMessage) error {
	r.Budget = record
	b, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = atomicfile.WriteBytes(filepath.Join(r.Run, "result.json"), append(b, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("run: result.json: %w", err)
	}
	return nil
}

// Line formats the result as one line, always with interval and counts.
func (r *Result) Line() string {
	subject := fmt.Sprintf("%d pictures", r.Total)
	if r.Metric.Counts() {
		subject = r.Brief()
	}
	line := ""
	switch {
	case len(r.Folds) > 0 && r.Metric.Counts():
		line = r.Describe(fmt.Sprintf("mean of %d folds; %s together", len(r.Folds), subject))
	case len(r.Folds) > 0:
		line = r.Describe(fmt.Sprintf("mean of %d folds of %s", len(r.Folds), subject))
	case len(r.Runs) > 1 && r.Metric.Counts():
		line = r.Describe(fmt.Sprintf("mean of %d seeds; seed %d: %s", len(r.Runs), r.Seed, subject)) + " on " + r.Split
	case len(r.Runs) > 1:
		line = r.Describe(fmt.Sprintf("mean of %d seeds, %s", len(r.Runs), subject)) + " on " + r.Split
	default:
		line = r.Score.Describe(subject) + " on " + r.Split
	}
	if r.Probe != nil {
		line += "; the head alone " + r.Probe.Metric.Format(r.Probe.Value) + ", " + r.Probe.GainLine()
	}
	return line
}
