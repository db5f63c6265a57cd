package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/tlkit/answers"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
)

// The files of a run's folder that are only read for the model card.
const (
	dataFile   = "data.json"
	reportFile = "report.json"
)

// dataFacts is the content of data.json: what the data set had, without the names of its files.
type dataFacts struct {
	Name   string `json:"name"`
	Title  string `json:"title,omitempty"` // of a ready set
	Origin string `json:"origin,omitempty"`
	Table  string `json:"table,omitempty"`  // how a CSV file was read
	Dealt  bool   `json:"dealt,omitempty"`  // valid was chosen by the seed
	Groups int    `json:"groups,omitempty"` // of pictures that belong together; 0 = none were declared

	Splits []datasets.Count `json:"splits"` // pictures of each
	Counts []datasets.Count `json:"counts"` // of each label in each split

	Unreadable  int `json:"unreadable"`
	NotPictures int `json:"not_pictures"`
	Skipped     int `json:"skipped"`
	Duplicates  int `json:"duplicates"` // groups of files with the same content
	Dropped     int `json:"dropped"`    // files left out because of them
	Leaks       int `json:"leaks"`      // groups in more than one split

	Warnings []string `json:"warnings,omitempty"`
}

func factsOf(ds *datasets.Dataset) dataFacts {
	r := ds.Report
	f := dataFacts{
		Name: ds.Name, Table: r.Table, Dealt: ds.Dealt, Groups: ds.Groups(), Counts: r.Counts, Warnings: r.Warnings,
		Unreadable: len(r.Unreadable), NotPictures: len(r.NotPicture), Skipped: len(r.Skipped), Duplicates: len(r.Duplicates), Leaks: len(r.Leaks()),
	}
	if ds.Set != nil {
		f.Title, f.Origin, f.Table = ds.Set.Title, ds.Set.Origin, ""
	}
	for _, d := range r.Duplicates {
		f.Dropped += d.Dropped
	}
	for _, s := range ds.Splits() {
		f.Splits = append(f.Splits, datasets.Count{Split: s, N: len(ds.In(s))})
	}
	return f
}

// reportFacts is the content of report.json: the report of the first seed.
type reportFacts struct {
	Report json.RawMessage `json:"report"` // of its task, see package evaluate
	Table  evaluate.Table  `json:"table"`
	Figure string          `json:"figure"` // what the figure shows, in words
}

// writeFacts writes data.json, report.json and the answers.
func (f *folder) writeFacts(t *training) error {
	raw, err := json.Marshal(t.report)
	if err != nil {
		return fmt.Errorf("run: %s: %w", reportFile, err)
	}
	// In one line: the confusions of a thousand labels are a million numbers.
	raw, err = json.Marshal(reportFacts{raw, t.report.Table(), t.report.Figure().Text()})
	if err == nil {
		err = atomicfile.WriteBytes(f.file(reportFile), append(raw, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("run: %s: %w", reportFile, err)
	}
	if err := t.answered().Write(f.file(answers.File)); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return f.write(dataFile, factsOf(t.opened.data))
}

// answered returns what the run answers about the reported pictures.
func (t *training) answered() *answers.Answers {
	truth := t.eval.s
	truth.X = nil
	a := &answers.Answers{Task: t.opened.data.Task, Names: t.opened.data.Labels, Split: t.split, Files: t.eval.files(), Truth: truth, Logits: t.logits}
	for _, item := range t.eval.items {
		a.Pictures = append(a.Pictures, item.SHA256)
	}
	return a
}

// readFacts reads a file of writeFacts; nil = the run is of a version that did not write it.
func readFacts[T any](f *folder, name string) (*T, error) {
	raw, err := os.ReadFile(f.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	v := new(T)
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		return nil, fmt.Errorf("run: %s: %w", f.file(name), err)
	}
	return v, nil
}

// perLabel returns the number of pictures of each label; nil for values.
func perLabel(t datasets.Task, items []datasets.Item, labels int) []int {
	if t == datasets.Values {
		return nil
	}
	n := make([]int, labels)
	for _, item := range items {
		if item.Targets == nil && item.Class >= 0 {
			n[item.Class]++
		}
		for k, v := range item.Targets {
			if v != 0 {
				n[k]++
			}
		}
	}
	return n
}
