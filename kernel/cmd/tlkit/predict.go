package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/tlkit/run"
)

func (c *command) predict() *cobra.Command {
	var weights string
	cmd := &cobra.Command{
		Use:   "predict HEAD PICTURE...",
		Short: "Say what is on pictures, with a trained head",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			p := c.progress()
			predictions, err := run.Predict(cmd.Context(), args[0], args[1:], weights, c.place(), p)
			p.close()
			if err != nil {
				return err
			}
			c.result = predictions
			failed := 0
			for _, r := range predictions {
				if r.Error != "" {
					failed++
					c.say("%-40s cannot be read: %s", r.Path, r.Error)
					continue
				}
				if !c.json {
					c.say("%-40s %-20s %5.1f %%", r.Path, r.Label, 100*r.Probability)
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
