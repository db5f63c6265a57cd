package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/kernel/doctor"
	"github.com/tlkit/transfer-learning/tlkit/engine/plugin"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

func fetching(p *progress) func(fetch.Event) {
	return func(e fetch.Event) { p.State(e.State+" "+e.Name, e.Done, e.Total) }
}

func (c *command) setup() *cobra.Command {
	var cuda bool
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Fetch and verify what training needs: the XLA plugin and the default weights",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p := c.progress()
			defer p.close()
			o := fetch.Options{Offline: c.offline, Report: fetching(p)}
			install := plugin.InstallCPU
			if cuda {
				install = plugin.InstallCUDA
			}
			f, err := install(cmd.Context(), o)
			if err != nil {
				return err
			}
			p.Say(fmt.Sprintf("xla plugin   %s %s, sha256 %s, from %s", f.Platform, f.Version, f.SHA256, f.Source))
			row := zoo.Rows()[0]
			path, err := row.File.Get(cmd.Context(), o)
			if err != nil {
				return err
			}
			p.Say(fmt.Sprintf("weights      %s, licence %s", row.Name, row.Licence))
			p.close()
			report := c.examine(cmd.Context())
			c.result = map[string]any{"plugin": f, "weights": path, "ok": report.OK, "checks": report.Checks}
			if !c.json {
				c.say("%s", report.Text())
			}
			if !report.OK {
				return fmt.Errorf("the machine is not ready: see the lines marked FAIL")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&cuda, "cuda", false, "the CUDA plugin and its NVIDIA libraries, for a machine with an NVIDIA card")
	return cmd
}

func (c *command) doctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine has and lacks, and the command that repairs it",
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
				return &reported{fmt.Errorf("something required is missing: see above")}
			}
			return nil
		},
	}
}

// examine runs the doctor with what only this binary can probe.
func (c *command) examine(ctx context.Context) doctor.Report {
	return doctor.Run(ctx, doctor.Probes{
		Weights: func() (string, bool) {
			row := zoo.Rows()[0]
			_, cached := row.File.Cached()
			return row.Name, cached
		},
	})
}
