package main

import "github.com/spf13/cobra"

func (c *command) robot() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "robot",
		Short: "Check and convert demonstrations of robots",
	}
	cmd.AddCommand(c.robotCheck(), c.robotConvert())
	return cmd
}
