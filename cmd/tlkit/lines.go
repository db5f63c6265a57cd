package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/export"
)

// lineFormat is how predict writes a line for each picture.
type lineFormat string

const (
	jsonLines lineFormat = "jsonl"
	csvLines  lineFormat = "csv"
)

// lineWriter writes predictions as they come. Each line is one Write, so that a reader never sees part
// of one.
type lineWriter struct {
	w      io.Writer
	format lineFormat
	head   *export.Head
	top    int  // labels in a line of CSV
	begun  bool // the names of the columns are written
}

// header returns the names of the columns of CSV.
func (l *lineWriter) header() []string {
	names := []string{"path"}
	switch l.head.Task {
	case datasets.Values:
		names = append(names, l.head.Labels...)
	case datasets.Labels:
		names = append(append(names, "labels"), l.head.Labels...)
	default:
		names = append(names, "label", "probability")
		for i := range l.labels() - 1 {
			n := strconv.Itoa(i + 2)
			names = append(names, "label_"+n, "probability_"+n)
		}
	}
	return append(names, "error")
}

// labels is the number of labels in a line, for one label a picture.
func (l *lineWriter) labels() int { return min(l.top, len(l.head.Labels)) }

// write writes the line of a picture, below the names of the columns of CSV.
func (l *lineWriter) write(p export.Prediction) error {
	if l.format == csvLines {
		if !l.begun {
			if err := l.record(l.header()); err != nil {
				return err
			}
			l.begun = true
		}
		return l.record(l.fields(p))
	}
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil {
		return err
	}
	_, err := l.w.Write(line.Bytes())
	return err
}

// fields returns the columns of a prediction.
func (l *lineWriter) fields(p export.Prediction) []string {
	fields := make([]string, len(l.header()))
	fields[0], fields[len(fields)-1] = p.Path, p.Error
	if p.Error != "" {
		return fields
	}
	rest := fields[1:]
	switch l.head.Task {
	case datasets.Values:
		for i, name := range l.head.Labels {
			rest[i] = exactly(p.Values[name])
		}
	case datasets.Labels:
		rest[0] = strings.Join(p.Labels, "|")
		for i, name := range l.head.Labels {
			rest[1+i] = exactly(p.Probabilities[name])
		}
	default:
		for i, label := range ranked(p)[:l.labels()] {
			rest[2*i], rest[2*i+1] = label, exactly(p.Probabilities[label])
		}
		rest[0], rest[1] = p.Label, exactly(p.Probability)
	}
	return fields
}

// exactly formats a number so that reading it gives the same one.
func exactly(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// record writes a line of CSV.
func (l *lineWriter) record(fields []string) error {
	var line bytes.Buffer
	w := csv.NewWriter(&line)
	if err := w.Write(fields); err != nil {
		return err
	}
	w.Flush()
	_, err := l.w.Write(line.Bytes())
	return err
}
