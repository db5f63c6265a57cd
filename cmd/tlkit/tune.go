package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/kernel/bench"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// benchTune measures the forms of networks and keeps the fastest.
func (c *command) benchTune() *cobra.Command {
	return &cobra.Command{
		Use:   "tune [MODEL]...",
		Short: "Measure in which form a network runs fastest here, and keep that form",
		Long: `Measure in which form a network runs fastest on this machine: on XLA or ONNX Runtime, how many
pictures at a time, how many calls side by side, and which library makes XLA's convolutions.
The fastest form is kept for all later runs on this machine; a form whose features differ from
XLA's by more than 2e-5 is refused. Long runs choose by themselves, within a twentieth of their
time; this command takes the time to measure everything.`,
		Example: `  tlkit bench tune
  tlkit bench tune resnet18 --weights resnet18.pth
  tlkit train photos --form xla,batch=8`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{defaultModel()}
			}
			p := c.progress()
			defer p.close()
			e, err := engine.Open(cmd.Context(), engine.Options{Install: !c.offline, Report: p.State, Note: p.Say})
			if err != nil {
				return err
			}
			defer e.Close()
			if err := e.Agreed(); err != nil {
				return err
			}
			var all []bench.Tuned
			for _, model := range args {
				p.State("measuring the forms of "+model, 0, 0)
				t, err := bench.Tune(cmd.Context(), model, c.place().Zoo(p), e)
				if err != nil {
					return err
				}
				all = append(all, t)
			}
			p.close()
			c.result = all
			if !c.json {
				for _, t := range all {
					c.sayTuned(t)
				}
			}
			return nil
		},
	}
}

// sayTuned prints the forms of one network, in the order in which they were measured.
func (c *command) sayTuned(t bench.Tuned) {
	table := show.Table{Left: 1, Header: []string{"form", "pictures/s", "opens in", ""}}
	for _, trial := range t.Trials {
		row := []string{trial.Form.String(), fmt.Sprintf("%.1f", trial.Rate), fmt.Sprintf("%.2f s", trial.Opening), ""}
		switch {
		case trial.Refused != "":
			row[1], row[3] = "–", "refused: "+trial.Refused
		case trial.Form == t.Form:
			row[3] = "kept"
		}
		table.Rows = append(table.Rows, row)
	}
	c.say("%s on %s", t.Model, t.Device)
	c.sayTable(table)
}
