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
	switch c.task {
	case Values:
		for k, column := range c.values {
			v, err := value(rec[column])
			if err != nil {
				return row, fmt.Errorf("column %q of %q: %w", c.names[k], row.file, err)
			}
			row.values = append(row.values, v)
		}
	case Labels:
		for l := range strings.SplitSeq(rec[c.label], ";") {
			l = strings.TrimSpace(l)
			if l != "" {
				row.labels = append(row.labels, strings.Clone(l))
			}
		}
		slices.Sort(row.labels)
		row.labels = slices.Compact(row.labels)
	default:
		row.label = strings.TrimSpace(strings.Clone(rec[c.label]))
		switch {
		case row.label == "":
			return row, advice.New(fmt.Errorf("no label for %q", row.file), "if a picture may have none or several, call the column labels")
		case strings.Contains(row.label, ";"):
			return row, advice.New(fmt.Errorf("the label %q of %q has a semicolon in it", row.label, row.file), "if these are several labels, the first line must be path,labels, if it is one, write it without the semicolon")
		}
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

// name sets Labels from the rows with readable pictures.
func (d *Dataset) name(t csvTable, rows []csvRow, readable func(i int) bool) error {
	if d.Task == Values {
		d.Labels = t.names
		return nil
	}
	all := map[string]int{}
	n, single, numbers := 0, true, true
	for i, row := range rows {
		if !readable(i) {
			continue
		}
		n++
		single = single && len(row.labels) == 1
		for _, l := range row.labels {
			all[l] = 0
		}
		if d.Task == Classes {
			all[row.label] = 0
			_, err := value(row.label)
			numbers = numbers && err == nil
		}
	}
	d.Labels = sortedKeys(all)
	switch {
	case d.Task == Labels && n > 0 && len(d.Labels) == 0:
		return mark(errCSV, fmt.Errorf("datasets: the column of labels is empty on every line"))
	case d.Task == Labels && n*len(d.Labels) > maxTargets:
		return mark(errCSV, advice.New(fmt.Errorf("datasets: %d pictures with %d different labels", n, len(d.Labels)), "is this a column of sentences?"))
	case d.Task == Labels && single && len(d.Labels) > 1:
		d.warn("every picture has exactly one label; if the labels exclude each other, call the column label")
	case d.Task == Classes && numbers && len(d.Labels) > 10 && 2*len(d.Labels) > n:
		d.warn("the labels are %d different numbers; to learn them as numbers, name the column after what they measure, as in path,angle", len(d.Labels))
	}
	return nil
}

// labelWords returns the labels of a picture in words.
func labelWords(labels []string) string {
	if len(labels) == 0 {
		return "(none of the labels)"
	}
	return strings.Join(labels, ";")
}

// valueWords returns the values of a picture in words.
func valueWords(names []string, values []float64) string {
	words := make([]string, len(values))
	for k, v := range values {
		words[k] = fmt.Sprintf("%s %v", names[k], v)
	}
	return strings.Join(words, ", ")
}
