package main

import (
	"errors"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

func (c *command) history() *cobra.Command {
	var o historyFlags
	cmd := &cobra.Command{
		Use:   "history RUN",
		Short: "Show the history of a run, or write it as CSV or for TensorBoard",
		Long: `Show the history of a run: the last and the best value of each metric. RUN is the name of a
run in .tlkit, its folder, or a file in that folder. The run need not be finished.

--csv writes every point as a line: run, step, epoch, phase, split, metric, value, n.
--tensorboard writes event files into a folder, one for each split, for
tensorboard --logdir DIR.`,
		Example: `  tlkit history ants-and-bees
  tlkit history ants-and-bees --csv history.csv
  tlkit history ants-and-bees --tensorboard logs/ants-and-bees`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return advice.New(fmt.Errorf("history: %d names given, want one run", len(args)), "tlkit history RUN")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("csv") && o.table == "" || cmd.Flags().Changed("tensorboard") && o.board == "" {
				return errors.New("history: an empty name, want a file for --csv and a folder for --tensorboard")
			}
			h, err := here.Stored(args[0])
			if err != nil {
				return err
			}
			if h.Result == nil {
				c.note("%s is not finished; this is its history so far", h.Folder)
			}
			return c.replacing(&o.force, func() error { return c.writeHistories(h, o) })
		},
	}
	cmd.Flags().StringVar(&o.table, "csv", "", "write the points into this file; - for standard output")
	cmd.Flags().StringVar(&o.board, "tensorboard", "", "write event files into this folder")
	forceFlag(cmd, &o.force)
	return cmd
}

// historyFlags are where to write histories.
type historyFlags struct {
	table, board string
	force        bool
}

// writeHistories writes the histories where they are wanted; if nowhere, it prints a summary.
func (c *command) writeHistories(h *run.Stored, o historyFlags) error {
	h.Force = o.force
	runs, _, err := h.Histories()
	if err != nil {
		return err
	}
	lines := summarised(runs)
	c.result = lines
	switch {
	case o.table == "-" && !c.json:
		if err := runs[0].WriteCSV(c.out, runs[1:]...); err != nil {
			return err
		}
	case o.table == "-":
		return errors.New("history: --csv - and --json, want one of them on standard output")
	case o.table != "":
		if err := h.WriteCSV(o.table); err != nil {
			return err
		}
		c.note("written: %s", o.table)
	}
	if o.board != "" {
		if err := h.WriteTensorBoard(o.board); err != nil {
			return err
		}
		c.note("written: %s; to see it: tensorboard --logdir %s", o.board, invoke.Quote(o.board))
	}
	if o.table == "" && o.board == "" && !c.json {
		t := show.Table{Header: []string{"run", "phase", "split", "metric", "points", "last", "best", "at epoch"}, Left: 4}
		for _, l := range lines {
			last := "not finite"
			if l.Last != nil {
				last = fmt.Sprintf("%.4g", *l.Last)
			}
			t.Rows = append(t.Rows, []string{l.Run, l.Phase, l.Split, l.Metric.Title(), fmt.Sprint(l.Points), last, fmt.Sprintf("%.4g", l.Best), fmt.Sprintf("%g", l.BestEpoch)})
		}
		c.sayTable(t, "phase", "points")
	}
	return nil
}

// seriesSummary is a line of the summary of a history, and of its JSON.
type seriesSummary struct {
	Run       string         `json:"run"`
	Phase     string         `json:"phase"`
	Split     string         `json:"split"`
	Metric    metrics.Metric `json:"metric"`
	Points    int            `json:"points"`
	Last      *float64       `json:"last"` // null: not finite
	Best      float64        `json:"best"`
	BestEpoch float64        `json:"best_epoch"`
}

// summarised returns the series of some runs, except those of learning rates and those without a
// finite value.
func summarised(runs []curves.Run) []seriesSummary {
	out := []seriesSummary{}
	for _, r := range runs {
		for _, phase := range []string{curves.Head, curves.Finetune} {
			part := r.Only(phase)
			for _, metric := range part.Metrics() {
				for _, split := range part.Splits(metric) {
					series := part.Series(split, metric)
					best, ok := curves.Best(series)
					if !ok || metric == curves.Rate {
						continue
					}
					line := seriesSummary{Run: r.Name, Phase: phase, Split: split, Metric: metric, Points: len(series), Best: best.Value, BestEpoch: best.Epoch}
					if last := series[len(series)-1].Value; !math.IsNaN(last) && !math.IsInf(last, 0) {
						line.Last = &last
					}
					out = append(out, line)
				}
			}
		}
	}
	return out
}
