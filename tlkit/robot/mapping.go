package robot

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// mapping says which numbers of a data set are the tip and the fingers.
type mapping struct {
	x, y    int        // of the state
	gripper int        // of the action; -1 = there are no fingers
	edges   [4]float64 // left, right, top, bottom
	between float64    // the command between open and shut
	high    bool       // fingers are open above it
}

// remap makes the robot that moves its tip in the picture out of the one that was recorded.
func (d *dataset) remap(spec sim.Spec, data Data) (err error) {
	m := mapping{gripper: -1, edges: data.Edges}
	if m.edges == [4]float64{} {
		m.edges = [4]float64{0, 1, 0, 1}
	}
	if !(math.Abs(m.edges[1]-m.edges[0]) > 0 && math.Abs(m.edges[3]-m.edges[2]) > 0) || math.IsInf(m.edges[0]+m.edges[1]+m.edges[2]+m.edges[3], 0) {
		return advice.New(fmt.Errorf("robot: the picture's edges at %v", m.edges), "give left, right, top and bottom, such as --edges 0,640,0,480")
	}
	if data.Tip == [2]string{} {
		return advice.New(fmt.Errorf("robot: %s does not say which numbers are the place of the tip in the picture; its state has %s", d.dir, names(spec.State)),
			"name the two: --tip NAME,NAME; angles of joints have none, and --policy %s takes them as they are", Chunks)
	}
	if m.x, err = d.find(spec.State, "observation.state", data.Tip[0]); err != nil {
		return err
	}
	if m.y, err = d.find(spec.State, "observation.state", data.Tip[1]); err != nil {
		return err
	}
	if m.x == m.y {
		return advice.New(fmt.Errorf("robot: the tip's place across and down are both %s", data.Tip[0]), "name two numbers: --tip NAME,NAME")
	}
	if data.Gripper != noGripper {
		if m.gripper, err = d.fingers(spec, data.Gripper); err != nil {
			return err
		}
		if err := d.opened(&m); err != nil {
			return err
		}
	}
	return d.move(spec, m)
}

// find returns the number of a state or an action with a name, or with a place such as
// "observation.state.3".
func (d *dataset) find(dims []sim.Dimension, column, name string) (int, error) {
	if at := slices.IndexFunc(dims, func(dim sim.Dimension) bool { return dim.Name == name }); at >= 0 {
		return at, nil
	}
	if place, ok := strings.CutPrefix(name, column+"."); ok {
		if at, err := strconv.Atoi(place); err == nil && at >= 0 && at < len(dims) {
			return at, nil
		}
	}
	return 0, advice.New(fmt.Errorf("robot: %s: its %s has no %q", d.dir, column, name), "there are %s; or say which one, such as %s.%d", names(dims), column, len(dims)-1)
}

// fingers finds the command of the fingers in the action.
func (d *dataset) fingers(spec sim.Spec, name string) (int, error) {
	if name == "" {
		if at := sim.Find(spec.Action, sim.Gripper); at >= 0 {
			return at, nil
		}
		return 0, advice.New(fmt.Errorf("robot: %s does not say which number commands the gripper; its action has %s", d.dir, names(spec.Action)),
			"name it: --gripper NAME; for a robot without one: --gripper %s", noGripper)
	}
	return d.find(spec.Action, "action", name)
}

// opened finds out which way the fingers are open: as they are where the demonstrations begin.
func (d *dataset) opened(m *mapping) error {
	command := func(f policy.Frame) float64 { return float64(f.Action[m.gripper]) }
	least, most := d.span(command)
	m.between = (least + most) / 2
	var high, low []string
	for e, i := range d.first[:len(d.first)-1] {
		if command(d.frames[i]) > m.between {
			high = append(high, strconv.Itoa(e))
		} else {
			low = append(low, strconv.Itoa(e))
		}
	}
	m.high = len(high) > len(low)
	if len(high) == 0 || len(low) == 0 {
		return nil
	}
	fewer := high
	if m.high {
		fewer = low
	}
	if len(fewer) > 10 {
		fewer = append(fewer[:10:10], "…")
	}
	return advice.New(fmt.Errorf("robot: %s: the gripper's command begins above %.3g in %d demonstrations and below it in %d, and each has to begin with open fingers", d.dir, m.between, len(high), len(low)),
		"leave the others out: tlkit robot convert %s NEW --leave-out %s", invoke.Quote(d.dir), strings.Join(fewer, ","))
}

