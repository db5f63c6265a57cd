package main

import (
	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/worker"
	_ "github.com/tlkit/transfer-learning/tlkit" // the verbs
	_ "github.com/tlkit/transfer-learning/tlkit/episodes"
)

// worker computes for the cells of a kernel, which starts it: see package worker.
func (c *command) worker() *cobra.Command {
	return &cobra.Command{
		Use:    "worker FOLDER",
		Short:  "Compute for the cells of a notebook (the kernel starts this)",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return worker.Serve(cmd.Context(), args[0])
		},
	}
}
