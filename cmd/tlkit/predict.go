package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// stdin is where "-" reads the names of pictures from; tests replace it.
var stdin io.Reader = os.Stdin

// here is the current folder, for names of runs and heads.
var here run.Place

func (c *command) predict() *cobra.Command {
	var weights, entry string
	var form engine.Form
	top := 1
	cmd := &cobra.Command{
		Use:   "predict HEAD PICTURE...",
		Short: "Predict what is in pictures, with a trained head",
		Long: `Predict what is in pictures, with a head file that train has written. HEAD may also be the
folder or the name of a run. A PICTURE may be a folder, for all pictures in it and below, a
pattern such as "photos/*.jpg", or - for names on standard input, one a line.

Each picture gets a line: path, label, probability. --json prints a list of path, label,
probability and probabilities. A head for several labels prints those at or above their
thresholds (labels and probabilities in JSON; labels may be []). A head for values prints
numbers in the units of its training data (values in JSON).

A picture that cannot be read is reported, and the others are still predicted; the exit
status is 1 when none can be read.`,
		Example: `  tlkit predict my.head.safetensors photos/*.jpg
  tlkit predict my.head.safetensors photos --top 3
  find photos -mtime -1 | tlkit predict my.head.safetensors -`,
		Args: predictArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if top < 1 {
				return fmt.Errorf("predict: --top is %d, want 1 or more", top)
			}
			if _, err := here.HeadPath(args[0]); err != nil {
				return err
			}
			pictures, err := pictures(cmd.Context(), args[1:])
			if err != nil {
				return err
			}
			predictions, err := agreed(c, func() ([]export.Prediction, error) {
				p := c.progress()
				defer p.close()
				return run.Predict(cmd.Context(), run.HeadSpec{Head: args[0], Weights: weights, Entry: entry, Form: form}, pictures, c.place(), p)
			})
			if err != nil {
				return err
			}
			c.result = predictions
			return c.sayPredictions(predictions, top)
		},
	}
	cmd.Flags().StringVar(&weights, "weights", "", "the backbone's weights file, if it is not the published one")
	cmd.Flags().StringVar(&entry, "entry", "", "where in that file the weights are (default: where they were when the head was trained)")
	formFlag(cmd, &form)
	cmd.Flags().IntVar(&top, "top", 1, "print so many labels a picture, the most probable first (heads for one label a picture)")
	return cmd
}

// predictArgs explains what is missing when there is no head or no picture.
func predictArgs(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return nil
	}
	const usage = "tlkit predict HEAD PICTURE…, with pictures, folders or -"
	if len(args) == 0 {
		fix := usage
		if heads := here.Heads(); len(heads) > 0 {
			fix += ", and as HEAD one of " + words.Some(heads[:min(len(heads), 3)])
		}
		return advice.New(errors.New("predict: neither a head nor a picture is named"), "%s", fix)
	}
	if info, err := os.Stat(args[0]); err == nil && info.Mode().IsRegular() && !strings.HasSuffix(args[0], ".safetensors") {
		fix := usage
		if heads := here.Heads(); len(heads) > 0 {
			fix = "name the head first: tlkit predict " + invoke.Quote(heads[0]) + " " + invoke.Quote(args[0])
		}
		return advice.New(fmt.Errorf("predict: %s is no head, and nothing else is named", args[0]), "%s", fix)
	}
	if _, err := here.HeadPath(args[0]); err != nil {
		return err
	}
	return advice.New(fmt.Errorf("predict: no picture is named for the head %s", args[0]), "%s", usage)
}

// pictures returns the paths that arguments stand for.
func pictures(ctx context.Context, args []string) ([]string, error) {
	var out []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		switch {
		case arg == "-":
			names, err := pictureNames(stdin)
			if err != nil {
				return nil, fmt.Errorf("predict: reading names from standard input: %w", err)
			}
			out = append(out, names...)
		case err == nil && info.IsDir():
			found, err := datasets.Pictures(ctx, arg)
			if err != nil {
				return nil, err
			}
			if len(found) == 0 {
				return nil, advice.New(fmt.Errorf("predict: no file in %s is named like a picture", arg), "name the files, or another folder")
			}
			out = append(out, found...)
		case err != nil && strings.ContainsAny(arg, "*?["):
			found, err := filepath.Glob(arg)
			if err != nil || len(found) == 0 {
				return nil, advice.New(fmt.Errorf("predict: no file matches %s", arg), "check the folder and the ending, or name the folder itself")
			}
			more, err := pictures(ctx, found)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		default: // what is wrong with it is said beside its name
			out = append(out, arg)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("predict: no picture is named")
	}
	return out, nil
}

// pictureNames returns the lines of r that are not empty. Names that are separated by zero bytes, as by
// find -print0, are lines too.
func pictureNames(r io.Reader) ([]string, error) {
	var out []string
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		for name := range strings.SplitSeq(s.Text(), "\x00") {
			if name = strings.TrimSuffix(name, "\r"); strings.TrimSpace(name) != "" {
				out = append(out, name)
			}
		}
	}
	return out, s.Err()
}

// sayPredictions prints a line for each picture. It is an error if none could be read.
func (c *command) sayPredictions(all []export.Prediction, top int) error {
	const widest = 120 // a longer path does not push the others aside
	path, label, failed := 0, 0, 0
	for _, p := range all {
		path = max(path, min(utf8.RuneCountInString(words.Plain(p.Path)), widest))
		for _, r := range ranked(p)[:min(top, len(p.Probabilities))] {
			label = max(label, utf8.RuneCountInString(words.Shorten(r, 40)))
		}
	}
	for _, p := range all {
		name := fmt.Sprintf("%-*s", path, words.Plain(p.Path))
		switch {
		case p.Error != "":
			failed++
			c.say("%s  cannot be read: %s", name, words.Plain(p.Error))
		case c.json:
		case p.Labels != nil || p.Values != nil:
			c.say("%s  %s", name, words.Plain(p.Words()))
		default:
			for _, l := range ranked(p)[:min(top, len(p.Probabilities))] {
				name += fmt.Sprintf("  %-*s %5.1f %%", label, words.Shorten(l, 40), 100*p.Probabilities[l])
			}
			c.say("%s", name)
		}
	}
	if failed < len(all) {
		return nil
	}
	if c.json {
		_ = c.print(all)
	}
	return &reported{fmt.Errorf("predict: none of %d pictures can be read", failed)}
}

// ranked returns the labels of a prediction, the most probable first.
func ranked(p export.Prediction) []string {
	labels := make([]string, 0, len(p.Probabilities))
	for l := range p.Probabilities {
		labels = append(labels, l)
	}
	slices.SortFunc(labels, func(a, b string) int {
		// Of equal ones, the label that is the answer comes first.
		first := func(l string) int {
			if l == p.Label {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(p.Probabilities[b], p.Probabilities[a]), cmp.Compare(first(a), first(b)), strings.Compare(a, b))
	})
	return labels
}
