package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

func (c *command) predict() *cobra.Command {
	var weights, entry string
	cmd := &cobra.Command{
		Use:   "predict HEAD PICTURE...",
		Short: "Predict what is in pictures, with a trained head",
		Long: `Predict what is in pictures, with a head file that train has written. Each picture gets a
line: path, label, probability. --json prints a list of path, label, probability and
probabilities. A head for several labels prints those at or above their thresholds (labels
and probabilities in JSON; labels may be []). A head for values prints numbers in the units
of its training data (values in JSON).

A picture that cannot be read is reported, and the others are still predicted; the exit
status is 1 when none can be read.`,
		Example: `  tlkit predict my.head.safetensors photos/*.jpg`,
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			p := c.progress()
			predictions, err := run.Predict(cmd.Context(), run.HeadSpec{Head: args[0], Weights: weights, Entry: entry}, args[1:], c.place(), p)
			p.close()
			if err != nil {
				return err
			}
			c.result = predictions
			failed := 0
			for _, r := range predictions {
				if r.Error != "" {
					failed++
					c.say("%-40s cannot be read: %s", words.Plain(r.Path), words.Plain(r.Error))
					continue
				}
				if !c.json {
					c.say("%-40s %s", words.Plain(r.Path), answer(r))
				}
			}
			if failed == len(predictions) {
				if c.json {
					_ = c.print(predictions)
				}
				return &reported{fmt.Errorf("predict: none of %d pictures can be read", failed)}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&weights, "weights", "", "the backbone's weights file, if it is not the published one")
	cmd.Flags().StringVar(&entry, "entry", "", "where in that file the weights are (default: where they were when the head was trained)")
	return cmd
}

// answer is the prediction on a line, after the path.
func answer(p export.Prediction) string {
	if p.Labels == nil && p.Values == nil {
		return fmt.Sprintf("%-20s %5.1f %%", words.Shorten(p.Label, 40), 100*p.Probability)
	}
	return p.Words()
}
