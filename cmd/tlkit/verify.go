package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// verdict is one line of tlkit verify --json.
type verdict struct {
	Model    string            `json:"model"`
	Kind     string            `json:"kind"` // formula weights, or the published weights
	OK       bool              `json:"ok"`
	Relative *float64          `json:"relative"` // largest difference as a share of the largest number; null when there is none
	Skipped  string            `json:"skipped,omitempty"`
	Problem  string            `json:"problem,omitempty"`
	By       map[string]string `json:"by"` // the referee
}

// verification is the result of tlkit verify.
type verification struct {
	OK      bool      `json:"ok"`
	Count   int       `json:"count"`   // goldens replayed
	Skipped int       `json:"skipped"` // weights that cannot be had here
	Largest float64   `json:"largest"` // relative difference
	Allowed float64   `json:"allowed"`
	Engine  string    `json:"engine"`
	Models  []verdict `json:"models"`
}

func (c *command) verify() *cobra.Command {
	var weights string
	cmd := &cobra.Command{
		Use:   "verify [MODEL...]",
		Short: "Replay here what PyTorch, Keras and ONNX Runtime computed for every network",
		Long: `Replay the golden values: every architecture, with weights made by a formula and with
real weights where we hold goldens of them, must give the features and logits that
PyTorch, torchvision, timm, Keras or ONNX Runtime gave, to 2e-5 of the largest.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p := c.progress()
			defer p.close()
			e, err := engine.Open(cmd.Context(), engine.Options{Install: !c.offline, Report: fetching(p)})
			if err != nil {
				return err
			}
			names := args
			if len(names) == 0 {
				for _, r := range zoo.Rows() {
					names = append(names, r.Name)
				}
			}
			out := verification{OK: true, Allowed: zoo.Tolerance, Engine: e.Name}
			seen := map[string]bool{}
			for i, name := range names {
				p.State("verifying", int64(i), int64(len(names)))
				verdicts, err := zoo.Verify(cmd.Context(), e.Backend, []string{name}, zoo.Options{Weights: weights, Offline: c.offline, NonCommercial: c.noncommercial, Report: fetching(p)})
				if err != nil {
					return err
				}
				for _, v := range verdicts {
					key := v.Name + " " + string(v.Kind)
					if seen[key] {
						continue
					}
					seen[key] = true
					row := verdict{Model: v.Name, Kind: string(v.Kind), OK: v.OK, Skipped: v.Skipped, Problem: v.Problem, By: v.Referee}
					switch {
					case v.Skipped != "":
						out.Skipped++
					default:
						out.Count++
						out.OK = out.OK && v.OK
						if !math.IsInf(v.Relative, 0) && !math.IsNaN(v.Relative) {
							row.Relative = &v.Relative
							out.Largest = max(out.Largest, v.Relative)
						}
					}
					out.Models = append(out.Models, row)
				}
			}
			p.close()
			out.OK = out.OK && out.Count > 0
			c.result = out
			if !c.json {
				c.table(out)
			}
			if !out.OK {
				if c.json {
					_ = c.print(out)
				}
				return &reported{fmt.Errorf("not every golden was reproduced")}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&weights, "weights", "", "a weights file for the one MODEL named")
	return cmd
}

func (c *command) table(v verification) {
	for _, m := range v.Models {
		state := "ok"
		switch {
		case m.Skipped != "":
			why, _, _ := strings.Cut(m.Skipped, ";") // what to do by hand is in --json
			state = "skipped: " + why
		case !m.OK:
			state = "WRONG: " + m.Problem
		}
		relative := "      -"
		if m.Relative != nil {
			relative = fmt.Sprintf("%.1e", *m.Relative)
		}
		c.say("%-24s %-8s %s  %s", m.Model, m.Kind, relative, state)
	}
	c.say("\n%d goldens replayed on %s, largest difference %.1e (allowed %.0e), %d skipped", v.Count, v.Engine, v.Largest, v.Allowed, v.Skipped)
}
