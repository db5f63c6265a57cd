package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/tlkit/compare"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// spareInRanking are the columns of the ranking that a narrow window goes without.
var spareInRanking = []string{"weights", "right", "licence", "params"}

func (c *command) compare() *cobra.Command {
	s, place := compare.Spec{}, run.Place{}
	var within time.Duration
	cmd := &cobra.Command{
		Use:   "compare [DIR|SET] [NETWORK | FAMILY | PATTERN...]",
		Short: "Rank the networks on your pictures: accuracy, time, size",
		Long: `Rank backbones on your own pictures. Each gets the same splits and the same head
(logistic regression on its frozen features, or ridge regression for numbers, its strength
chosen on folds of the training pictures), so that only the features differ. The score is
that of the task: accuracy, mean average precision for several labels a picture, R² for
numbers. Differences are paired: they are those on the same pictures.

What it will cost is said first: networks, pictures, downloads with their sizes, what is left
out and why, and the time, as far as earlier comparisons in this folder or the first network
tell. --time limits the whole command: cheap networks come first, and those that are not
expected to be done in time are left out. --latency is what one picture may take here.

The default is every network whose weights are on this machine or come in a package below
60 MB; networks, families and patterns choose others, and the filters of tlkit models choose
among them. A source that does not answer within 5 s is listed as skipped.

The recommendation is the fastest network within one standard error of the best, paired on the
same pictures. The first of many is first by a little luck, too: confirm the choice on pictures
that took no part in it.

Ctrl-C ends it with what was compared so far. List, table and figure are kept in
.tlkit/compare-SET.`,
		Example: `  tlkit compare DIR
  tlkit compare hymenoptera mobilenetv2 'efficientnet_lite*' ConvNeXt
  tlkit compare DIR --licence free --params '<10M' --latency 30ms
  tlkit compare DIR --all --time 10m --folds 5`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s.Data = defaultData
			if len(args) > 0 {
				s.Data, s.Models = args[0], append(s.Models, args[1:]...)
			}
			for name, v := range map[string]time.Duration{"time": within, "latency": s.Latency} {
				if cmd.Flags().Changed(name) && v <= 0 {
					return fmt.Errorf("compare: --%s is %s, want more than 0, such as 10m or 30ms", name, v)
				}
			}
			if within > 0 {
				s.Until = time.Now().Add(within)
			}
			r, err := agreed(c, func() (*compare.Comparison, error) {
				c.locate(&place)
				p := c.progress()
				defer p.close()
				return compare.Run(cmd.Context(), s, place, p)
			})
			if r == nil {
				return err
			}
			c.result = r.List()
			if !c.json {
				table := r.Table()
				c.sayTable(show.Table{Header: table[0], Rows: table[1:], Left: 2}, spareInRanking...)
				if l := r.Legend(); l != "" {
					c.say("%s", l)
				}
				c.say("%s", r.Sentence())
				c.say("%s of a linear probe on %s of %s · %s", r.Title(), r.Split, r.Data, r.Engine)
				for _, why := range r.Reasons() {
					c.say("skipped  %s", why)
				}
				if r.Folder != "" {
					c.say("files    %s (compare.png, compare.json, compare.txt)", r.Folder)
				}
			}
			if w := r.Warning(); w != "" {
				c.say("%s", w)
			}
			if err != nil {
				err = fmt.Errorf("interrupted after %d of %d; features computed so far are kept, the same command goes on from there: %w", len(r.Ranked), len(r.Ranked)+len(r.Skipped), err)
			} else if len(r.Ranked) == 0 {
				err = errors.New("none of the networks could be compared: the reasons are listed")
			}
			if err == nil {
				return nil
			}
			if c.json {
				_ = c.print(c.result)
			}
			return &reported{err}
		},
	}
	f := cmd.Flags()
	columnFlag(cmd, &s.Columns)
	groupFlag(cmd, &s.Group)
	f.StringSliceVar(&s.Models, "models", nil, "these networks, families or patterns only, as behind the folder, wherever their weights come from: a,b,c")
	f.BoolVar(&s.All, "all", false, "try every network of tlkit models")
	filterFlags(cmd, &s.Filter)
	f.DurationVar(&within, "time", 0, "compare what this time allows, such as 90s or 10m (default: no limit)")
	f.DurationVar(&s.Latency, "latency", 0, "the longest that a picture may take on this machine, such as 30ms (default: any time)")
	f.StringVar(&s.Split, "split", "", "split to report on: valid or test (default: valid, else test)")
	f.IntVar(&s.Folds, "folds", 0, "instead of a split: every picture, predicted by a head that did not see it, over K folds")
	f.Uint64Var(&s.Seed, "seed", 1, "seed of splits and folds")
	sizeFlag(cmd, &s.Size)
	dataFlags(cmd, &s.LabelFolders, &s.MinPerLabel)
	changesFlag(cmd, &s.Changes)
	limitFlags(cmd, &place)
	return cmd
}
