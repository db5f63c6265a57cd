package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/tlkit/guard"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// unfit is the error of guard and audit where something is wrong with the pictures, and has been printed:
// the status is 3.
type unfit struct{ error }

func (u *unfit) Unwrap() error { return u.error }

func (c *command) guard() *cobra.Command {
	s, figure := run.Spec{}, ""
	cmd := &cobra.Command{
		Use:   "guard PICTURE...",
		Short: "Check that pictures are prepared as a network learnt to see them",
		Long: `Check that pictures are prepared as a network learnt to see them: range, mean, deviation and
order of channels, and that there is something in them. train does it by itself, and warns.

The first batch norm of a network remembers what the first convolution gave in training. How far
each way of preparing ordinary photographs is from that, is its score; the ratio of two scores
decides. So unusual pictures, such as of the night, raise no alarm. A network without such a norm is
compared with the preset that was published with its weights.

A PICTURE may be a folder, for all pictures in it and below, a pattern such as "photos/*.jpg", or -
for names on standard input, one a line. 48 of them are looked at.

The exit status is 0 if the pictures fit or that cannot be told, 3 if they do not, and 1 on errors.`,
		Example: `  tlkit guard photos
  tlkit guard photos --model resnet18 --statistics half
  tlkit guard photos --model my.onnx --png values.png`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return nil
			}
			return advice.New(errors.New("guard: no picture is named"), "tlkit guard DIR")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			pictures, err := picturePaths(cmd.Context(), cmd.Name(), args)
			if err != nil {
				return err
			}
			v, err := agreed(c, func() (*guard.Verdict, error) {
				p := c.progress()
				defer p.close()
				return s.Guard(cmd.Context(), pictures, c.place(), p)
			})
			if err != nil {
				return err
			}
			return c.sayVerdict(v, figure)
		},
	}
	modelFlag(cmd, &s.Model)
	networkFlags(cmd, &s)
	cmd.Flags().StringVar(&figure, "png", "", "draw the values that reach the network into this file")
	return cmd
}

// sayVerdict prints what was found. The error, if the pictures do not fit, sets the exit status.
func (c *command) sayVerdict(v *guard.Verdict, figure string) error {
	if figure != "" {
		if err := atomicfile.Write(figure, 0o644, v.Figure().PNG); err != nil {
			return fmt.Errorf("guard: %s: %w", figure, err)
		}
		c.note("drawn: %s", figure)
	}
	c.result = v
	if c.json {
		_ = c.print(v)
		c.result = nil
	} else {
		c.say("%s", v.Text())
	}
	if !v.OK {
		return &unfit{fmt.Errorf("guard: the pictures do not fit: %s", v.Finding)}
	}
	return nil
}
