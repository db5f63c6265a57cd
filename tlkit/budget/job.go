package budget

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// job is a training within a budget.
type job struct {
	asked    run.Spec // as the caller wants it
	spec     run.Spec // with the picked network
	budget   Budget
	place    run.Place
	progress run.Progress

	before   time.Duration // spent by the processes that this one continues
	compared bool          // the comparison is over
	epochs   int           // of a fine-tuning that was begun
	picture  float64       // seconds for a picture from file to features, 0 = unknown
	record   Record
	result   *run.Result // the best so far
}

// state is what a later process needs to go on. It is beside the run's folder, because the comparison
// comes before that.
type state struct {
	Spec     run.Spec `json:"spec"`
	Compared bool     `json:"compared"`
	Epochs   int      `json:"epochs,omitempty"`
	Picture  float64  `json:"picture,omitempty"`
	Record   Record   `json:"record"`
}

func (j *job) deadline() time.Time { return j.budget.Began.Add(j.budget.Time - j.before) }
func (j *job) left() time.Duration { return time.Until(j.deadline()) }

// path is where the state is kept.
func (j *job) path() string {
	return filepath.Join(j.place.Folder, run.Home, "."+j.place.Name+".budget.json")
}

// open names the run, and finds what is there to go on from. finished reports that nothing is left to
// do.
func (j *job) open() (finished bool) {
	j.asked = j.spec
	if j.place.Name == "" {
		j.place.Name = run.SafeName(filepath.Base(j.spec.Data)) + "-time-" + digest(j.spec)
	}
	j.record.Asked = j.budget.Time.Seconds()
	var s state
	raw, err := os.ReadFile(j.path())
	if err != nil || json.Unmarshal(raw, &s) != nil || s.Spec != j.asked || !j.place.Resume {
		return false
	}
	j.place.Keep = false // the run in the folder is that of this budget
	stored, err := run.Find(j.place.Folder, j.place.Name)
	if err == nil && !s.Record.Interrupted && s.Record.Asked >= j.record.Asked {
		j.record = s.Record
		return true
	}
	j.before = time.Duration(s.Record.Spent * float64(time.Second))
	if !s.Compared {
		return false
	}
	s.Record.Asked, s.Record.Over, s.Record.Interrupted = j.record.Asked, "", false
	j.record, j.compared, j.epochs, j.picture = s.Record, true, s.Epochs, s.Picture
	j.spec.Model = s.Record.Model
	if err == nil && stored.Result.Model == j.spec.Model {
		j.result = stored.Result
	}
	return false
}

// digest identifies a spec in a name.
func digest(s run.Spec) string {
	b, _ := json.Marshal(s) // a struct of strings and numbers always marshals
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:4])
}

// again returns the result of a budget that was spent, unless its data or weights have changed.
func (j *job) again(ctx context.Context) (*run.Result, error) {
	s := j.asked
	s.Model, s.Finetune = j.record.Model, j.record.Finetune
	if s.Finetune == 0 {
		s = headOf(s)
	}
	j.place.Keep = true // an unfinished fine-tuning may follow this head
	return run.Train(ctx, s, j.place, j.progress)
}

// headOf returns the spec of the head alone.
func headOf(s run.Spec) run.Spec {
	s.Finetune, s.Plan, s.From, s.Rate, s.Batch, s.Mixup, s.Augment, s.LoRA = 0, "", "", 0, 0, 0, "", backbone.LoRA{}
	return s
}

// keep writes down how far the work is. That it fails is no reason to stop: then nobody can go on.
func (j *job) keep() {
	j.record.Spent = (j.before + time.Since(j.budget.Began)).Seconds()
	r := j.record
	r.Interrupted, r.Model = true, j.spec.Model
	j.write(r)
}

func (j *job) write(r Record) {
	b, err := json.MarshalIndent(state{j.asked, j.compared, j.epochs, j.picture, r}, "", "  ")
	if err == nil && os.MkdirAll(filepath.Dir(j.path()), 0o755) == nil {
		_ = atomicfile.WriteBytes(j.path(), b, 0o644)
	}
}

// close writes down how the budget was spent.
func (j *job) close(interrupted bool) error {
	r := &j.record
	r.Spent, r.Interrupted = (j.before + time.Since(j.budget.Began)).Seconds(), interrupted
	if over := r.Spent - r.Asked; over > 0 && r.Over == "" && j.result != nil && !interrupted {
		r.Over = fmt.Sprintf("it took %.1f s longer", over)
	}
	j.write(*r)
	if j.result == nil {
		return nil
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("budget: %w", err)
	}
	return j.result.KeepBudget(raw)
}
