package policy

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// Waypoint is a policy that asks each cell of a map: is the next event of the gripper here? It is a
// conditional logit over the cells, one for empty fingers and one for fingers that hold something,
// on the channels of the cell and of its neighbours. A fixed controller drives to the place and moves
// the fingers there.
//
// Evidence is added up over the looks of an episode, because things do not move by themselves.
// Fingers that have shut on nothing open again, and the place counts less from then on.
type Waypoint struct {
	Map      [3]int   // [h,w,C] of the maps
	Strength float64  // λ of the fit, see WaypointOptions
	Choices  []Choice // what the folds said; nil if there was one candidate
	Frames   int      // that were learnt from
	// Weight has, for empty fingers and for holding ones, the weights [2C] of a cell's channels and
	// of its neighbours' mean.
	Weight [phases][]float32

	body       body
	neighbours [][]int
}

// Choice is the out-of-fold result at one strength.
type Choice struct {
	Strength float64          `json:"strength"`
	Loss     float64          `json:"loss"`   // mean cross-entropy, in nats
	Within   metrics.Fraction `json:"within"` // frames whose place is found within half a cell
	Median   float64          `json:"median"` // distance from the true place, in shares of the picture
}

// WaypointOptions of FitWaypoint. The zero value is the default.
type WaypointOptions struct {
	// Strengths are the candidates of λ in mean cross-entropy + λ/2·‖w‖² on standardised channels,
	// from which folds of whole demonstrations choose; nil = DefaultStrengths.
	Strengths []float64
	// Frames is the largest number of frames to learn from; more are thinned out evenly, so that
	// memory does not grow with the demonstrations. 0 = 2,400.
	Frames int
	// Progress gets the number of fits done, and of all. It may be nil.
	Progress func(done, total int)
}

// DefaultStrengths are what folds choose from.
var DefaultStrengths = []float64{1, 0.3, 0.1, 0.03, 0.01}

const (
	mostFrames = 2400
	foldFrames = 600 // on which folds choose: those of one episode are much alike
	folds      = 3
	// The weight of what was seen before, for each look since, and what is left of a place where
	// there was nothing.
	memory   = 0.7
	distrust = 4.0 // in nats, at the place itself
)

// FitWaypoint learns a policy from demonstrations on maps.
//
// It is an error if the demonstrations are not of maps, if there are fewer than two or all show one
// scene, if one has no event, and if a number is not finite or an action beyond its limits. ctx stops
// the fit between iterations.
func FitWaypoint(ctx context.Context, d Demonstrations, o WaypointOptions) (*Waypoint, error) {
	body, targets, err := d.targets()
	if err != nil {
		return nil, err
	}
	if d.Map == [3]int{} {
		return nil, advice.New(errors.New("policy: waypoints from pooled features, which do not say where anything is"), "use the map of a stage: features.FromStage")
	}
	if o.Strengths == nil {
		o.Strengths = DefaultStrengths
	}
	if o.Frames == 0 {
		o.Frames = mostFrames
	}
	f := newFitting(d, thin(targets, o.Frames), o)
	out := &Waypoint{Map: d.Map, Frames: len(f.frames), body: body}
	out.neighbours = f.grid.neighbours()
	if out.Strength, out.Choices, err = f.choose(ctx, o); err != nil {
		return nil, err
	}
	for p := range phases {
		w, err := f.fit(ctx, p, -1, out.Strength, nil)
		if err != nil {
			return nil, err
		}
		out.Weight[p] = f.raw(w)
	}
	return out, nil
}

// fitting is the data of the fits of one policy.
type fitting struct {
	grid        grid
	frames      []logitFrame
	target      []target  // of each frame
	fold        []int     // of each frame
	deviation   []float64 // of each channel
	done, total int
	progress    func(done, total int)
}

func newFitting(d Demonstrations, targets []target, o WaypointOptions) *fitting {
	f := &fitting{grid: grid{d.Map[0], d.Map[1], d.Map[2]}, target: targets, progress: o.Progress}
	mean := f.standard(d)
	f.frames, f.fold = make([]logitFrame, len(f.target)), make([]int, len(f.target))
	scenes := 0
	for i, t := range f.target {
		x := make([]float32, f.grid.cells()*f.grid.c)
		for j, v := range d.Frames[t.frame].Seen {
			c := j % f.grid.c
			x[j] = float32((float64(v) - mean[c]) / f.deviation[c])
		}
		f.frames[i].x = x
		k := 0
		f.grid.spread(t.place, func(cell int, part float64) {
			f.frames[i].cells[k], f.frames[i].shares[k] = int32(cell), float32(part)
			k++
		})
		f.fold[i] = t.scene % folds
		scenes = max(scenes, t.scene+1)
	}
	return f
}

