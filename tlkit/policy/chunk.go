package policy

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/heatmap"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// Chunk is a policy for what is not a sequence of places, such as pushing: it predicts several actions at
// once, and looks again after some of them. Each of its keypoints is a softmax over the cells of a map,
// of weights as those of [Waypoint]; its place is the expectation. The places, as seen from the tip, and
// what else the robot feels go through a network of two hidden layers.
//
// Package cloning fits it. Acting is plain arithmetic.
type Chunk struct {
	Robot sim.Spec
	Map   [3]int // [h,w,C] of the maps; zero = the features go into the network as they are
	Modes int    // ways to go on that are predicted; the most likely one is taken
	Ahead int    // actions predicted at once
	Used  int    // of them, those done before the next look
	// Points has the weights of each keypoint, [2C]: of a cell's channels and of its neighbours' mean.
	Points [][]float32
	// Layers of the network: weights [in,out], row by row, and biases [out]. The inputs are the
	// keypoints' x and y (less the tip's, if the robot feels where it is; else the features), then the
	// numbers of the state, without the tip. The outputs are, for each mode, Ahead times the numbers of
	// the action: from -1 for its least to 1 for its largest value, and above 0 for a gripper that
	// shuts; then, for each mode, the logarithm of how likely it is, up to a constant.
	Layers [][2][]float32
	// Steps of gradient descent, as folds of demonstrations chose them, and the frames learnt from.
	Steps, Frames int
}

// Check reports what does not fit in a policy that comes from elsewhere.
func (c *Chunk) Check() error {
	if c.Ahead < 1 || c.Ahead > 1000 || c.Used < 1 || c.Used > c.Ahead || c.Modes < 1 || c.Modes > 100 {
		return fmt.Errorf("policy: a chunk of %d actions, %d of them used, in %d modes", c.Ahead, c.Used, c.Modes)
	}
	for _, d := range c.Robot.Action {
		if span := d.Max - d.Min; !(span > 0) || math.IsInf(span, 0) {
			return advice.New(fmt.Errorf("policy: the action's %s is from %g to %g, which are no limits", d.Name, d.Min, d.Max), "give each number of the action its limits, which a chunk is learnt within")
		}
	}
	for i, p := range c.Points {
		if len(p) != 2*c.Map[2] || notFinite(p) >= 0 {
			return fmt.Errorf("policy: keypoint %d has %d weights, want %d finite ones", i, len(p), 2*c.Map[2])
		}
	}
	if len(c.Layers) == 0 || len(c.Layers[0][1]) == 0 {
		return errors.New("policy: a chunk without layers")
	}
	if c.Map == [3]int{} && (len(c.Points) > 0 || c.inputs() < len(c.felt())) {
		return fmt.Errorf("policy: a chunk without a map has %d keypoints and %d inputs", len(c.Points), c.inputs())
	}
	n := len(c.Layers[0][0]) / max(len(c.Layers[0][1]), 1)
	for i, l := range c.Layers {
		if len(l[1]) == 0 || len(l[0]) != n*len(l[1]) || notFinite(l[0]) >= 0 || notFinite(l[1]) >= 0 {
			return fmt.Errorf("policy: layer %d has %d weights and %d biases for %d inputs", i, len(l[0]), len(l[1]), n)
		}
		n = len(l[1])
	}
	if want := c.Modes * (c.Ahead*len(c.Robot.Action) + 1); n != want {
		return fmt.Errorf("policy: a chunk's network has %d outputs, want %d", n, want)
	}
	if want := len(c.felt()) + 2*len(c.Points); c.Map != [3]int{} && c.inputs() != want {
		return fmt.Errorf("policy: a chunk's network has %d inputs, want %d", c.inputs(), want)
	}
	return nil
}

func (c *Chunk) inputs() int { return len(c.Layers[0][0]) / len(c.Layers[0][1]) }

// tip returns where in the state the tip is; -1 = the robot does not feel it.
func (c *Chunk) tip() (x, y int) {
	x, y = sim.Find(c.Robot.State, sim.TipX), sim.Find(c.Robot.State, sim.TipY)
	if x < 0 || y < 0 {
		return -1, -1
	}
	return x, y
}

// felt lists the numbers of the state that go into the network.
func (c *Chunk) felt() (all []int) {
	x, y := c.tip()
	for i := range c.Robot.State {
		if i != x && i != y {
			all = append(all, i)
		}
	}
	return all
}

// Spec is the robot of the demonstrations.
func (c *Chunk) Spec() sim.Spec { return c.Robot }

// Start begins an episode. Nothing is remembered in it.
func (c *Chunk) Start(uint64) (Actor, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	a := &chunkActor{Chunk: c, width: c.inputs() - len(c.felt())}
	if c.Map != [3]int{} {
		g := heatmap.Grid{H: c.Map[0], W: c.Map[1], C: c.Map[2]}
		a.width = g.Cells() * g.C
		a.logit = heatmap.Logit{Grid: g, Near: g.Neighbours()}
		a.scratch = a.logit.Scratch()
	}
	return a, nil
}

