package wrapper

import (
	"context"
	"os"
	"slices"
	"time"
)

// BoundVar, set to 1, makes a kernel end with the process that started it and end everything that
// its cells started. tlkit run sets it. A kernel of JupyterLab leaves the programs of its cells
// running when it ends: they may be saving what they trained.
const BoundVar = "TLKIT_KERNEL_BOUND"

func isBound() bool { return os.Getenv(BoundVar) == "1" }

const (
	askParent = 300 * time.Millisecond // how often a bound kernel looks for its parent
	saving    = 4 * time.Second        // time for a cell's program to end by itself
)

// whenOrphaned calls do when the process that started this one has ended, until ctx ends.
func whenOrphaned(ctx context.Context, do func()) {
	parent := os.Getppid()
	tick := time.NewTicker(askParent)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if os.Getppid() != parent {
				do()
				return
			}
		}
	}
}

// endOthers ends the processes that cells left running. Cell programs, which are in dir, were told
// to end and get some time for it.
func endOthers(dir string) {
	endHelpers(dir)
	for begin := time.Now(); time.Since(begin) < saving && slices.ContainsFunc(descendants(), func(pid int) bool { return runsFrom(pid, dir) }); {
		time.Sleep(20 * time.Millisecond)
	}
	// A process may start another one meanwhile.
	for range 10 {
		if killAll(descendants()) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}