// move makes the frames of the robot: where its tip is, whether its fingers were told to be shut, how
// far the tip moves next, and what the fingers are told.
func (d *dataset) move(spec sim.Spec, m mapping) error {
	own := make([]policy.Frame, len(d.frames))
	var reach float64
	for e := range len(d.first) - 1 {
		shut := float32(0)
		for i := d.first[e]; i < d.first[e+1]; i++ {
			f := policy.Frame{Episode: e, State: m.tip(d.frames[i])}
			if at := [2]float64{float64(f.State[0]), float64(f.State[1])}; !inPicture(at[0]) || !inPicture(at[1]) {
				return advice.New(fmt.Errorf("robot: %s: episode %d, frame %d: the tip is at %.4g, %.4g of the picture, want 0 to 1", d.dir, e, i-d.first[e], at[0], at[1]),
					"say what its numbers are at the left, right, top and bottom edge, such as --edges 0,640,0,480")
			}
			f.Action = []float32{0, 0}
			if i+1 < d.first[e+1] {
				next := m.tip(d.frames[i+1])
				f.Action = []float32{next[0] - f.State[0], next[1] - f.State[1]}
			}
			reach = max(reach, math.Abs(float64(f.Action[0])), math.Abs(float64(f.Action[1])))
			if m.gripper >= 0 {
				f.State = append(f.State, shut)
				shut = m.shut(d.frames[i])
				f.Action = append(f.Action, shut)
			}
			own[i] = f
		}
	}
	if reach == 0 {
		return advice.New(fmt.Errorf("robot: %s: the tip never moves", d.dir), "name the numbers of the state that say where it is: --tip NAME,NAME; there are %s", names(spec.State))
	}
	share := func(name string) sim.Dimension { return sim.Dimension{Name: name, Unit: "picture", Max: 1} }
	step := func(name string) sim.Dimension {
		return sim.Dimension{Name: name, Unit: "picture", Min: -reach, Max: reach}
	}
	spec.Task = d.name()
	spec.State, spec.Action, spec.Truth = []sim.Dimension{share("x"), share("y")}, []sim.Dimension{step("dx"), step("dy")}, nil
	if m.gripper >= 0 {
		spec.State, spec.Action = append(spec.State, sim.Dimension{Name: "gripper", Max: 1}), append(spec.Action, sim.Dimension{Name: "gripper", Max: 1})
	}
	d.robot, d.frames = spec, own
	return nil
}

// inPicture reports whether a place is in the picture, or not far from it.
func inPicture(at float64) bool { return at >= -0.5 && at <= 1.5 }

// tip is where the tip of a recorded frame is, in shares of the picture.
func (m mapping) tip(f policy.Frame) []float32 {
	share := func(v float32, from, to float64) float32 { return float32((float64(v) - from) / (to - from)) }
	return []float32{share(f.State[m.x], m.edges[0], m.edges[1]), share(f.State[m.y], m.edges[2], m.edges[3])}
}

// shut is 1 if the fingers are told to be shut.
func (m mapping) shut(f policy.Frame) float32 {
	if (float64(f.Action[m.gripper]) > m.between) != m.high {
		return 1
	}
	return 0
}

// The least correlation of how the tip moves with how it was told to, and how much more the other axis
// may follow. Of 2 demonstrations of the bench it is 0.6 or more, of 4 or more 0.87.
const (
	leastFollowing = 0.2
	moreFollowing  = 0.05
)

// ordered refuses states whose x and y do not follow the actions dx and dy: numbers in another order
// than their names would be learnt from without a word.
func (d *dataset) ordered() error {
	at := [2]int{sim.Find(d.robot.State, sim.TipX), sim.Find(d.robot.State, sim.TipY)}
	told := [2]int{sim.Find(d.robot.Action, sim.MoveX), sim.Find(d.robot.Action, sim.MoveY)}
	c := d.following(at, told)
	swapped := c[0][1] > c[0][0]+moreFollowing && c[1][0] > c[1][1]+moreFollowing
	for i := range at {
		if c[i][i] < leastFollowing || swapped {
			return advice.New(fmt.Errorf("robot: %s: the state's %s does not follow the action's %s (correlation %.2f): are the numbers in another order than their names?", d.dir, d.robot.State[at[i]].Name, d.robot.Action[told[i]].Name, c[i][i]),
				"correct the names in meta/info.json and meta/tlkit.json")
		}
	}
	return nil
}

// following correlates how two numbers of the state change with two of the action; NaN where nothing moves.
func (d *dataset) following(at, told [2]int) (c [2][2]float64) {
	var moved, asked [2]float64
	for k, f := range d.frames[:len(d.frames)-1] {
		next := d.frames[k+1]
		if next.Episode != f.Episode {
			continue
		}
		for i := range at {
			by, want := float64(next.State[at[i]])-float64(f.State[at[i]]), float64(f.Action[told[i]])
			moved[i], asked[i] = moved[i]+by*by, asked[i]+want*want
			for j := range told {
				c[i][j] += by * float64(f.Action[told[j]])
			}
		}
	}
	for i := range at {
		for j := range told {
			c[i][j] /= math.Sqrt(moved[i] * asked[j])
		}
	}
	return c
}

// names lists the names of numbers, of long lists the first ones.
func names(dims []sim.Dimension) string {
	var all []string
	for i, d := range dims {
		if i == 12 {
			all = append(all, "…")
			break
		}
		all = append(all, d.Name)
	}
	return strings.Join(all, ", ")
}
