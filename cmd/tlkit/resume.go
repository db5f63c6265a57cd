package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/tlkit/export"
)

// headOf is appended to the name of an output file for the file that says how it was made.
const headOf = ".head"

// origin is what must be the same for an output file to be continued.
type origin struct {
	Head      string     `json:"head"` // sha256 of the head file
	Format    lineFormat `json:"format"`
	Top       int        `json:"top,omitempty"` // of CSV, whose columns it changes
	Threshold float64    `json:"threshold"`
}

// output is the file of predict -o.
type output struct {
	*os.File
	there map[string][]string // by key of a picture, the errors of its lines; "" = none
}

// openOutput opens a file for lines. If it exists and has the same origin, its complete lines stay,
// and what an interrupted process has left of another is cut off. It is an error if the file exists
// and has another origin.
func openOutput(name string, l *lineWriter, o origin) (*output, error) {
	about, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().IsRegular() && info.Size() == 0:
		if err := atomicfile.WriteBytes(name+headOf, about, 0o644); err != nil {
			return nil, fmt.Errorf("predict: %w", err)
		}
	case err != nil:
		return nil, fmt.Errorf("predict: %w", err)
	case !info.Mode().IsRegular():
		return nil, advice.New(fmt.Errorf("predict: %s is not a regular file", name), "leave out -o to write to standard output")
	default:
		got, err := os.ReadFile(name + headOf)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("predict: %w", err)
		}
		if !bytes.Equal(got, about) {
			return nil, advice.New(fmt.Errorf("predict: %s exists and was not written by this head with these flags", name), "name another file, or delete it")
		}
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("predict: %w", err)
	}
	out := &output{File: f, there: map[string][]string{}}
	end, err := out.read(l)
	if err == nil {
		err = f.Truncate(end)
	}
	if err == nil {
		_, err = f.Seek(end, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("predict: %s: %w", name, err)
	}
	l.w, l.begun = out, end > 0
	return out, nil
}

// read reads the lines that are there, and returns where the complete ones end.
func (o *output) read(l *lineWriter) (end int64, err error) {
	if l.format == csvLines {
		return o.readCSV(l.header())
	}
	r := bufio.NewReader(o.File)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return end, nil
		}
		if err != nil {
			return end, err
		}
		var p struct{ Path, Error string }
		if err := json.Unmarshal(line, &p); err != nil || p.Path == "" {
			return end, damaged(n)
		}
		o.add(p.Path, p.Error)
		end += int64(len(line))
	}
}

func (o *output) readCSV(header []string) (end int64, err error) {
	all, err := io.ReadAll(o.File)
	if err != nil {
		return 0, err
	}
	r := csv.NewReader(bytes.NewReader(all))
	r.FieldsPerRecord = len(header)
	for n := 1; ; n++ {
		fields, err := r.Read()
		at := r.InputOffset()
		switch {
		case errors.Is(err, io.EOF):
			return end, nil
		case at == int64(len(all)) && (err != nil || all[at-1] != '\n'):
			return end, nil // the last line, of a process that was killed
		case err != nil || n == 1 && !slices.Equal(fields, header):
			return end, damaged(n)
		}
		if n > 1 {
			o.add(fields[0], fields[len(fields)-1])
		}
		end = at
	}
}

func damaged(line int) error {
	return advice.New(fmt.Errorf("line %d is not what predict wrote", line), "name another file, or delete this one")
}

func (o *output) add(path, why string) {
	o.there[key(path)] = append(o.there[key(path)], why)
}

// left returns the pictures without a line in the file, and those with one that says that they could
// not be read.
func (o *output) left(pictures []picture) (left []picture, bad []export.Prediction) {
	for _, p := range pictures {
		why := o.there[key(p.path)]
		if len(why) == 0 {
			left = append(left, p)
			continue
		}
		if why[0] != "" {
			bad = append(bad, export.Prediction{Path: p.path, Error: why[0]})
		}
		o.there[key(p.path)] = why[1:]
	}
	return left, bad
}

// key is a path as it is read from a file: JSON replaces bytes that are not UTF-8, and CSV the ends of
// lines of Windows.
func key(path string) string {
	return strings.ReplaceAll(string([]rune(path)), "\r\n", "\n")
}
