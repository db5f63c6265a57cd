package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// ProbeVar is an environment variable. If it is 1, a program that calls engine.ProbeMain
// opens the engine, reports and ends.
const ProbeVar = "TLKIT_ENGINE_PROBE"

// ProbeMark begins the line of standard output that contains the report.
const ProbeMark = "tlkit-engine-probe: "

// RuntimeMark begins the line after it, which contains the report about ONNX Runtime.
const RuntimeMark = "tlkit-onnxruntime-probe: "

// Probed is the report of a child process that opened the engine.
type Probed struct {
	Name    string  `json:"name"`    // "xla:cpu"
	Device  string  `json:"device"`  // the processor or the card
	Plugin  string  `json:"plugin"`  // which XLA; "" for plain Go
	Why     string  `json:"why"`     // why nothing faster is used; "" if it is the fastest
	Threads int     `json:"threads"` // processor threads that the process may use
	Open    float64 `json:"open"`    // seconds to open
	Run     float64 `json:"run"`     // seconds to compile and run one small program
	Error   string  `json:"error,omitempty"`

	// ONNXRuntime is the report about ONNX Runtime, which the child opens after the engine.
	ONNXRuntime ProbedRuntime `json:"-"`
}

// ProbedRuntime is the report about ONNX Runtime.
type ProbedRuntime struct {
	Library string  `json:"library"` // which one; "" if there is none
	Open    float64 `json:"open"`    // seconds to check and open it
	Unused  string  `json:"unused"`  // why this engine runs no network on it; "" if it may
	// Error says why it cannot be used, and Fix what to type.
	Error string `json:"error,omitempty"`
	Fix   string `json:"fix,omitempty"`
	// None: there is no build for this machine, which is no fault.
	None bool `json:"none,omitempty"`
}

// Probe opens the engine in a child process and returns its report. A plugin that kills its
// process (SIGBUS, SIGSEGV, abort) kills only the child, and Probe returns an error. Where the engine
// fails in the child, the report is returned too: it tells about ONNX Runtime.
//
// exe is a program whose main calls engine.ProbeMain first; "" means this program.
func Probe(ctx context.Context, exe string) (*Probed, error) {
	if os.Getenv(ProbeVar) != "" {
		// This program is itself a probe that did not end: stop here.
		return nil, advice.New(fmt.Errorf("plugin: %s is set, so this process is a probe already", ProbeVar), "its main must call engine.ProbeMain first")
	}
	if exe == "" {
		var err error
		exe, err = os.Executable()
		if err != nil {
			return nil, fmt.Errorf("plugin: %w", err)
		}
	}
	const limit = 2 * time.Minute
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer for %s", limit))
	defer cancel()
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), ProbeVar+"=1", "GOTRACEBACK=none")
	var out, diag bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diag
	cmd.WaitDelay = 2 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, advice.New(fmt.Errorf("plugin: opening the engine in a child process: %w", context.Cause(ctx)), "run: tlkit setup")
	}
	p, jerr := probed(out.String())
	switch {
	case jerr != nil:
		return nil, fmt.Errorf("plugin: the probe's report cannot be read: %w", jerr)
	case p != nil && p.ONNXRuntime == ProbedRuntime{} && err != nil:
		p.ONNXRuntime = ProbedRuntime{Error: fmt.Sprintf("opening ONNX Runtime kills the process (%s); it does not fit this machine", deathOf(err, diag.String())),
			Fix: "set GOMLX_BACKEND=xla:cpu, and networks run on XLA alone"}
	}
	if p != nil && p.Error != "" {
		return p, errors.New(p.Error)
	}
	if p != nil {
		return p, nil
	}
	if err == nil {
		return nil, advice.New(fmt.Errorf("plugin: %s ended without a report", exe), "its main must call engine.ProbeMain first")
	}
	return nil, advice.New(fmt.Errorf("plugin: opening XLA kills the process (%s); the plugin file is damaged or does not fit this machine", deathOf(err, diag.String())), "run: tlkit setup")
}

// probed reads the lines of a report; nil if the first is not there.
func probed(out string) (p *Probed, err error) {
	for line := range strings.Lines(out) {
		if text, ok := strings.CutPrefix(line, ProbeMark); ok {
			p = new(Probed)
			err = errors.Join(err, json.Unmarshal([]byte(text), p))
		}
		if text, ok := strings.CutPrefix(line, RuntimeMark); ok && p != nil {
			err = errors.Join(err, json.Unmarshal([]byte(text), &p.ONNXRuntime))
		}
	}
	return p, err
}

// deathOf says how a child died, with the most informative line of its output.
func deathOf(err error, diag string) string {
	how := err.Error()
	words := ""
	for line := range strings.Lines(diag) {
		line = strings.TrimSpace(line)
		// The Go runtime's own report of a signal, or a fatal line of XLA's log.
		if words == "" && line != "" || strings.Contains(line, "SIG") || strings.HasPrefix(line, "F0") || strings.Contains(line, "Unknown flag") {
			words = line
		}
	}
	if words != "" && !strings.Contains(how, words) {
		if len(words) > 300 {
			words = words[:300]
		}
		how += ": " + words
	}
	return how
}
