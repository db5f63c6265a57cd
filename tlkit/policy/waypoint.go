package policy

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/heatmap"
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
	// Guess is what Choice.Near would be if each place were the mean of those of the other folds.
	Guess  metrics.Fraction
	Frames int // that were learnt from
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
	Near     metrics.Fraction `json:"near"`   // the same, within 0.05 of the picture
	Median   float64          `json:"median"` // distance from the true place, in shares of the picture
}

// nearby is a distance in shares of the picture: about the width of a gripper.
const nearby = 0.05

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
	out.neighbours = f.grid.Neighbours()
	if out.Strength, out.Choices, err = f.choose(ctx, o); err != nil {
		return nil, err
	}
	if out.Choices != nil {
		out.Guess = f.guess()
	}
	for p := range phases {
		w, err := f.fit(ctx, p, -1, out.Strength, nil)
		if err != nil {
			return nil, err
		}
		out.Weight[p] = f.moments.Raw(w)
	}
	return out, nil
}

// fitting is the data of the fits of one policy.
type fitting struct {
	grid        heatmap.Grid
	frames      []heatmap.Frame
	target      []target // of each frame
	fold        []int    // of each frame
	moments     heatmap.Moments
	done, total int
	progress    func(done, total int)
}

func newFitting(d Demonstrations, targets []target, o WaypointOptions) *fitting {
	f := &fitting{grid: heatmap.Grid{H: d.Map[0], W: d.Map[1], C: d.Map[2]}, target: targets, progress: o.Progress}
	f.moments = f.grid.Moments(len(targets), func(i int) []float32 { return d.Frames[targets[i].frame].Seen })
	f.frames, f.fold = make([]heatmap.Frame, len(f.target)), make([]int, len(f.target))
	for i, t := range f.target {
		f.frames[i] = f.grid.Frame(d.Frames[t.frame].Seen, f.moments, t.place)
		f.fold[i] = t.scene % folds
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

// part is the logit of a phase without a fold, or within it; every is 1 for all frames, 2 for each
// second one, and so on.
func (f *fitting) part(p phase, within bool, fold, every int) (l *heatmap.Logit, targets []target) {
	l = &heatmap.Logit{Grid: f.grid, Near: f.grid.Neighbours()}
	for i, t := range f.target {
		if i%every == 0 && t.phase == p && (f.fold[i] == fold) == within {
			l.Frames, targets = append(l.Frames, f.frames[i]), append(targets, t)
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
	if len(l.Frames) == 0 {
		return make([]float64, 2*f.grid.C), nil
	}
	l.Strength = strength
	f.done++
	if f.progress != nil {
		f.progress(f.done, max(f.total, f.done))
	}
	return l.Solve(ctx, start)
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
				losses, off := judge(held, w, truth)
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
		choices[i].Within.Total, choices[i].Near.Total = n, n
		for _, d := range s.off {
			if d < 0.5/float64(max(f.grid.W, f.grid.H)) {
				choices[i].Within.Correct++
			}
			if d < nearby {
				choices[i].Near.Correct++
			}
		}
		if choices[i].Loss < choices[best].Loss {
			best = i
		}
	}
	return choices[best].Strength, choices, nil
}

// guess judges the places that are the mean of those of the other folds, which takes no picture.
func (f *fitting) guess() (near metrics.Fraction) {
	for fold := range folds {
		for p := range phases {
			_, others := f.part(p, false, fold, f.every())
			_, truth := f.part(p, true, fold, f.every())
			var mean [2]float64
			for _, t := range others {
				mean[0] += t.place[0] / float64(len(others))
				mean[1] += t.place[1] / float64(len(others))
			}
			for _, t := range truth {
				near.Total++
				if len(others) > 0 && math.Hypot(mean[0]-t.place[0], mean[1]-t.place[1]) < nearby {
					near.Correct++
				}
			}
		}
	}
	return near
}

// Chosen is what the folds said about the strength that was taken; zero if there was one candidate.
func (w *Waypoint) Chosen() Choice {
	for _, c := range w.Choices {
		if c.Strength == w.Strength {
			return c
		}
	}
	return Choice{}
}

// Offline says in a sentence or two how often the place of the next event was found in demonstrations
// that the fit had not seen, and that this is not how often the robot will succeed.
func (w *Waypoint) Offline() string {
	near := w.Chosen().Near
	if near.Total == 0 {
		return ""
	}
	return fmt.Sprintf("Offline: in folds of whole demonstrations, the next event is found within %g of the picture in %.1f %% of %d frames; always naming the same place finds it in %.1f %%. This is no success rate: nothing was driven.",
		nearby, 100*near.Value(), near.Total, 100*w.Guess.Value())
}

// judge returns the sum of the cross-entropies of held-back frames, and how far off each place is.
func judge(p *heatmap.Logit, w []float64, truth []target) (sum float64, off []float64) {
	w32, s := make([]float32, len(w)), p.Scratch()
	for i, v := range w {
		w32[i] = float32(v)
	}
	for i, f := range p.Frames {
		sum += p.Cross(f, w32, s)
		at, _ := p.Grid.Place(s.Scores, 1)
		off = append(off, math.Hypot(at[0]-truth[i].place[0], at[1]-truth[i].place[1]))
	}
	return sum, off
}

// Spec is the robot of the demonstrations.
func (w *Waypoint) Spec() sim.Spec { return w.body.spec }

// Start begins an episode, with nothing seen yet.
func (w *Waypoint) Start(uint64) (Actor, error) {
	g := heatmap.Grid{H: w.Map[0], W: w.Map[1], C: w.Map[2]}
	a := &waypointActor{policy: w, logit: heatmap.Logit{Grid: g, Near: w.neighbours}}
	a.scratch = a.logit.Scratch()
	a.doubts = make([]float64, g.Cells())
	return a, nil
}

type waypointActor struct {
	policy  *Waypoint
	logit   heatmap.Logit
	scratch *heatmap.Scratch

	seen   []float64 // log probabilities of the looks so far in this phase; nil = none
	phase  phase
	doubts []float64 // of cells where the fingers have shut on nothing
}

func (a *waypointActor) Act(seen, state []float32) (Decision, error) {
	b, g := a.policy.body, a.logit.Grid
	if err := b.checkSeen(seen, state, g.Cells()*g.C); err != nil {
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
	d := Decision{Heat: make([]float32, g.Cells())}
	for i, v := range a.seen {
		d.Heat[i] = float32(v - a.doubts[i])
	}
	heatmap.Softmax(d.Heat)
	d.Where, d.Sure = g.Place(d.Heat, 1)
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
	a.logit.Score(seen, a.policy.Weight[p], a.scratch)
	heatmap.Softmax(a.scratch.Scores)
	before := a.seen
	a.seen = make([]float64, len(a.scratch.Scores))
	for i, v := range a.scratch.Scores {
		a.seen[i] = math.Log(float64(v) + 1e-6)
		if before != nil {
			a.seen[i] += memory * before[i]
		}
	}
}

// distrust counts a place, and less what is around it, as unlikely.
func (a *waypointActor) distrust(place [2]float64) {
	g := a.logit.Grid
	for i := range a.doubts {
		x, y := (float64(i%g.W)+0.5)-place[0]*float64(g.W), (float64(i/g.W)+0.5)-place[1]*float64(g.H)
		a.doubts[i] += distrust * math.Exp(-(x*x+y*y)/2)
	}
}
