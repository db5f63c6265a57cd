package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// written is tlkit features --json.
type written struct {
	Files    []string       `json:"files"` // none if no picture could be read
	Model    string         `json:"model"`
	Pictures int            `json:"pictures"`      // rows
	Features int            `json:"features"`      // numbers a row
	Map      []int          `json:"map,omitempty"` // [h,w,channels] of a row, with --stage
	Cached   int            `json:"cached"`        // rows that were computed before
	LeftOut  []datasets.Bad `json:"left_out"`      // pictures that cannot be read
}

func (c *command) features() *cobra.Command {
	s, file, stage := run.Spec{}, features.File{}, ""
	cmd := &cobra.Command{
		Use:   "features PICTURE... -o FILE",
		Short: "Write the features of pictures as NumPy, CSV or safetensors",
		Long: `Write the features of pictures: the numbers that a frozen network computes from each, and
that train learns from. They are kept in the same cache, so what was computed once costs
nothing. A PICTURE may be a folder, for all pictures in it and below, a pattern such as
"photos/*.jpg", or - for names on standard input, one a line.

FILE ends in
  .npy          float32 [N,C] for numpy.load; FILE.txt lists the N paths, one a line
  .csv          a line for each picture: its path and C numbers
  .safetensors  the tensor features [N,C]; the metadata has the paths as a JSON list

With --stage, the numbers are the map behind a stage of the network: where in a picture something
is, not only what. C is then h*w*channels, cell by cell, row by row from the top left, and the
whole picture is seen, without a crop.

A picture that cannot be read is left out and named at the end; the exit status is then 2,
or 1 when none can be read.`,
		Example: `  tlkit features photos -o photos.npy
  tlkit features photos -o photos.csv --model resnet18
  tlkit features photos -o maps.npy --stage features.13
  find photos -mtime -1 | tlkit features - -o new.safetensors`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return nil
			}
			return advice.New(errors.New("features: no picture is named"), "tlkit features DIR -o FILE.npy")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if file.Path == "" {
				return advice.New(errors.New("features: no file to write was named"), "tlkit features %s -o FILE.npy", invoke.Quote(args[0]))
			}
			if err := c.replacing(&file.Force, func() error { return file.Check() }); err != nil {
				return err
			}
			for _, path := range file.Files() {
				if sameFile(path, s.Weights) {
					return advice.New(fmt.Errorf("features: %s is the weights file", path), "name another file to write")
				}
			}
			pictures, err := picturePaths(cmd.Context(), cmd.Name(), args)
			if err != nil {
				return err
			}
			m, err := c.rows(cmd, s, stage, pictures)
			if err != nil {
				return err
			}
			out := written{Files: []string{}, Model: s.Model, Pictures: m.Rows(), Features: m.Features, Cached: m.Cached, LeftOut: unread(m, pictures)}
			if stage != "" {
				out.Map = m.Map[:]
			}
			if m.Rows() > 0 {
				if err := file.Write(m, pictures); err != nil {
					return err
				}
				out.Files = file.Files()
				if !c.json {
					c.say("%s  %d pictures, %d features each, by %s (%d computed before)", strings.Join(out.Files, ", "), out.Pictures, out.Features, out.Model, out.Cached)
				}
			}
			c.result = out
			return c.sayLeftOut(cmd, out.LeftOut, len(pictures))
		},
	}
	modelFlag(cmd, &s.Model)
	networkFlags(cmd, &s)
	cmd.Flags().StringVarP(&file.Path, "out", "o", "", "the file to write: .npy, .csv or .safetensors")
	cmd.Flags().StringVar(&stage, "stage", "", "write the map behind this stage of the network instead of its features")
	forceFlag(cmd, &file.Force)
	return cmd
}

// rows computes the features of pictures, or the maps behind a stage, or reads those that were computed
// before.
func (c *command) rows(cmd *cobra.Command, s run.Spec, stage string, pictures []string) (*features.Matrix, error) {
	return agreed(c, func() (*features.Matrix, error) {
		p := c.progress()
		defer p.close()
		if stage != "" {
			return s.Maps(cmd.Context(), stage, pictures, c.place(), p)
		}
		return s.Features(cmd.Context(), pictures, c.place(), p)
	})
}

// unread lists the pictures without a row.
func unread(m *features.Matrix, pictures []string) []datasets.Bad {
	out := []datasets.Bad{}
	for _, b := range m.Bad {
		path := pictures[b.Item]
		out = append(out, datasets.Bad{Rel: path, Why: strings.TrimPrefix(b.Err.Error(), path+": ")})
	}
	return out
}

// sayLeftOut names the pictures that cannot be read, of so many. The error, if there are any, sets the
// exit status.
func (c *command) sayLeftOut(cmd *cobra.Command, bad []datasets.Bad, all int) error {
	if len(bad) == 0 {
		return nil
	}
	if c.json {
		_ = c.print(c.result)
	}
	for _, b := range bad {
		c.note("left out: %s: %s", words.Plain(b.Rel), words.Plain(b.Why))
	}
	if len(bad) == all {
		return &reported{fmt.Errorf("%s: none of %d pictures can be read", cmd.Name(), all)}
	}
	return &partly{fmt.Errorf("%s: %d of %d pictures cannot be read and are left out", cmd.Name(), len(bad), all)}
}

// sameFile reports whether both names stand for one file that exists.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
