package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/runs"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// runsFlags are where tlkit runs draws.
type runsFlags struct {
	figure, curves string // PNG files; "" = none
	force          bool
}

func (c *command) runs() *cobra.Command {
	var f runsFlags
	cmd := &cobra.Command{
		Use:   "runs [RUN...]",
		Short: "List the runs of this folder, or compare some of them",
		Long: `List the finished runs in .tlkit: data, network, head, score with its 95 % interval, and when
they were trained.

With the names of two or more runs, compare each with the first: the difference of their
scores on the pictures that both have held back, with the interval of that difference. It is
narrower than the two intervals make it look, because most pictures are easy or hard for both.
With several seeds, the first one is compared.

--png draws the differences, --curves the loss and the score of every step of all of them; of
several seeds, the mean and the range.`,
		Example: `  tlkit runs
  tlkit runs frozen tuned
  tlkit runs frozen tuned lora --png differences.png --curves curves.png`,
		RunE: func(cmd *cobra.Command, args []string) error {
			for flag, path := range map[string]string{"png": f.figure, "curves": f.curves} {
				if !cmd.Flags().Changed(flag) {
					continue
				}
				if path == "" || len(args) < 2 {
					return advice.New(fmt.Errorf("runs: --%s %q with %d runs, want a file and two runs or more", flag, path, len(args)), "tlkit runs A B --%s FILE.png", flag)
				}
				if err := absent("runs", path, f.force); err != nil {
					return err
				}
			}
			return c.listRuns(f, args)
		},
	}
	cmd.Flags().StringVar(&f.figure, "png", "", "draw the differences into this file")
	cmd.Flags().StringVar(&f.curves, "curves", "", "draw the histories of the runs into this file")
	cmd.Flags().BoolVar(&f.force, "force", false, "replace the files of --png and --curves")
	return cmd
}

// listRuns lists runs, or compares those that are named.
func (c *command) listRuns(f runsFlags, names []string) error {
	all, unread, err := runs.List("")
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(unread)) {
		if len(names) == 0 || slices.Contains(names, name) {
			c.note("left out: %s, %s", words.Plain(name), words.Plain(unread[name]))
		}
	}
	if len(names) == 0 {
		return c.printRuns(all)
	}
	chosen, err := runs.Named(all, names...)
	if err != nil {
		return err
	}
	if len(chosen) == 1 {
		return c.printRuns(chosen)
	}
	compared, err := runs.Compare(chosen)
	if err != nil {
		return err
	}
	c.result = compared
	if err := c.drawRuns(f, compared); err != nil || c.json {
		return err
	}
	t := compared.Table()
	c.sayTable(show.Table{Header: t.Header, Rows: t.Rows, Left: 3}, "pictures", "head", "on")
	for _, sentence := range compared.Sentences() {
		c.say("%s", words.Plain(sentence))
	}
	return nil
}

func (c *command) printRuns(all []runs.Run) error {
	if all == nil {
		all = []runs.Run{}
	}
	c.result = all
	switch {
	case c.json:
	case len(all) == 0:
		c.say("no finished run in this folder; train one: tlkit train DIR --name NAME")
	default:
		t := runs.Table(all)
		c.sayTable(show.Table{Header: t.Header, Rows: t.Rows, Left: 5}, "s", "split", "pictures", "when")
	}
	return nil
}

// drawRuns writes the figures that were asked for.
func (c *command) drawRuns(f runsFlags, compared *runs.Comparison) error {
	if f.figure != "" {
		figure := compared.Figure()
		if figure == nil {
			return errors.New("runs: nothing to draw: " + compared.Sentences()[0])
		}
		if err := c.writeFigure("runs", f.figure, figure); err != nil {
			return err
		}
	}
	if f.curves == "" {
		return nil
	}
	figure, err := compared.Curves()
	if err != nil {
		return err
	}
	if figure == nil {
		return errors.New("runs: none of these runs has a history to draw")
	}
	return c.writeFigure("runs", f.curves, figure)
}

// writeFigure writes a figure as PNG and says what it shows.
func (c *command) writeFigure(command, path string, figure plots.Figure) error {
	if err := atomicfile.Write(path, 0o644, figure.PNG); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	c.note("written: %s. %s", path, words.Plain(figure.Text()))
	return nil
}
