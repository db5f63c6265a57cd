package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/tlkit/budget"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// withoutDefaults leaves the network open, unless a flag says something about it.
func withoutDefaults(cmd *cobra.Command, s run.Spec) run.Spec {
	about := []string{"model", "weights", "entry", "statistics", "preset", "size", "from", "lora"}
	if !slices.ContainsFunc(about, cmd.Flags().Changed) {
		s.Model = ""
	}
	return s
}

// sayBudget prints what was tried within a time, and what was left.
func (c *command) sayBudget(r *run.Result) error {
	record, err := budget.Of(r)
	if err != nil || c.json {
		return err
	}
	if len(record.Tried) > 0 {
		table := budget.Table(record.Tried)
		c.say("")
		c.sayTable(show.Table{Header: table[0], Rows: table[1:], Left: 1}, "95 %", "ms/picture")
	}
	for _, line := range record.Lines() {
		c.say("%s", line)
	}
	return nil
}

// bestSoFar is the error of a budget that was interrupted after its first result.
func (c *command) bestSoFar(err error) error {
	err = fmt.Errorf("interrupted; this is the best so far, and the same command with --resume goes on: %w", err)
	if c.json {
		_ = c.print(c.result)
	}
	return &reported{err}
}
