package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/kernel/setup"
	"github.com/tlkit/transfer-learning/kernel/shim"
	"github.com/tlkit/transfer-learning/kernel/wrapper"
)

// beGoimports does goimports' work when this program was started under that name: the kernel
// puts itself on its own PATH as goimports. It comes first, because a cell is waiting.
func beGoimports() {
	if shim.Is(os.Args[0]) {
		os.Exit(shim.Main(os.Args[1:], os.Stdout, os.Stderr))
	}
}

// kernel is the subcommand that Jupyter starts.
func (c *command) kernel() *cobra.Command {
	var gopls bool
	cmd := &cobra.Command{
		Use:    "kernel CONNECTION_FILE",
		Short:  "Be the Go (tlkit) kernel of a notebook (Jupyter starts this)",
		Hidden: true,
		Args:   cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if gopls {
				return setup.BuildGopls(cmd.Context())
			}
			if len(args) != 1 {
				return advice.New(errors.New("kernel: no connection file"), "Jupyter starts this command. To open JupyterLab: tlkit lab")
			}
			if bin, err := setup.Bin(); err == nil {
				cachedir.Use(cmd.Context(), bin)
			}
			// The kernel handles signals itself: an interrupt ends a cell, not the kernel.
			if status := wrapper.Main(cmd.Context(), args[0]); status != 0 {
				os.Exit(status)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&gopls, "build-gopls", false, "build gopls, which set-up starts in the background")
	return cmd
}
