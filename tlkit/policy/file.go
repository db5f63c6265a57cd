package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/heatmap"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// The entries of a policy file: what it is, and the contract with the robot.
const (
	kindEntry     = "tlkit.policy"
	contractEntry = "tlkit.contract"
	kindWaypoint  = "waypoint 1"
)

// contract is what a policy file says about its robot and its fit, as JSON.
type contract struct {
	Robot    sim.Spec `json:"robot"`
	Map      [3]int   `json:"map"`
	Nothing  float64  `json:"nothing"` // an opening below it is that of fingers shut on nothing
	Strength float64  `json:"strength"`
	Frames   int      `json:"frames"`
	Choices  []Choice `json:"choices,omitempty"`
}

// The tensors of a policy file.
var tensorNames = [phases]string{open: "waypoint.open", holding: "waypoint.holding"}

// Save writes the policy as a safetensors file: two tensors [2C], and in its metadata the robot that
// it drives. The caller's entries are written beside it. The same policy gives the same bytes.
func (w *Waypoint) Save(path string, entries map[string]string) error {
	c, err := json.Marshal(contract{w.body.spec, w.Map, w.body.nothing, w.Strength, w.Frames, w.Choices})
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	all := maps.Clone(entries)
	if all == nil {
		all = map[string]string{}
	}
	all[kindEntry], all[contractEntry] = kindWaypoint, string(c)
	var tensors []weights.Tensor
	for p, name := range tensorNames {
		tensors = append(tensors, weights.FromFloat32(name, []int{len(w.Weight[p])}, w.Weight[p]))
	}
	return weights.WriteSafetensors(path, tensors, all)
}

// Open reads a file that Save has written, and returns the caller's entries too. A file of something
// else, or whose tensors do not fit its contract, is an error.
func Open(path string) (*Waypoint, map[string]string, error) {
	f, err := weights.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	bad := func(format string, args ...any) (*Waypoint, map[string]string, error) {
		return nil, nil, advice.New(fmt.Errorf("policy: %s is not a policy file: "+format, append([]any{path}, args...)...), "tlkit robot fit writes one")
	}
	if kind := f.Metadata[kindEntry]; kind != kindWaypoint {
		return bad("its %s is %q, want %q", kindEntry, kind, kindWaypoint)
	}
	var c contract
	if err := json.Unmarshal([]byte(f.Metadata[contractEntry]), &c); err != nil {
		return bad("its %s is not JSON: %w", contractEntry, err)
	}
	for _, n := range c.Map {
		if n < 1 || n > 1<<16 {
			return bad("a map of %v", c.Map)
		}
	}
	if math.IsNaN(c.Nothing) || len(c.Robot.Cameras) == 0 {
		return bad("its robot has no camera")
	}
	w := &Waypoint{Map: c.Map, Strength: c.Strength, Frames: c.Frames, Choices: c.Choices, neighbours: heatmap.Grid{H: c.Map[0], W: c.Map[1], C: c.Map[2]}.Neighbours()}
	if w.body, err = newBody(c.Robot); err != nil {
		return nil, nil, err
	}
	w.body.nothing = c.Nothing
	for p, name := range tensorNames {
		t, ok := f.Tensor(name)
		if !ok {
			return bad("it has no tensor %s", name)
		}
		values, err := t.Float32()
		if err != nil {
			return nil, nil, err
		}
		if len(values) != 2*c.Map[2] || notFinite(values) >= 0 {
			return bad("its tensor %s of %d numbers does not fit a map of %v", name, len(values), c.Map)
		}
		w.Weight[p] = values
	}
	return w, f.Metadata, nil
}
