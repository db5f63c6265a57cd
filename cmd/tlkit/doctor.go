package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/kernel/doctor"
	"github.com/tlkit/transfer-learning/kernel/setup"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

func (c *command) doctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check this machine and print the command that repairs what is missing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report := c.examine(cmd.Context())
			if c.json {
				if err := c.print(report); err != nil {
					return err
				}
			} else {
				c.say("%s", report.Text())
			}
			if !report.OK {
				return &reported{errors.New("something required is missing: see the lines marked FAIL")}
			}
			return nil
		},
	}
}

// examine runs the doctor with the probes that only this program can make.
func (c *command) examine(ctx context.Context) doctor.Report {
	report := doctor.Run(ctx, doctor.Probes{
		Weights: func() (string, bool) {
			row := zoo.Rows()[0]
			_, cached := row.Here()
			return row.Name, cached
		},
	})
	report.Add(setup.Checks(ctx)...)
	report.Add(forms()...)
	return report
}

// forms lists the forms that were kept for networks on this machine.
func forms() []doctor.Check {
	kept, err := engine.AllKept()
	if err != nil || len(kept) == 0 {
		return nil
	}
	var lines []string
	for _, k := range kept {
		line := k.Name + ": " + k.Form.String()
		if rate := k.Rate(); rate > 0 {
			line += fmt.Sprintf(", %.0f pictures/s", rate)
		}
		lines = append(lines, line)
	}
	return []doctor.Check{{Name: "forms", OK: true, Level: doctor.Optional, Value: strings.Join(lines, "; ")}}
}
