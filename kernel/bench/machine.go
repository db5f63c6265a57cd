package bench

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/machine"
	"github.com/tlkit/transfer-learning/tlkit/engine"
)

// Machine is what figures were measured on, as far as speed depends on it.
type Machine struct {
	Processor    string   `json:"processor"`    // its model
	Instructions string   `json:"instructions"` // the widest vectors: AVX-512, AVX2, NEON, ...
	Cores        int      `json:"cores"`        // that this process may use
	System       string   `json:"system"`       // linux/amd64
	Versions     []string `json:"versions"`     // "gomlx v0.28.8", ...
}

// ThisMachine describes this machine. e may be nil.
func ThisMachine(e *engine.Engine) Machine {
	m := Machine{Processor: machine.Processor(), Instructions: machine.Instructions(), Cores: runtime.NumCPU(),
		System: runtime.GOOS + "/" + runtime.GOARCH, Versions: []string{runtime.Version()}}
	for _, name := range slices.Sorted(maps.Keys(engine.Versions())) {
		m.Versions = append(m.Versions, name+" "+engine.Versions()[name])
	}
	if e != nil && e.Plugin != "" {
		m.Versions = append(m.Versions, e.Plugin)
	}
	return m
}

// withPeers adds the versions of the peers.
func (m Machine) withPeers(figures []Figure) Machine {
	m.Versions = slices.Clone(m.Versions)
	for _, f := range figures {
		for _, p := range f.peers() {
			by := f.By[p]
			if p == torchJIT || p == otherWay || by == "" || slices.Contains(m.Versions, by) {
				continue
			}
			m.Versions = append(m.Versions, by)
		}
	}
	return m
}

// String describes the machine in one line.
func (m Machine) String() string {
	return fmt.Sprintf("%s with %s, %d cores, %s; %s", m.Processor, m.Instructions, m.Cores, m.System, strings.Join(m.Versions, ", "))
}