type chunkActor struct {
	*Chunk
	width   int // of a row of features
	logit   heatmap.Logit
	scratch *heatmap.Scratch
}

// Act implements Actor. Where is where the tip is after the actions; Heat is where the keypoints are.
func (a *chunkActor) Act(seen, state []float32) (d Decision, err error) {
	out, heat, err := a.outputs(seen, state)
	if err != nil {
		return d, err
	}
	d.Heat = heat
	n := len(a.Robot.Action)
	likely := out[a.Modes*a.Ahead*n:]
	mode := out[slices.Index(likely, slices.Max(likely))*a.Ahead*n:]
	for t := range a.Used {
		d.Actions = append(d.Actions, a.action(mode[t*n:][:n]))
	}
	d.Where = a.where(state, d.Actions)
	return d, nil
}

// Outputs returns what the network says about a look, see Layers. Its errors are those of Actor.Act.
func (c *Chunk) Outputs(seen, state []float32) ([]float32, error) {
	a, err := c.Start(0)
	if err != nil {
		return nil, err
	}
	out, _, err := a.(*chunkActor).outputs(seen, state)
	return out, err
}

func (a *chunkActor) outputs(seen, state []float32) (out, heat []float32, err error) {
	if err := (body{spec: a.Robot}).checkSeen(seen, state, a.width); err != nil {
		return nil, nil, err
	}
	in := slices.Clone(seen)
	if a.Map != [3]int{} {
		in, heat = a.keypoints(seen, state)
	}
	for _, i := range a.felt() {
		in = append(in, state[i])
	}
	return a.forward(in), heat, nil
}

// keypoints returns the place of each keypoint, and their mean probability of each cell.
func (a *chunkActor) keypoints(seen, state []float32) (places, heat []float32) {
	g := a.logit.Grid
	heat = make([]float32, g.Cells())
	var tip [2]float64
	if x, y := a.tip(); x >= 0 {
		tip = [2]float64{float64(state[x]), float64(state[y])}
	}
	for _, w := range a.Points {
		a.logit.Score(seen, w, a.scratch)
		heatmap.Softmax(a.scratch.Scores)
		var x, y float64
		for i, v := range a.scratch.Scores {
			x += float64(v) * (float64(i%g.W) + 0.5) / float64(g.W)
			y += float64(v) * (float64(i/g.W) + 0.5) / float64(g.H)
			heat[i] += v / float32(len(a.Points))
		}
		places = append(places, float32(x-tip[0]), float32(y-tip[1]))
	}
	return places, heat
}

// forward runs the network.
func (c *Chunk) forward(in []float32) []float32 {
	for i, l := range c.Layers {
		out := slices.Clone(l[1])
		w := blas32.General{Rows: len(in), Cols: len(out), Stride: len(out), Data: l[0]}
		blas32.Gemv(blas.Trans, 1, w, blas32.Vector{N: len(in), Inc: 1, Data: in}, 1, blas32.Vector{N: len(out), Inc: 1, Data: out})
		if i < len(c.Layers)-1 {
			for k, v := range out {
				out[k] = max(v, 0)
			}
		}
		in = out
	}
	return in
}

// action turns outputs of the network into an action within its limits.
func (c *Chunk) action(out []float32) []float32 {
	action := make([]float32, len(out))
	for i, d := range c.Robot.Action {
		v := min(max(float64(out[i]), -1), 1)
		if d.Role() == sim.Gripper {
			v = math.Copysign(1, v)
		}
		action[i] = float32((d.Min+d.Max)/2 + v*(d.Max-d.Min)/2)
	}
	return action
}

// where is the place of the tip after some actions, if the robot feels and moves it.
func (c *Chunk) where(state []float32, actions [][]float32) (at [2]float64) {
	x, y := c.tip()
	dx, dy := sim.Find(c.Robot.Action, sim.MoveX), sim.Find(c.Robot.Action, sim.MoveY)
	if x < 0 || dx < 0 || dy < 0 {
		return at
	}
	at = [2]float64{float64(state[x]), float64(state[y])}
	for _, a := range actions {
		at[0], at[1] = at[0]+float64(a[dx]), at[1]+float64(a[dy])
	}
	return at
}

// Episodes checks the demonstrations for any policy. It returns, for each frame, the first and the last
// frame of its demonstration, and the number of its scene: frames of one scene belong in one fold.
func (d Demonstrations) Episodes() (all [][3]int, err error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	scenes := 0
	for _, span := range d.spans() {
		for range span.to - span.from {
			all = append(all, [3]int{span.from, span.to - 1, span.scene})
		}
		scenes = max(scenes, span.scene+1)
	}
	if scenes < leastScenes {
		return nil, advice.New(fmt.Errorf("policy: demonstrations of %d scenes, want %d or more", scenes, leastScenes), "show other scenes: move the things, and the arm, before each demonstration")
	}
	return all, nil
}
