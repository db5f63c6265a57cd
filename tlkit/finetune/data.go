package finetune

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Data is what fine-tuning starts from, learns from and is measured on.
type Data struct {
	Net     *zoo.Net
	Engine  *engine.Engine
	Task    task.Task       // what is learnt about a picture; nil = task.Classes
	Train   []datasets.Item // with classes from 0 to Outputs-1, or with targets
	Valid   []datasets.Item // measured, never chosen on; may be empty
	Split   string          // what Valid is called in the history; "" = valid
	Outputs int             // classes, labels or values

	Head     *head.Fit    // the fitted head: training starts from it
	Features head.Samples // what it was fitted on
	Rows     []int        // the picture of Train that each row of Features is of; nil = row i is picture i
	Steps    int          // of the head's history, so that the curve goes on behind it

	Folder string // where checkpoints go; "" = none are made, and an interrupt loses the training
	Resume bool   // go on from the checkpoints in Folder; else they are removed
	Every  int    // steps between two checkpoints; 0 = as often as a hundredth of the time allows

	State func(what string, done, total int) // progress; may be nil
	Say   func(sentence string)              // what a person should hear; may be nil
}

func (d Data) task() task.Task {
	if d.Task == nil {
		return task.Classes{}
	}
	return d.Task
}

// outputs is Outputs, or what the pictures have, for a plan that is made before the rest is known.
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

// check reports what is wrong with the data, or with the plan for them, and returns what they ask of
// the network.
func (d Data) check(p Plan) (o objective, err error) {
	switch {
	case d.Net == nil || d.Engine == nil || d.Head == nil || d.Head.Head == nil:
		return o, errors.New("finetune: fine-tuning needs a net, an engine and a fitted head: call learner.FitHead first")
	case len(d.Train) == 0 || d.Outputs < 1 || d.Outputs == 1 && d.task().Name() == datasets.Classes:
		return o, fmt.Errorf("finetune: fine-tuning on %d pictures of %d classes, want at least 2 classes and pictures of them", len(d.Train), d.Outputs)
	case d.Head.Head.Classes != d.Outputs || d.Head.Head.Features != d.Net.Row.Features:
		return o, fmt.Errorf("finetune: a head of %d classes on %d features, the pictures have %d classes, the net gives %d features", d.Head.Head.Classes, d.Head.Head.Features, d.Outputs, d.Net.Row.Features)
	case d.Rows == nil && d.Features.Len() != len(d.Train) || d.Rows != nil && len(d.Rows) != d.Features.Len():
		return o, fmt.Errorf("finetune: %d rows of features for %d training pictures", d.Features.Len(), len(d.Train))
	}
	if o, err = newObjective(d); err != nil {
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

// identity names all that a checkpoint depends on.
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
	return map[string]string{
		"plan": string(plan), "network": d.Net.Row.Name + " " + d.Net.Identity(), "preset": d.Net.Preset.Digest(), "pictures": fmt.Sprintf("%d, %x", len(d.Train), pictures.Sum(nil)),
		"head": fmt.Sprintf("%x", start.Sum(nil)), "engine": d.Engine.Identity(),
		// Another number whenever a step adds up in another order: what was begun with the old one cannot end with its bits.
		"arithmetic": "2",
	}, nil
}

// item is the picture that a row of features is of.
func (d Data) item(row int) int {
	if d.Rows == nil {
		return row
	}
	return d.Rows[row]
}