// thin leaves at most n, evenly.
func thin(all []target, n int) []target {
	if len(all) <= n {
		return all
	}
	out := make([]target, n)
	for i := range out {
		out[i] = all[i*len(all)/n]
	}
	return out
}

// standard learns mean and deviation of each channel.
func (f *fitting) standard(d Demonstrations) (mean []float64) {
	c := f.grid.c
	mean, f.deviation = make([]float64, c), make([]float64, c)
	n := float64(len(f.target) * f.grid.cells())
	for _, t := range f.target {
		for j, v := range d.Frames[t.frame].Seen {
			mean[j%c] += float64(v) / n
		}
	}
	for _, t := range f.target {
		for j, v := range d.Frames[t.frame].Seen {
			e := float64(v) - mean[j%c]
			f.deviation[j%c] += e * e / n
		}
	}
	for i, v := range f.deviation {
		if f.deviation[i] = math.Sqrt(v); v == 0 { // a dead channel says nothing
			f.deviation[i] = 1
		}
	}
	return mean
}

// raw turns weights of standardised channels into weights of channels. The means are left out: they
// add the same to every cell.
func (f *fitting) raw(w []float64) []float32 {
	out := make([]float32, len(w))
	for i, v := range w {
		out[i] = float32(v / f.deviation[i%f.grid.c])
	}
	return out
}

// part is the logit of a phase without a fold, or within it; every is 1 for all frames, 2 for each
// second one, and so on.
func (f *fitting) part(p phase, within bool, fold, every int) (l *logit, targets []target) {
	l = &logit{grid: f.grid, neighbours: f.grid.neighbours()}
	for i, t := range f.target {
		if i%every == 0 && t.phase == p && (f.fold[i] == fold) == within {
			l.frames, targets = append(l.frames, f.frames[i]), append(targets, t)
		}
	}
	return l, targets
}

// every is how many frames folds take one of.
func (f *fitting) every() int { return (len(f.target) + foldFrames - 1) / foldFrames }

// fit fits a phase on all frames but those of a fold; -1 = on all.
func (f *fitting) fit(ctx context.Context, p phase, fold int, strength float64, start []float64) ([]float64, error) {
	every := 1
	if fold >= 0 {
		every = f.every()
	}
	l, _ := f.part(p, false, fold, every)
	if len(l.frames) == 0 {
		return make([]float64, 2*f.grid.c), nil
	}
	l.strength = strength
	f.done++
	if f.progress != nil {
		f.progress(f.done, max(f.total, f.done))
	}
	return l.solve(ctx, start)
}

// choose takes the strength with the lowest loss out of fold; in a tie, the stronger one.
func (f *fitting) choose(ctx context.Context, o WaypointOptions) (float64, []Choice, error) {
	if len(o.Strengths) == 1 {
		return o.Strengths[0], nil, nil
	}
	strengths := slices.Clone(o.Strengths)
	slices.Sort(strengths)
	slices.Reverse(strengths)
	f.total = int(phases) * (folds*len(strengths) + 1)
	sums := make([]struct {
		loss float64
		off  []float64
	}, len(strengths))
	for fold := range folds {
		for p := range phases {
			held, truth := f.part(p, true, fold, f.every())
			var w []float64
			for i, s := range strengths {
				var err error
				if w, err = f.fit(ctx, p, fold, s, w); err != nil { // each starts where the stronger one ended
					return 0, nil, err
				}
				losses, off := held.judge(w, truth)
				sums[i].loss += losses
				sums[i].off = append(sums[i].off, off...)
			}
		}
	}
	choices, best := make([]Choice, len(strengths)), 0
	for i, s := range sums {
		n := len(s.off)
		if n == 0 {
			return 0, nil, errors.New("policy: no frame could be held back to choose the strength of the fit")
		}
		slices.Sort(s.off)
		choices[i] = Choice{Strength: strengths[i], Loss: s.loss / float64(n), Median: s.off[n/2]}
		choices[i].Within.Total = n
		for _, d := range s.off {
			if d < 0.5/float64(max(f.grid.w, f.grid.h)) {
				choices[i].Within.Correct++
			}
		}
		if choices[i].Loss < choices[best].Loss {
			best = i
		}
	}
	return choices[best].Strength, choices, nil
}

