package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/engine/plugin"
)

// ProbeMain must be the first call in the main function of a program that uses plugin.Probe
// on itself. In a probe, it opens the engine, prints the report and ends the process;
// otherwise it does nothing.
func ProbeMain() {
	if os.Getenv(plugin.ProbeVar) != "1" {
		return
	}
	report := probe()
	text, err := json.Marshal(report)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%s%s\n", plugin.ProbeMark, text)
	os.Exit(0)
}

func probe() plugin.Probed {
	start := time.Now()
	e, err := Open(context.Background(), Options{NoCompileCache: true})
	if err != nil {
		return plugin.Probed{Error: err.Error()}
	}
	defer e.Close()
	p := plugin.Probed{Name: e.Name, Device: e.Device, Plugin: e.Plugin, Why: e.Why, Threads: e.Threads, Open: time.Since(start).Seconds()}
	start = time.Now()
	if err := smoke(e.Backend); err != nil {
		return plugin.Probed{Error: "engine: " + e.Name + " opens and does not compute: " + oneLine(err)}
	}
	p.Run = time.Since(start).Seconds()
	return p
}
