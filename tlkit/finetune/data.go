package finetune

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Data is the starting point of fine-tuning, with the pictures to learn from and those to measure
// on.
type Data struct {
	Net     *zoo.Net // the backbone
	Engine  *engine.Engine
	Form    engine.Form     // of the frozen part, if ONNX Runtime computes it; see features.Maps
	Task    task.Task       // nil = task.Classes
	Train   []datasets.Item // with classes in 0..Outputs-1, or with targets
	Valid   []datasets.Item // measured, never used to choose; may be empty
	Split   string          // name of Valid in the history; "" = valid
	Outputs int             // number of classes, labels or values

	Head     *head.Fit    // the fitted head: training starts from it
	Features head.Samples // the samples it was fitted on
	// Index in Train of the picture of each row of Features; nil = row i is picture i.
	Rows  []int
	Steps int // steps of the head's history, which the curve continues

	Folder string // for checkpoints; "" = none, and an interrupt loses the training
	Resume bool   // continue from the checkpoints in Folder; if false, they are removed
	Every  int    // steps between checkpoints; 0 = so that they take at most 1 % of the time

	State func(what string, done, total int) // progress; may be nil
	Say   func(sentence string)              // sentences for the user; may be nil
}

func (d Data) task() task.Task {
	if d.Task == nil {
		return task.Classes{}
	}
	return d.Task
}

// outputs returns Outputs, or the number of targets of the pictures for a plan made before Outputs
// is known.
func (d Data) outputs() int {
	if d.Outputs == 0 && len(d.Train) > 0 {
		return len(d.Train[0].Targets)
	}
	return d.Outputs
}

func (d Data) state(what string, done, total int) {
	if d.State != nil {
		d.State(what, done, total)
	}
}

func (d Data) say(format string, a ...any) {
	if d.Say != nil {
		d.Say(fmt.Sprintf(format, a...))
	}
}

// check reports what is wrong with the data or with the plan for them, and returns the objective of
// the training.
func (d Data) check(p Plan) (o objective, err error) {
	switch {
	case d.Net == nil || d.Engine == nil || d.Head == nil || d.Head.Head == nil:
		return o, advice.New(errors.New("finetune: no net, engine or fitted head, want all three"), "call learner.FitHead first")
	case len(d.Train) == 0 || d.Outputs < 1 || d.Outputs == 1 && d.task().Name() == datasets.Classes:
		return o, fmt.Errorf("finetune: %d training pictures of %d classes, want pictures of at least 2 classes", len(d.Train), d.Outputs)
	case d.Head.Head.Classes != d.Outputs || d.Head.Head.Features != d.Net.Row.Features:
		return o, advice.New(fmt.Errorf("finetune: a head of %d classes on %d features, but the pictures have %d classes and the net gives %d features", d.Head.Head.Classes, d.Head.Head.Features, d.Outputs, d.Net.Row.Features), "fit the head to this data")
	case d.Rows == nil && d.Features.Len() != len(d.Train) || d.Rows != nil && len(d.Rows) != d.Features.Len():
		return o, advice.New(fmt.Errorf("finetune: %d rows of features for %d training pictures, want a row for each", d.Features.Len(), len(d.Train)), "set Data.Rows if there are views")
	}
	o, err = newObjective(d)
	if err != nil {
		return o, err
	}
	if err := d.Head.Head.Check(); err != nil {
		return o, err
	}
	if err := p.Check(d.Net); err != nil {
		return o, err
	}
	return o, o.loss.suits(p)
}

// identity returns everything that a checkpoint depends on.
func (d Data) identity(p Plan) (map[string]string, error) {
	p.Reasons = nil
	plan, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("finetune: %w", err)
	}
	pictures := sha256.New()
	for _, it := range d.Train {
		fmt.Fprintf(pictures, "%s %d\n", it.SHA256, it.Class)
		if it.Targets != nil {
			fmt.Fprintf(pictures, "%s %v\n", d.task().Name(), it.Targets)
		}
	}
	start := sha256.New()
	for _, v := range [][]float32{d.Head.Head.Weight, d.Head.Head.Bias} {
		if err := binary.Write(start, binary.LittleEndian, v); err != nil {
			return nil, fmt.Errorf("finetune: %w", err)
		}
	}
	of := map[string]string{
		"plan": string(plan), "network": d.Net.Row.Name + " " + d.Net.Identity(), "preset": d.Net.Preset.Digest(), "pictures": fmt.Sprintf("%d, %x", len(d.Train), pictures.Sum(nil)),
		"head": fmt.Sprintf("%x", start.Sum(nil)), "engine": d.Engine.Identity(),
		// Increase this when a step changes the order of its sums: a training that began with the
		// old order cannot end with the same bits.
		"arithmetic": "2",
	}
	if forms := p.forms(d.Net, d.Engine.Name); forms != "" {
		of["form"] = forms
	}
	return of, nil
}

// item returns the index in Train of the picture of a row of Features.
func (d Data) item(row int) int {
	if d.Rows == nil {
		return row
	}
	return d.Rows[row]
}
