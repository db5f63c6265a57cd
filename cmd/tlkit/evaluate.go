package main

import (
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

func (c *command) evaluate() *cobra.Command {
	s, place := run.Spec{}, run.Place{}
	var zeroShot, figures string
	cmd := &cobra.Command{
		Use:   "evaluate HEAD|MODEL DIR|SET",
		Short: "Measure a head file, or a pretrained classifier as it is, on labelled pictures",
		Long: `Measure a head file or a pretrained classifier on labelled pictures.

HEAD is a file written by train, or the folder or name of a run: it is measured on the
valid split (else test).
MODEL is a network with a classifier of its own (tlkit models): it is measured zero-shot,
on all pictures. --zero-shot maps its labels to yours.

--figures DIR draws, for a head, the confusion matrix, precision, recall and F1 of each label,
ROC curves and those of precision against recall, the labels most often confused, the worst
mistakes, right predictions, and how often the head is right where it is so sure.`,
		Example: `  tlkit evaluate my.head.safetensors DIR
  tlkit evaluate my.head.safetensors DIR --figures figures
  tlkit evaluate efficientnet_lite0 hymenoptera --zero-shot ants=ant,bees=bee
  tlkit evaluate efficientnet_lite0 hymenoptera --zero-shot ants=ant,bees=bee --statistics imagenet`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return advice.New(fmt.Errorf("evaluate: %d name(s) given, want two: a head or network, and the pictures to measure it on", len(args)), "tlkit evaluate HEAD DIR")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if isHead(args[0]) {
				if s.Statistics != "" || s.Preset != "" || s.Size != 0 || zeroShot != "" {
					return fmt.Errorf("evaluate: a head file has its own preset and labels: --statistics, --preset, --size and --zero-shot are for models")
				}
				if cmd.Flags().Changed("seed") {
					return fmt.Errorf("evaluate: a head file has the seed of its splits: leave out --seed")
				}
			}
			if !isHead(args[0]) && figures != "" {
				return advice.New(errors.New("evaluate: --figures with a model, want a head"), "train one: tlkit train DIR --model %s", args[0])
			}
			e, err := agreed(c, func() (*run.Evaluation, error) {
				c.locate(&place)
				p := c.progress()
				defer p.close()
				if isHead(args[0]) {
					return run.EvaluateHead(cmd.Context(), run.HeadSpec{Head: args[0], Data: args[1], Split: s.Split, Weights: s.Weights, Entry: s.Entry, Columns: s.Columns, Form: s.Form, LabelFolders: s.LabelFolders, MinPerLabel: s.MinPerLabel, Group: s.Group, Changes: s.Changes}, place, p)
				}
				s.Model, s.Data = args[0], args[1]
				return run.EvaluateModel(cmd.Context(), s, zeroShot, place, p)
			})
			if err != nil {
				return err
			}
			c.result = e
			if err := c.drawReport(figures, e); err != nil {
				return err
			}
			if c.json {
				return nil
			}
			if details := e.Details(); details != "" {
				c.say("%s", strings.TrimRight(details, "\n"))
			}
			c.say("\n%s", e.Line())
			return nil
		},
	}
	specFlags(cmd, &s)
	limitFlags(cmd, &place)
	cmd.Flags().StringVar(&figures, "figures", "", "draw figures of a head's report into this folder, as PNG")
	cmd.Flags().StringVar(&zeroShot, "zero-shot", "", `which of the model's labels mean yours: "ants=ant,bees=bee|carpenter bee" (default: equal names)`)
	return cmd
}

// drawReport writes the figures of a report into a folder; "" = none. Figures of an earlier report are
// replaced.
func (c *command) drawReport(folder string, e *run.Evaluation) error {
	if folder == "" {
		return nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("evaluate: %w", err)
	}
	picture := func(file string) image.Image {
		return transforms.DecodeOptions{}.Tile(filepath.Join(e.Root, filepath.FromSlash(file)))
	}
	if f, ok := e.Reliability(); ok {
		if err := c.writeFigure("evaluate", filepath.Join(folder, "reliability.png"), f); err != nil {
			return err
		}
	}
	for _, d := range e.Report.Drawings(picture) {
		if err := c.writeFigure("evaluate", filepath.Join(folder, d.Name+".png"), d); err != nil {
			return err
		}
	}
	return nil
}

// isHead reports whether a name on the command line means a head: it is a file, a run, or ends
// like a head file.
func isHead(name string) bool {
	info, err := os.Stat(name)
	if err == nil && info.Mode().IsRegular() || strings.HasSuffix(name, ".safetensors") {
		return true
	}
	_, err = here.HeadPath(name)
	return err == nil
}
