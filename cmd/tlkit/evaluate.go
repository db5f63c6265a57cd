package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

func (c *command) evaluate() *cobra.Command {
	s, place := run.Spec{}, run.Place{}
	var zeroShot string
	cmd := &cobra.Command{
		Use:   "evaluate HEAD|MODEL DIR|SET",
		Short: "Measure a head file, or a pretrained classifier as it is, on labelled pictures",
		Long: `Measure a head file or a pretrained classifier on labelled pictures.

HEAD is a file written by train, or the folder or name of a run: it is measured on the
valid split (else test).
MODEL is a network with a classifier of its own (tlkit models): it is measured zero-shot,
on all pictures. --zero-shot maps its labels to yours.`,
		Example: `  tlkit evaluate my.head.safetensors DIR
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
			e, err := agreed(c, func() (*run.Evaluation, error) {
				c.locate(&place)
				p := c.progress()
				defer p.close()
				if isHead(args[0]) {
					return run.EvaluateHead(cmd.Context(), run.HeadSpec{Head: args[0], Data: args[1], Split: s.Split, Weights: s.Weights, Entry: s.Entry, Columns: s.Columns, Form: s.Form, LabelFolders: s.LabelFolders, MinPerLabel: s.MinPerLabel}, place, p)
				}
				s.Model, s.Data = args[0], args[1]
				return run.EvaluateModel(cmd.Context(), s, zeroShot, place, p)
			})
			if err != nil {
				return err
			}
			c.result = e
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
	cmd.Flags().StringVar(&zeroShot, "zero-shot", "", `which of the model's labels mean yours: "ants=ant,bees=bee|carpenter bee" (default: equal names)`)
	return cmd
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
