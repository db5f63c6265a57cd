package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
	"github.com/tlkit/transfer-learning/tlkit/engine/plugin"
)

// ProbeMain must be the first call in the main function of a program that uses plugin.Probe
// on itself. In a probe, it opens the engine, prints the report and ends the process;
// otherwise it does nothing.
func ProbeMain() {
	if os.Getenv(plugin.ProbeVar) != "1" {
		return
	}
	report, e := probe()
	text, err := json.Marshal(report)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%s%s\n", plugin.ProbeMark, text)
	// On a line of its own: what kills the process now is ONNX Runtime's fault.
	if text, err = json.Marshal(probeRuntime(e)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%s%s\n", plugin.RuntimeMark, text)
	os.Exit(0)
}

// probe opens the engine; it is nil where that fails.
func probe() (plugin.Probed, *Engine) {
	start := time.Now()
	e, err := Open(context.Background(), Options{NoCompileCache: true})
	if err != nil {
		return plugin.Probed{Error: err.Error()}, nil
	}
	p := plugin.Probed{Name: e.Name, Device: e.Device, Plugin: e.Plugin, Why: e.Why, Threads: e.Threads, Open: time.Since(start).Seconds()}
	start = time.Now()
	if err := smoke(e.Backend); err != nil {
		return plugin.Probed{Error: "engine: " + e.Name + " opens and does not compute: " + oneLine(err)}, e
	}
	p.Run = time.Since(start).Seconds()
	return p, e
}

// probeRuntime checks and opens ONNX Runtime; e is nil where the engine did not open.
func probeRuntime(e *Engine) (p plugin.ProbedRuntime) {
	start := time.Now()
	ctx := context.Background()
	library := ""
	if e != nil {
		library, p.Unused = e.library, e.unused()
	}
	rt, err := openRuntime(ctx, library, true)
	if err == nil {
		err = rt.Check()
	}
	if err != nil {
		p.Error, p.Fix = advice.Split(err)
		p.None = library == "" && len(onnxruntime.Here()) == 0
		return p
	}
	l := rt.Library()
	p.Library, p.Open = l.String(), time.Since(start).Seconds()
	return p
}
