package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

func (c *command) predict() *cobra.Command {
	var weights string
	cmd := &cobra.Command{
		Use:   "predict HEAD PICTURE...",
		Short: "Say what is on pictures, with a trained head",
		Long: `Say what is on pictures, with a head file that train has written. One line a picture: path,
label, probability. --json prints a list of path, label, probability and probabilities.
A head for several labels says those it finds, each from its threshold on (labels and
probabilities in JSON; labels may be []); a head for values says them in the units of the
pictures it learnt from (values).

A picture that cannot be read is said so and the others go on; the exit status is 1 when
none could be read.`,
		Example: `  tlkit predict my.head.safetensors photos/*.jpg`,
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			p := c.progress()
			predictions, err := run.Predict(cmd.Context(), run.HeadSpec{Head: args[0], Weights: weights}, args[1:], c.place(), p)
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
				return &reported{fmt.Errorf("none of %d pictures can be read", failed)}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&weights, "weights", "", "the backbone's weights file, when it is not the published one")
	return cmd
}

// answer is what a line says behind the path.
func answer(p export.Prediction) string {
	if p.Labels == nil && p.Values == nil {
		return fmt.Sprintf("%-20s %5.1f %%", words.Shorten(p.Label, 40), 100*p.Probability)
	}
	return p.Words()
}