// judge returns the sum of the cross-entropies of held-back frames, and how far off each place is.
func (p *logit) judge(w []float64, truth []target) (sum float64, off []float64) {
	w32, s := make([]float32, len(w)), p.scratch()
	for i, v := range w {
		w32[i] = float32(v)
	}
	for i, f := range p.frames {
		sum += p.cross(f, w32, s)
		at, _ := p.grid.place(s.scores)
		off = append(off, math.Hypot(at[0]-truth[i].place[0], at[1]-truth[i].place[1]))
	}
	return sum, off
}

// place returns the middle of the most likely cell, moved by the probabilities of those beside it,
// and how much of the probability is there.
func (g grid) place(probabilities []float32) (at [2]float64, sure float64) {
	best := 0
	for i, v := range probabilities {
		if v > probabilities[best] {
			best = i
		}
	}
	add := func(cell int) {
		v := float64(probabilities[cell])
		sure += v
		at[0] += v * (float64(cell%g.w) + 0.5) / float64(g.w)
		at[1] += v * (float64(cell/g.w) + 0.5) / float64(g.h)
	}
	add(best)
	g.around(best, add)
	return [2]float64{at[0] / sure, at[1] / sure}, sure
}

// Spec is the robot of the demonstrations.
func (w *Waypoint) Spec() sim.Spec { return w.body.spec }

// Start begins an episode, with nothing seen yet.
func (w *Waypoint) Start(uint64) (Actor, error) {
	g := grid{w.Map[0], w.Map[1], w.Map[2]}
	a := &waypointActor{policy: w, logit: logit{grid: g, neighbours: w.neighbours}}
	a.scratch = a.logit.scratch()
	a.doubts = make([]float64, g.cells())
	return a, nil
}

type waypointActor struct {
	policy  *Waypoint
	logit   logit
	scratch *scratch

	seen   []float64 // log probabilities of the looks so far in this phase; nil = none
	phase  phase
	doubts []float64 // of cells where the fingers have shut on nothing
}

func (a *waypointActor) Act(seen, state []float32) (Decision, error) {
	b, g := a.policy.body, a.logit.grid
	if err := b.checkSeen(seen, state, g.cells()*g.c); err != nil {
		return Decision{}, err
	}
	p := b.phase(state)
	if p != a.phase {
		if a.phase == holding { // something was put down: what was seen before no longer holds
			clear(a.doubts)
		}
		a.phase, a.seen = p, nil
	}
	a.look(seen, p)
	d := Decision{Heat: make([]float32, g.cells())}
	for i, v := range a.seen {
		d.Heat[i] = float32(v - a.doubts[i])
	}
	softmax(d.Heat)
	d.Where, d.Sure = g.place(d.Heat)
	if b.empty(state) {
		a.distrust(b.tip(state))
		d.Actions, d.Note = b.release(), "shut on nothing: open, and look again"
		return d, nil
	}
	d.Actions = b.drive(state, d.Where)
	return d, nil
}

// look adds what is seen now to what was seen before.
func (a *waypointActor) look(seen []float32, p phase) {
	a.logit.score(seen, a.policy.Weight[p], a.scratch)
	softmax(a.scratch.scores)
	before := a.seen
	a.seen = make([]float64, len(a.scratch.scores))
	for i, v := range a.scratch.scores {
		a.seen[i] = math.Log(float64(v) + 1e-6)
		if before != nil {
			a.seen[i] += memory * before[i]
		}
	}
}

// distrust counts a place, and less what is around it, as unlikely.
func (a *waypointActor) distrust(place [2]float64) {
	g := a.logit.grid
	for i := range a.doubts {
		x, y := (float64(i%g.w)+0.5)-place[0]*float64(g.w), (float64(i/g.w)+0.5)-place[1]*float64(g.h)
		a.doubts[i] += distrust * math.Exp(-(x*x+y*y)/2)
	}
}
