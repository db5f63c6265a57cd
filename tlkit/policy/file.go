package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/heatmap"
	"github.com/tlkit/transfer-learning/internal/sealed"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// File is what a policy file holds: a policy, and all that its robot and its network have to agree
// with. It is a safetensors file with the sha256 of its own content; nothing in it is executed.
type File struct {
	Policy      Policy       // a [Waypoint], or of another kind that a file can hold
	Sight       Sight        // what it sees with
	Learnt      Learnt       // what it was learnt from
	Familiarity *Familiarity // what its demonstrations look like; nil = not known
	// Parity is what policy and network gave for each of the built-in scenes when the file was
	// written, [scenes, n]; see package robot.
	Parity [][]float32
	// Entries are further ones of the metadata. Names that begin with "tlkit." are this package's,
	// but for those that package robot writes.
	Entries map[string]string
	SHA256  string // of the file; set by Open
}

// Sight is the network that a policy sees with.
type Sight struct {
	Model  string            `json:"model"`   // of the zoo
	SHA256 string            `json:"weights"` // what identifies its weights, see zoo.Net
	Stage  string            `json:"stage"`
	Map    [3]int            `json:"map"` // [h,w,C]; zero = pooled features
	Preset transforms.Preset `json:"preset"`
}

// Learnt says what a policy was learnt from.
type Learnt struct {
	Source         string       `json:"source"` // a task, or the name of a folder
	Demonstrations int          `json:"demonstrations"`
	Frames         int          `json:"frames"`
	SHA256         string       `json:"sha256"` // of all states, actions and features
	State          [][2]float64 `json:"state"`  // the least and the largest of each number of the state
	Action         [][2]float64 `json:"action"` // the same of the actions
}

// The entries of a policy file: what kind it is, and the contract with the robot.
const (
	kindEntry     = "tlkit.policy"
	contractEntry = "tlkit.contract"
	parityTensor  = "tlkit.parity"
	mostFile      = 64 << 20
)

// keepable is a policy that a file can hold. A new kind is a type with these methods, and a function
// in kinds.
type keepable interface {
	Policy
	kind() string
	// pack returns what the policy needs besides its robot and its sight: what becomes JSON, and
	// tensors, whose names begin with its kind.
	pack() (fit any, tensors []weights.Tensor)
}

// kinds makes policies of what files hold. Tensors come from strangers: their sizes are checked.
var kinds = map[string]func(c contract, f *weights.File) (Policy, error){
	kindWaypoint: unpackWaypoint,
	kindChunk:    unpackChunk,
}

// contract is what a policy file says about its robot and its fit, as JSON.
type contract struct {
	Robot       sim.Spec        `json:"robot"`
	Sight       Sight           `json:"sight"`
	Learnt      Learnt          `json:"learnt"`
	Familiarity *Familiarity    `json:"familiarity,omitempty"`
	Fit         json.RawMessage `json:"fit"` // of the kind
}

// Write writes the file. The same policy gives the same bytes. It is an error if files cannot hold a
// policy of this kind.
func (f *File) Write(path string) error {
	p, ok := f.Policy.(keepable)
	if !ok {
		return fmt.Errorf("policy: a file cannot hold a policy of type %T; it can hold %v", f.Policy, slices.Sorted(maps.Keys(kinds)))
	}
	fit, tensors := p.pack()
	raw, err := json.Marshal(fit)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	about, err := json.Marshal(contract{p.Spec(), f.Sight, f.Learnt, f.Familiarity, raw})
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	entries := maps.Clone(f.Entries)
	if entries == nil {
		entries = map[string]string{}
	}
	entries["format"], entries[kindEntry], entries[contractEntry] = "pt", p.kind(), string(about)
	if len(f.Parity) > 0 {
		tensors = append(tensors, weights.FromFloat32(parityTensor, []int{len(f.Parity), len(f.Parity[0])}, slices.Concat(f.Parity...)))
	}
	if f.Familiarity != nil {
		tensors = append(tensors, f.Familiarity.tensors()...)
	}
	if err := sealed.Write(path, tensors, entries); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	return nil
}

// Open reads a file that [File.Write] has written. A file of something else, one that has changed since,
// and one whose parts do not fit each other is an error.
func Open(path string) (*File, error) {
	w, sum, err := sealed.Open(path, mostFile)
	if err != nil {
		return nil, notPolicy(path, err)
	}
	defer w.Close()
	f, err := read(w)
	if err != nil {
		return nil, notPolicy(path, err)
	}
	f.SHA256 = sum
	return f, nil
}

// notPolicy says that a file cannot be used.
func notPolicy(path string, err error) error {
	var foreign *weights.FormatError
	if errors.As(err, &foreign) { // which names the file
		return fmt.Errorf("policy: not a policy file: %w", err)
	}
	if why, fix := advice.Split(err); fix != "" {
		return advice.New(fmt.Errorf("policy: %s: %s", path, why), "%s", fix)
	}
	return fmt.Errorf("policy: %s: %w", path, err)
}

