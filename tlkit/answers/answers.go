// Package answers keeps what a model answered about the pictures that it was scored on, so that two
// models can later be compared picture by picture, without computing anything again.
//
//	a, err := answers.Read(".tlkit/ants/answers.safetensors") // every run writes one
//	gain, err := a.Against(b)                                   // b minus a, on the pictures that both have
//	fmt.Println(gain.Describe(metrics.Accuracy))
//
// The interval of such a difference is narrower than the intervals of the two scores make it look,
// because most pictures are easy, or hard, for both.
package answers

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// File is the name of the file in a run's folder.
const File = "answers.safetensors"

// Answers are the outputs of a model for N pictures that it did not learn from.
type Answers struct {
	Task  datasets.Task
	Names []string // K labels or values
	Split string
	// Pictures has the sha256 of each picture, by which it is found again in other answers, and Files
	// its name.
	Pictures, Files []string
	Truth           head.Samples // without features
	Logits          []float32    // [N, K]
}

// about is the metadata of the file.
type about struct {
	Task     datasets.Task `json:"task"`
	Names    []string      `json:"names"`
	Split    string        `json:"split"`
	Pictures []string      `json:"pictures"`
	Files    []string      `json:"files"`
	Classes  []int         `json:"classes,omitempty"`
	Targets  []float64     `json:"targets,omitempty"`
	Clusters []int         `json:"clusters,omitempty"` // which pictures belong together
}

const (
	metadata = "tlkit.answers"
	tensor   = "logits"
)

// check reports parts that do not fit together.
func (a *Answers) check() error {
	n, k := len(a.Pictures), len(a.Names)
	switch {
	case n == 0 || k == 0:
		return fmt.Errorf("answers: %d pictures with %d outputs, want some", n, k)
	case len(a.Files) != n || len(a.Logits) != n*k:
		return fmt.Errorf("answers: %d file names and %d numbers for %d pictures with %d outputs", len(a.Files), len(a.Logits), n, k)
	case a.Truth.Targets == nil && len(a.Truth.Y) != n, a.Truth.Targets != nil && len(a.Truth.Targets) != n*k:
		return fmt.Errorf("answers: %d labels and %d targets for %d pictures with %d outputs", len(a.Truth.Y), len(a.Truth.Targets), n, k)
	}
	if a.Truth.Clusters != nil && len(a.Truth.Clusters) != n {
		return fmt.Errorf("answers: %d of %d pictures say which belong together, want all or none", len(a.Truth.Clusters), n)
	}
	for i, c := range a.Truth.Y {
		if c < 0 || c >= k {
			return fmt.Errorf("answers: picture %d has label number %d, want 0 to %d", i, c, k-1)
		}
	}
	return nil
}

// Write writes the answers to a file. An older one stays until the new one is complete.
func (a *Answers) Write(path string) error {
	if err := a.check(); err != nil {
		return err
	}
	text, err := json.Marshal(about{a.Task, a.Names, a.Split, a.Pictures, a.Files, a.Truth.Y, a.Truth.Targets, a.Truth.Clusters})
	if err != nil {
		return fmt.Errorf("answers: %w", err)
	}
	logits := weights.FromFloat32(tensor, []int{len(a.Pictures), len(a.Names)}, a.Logits)
	if err := weights.WriteSafetensors(path, []weights.Tensor{logits}, map[string]string{metadata: string(text)}); err != nil {
		return fmt.Errorf("answers: %w", err)
	}
	return nil
}

// Read reads what Write has written.
func Read(path string) (*Answers, error) {
	f, err := weights.Open(path)
	if err != nil {
		return nil, fmt.Errorf("answers: %w", err)
	}
	defer f.Close()
	t, ok := f.Tensor(tensor)
	var m about
	if err := json.Unmarshal([]byte(f.Metadata[metadata]), &m); !ok || err != nil {
		return nil, advice.New(fmt.Errorf("answers: %s does not hold the answers of a run", path), "train the run again with --retrain")
	}
	a := &Answers{Task: m.Task, Names: m.Names, Split: m.Split, Pictures: m.Pictures, Files: m.Files, Truth: head.Samples{Y: m.Classes, Targets: m.Targets, Classes: len(m.Names), Clusters: m.Clusters}}
	if a.Logits, err = t.Float32(); err != nil {
		return nil, fmt.Errorf("answers: %s: %w", path, err)
	}
	if err := a.check(); err != nil {
		return nil, fmt.Errorf("%w (%s)", err, path)
	}
	return a, nil
}

// Gain is a difference between two models, and on how many pictures.
type Gain struct {
	metrics.Gain
	Metric   metrics.Metric `json:"metric"`
	Pictures int            `json:"pictures"` // that both were scored on
}

// Signed formats the difference and its interval: "+5.4 points", "+3.4 to +7.3".
func (g Gain) Signed() (value, interval string) {
	value, interval, _ = strings.Cut(strings.TrimSuffix(g.Brief(g.Metric), ")"), " (")
	if g.Metric != metrics.R2 {
		value += " points"
	}
	return value, interval
}

// Against returns the score of b minus that of a on the pictures that both have, in the metric of their
// task, with its 95 % interval; see [task.Task]. It is an error if they have different tasks or labels,
// no picture in common, or disagree about what is true.
func (a *Answers) Against(b *Answers) (Gain, error) {
	if a.Task != b.Task || !slices.Equal(a.Names, b.Names) {
		return Gain{}, advice.New(errors.New("answers: the two models do not predict the same labels or values"), "compare runs on the same data")
	}
	kind, err := task.Named(a.Task)
	if err != nil {
		return Gain{}, err
	}
	mine, theirs, err := a.shared(b)
	if err != nil {
		return Gain{}, err
	}
	before, after := a.of(mine), b.of(theirs)
	if before.differs(after) {
		return Gain{}, advice.New(errors.New("answers: the same pictures have other labels or values in the two runs"), "train both again on the same data")
	}
	gain, err := kind.Compare(before.Truth, before.Logits, after.Logits)
	if err != nil {
		return Gain{}, fmt.Errorf("answers: %w", err)
	}
	return Gain{Gain: gain, Metric: kind.Metric(), Pictures: len(mine)}, nil
}

// shared returns the rows of the pictures that both have, in the order of a.
func (a *Answers) shared(b *Answers) (mine, theirs []int, err error) {
	row := map[string]int{}
	for i, p := range b.Pictures {
		if _, twice := row[p]; !twice {
			row[p] = i
		}
	}
	taken := map[int]bool{}
	for i, p := range a.Pictures {
		if j, ok := row[p]; ok && !taken[j] {
			taken[j] = true
			mine, theirs = append(mine, i), append(theirs, j)
		}
	}
	if len(mine) == 0 {
		return nil, nil, advice.New(errors.New("answers: no picture was held back in both runs"), "compare runs on the same data with the same split; where it is dealt by seed, with the same seed")
	}
	return mine, theirs, nil
}

// of returns some rows.
func (a *Answers) of(rows []int) *Answers {
	k := len(a.Names)
	out := &Answers{Task: a.Task, Names: a.Names, Split: a.Split, Truth: a.Truth.Select(rows)}
	for _, i := range rows {
		out.Pictures, out.Files = append(out.Pictures, a.Pictures[i]), append(out.Files, a.Files[i])
		out.Logits = append(out.Logits, a.Logits[i*k:(i+1)*k]...)
	}
	return out
}

// differs reports whether the truth about the same pictures differs.
func (a *Answers) differs(b *Answers) bool {
	return !slices.Equal(a.Truth.Y, b.Truth.Y) || !slices.Equal(a.Truth.Targets, b.Truth.Targets)
}
