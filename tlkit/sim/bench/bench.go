// Package bench is a table seen from above, with a two-link arm on it, insects and a blossom: tasks
// for learning from demonstrations that need nothing but this package.
//
//	w, err := sim.Open("bench/sort") // with _ "github.com/tlkit/transfer-learning/tlkit/sim/bench"
//
// [Sort] is to put the bee onto the blossom and leave the ants. It takes both what and where, because
// colour alone does not tell a bee from an ant. [Reach] is to take hold of the bee. [Push] is to push a
// cube of sugar onto the blossom with closed fingers; friction with the table decides how it moves.
//
// Each scene has its own table (paper, wash, sand, wood or meadow), individuals, blossom, arm and
// light. Positions are shares of the picture's side: 0, 0 is its top left corner and 1, 1 the
// bottom right one. One step is a tenth of a second. Importing the package registers the tasks:
// bench/sort, bench/sort-two-ants, bench/reach and bench/push.
//
// It is a bench, not a robot: flat, without inertia, and with fingers that never slip.
package bench

import (
	"fmt"
	"image"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/dice"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// Task is what there is to do on the table.
type Task string

// The tasks.
const (
	Sort  Task = "sort"  // put the bee onto the blossom, leave the ants
	Reach Task = "reach" // take hold of the bee, not of an ant
	Push  Task = "push"  // push the sugar onto the blossom
)

// Options change a task.
type Options struct {
	Ants int // how many ants to leave alone, 1 to 3; 0 = 1. Push has none
}

func init() {
	for name, open := range map[string]func() (*World, error){
		"bench/sort":          func() (*World, error) { return New(Sort, Options{}) },
		"bench/sort-two-ants": func() (*World, error) { return New(Sort, Options{Ants: 2}) },
		"bench/reach":         func() (*World, error) { return New(Reach, Options{}) },
		"bench/push":          func() (*World, error) { return New(Push, Options{}) },
	} {
		sim.Register(name, func() sim.World {
			w, err := open()
			if err != nil {
				panic(err) // these options are good
			}
			return w
		})
	}
}

// World is a table with a task. It implements sim.Teacher.
type World struct {
	task rules
	spec sim.Spec

	seed    uint64
	things  []thing // insects, or the sugar
	goal    vec     // the middle of the blossom
	bloom   bool    // there is a blossom
	tip     vec     // between the tips of the fingers
	shut    bool
	held    int // of things; -1 = nothing
	outcome sim.Outcome
	lifted  bool // an ant was

	scenery map[int]*scenery // by side, drawn when first needed
}

// A thing lies on the table.
type thing struct {
	at       vec
	cos, sin float64 // how the sugar is turned
}

// rules are what differs between tasks.
type rules interface {
	describe(s *sim.Spec)
	scene(w *World, d *dice.Dice)
	acted(w *World, from vec, shut bool) // the tip has come from there, the fingers want that
	teach(w *World) (move vec, shut bool)
	truth(w *World) []vec
	failed(w *World) string // why the task is not done when time is up
}

// The robot. Lengths are shares of the picture's side.
const (
	speed = 0.045 // of the tip in a step, at most
	grasp = 0.05  // how near the tip must be for the fingers to close on something
	near  = 0.08  // how near the blossom's middle counts
	there = 0.02  // how near the teacher goes
)

// New makes the world of a task, in scene 0.
func New(t Task, o Options) (*World, error) {
	if o.Ants < 0 || o.Ants > 3 {
		return nil, advice.New(fmt.Errorf("bench: %d ants", o.Ants), "there is room for 1 to 3")
	}
	w := &World{}
	ants := max(o.Ants, 1)
	switch t {
	case Sort:
		w.task = sorting{ants}
	case Reach:
		w.task = reaching{ants}
	case Push:
		w.task = pushing{}
	default:
		return nil, advice.New(fmt.Errorf("bench: no task %q", t), "there are %s, %s and %s", Sort, Reach, Push)
	}
	w.spec = sim.Spec{
		Robot: "planar-arm", Rate: 10, Steps: 80, Cameras: []sim.Camera{{Name: "top", Side: 160}},
		State:  []sim.Dimension{share("x"), share("y"), {Name: "gripper", Max: 1}, {Name: "opening", Max: 1}},
		Action: []sim.Dimension{{Name: "dx", Unit: "picture", Min: -speed, Max: speed}, {Name: "dy", Unit: "picture", Min: -speed, Max: speed}, {Name: "gripper", Max: 1}},
	}
	w.task.describe(&w.spec)
	return w, w.Reset(0)
}

func share(name string) sim.Dimension { return sim.Dimension{Name: name, Unit: "picture", Max: 1} }

// Spec implements sim.World.
func (w *World) Spec() sim.Spec { return w.spec.Clone() }

// Reset implements sim.World. It never fails.
func (w *World) Reset(seed uint64) error {
	w.seed, w.held, w.shut, w.lifted, w.bloom = seed, -1, false, false, true
	w.outcome, w.things, w.scenery = sim.Outcome{}, nil, nil
	w.task.scene(w, dice.New(seed, 1))
	return nil
}

// Feel implements sim.World.
func (w *World) Feel() []float32 {
	gripper, opening := float32(0), float32(1)
	if w.shut {
		gripper, opening = 1, 0
	}
	if w.held >= 0 {
		opening = 0.4
	}
	return []float32{float32(w.tip.x), float32(w.tip.y), gripper, opening}
}

// Truth implements sim.World.
func (w *World) Truth() (all []float32) {
	for _, v := range w.task.truth(w) {
		all = append(all, float32(v.x), float32(v.y))
	}
	return all
}

// Done implements sim.World.
func (w *World) Done() sim.Outcome { return w.outcome }

// Step implements sim.World. Moves longer than a step's 0.045 are shortened, whatever their
// direction.
func (w *World) Step(action []float32) error {
	a, err := w.spec.Limit(action)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if w.outcome.Over {
		return advice.New(fmt.Errorf("bench: %s: a step after the end of the episode (%s)", w.spec.Task, w.outcome.Why), "call Reset")
	}
	w.outcome.Steps++
	from := w.tip
	w.tip = w.tip.add(vec{float64(a[0]), float64(a[1])}.atMost(speed))
	w.tip = vec{min(max(w.tip.x, 0.03), 0.97), min(max(w.tip.y, 0.03), 0.97)}
	w.task.acted(w, from, a[2] > 0.5)
	if !w.outcome.Over && w.outcome.Steps == w.spec.Steps {
		w.end(false, fmt.Sprintf("%d steps, and %s", w.spec.Steps, w.task.failed(w)))
	}
	return nil
}

func (w *World) end(success bool, why string) {
	w.outcome.Over, w.outcome.Success, w.outcome.Why = true, success, why
}

// Teach implements sim.Teacher.
func (w *World) Teach() []float32 {
	move, shut := w.task.teach(w)
	move = move.atMost(speed)
	gripper := float32(0)
	if shut {
		gripper = 1
	}
	return []float32{float32(move.x), float32(move.y), gripper}
}

// Draw implements sim.World. It takes 8 ms for the first picture of a scene and a fraction of a
// millisecond for each further one, at 160 pixels.
func (w *World) Draw(camera string, side int) (*image.NRGBA, error) {
	if camera != "top" {
		return nil, advice.New(fmt.Errorf("bench: no camera %q", camera), "there is one, top")
	}
	if side < 8 || side > 2048 {
		return nil, fmt.Errorf("bench: a picture %d pixels wide, want 8 to 2048", side)
	}
	s := w.scenery[side]
	if s == nil {
		if len(w.scenery) >= 2 || w.scenery == nil { // those who draw at more sides pay with time
			w.scenery = make(map[int]*scenery)
		}
		s = newScenery(w, side)
		w.scenery[side] = s
	}
	return s.draw(w), nil
}
