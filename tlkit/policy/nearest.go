package policy

import (
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// Nearest is the baseline without training: it looks up the demonstrated frames whose features are
// most similar to what it sees, among those with the same fingers, and goes where they went next. On
// pooled features it is the policy of VINN (arXiv 2112.01511) with the controller of Waypoint.
type Nearest struct {
	K int // neighbours

	body    body
	width   int
	targets []target
	rows    [][]float32 // of each target, of length 1
}

// nearestTemperature weighs neighbours by exp(cosine/temperature), as head.KNN does.
const nearestTemperature = 0.07

// FitNearest keeps the demonstrations; k is the number of neighbours, 0 = 10. Its errors are those of
// FitWaypoint.
func FitNearest(d Demonstrations, k int) (*Nearest, error) {
	body, targets, err := d.targets()
	if err != nil {
		return nil, err
	}
	if k < 1 {
		k = 10
	}
	n := &Nearest{K: k, body: body, width: len(d.Frames[0].Seen), targets: targets}
	for _, t := range targets {
		n.rows = append(n.rows, unit(d.Frames[t.frame].Seen))
	}
	return n, nil
}

// unit returns a vector of length 1 in the same direction; zeros stay zeros.
func unit(v []float32) []float32 {
	var squares float64
	for _, x := range v {
		squares += float64(x) * float64(x)
	}
	out := make([]float32, len(v))
	if squares == 0 {
		return out
	}
	for i, x := range v {
		out[i] = float32(float64(x) / math.Sqrt(squares))
	}
	return out
}

// Spec is the robot of the demonstrations.
func (n *Nearest) Spec() sim.Spec { return n.body.spec }

// Start begins an episode. Nothing is remembered in it.
func (n *Nearest) Start(uint64) (Actor, error) { return nearestActor{n}, nil }

type nearestActor struct{ *Nearest }

func (a nearestActor) Act(seen, state []float32) (Decision, error) {
	if err := a.body.checkSeen(seen, state, a.width); err != nil {
		return Decision{}, err
	}
	d := Decision{Where: a.where(unit(seen), a.body.phase(state), a.body.tip(state))}
	if a.body.empty(state) {
		d.Actions, d.Note = a.body.release(), "shut on nothing: open, and look again"
		return d, nil
	}
	d.Actions = a.body.drive(state, d.Where)
	return d, nil
}

// where is the weighted mean of the places of the nearest frames of a phase; here, if there are none.
func (a nearestActor) where(seen []float32, p phase, here [2]float64) [2]float64 {
	type near struct {
		cosine float64
		target int
	}
	var all []near
	for i, t := range a.targets {
		if t.phase != p {
			continue
		}
		var dot float64
		for j, v := range a.rows[i] {
			dot += float64(v) * float64(seen[j])
		}
		all = append(all, near{dot, i})
	}
	slices.SortStableFunc(all, func(x, y near) int {
		switch {
		case x.cosine > y.cosine:
			return -1
		case x.cosine < y.cosine:
			return 1
		}
		return 0
	})
	all = all[:min(a.K, len(all))]
	if len(all) == 0 {
		return here
	}
	var sum float64
	var at [2]float64
	for _, n := range all {
		w := math.Exp((n.cosine - all[0].cosine) / nearestTemperature)
		sum += w
		at[0] += w * a.targets[n.target].place[0]
		at[1] += w * a.targets[n.target].place[1]
	}
	return [2]float64{at[0] / sum, at[1] / sum}
}
