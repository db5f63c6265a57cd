package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/results"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

func (c *command) curve() *cobra.Command {
	s, kind, figure, force := run.Spec{}, "", "", false
	cmd := &cobra.Command{
		Use:   "curve DIR|SET",
		Short: "Say what more pictures would bring: the score by the number of training pictures",
		Long: `Fit heads on growing parts of the training pictures, five draws of each size, and score each on
the pictures held back. The errors of most heads fall as a power of the number of pictures; from
that follows what a hundred more, and twice as many, would bring, with an interval over the draws
and over the pictures held back. Features are cached, so this takes seconds.`,
		Example: `  tlkit curve photos
  tlkit curve photos --png curve.png
  tlkit curve scans --group column:patient --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return advice.New(errors.New("curve: want a folder, a CSV file or a ready set"), "tlkit curve DIR")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := os.Lstat(figure); figure != "" && err == nil && !force {
				return advice.New(fmt.Errorf("curve: %s is there already", figure), "name another file, or replace it with --force")
			}
			s.Data, s.Head = args[0], head.Kind(kind)
			found, err := agreed(c, func() (*results.LearningCurve, error) {
				p := c.progress()
				defer p.close()
				return s.LearningCurve(cmd.Context(), c.place(), p)
			})
			if err != nil {
				return err
			}
			c.result = found
			if !c.json {
				c.say("%s", found.Text())
			}
			if figure == "" {
				return nil
			}
			if err := atomicfile.Write(figure, 0o644, found.Figure().PNG); err != nil {
				return fmt.Errorf("curve: %s: %w", figure, err)
			}
			c.note("drawn: %s", figure)
			return nil
		},
	}
	modelFlag(cmd, &s.Model)
	specFlags(cmd, &s)
	cmd.Flags().StringVar(&kind, "head", "", "family of the heads: logistic, ridge, lda, knn, cosine or auto (default: that of the task)")
	cmd.Flags().StringVar(&figure, "png", "", "draw the curve into this file")
	cmd.Flags().BoolVar(&force, "force", false, "replace the file of --png")
	return cmd
}
