package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/kernel/setup"
)

func (c *command) setup() *cobra.Command {
	var (
		offline            offlineFlag
		cuda, noJupyter    bool
		makeBundle, binDir string
	)
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Set up what training and notebooks need; what is there already is kept",
		Long: `Set up what is missing: the XLA plugin, ONNX Runtime, the default weights, GoNB and its helpers, a private
JupyterLab unless one that is new enough is installed, and the Go (tlkit) kernel. Each step is
timed; after an interrupt, the same command goes on where it stopped.`,
		Args: cobra.MaximumNArgs(1), // the bundle's folder, after --offline
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			c.offline = offline.offline
			b, args, err := offline.bundle(args)
			if err != nil {
				return err
			}
			if len(args) > 0 {
				return advice.New(fmt.Errorf("setup: unexpected argument %q", args[0]), "the folder of a bundle comes after --offline: tlkit setup --offline DIR")
			}
			if makeBundle != "" {
				return c.makeBundle(ctx, makeBundle)
			}
			bin := c.chooseBin(binDir)
			rows, err := c.prepare(ctx, wanted{bundle: b, cuda: cuda, notebooks: !noJupyter})
			if err == nil && bin != "" {
				var more []setup.Row
				more, err = c.placeCommand(ctx, bin)
				rows = append(rows, more...)
			}
			for _, r := range rows {
				if err == nil && r.State == setup.StateFailed && r.Name != runtimeName {
					err = fmt.Errorf("setup: %s: %s", r.Name, r.Note)
				}
			}
			c.result = map[string]any{"ok": err == nil, "steps": rows}
			if err != nil {
				return err
			}
			report := c.examine(ctx)
			c.result = map[string]any{"ok": report.OK, "steps": rows, "checks": report.Checks}
			if !c.json {
				c.say("%s", report.Text())
			}
			if !report.OK {
				return errors.New("setup: the machine is not ready: see the lines marked FAIL")
			}
			return nil
		},
	}
	f := cmd.Flags()
	offline.add(cmd)
	f.BoolVar(&cuda, "cuda", false, "the CUDA plugin and its NVIDIA libraries, for a machine with an NVIDIA card")
	f.BoolVar(&noJupyter, "no-jupyter", false, "only what the command line needs: XLA, ONNX Runtime and the default weights")
	f.StringVar(&binDir, "bin", "", "folder to put the command tlkit into ("+noBin+": nowhere; default: ask, on a terminal)")
	f.StringVar(&makeBundle, "make-bundle", "", "put everything that set-up downloads into this folder, for machines without a network")
	return cmd
}
