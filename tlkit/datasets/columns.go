package datasets

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/internal/advice"
)

// headers lists the possible headers for messages.
const headers = `"path,label" for one label a picture, "path,labels" for several as in a;b, "path,x,y" for numbers, each with a column "split" if you like`

// columnWords maps the names that a header may use to the columns they mean.
var columnWords = map[string]string{
	"path": "path", "file": "path", "filename": "path", "file_name": "path", "image": "path", "picture": "path", "image_path": "path",
	"label": "label", "class": "label", "class_name": "label", "category": "label", "target": "label",
	"labels": "labels", "tags": "labels",
	"split": "split", "set": "split", "subset": "split",
}

// Limits that keep a wrong file from filling the memory with targets.
const (
	maxValues  = 1000
	maxTargets = 1 << 27 // pictures times labels
)

// csvColumns says what the columns of a CSV file hold.
type csvColumns struct {
	task               Task
	path, label, split int // split -1 = no such column
	values             []int
	names              []string // of the values
}

// headerOf reads the first line. It returns nil if the line names no path and so is not a
// header.
func headerOf(rec []string) (*csvColumns, error) {
	found, others := map[string]int{}, []int(nil)
	for i, cell := range rec {
		cell = strings.TrimSpace(cell)
		what, known := columnWords[strings.ToLower(cell)]
		if _, twice := found[what]; !known || twice {
			others = append(others, i)
			continue
		}
		found[what] = i
	}
	path, ok := found["path"]
	if !ok {
		return nil, nil
	}
	c := &csvColumns{task: Classes, path: path, split: -1}
	if column, ok := found["split"]; ok {
		c.split = column
	}
	label, one := found["label"]
	labels, several := found["labels"]
	switch {
	case one && several:
		return nil, advice.New(fmt.Errorf("the columns %q and %q both hold labels", rec[label], rec[labels]), "keep one of them: %s", headers)
	case one:
		c.label = label
		return c, nil
	case several:
		c.task, c.label = Labels, labels
		return c, nil
	case len(others) == 0:
		return nil, advice.New(errors.New("the header names nothing to learn"), "want %s", headers)
	case len(others) > maxValues:
		return nil, fmt.Errorf("%d columns of values, want at most %d", len(others), maxValues)
	}
	c.task, c.values = Values, others
	for _, i := range others {
		name := strings.Clone(strings.TrimSpace(rec[i]))
		switch {
		case name == "":
			return nil, advice.New(fmt.Errorf("column %d has no name", i+1), "without a column label or labels each further column is a value to learn: name it, or remove it")
		case slices.Contains(c.names, name):
			return nil, advice.New(fmt.Errorf("two columns are called %q", name), "rename one")
		}
		c.names = append(c.names, name)
	}
	return c, nil
}

// row reads one line.
func (c csvColumns) row(rec []string) (csvRow, error) {
	row := csvRow{file: strings.Clone(rec[c.path])}
	if row.file == "" {
		return row, errors.New("no path")
	}
	if err := c.task.kind().read(c, rec, &row); err != nil {
		return row, err
	}
	if c.split >= 0 {
		s, ok := data.SplitNamed(strings.TrimSpace(rec[c.split]))
		if !ok {
			return row, advice.New(fmt.Errorf("split %q, want train, valid or test", rec[c.split]), "with other columns the first line must name them: %s", headers)
		}
		row.split = s
	}
	return row, nil
}

// value reads a number.
func value(cell string) (float64, error) {
	cell = strings.TrimSpace(cell)
	if cell == "" {
		return 0, advice.New(errors.New("it is empty"), "fill it in, or remove the line")
	}
	v, err := strconv.ParseFloat(cell, 64)
	switch {
	case err != nil && strings.Count(cell, ",") == 1:
		return 0, advice.New(fmt.Errorf("%q is not a number", cell), "write decimals with a point")
	case err != nil:
		return 0, advice.New(fmt.Errorf("%q is not a number", cell), "without a column label or labels each further column is a value to learn: remove those that are not, or call one label")
	case math.IsNaN(v) || math.Abs(v) > math.MaxFloat32/4:
		return 0, advice.New(fmt.Errorf("%q cannot be learnt", cell), "fill it in, or remove the line")
	}
	return v, nil
}
