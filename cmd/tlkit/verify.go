package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/robot"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// verdict is one network of tlkit verify --json.
type verdict struct {
	Model    string            `json:"model"`
	Kind     string            `json:"kind"` // formula weights, or the published weights
	OK       bool              `json:"ok"`
	Relative *float64          `json:"relative"` // largest difference as a share of the largest number; null = none was computed
	Skipped  string            `json:"skipped,omitempty"`
	Problem  string            `json:"problem,omitempty"`
	By       map[string]string `json:"by"`                // the referee
	Runtime  string            `json:"runtime,omitempty"` // what computed an exported file
	Allowed  float64           `json:"allowed,omitempty"` // of a file of 8-bit integers or one that resizes, which engines round differently
}

// verification is the result of tlkit verify.
type verification struct {
	OK      bool      `json:"ok"`
	Count   int       `json:"count"`   // goldens replayed
	Skipped int       `json:"skipped"` // weights that are not available here
	Largest float64   `json:"largest"` // relative difference, but of 8-bit integers
	Allowed float64   `json:"allowed"`
	Engine  string    `json:"engine"`
	Models  []verdict `json:"models"`
	Exports int       `json:"exports,omitempty"` // exported files, each replayed in all that Engine names
}

func (c *command) verify() *cobra.Command {
	var weights string
	cmd := &cobra.Command{
		Use:   "verify [MODEL... | FILE.onnx... | POLICY.safetensors...]",
		Short: "Compare every network with what PyTorch, Keras or ONNX Runtime computed",
		Long: `Replay the golden values. Every architecture, with weights made by a formula and, where
there are goldens of them, with published weights, must give the features and logits that
PyTorch, torchvision, timm, Keras or ONNX Runtime gave, to 2e-5 of the largest value.

A FILE.onnx that tlkit export wrote is checked against its sha256, and must compute what tlkit
computed for three test pictures when the file was written, to 1e-4 of the largest value: in
ONNX Runtime, if it is installed, and in tlkit's own reader. Engines round some 8-bit integers
differently; a file of them records how large a difference is allowed. A file that resizes its
pictures runs in ONNX Runtime only.

A policy file that tlkit robot fit wrote is checked against its sha256. Its network and its policy
must give for three built-in scenes what they gave when the file was written.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			replay := c.replay
			if slices.ContainsFunc(args, isONNX) {
				replay = c.replayExports
			}
			if slices.ContainsFunc(args, isPolicy) {
				replay = c.replayPolicies
			}
			out, err := replay(cmd.Context(), args, weights)
			if err != nil {
				return err
			}
			c.result = out
			if !c.json {
				c.table(out)
			}
			if out.OK {
				return nil
			}
			if c.json {
				_ = c.print(out)
			}
			return &reported{errors.New("verify: not everything was reproduced: see the lines marked WRONG")}
		},
	}
	cmd.Flags().StringVar(&weights, "weights", "", "a weights file for the one MODEL named")
	return cmd
}

// isONNX reports whether a name on the command line means an exported file.
func isONNX(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".onnx") }

// isPolicy reports whether a name on the command line means a policy file.
func isPolicy(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".safetensors") }

// replayPolicies verifies policy files.
func (c *command) replayPolicies(ctx context.Context, files []string, weights string) (verification, error) {
	if weights != "" {
		return verification{}, errors.New("verify: --weights is for a network; a policy file names its network")
	}
	p := c.progress()
	defer p.close()
	out := verification{OK: true, Exports: len(files), Allowed: robot.ParityTolerance}
	for i, file := range files {
		if !isPolicy(file) {
			return verification{}, advice.New(fmt.Errorf("verify: %s beside a policy file, want either files or networks", file), "verify them one after the other")
		}
		if _, err := os.Stat(file); err != nil {
			return verification{}, fmt.Errorf("verify: %w", err)
		}
		p.State("verifying", int64(i), int64(len(files)))
		v := zoo.Verdict{Name: file, Kind: "policy", Relative: math.NaN(), Referee: map[string]string{"tlkit": "when the file was written"}}
		opened, err := robot.OpenPolicy(ctx, file, c.place(), p)
		if v.OK = err == nil; err != nil {
			v.Problem = err.Error()
		} else {
			v.Relative, out.Engine = opened.Parity*robot.ParityTolerance, opened.Engine()
			opened.Close()
		}
		out.add(v, 0)
	}
	return out, nil
}

// replayExports verifies files that export has written.
func (c *command) replayExports(ctx context.Context, files []string, weights string) (verification, error) {
	for _, file := range files {
		if !isONNX(file) {
			return verification{}, advice.New(fmt.Errorf("verify: %s beside an .onnx file, want either files or networks", file), "verify them one after the other")
		}
		if _, err := os.Stat(file); err != nil {
			return verification{}, fmt.Errorf("verify: %w", err)
		}
	}
	if weights != "" {
		return verification{}, errors.New("verify: --weights is for a network; an exported file has its weights inside")
	}
	p := c.progress()
	defer p.close()
	ways, err := c.waysToReplay(ctx, p)
	if err != nil {
		return verification{}, err
	}
	out := verification{OK: true, Exports: len(files)}
	used := map[string]bool{}
	for i, file := range files {
		p.State("verifying", int64(i), int64(len(files)))
		f, err := export.ReadONNX(file)
		for _, w := range ways {
			if f != nil && f.Resize != nil && w.here && len(ways) > 1 {
				continue // only ONNX Runtime computes it
			}
			v := zoo.Verdict{Name: file, Kind: "export", Relative: math.NaN(), Referee: map[string]string{"tlkit": "when the file was written"}}
			if err == nil {
				v.Relative, err = w.replay(f)
			}
			v.OK = err == nil
			if err != nil {
				v.Problem = err.Error()
			}
			allowed := 0.0
			if f != nil && (f.Int8 != nil || f.Resize != nil) {
				allowed = f.Tolerance()
			} else if f != nil {
				out.Allowed = f.Tolerance()
			}
			out.add(v, allowed)
			out.Models[len(out.Models)-1].Runtime = w.name
			used[w.name] = true
			if f == nil { // it was not even read
				break
			}
			err = nil
		}
	}
	var names []string
	for _, w := range ways {
		if used[w.name] {
			names = append(names, w.name)
		}
	}
	out.Engine = strings.Join(names, " and in ")
	return out, nil
}

// wayToReplay is something that computes exported files.
type wayToReplay struct {
	name   string
	replay func(f *export.ONNXFile) (off float64, err error)
	here   bool // it is tlkit's own reader
}

// waysToReplay opens ONNX Runtime, where that is possible, and an engine for tlkit's own reader.
func (c *command) waysToReplay(ctx context.Context, p *progress) (ways []wayToReplay, err error) {
	rt, err := c.onnxRuntime(ctx, p)
	if err == nil {
		ways = append(ways, wayToReplay{"ONNX Runtime " + rt.Version(), func(f *export.ONNXFile) (float64, error) { return f.Replay(rt) }, false})
	} else if ctx.Err() == nil {
		p.Say("without ONNX Runtime: " + err.Error())
	}
	// Plain Go is no question here: there are only three pictures.
	e, err := engine.Open(ctx, engine.Options{Report: p.State, Note: p.Say})
	if err != nil {
		return nil, err
	}
	return append(ways, wayToReplay{"tlkit's own reader on " + e.Name, func(f *export.ONNXFile) (float64, error) { return f.ReplayHere(ctx, e) }, true}), nil
}

// onnxRuntime opens ONNX Runtime alone, without an engine, after installing it where it is missing.
func (c *command) onnxRuntime(ctx context.Context, p *progress) (*onnxruntime.Runtime, error) {
	l, err := onnxruntime.Find()
	if errors.Is(err, onnxruntime.ErrNotInstalled) && !c.offline {
		l, err = onnxruntime.Install(ctx, onnxruntime.Options{Report: p.State, Note: p.Say})
	}
	if err != nil {
		return nil, err
	}
	return onnxruntime.Open(ctx, l)
}

// replay verifies networks by name; without names, all of them.
func (c *command) replay(ctx context.Context, names []string, weights string) (verification, error) {
	p := c.progress()
	defer p.close()
	e, err := engine.Open(ctx, engine.Options{Install: !c.offline, Report: p.State, Note: p.Say})
	if err != nil {
		return verification{}, err
	}
	if err := e.Agreed(); err != nil {
		return verification{}, err
	}
	if len(names) == 0 {
		for _, r := range zoo.Rows() {
			names = append(names, r.Name)
		}
	}
	out := verification{OK: true, Allowed: zoo.Tolerance, Engine: e.Name}
	o := zoo.Options{Weights: weights, Offline: c.offline, NonCommercial: c.noncommercial, Report: p.State}
	if e.Frozen == engine.FrozenONNXRuntime {
		o.ONNXRuntime, err = e.ONNXRuntime(ctx)
		if err != nil {
			return verification{}, err
		}
		out.Engine = "ONNX Runtime " + o.ONNXRuntime.Version()
	}
	seen := map[string]bool{} // several checkpoints share an architecture and its golden
	for i, name := range names {
		p.State("verifying", int64(i), int64(len(names)))
		verdicts, err := zoo.Verify(ctx, e.Backend, []string{name}, o)
		if err != nil {
			return out, err
		}
		for _, v := range verdicts {
			if key := v.Name + " " + string(v.Kind); !seen[key] {
				seen[key] = true
				out.add(v, 0)
			}
		}
	}
	out.OK = out.OK && out.Count > 0
	return out, nil
}

// add adds a verdict. allowed is what it allows instead of v.Allowed; 0 = that.
func (v *verification) add(one zoo.Verdict, allowed float64) {
	row := verdict{Model: one.Name, Kind: string(one.Kind), OK: one.OK, Skipped: one.Skipped, Problem: one.Problem, By: one.Referee, Allowed: allowed}
	if one.Skipped != "" {
		v.Skipped++
	} else {
		v.Count++
		v.OK = v.OK && one.OK
		if !math.IsInf(one.Relative, 0) && !math.IsNaN(one.Relative) {
			row.Relative = &one.Relative
			if allowed == 0 {
				v.Largest = max(v.Largest, one.Relative)
			}
		}
	}
	v.Models = append(v.Models, row)
}

func (c *command) table(v verification) {
	names, width := 24, 8
	for _, m := range v.Models {
		names, width = max(names, len(m.Model)), max(width, len(m.Runtime))
	}
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
		by := m.Kind
		if m.Runtime != "" {
			by = m.Runtime
		}
		if m.Allowed > 0 && m.OK {
			state += fmt.Sprintf(", allowed %.1e", m.Allowed)
		}
		c.say("%-*s %-*s %s  %s", names, m.Model, width, by, relative, state)
	}
	if v.Exports > 0 {
		what := "1 file"
		if v.Exports > 1 {
			what = fmt.Sprintf("%d files", v.Exports)
		}
		allowed := ""
		if v.Allowed > 0 {
			allowed = fmt.Sprintf(" (allowed %.0e)", v.Allowed)
		}
		c.say("\n%s replayed in %s, largest difference %.1e%s", what, v.Engine, v.Largest, allowed)
		return
	}
	c.say("\n%d goldens replayed on %s, largest difference %.1e (allowed %.0e), %d skipped", v.Count, v.Engine, v.Largest, v.Allowed, v.Skipped)
}