func read(w *weights.File) (*File, error) {
	kind, ok := w.Metadata[kindEntry]
	if !ok {
		return nil, advice.New(fmt.Errorf("not a policy file: no %q in the metadata", kindEntry), "tlkit robot fit TASK -o FILE writes one")
	}
	unpack, ok := kinds[kind]
	if !ok {
		return nil, advice.New(fmt.Errorf("a policy of the kind %.40q, want one of %v", kind, slices.Sorted(maps.Keys(kinds))), "use the version of tlkit that wrote the file, or fit it again: tlkit robot fit")
	}
	var c contract
	dec := json.NewDecoder(bytes.NewReader([]byte(w.Metadata[contractEntry])))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return nil, fmt.Errorf("its contract: %w", err)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	f := &File{Sight: c.Sight, Learnt: c.Learnt, Familiarity: c.Familiarity, Entries: w.Metadata}
	var err error
	if f.Policy, err = unpack(c, w); err != nil {
		return nil, err
	}
	if f.Parity, err = readParity(w); err != nil {
		return nil, err
	}
	if f.Familiarity != nil {
		err = f.Familiarity.read(c, w)
	}
	return f, err
}

// check looks for what contradicts itself in a contract.
func (c contract) check() error {
	if len(c.Robot.Cameras) == 0 {
		return errors.New("its robot has no camera")
	}
	for _, n := range c.Sight.Map {
		if n < 0 || n > 1<<16 {
			return fmt.Errorf("a map of %v", c.Sight.Map)
		}
	}
	if err := c.Sight.Preset.Validate(); err != nil {
		return err
	}
	for _, part := range []struct {
		what string
		dims []sim.Dimension
		seen [][2]float64
	}{{"state", c.Robot.State, c.Learnt.State}, {"action", c.Robot.Action, c.Learnt.Action}} {
		if len(part.seen) != len(part.dims) {
			return fmt.Errorf("ranges of %d numbers of the %s, want %d", len(part.seen), part.what, len(part.dims))
		}
		for i, r := range part.seen {
			if d := part.dims[i]; !(r[0] <= r[1]) || !(d.Min <= d.Max) {
				return fmt.Errorf("the %s's %s is from %g to %g, within %g to %g", part.what, d.Name, r[0], r[1], d.Min, d.Max)
			}
		}
	}
	return nil
}

func readParity(w *weights.File) ([][]float32, error) {
	t, ok := w.Tensor(parityTensor)
	if !ok {
		return nil, nil
	}
	if len(t.Shape) != 2 || t.Shape[0] < 1 || t.Shape[0] > 16 || t.Shape[1] < 1 {
		return nil, fmt.Errorf("%s has the shape %v", parityTensor, t.Shape)
	}
	all, err := t.Float32()
	if err != nil {
		return nil, err
	}
	return slices.Collect(slices.Chunk(all, t.Shape[1])), nil
}

// tensorOf reads a tensor of n finite numbers.
func tensorOf(f *weights.File, name string, n int) ([]float32, error) {
	t, ok := f.Tensor(name)
	if !ok {
		return nil, fmt.Errorf("it has no tensor %s", name)
	}
	values, err := t.Float32()
	if err != nil {
		return nil, err
	}
	if len(values) != n || notFinite(values) >= 0 {
		return nil, fmt.Errorf("its tensor %s of %d numbers, want %d finite ones", name, len(values), n)
	}
	return values, nil
}

const kindWaypoint = "waypoint 2"

// The tensors of a waypoint policy, [2C] each.
var tensorNames = [phases]string{open: "waypoint.open", holding: "waypoint.holding"}

// waypointFit is what a file says about a waypoint policy.
type waypointFit struct {
	Nothing  float64          `json:"nothing"` // an opening below it is that of fingers shut on nothing
	Strength float64          `json:"strength"`
	Frames   int              `json:"frames"`
	Choices  []Choice         `json:"choices,omitempty"`
	Guess    metrics.Fraction `json:"guess,omitzero"`
}

func (w *Waypoint) kind() string { return kindWaypoint }

func (w *Waypoint) pack() (fit any, tensors []weights.Tensor) {
	for p, name := range tensorNames {
		tensors = append(tensors, weights.FromFloat32(name, []int{len(w.Weight[p])}, w.Weight[p]))
	}
	return waypointFit{w.body.nothing, w.Strength, w.Frames, w.Choices, w.Guess}, tensors
}

func unpackWaypoint(c contract, f *weights.File) (Policy, error) {
	var fit waypointFit
	if err := json.Unmarshal(c.Fit, &fit); err != nil || math.IsNaN(fit.Nothing) {
		return nil, fmt.Errorf("its fit: %w", err)
	}
	m := c.Sight.Map
	if m[0]*m[1]*m[2] == 0 {
		return nil, fmt.Errorf("waypoints on a map of %v", m)
	}
	w := &Waypoint{Map: m, Strength: fit.Strength, Frames: fit.Frames, Choices: fit.Choices, Guess: fit.Guess, neighbours: heatmap.Grid{H: m[0], W: m[1], C: m[2]}.Neighbours()}
	var err error
	if w.body, err = newBody(c.Robot); err != nil {
		return nil, err
	}
	w.body.nothing = fit.Nothing
	for p, name := range tensorNames {
		if w.Weight[p], err = tensorOf(f, name, 2*m[2]); err != nil {
			return nil, err
		}
	}
	return w, nil
}
