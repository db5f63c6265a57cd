package sim

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tlkit/transfer-learning/internal/advice"
)

var (
	registered sync.RWMutex
	tasks      = make(map[string]func() World)
)

// Register makes a task known under its name ("bench/sort"), for [Open]. Packages of worlds call
// it in init; it panics if the name is taken or there is nothing to open.
func Register(task string, open func() World) {
	registered.Lock()
	defer registered.Unlock()
	if _, taken := tasks[task]; taken || task == "" || open == nil {
		panic(fmt.Sprintf("sim: Register(%q): the name is taken or empty, or there is no function", task))
	}
	tasks[task] = open
}

// find returns what makes the world of a task.
func find(task string) (func() World, error) {
	registered.RLock()
	open := tasks[task]
	registered.RUnlock()
	if open != nil {
		return open, nil
	}
	known := Tasks()
	if len(known) == 0 {
		return nil, advice.New(fmt.Errorf("sim: no task %q", task), `import a package with worlds: _ "github.com/tlkit/transfer-learning/tlkit/sim/bench"`)
	}
	return nil, advice.New(fmt.Errorf("sim: no task %q", task), "there are %s", strings.Join(known, ", "))
}

// Open returns the world of a task, reset to scene 0. The package with the world must be imported, and
// what an [Installer] needs must be there.
func Open(task string) (World, error) {
	open, err := find(task)
	if err != nil {
		return nil, err
	}
	w := open()
	if err := w.Reset(0); err != nil {
		return nil, fmt.Errorf("sim: opening %s: %w", task, err)
	}
	return w, nil
}

// Tasks lists the names of all registered tasks, sorted.
func Tasks() []string {
	registered.RLock()
	defer registered.RUnlock()
	var all []string
	for name := range tasks {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
