package cloning

import (
	"math"
	"math/rand/v2"

	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// lesson is demonstrations as the network learns from them.
type lesson struct {
	policy.Demonstrations
	options  Options
	episodes [][3]int // of each frame: first, last, scene
	rows     []int    // frames with features
	x, y     int      // of the state: the tip; -1 = not felt
	felt     []int    // of the state: what else goes into the network
	seen     norm     // of a channel of the map, or of a feature
	state    norm     // of each number of felt
}

// norm is mean and deviation.
type norm struct{ mean, deviation []float64 }

func newLesson(d policy.Demonstrations, o Options) (*lesson, error) {
	l := &lesson{Demonstrations: d, options: o, x: sim.Find(d.Spec.State, sim.TipX), y: sim.Find(d.Spec.State, sim.TipY)}
	var err error
	if l.episodes, err = d.Episodes(); err != nil {
		return nil, err
	}
	if l.x < 0 || l.y < 0 {
		l.x, l.y = -1, -1
	}
	for i := range d.Spec.State {
		if i != l.x && i != l.y {
			l.felt = append(l.felt, i)
		}
	}
	for i, f := range d.Frames {
		if f.Seen != nil {
			l.rows = append(l.rows, i)
		}
	}
	l.seen = measure(len(l.rows), l.channels(), func(i int) []float32 { return d.Frames[l.rows[i]].Seen })
	l.state = measure(len(l.rows), len(l.felt), func(i int) []float32 { return l.feelings(l.rows[i]) })
	return l, nil
}

// places reports whether features say where something is.
func (l *lesson) places() bool { return l.Map != [3]int{} }

func (l *lesson) cells() int { return l.Map[0] * l.Map[1] }

func (l *lesson) width() int { return len(l.Frames[l.rows[0]].Seen) }

func (l *lesson) channels() int {
	if l.places() {
		return l.Map[2]
	}
	return l.width()
}

func (l *lesson) actions() int { return len(l.Spec.Action) }

// outputs is how many numbers the network needs to act: the actions of each mode, and how likely it is.
func (l *lesson) outputs() int { return modes * (l.options.Ahead*l.actions() + 1) }

// feelings are the numbers of a frame's state that go into the network.
func (l *lesson) feelings(frame int) []float32 {
	out := make([]float32, len(l.felt))
	for k, i := range l.felt {
		out[k] = l.Frames[frame].State[i]
	}
	return out
}

// measure returns mean and deviation of each column of n rows, whose length is a multiple of width.
func measure(n, width int, row func(int) []float32) norm {
	m := norm{make([]float64, width), make([]float64, width)}
	if width == 0 {
		return m
	}
	count := float64(n * len(row(0)) / width)
	for i := range n {
		for k, v := range row(i) {
			m.mean[k%width] += float64(v) / count
		}
	}
	for i := range n {
		for k, v := range row(i) {
			e := float64(v) - m.mean[k%width]
			m.deviation[k%width] += e * e / count
		}
	}
	for i, v := range m.deviation {
		if m.deviation[i] = math.Sqrt(v); m.deviation[i] < 1e-6 { // what never changes says nothing
			m.deviation[i] = 1
		}
	}
	return m
}

// tip is where the tip is in a frame, or the middle of the picture.
func (l *lesson) tip(frame int) [2]float32 {
	if l.x < 0 {
		return [2]float32{0.5, 0.5}
	}
	s := l.Frames[frame].State
	return [2]float32{s[l.x], s[l.y]}
}

// of lists the frames of a fold, or of all others; all frames for fold -1.
func (l *lesson) of(fold int, within bool) (all []int) {
	for _, i := range l.rows {
		if (l.episodes[i][2]%folds == fold) == within {
			all = append(all, i)
		}
	}
	return all
}

// inputs are the numbers of a batch.
type inputs struct {
	seen, tip, felt, noise, keep []float32
	want, weight, future         []float32
}

func (l *lesson) newInputs() *inputs {
	return &inputs{
		seen: make([]float32, batch*l.width()), tip: make([]float32, batch*2), felt: make([]float32, batch*len(l.felt)),
		noise: make([]float32, batch*2*l.options.Points), keep: make([]float32, batch*hidden),
		want: make([]float32, batch*l.options.Ahead*l.actions()), weight: make([]float32, batch*l.options.Ahead),
		future: make([]float32, batch*2*len(horizons)),
	}
}

// fill fills row b with a frame. With r, it is disturbed: the map and the tip are moved, hidden values are
// dropped, and keypoints get noise. Without, nothing is.
func (l *lesson) fill(in *inputs, b, frame int, r *rand.Rand) {
	f, tip := l.Frames[frame], l.tip(frame)
	seen := in.seen[b*l.width():][:l.width()]
	keep, noise := in.keep[b*hidden:][:hidden], in.noise[b*2*l.options.Points:][:2*l.options.Points]
	for i := range keep {
		if keep[i] = 1; r != nil {
			keep[i] = 0
			if r.Float64() >= dropout {
				keep[i] = 1 / (1 - dropout)
			}
		}
	}
	for i := range noise {
		if noise[i] = 0; r != nil {
			noise[i] = float32(jitter * r.NormFloat64())
		}
	}
	if r != nil && l.places() && l.x >= 0 {
		sx, sy := r.IntN(2*mostShift+1)-mostShift, r.IntN(2*mostShift+1)-mostShift
		l.shift(seen, f.Seen, sx, sy)
		tip[0] += float32(sx) / float32(l.Map[1])
		tip[1] += float32(sy) / float32(l.Map[0])
	} else {
		copy(seen, f.Seen)
	}
	copy(in.tip[b*2:], tip[:])
	for k, v := range l.feelings(frame) {
		in.felt[b*len(l.felt)+k] = float32((float64(v) - l.state.mean[k]) / l.state.deviation[k])
	}
	l.targets(in, b, frame)
}

// shift moves a map by whole cells; what comes in repeats the edge.
func (l *lesson) shift(to, from []float32, sx, sy int) {
	h, w, c := l.Map[0], l.Map[1], l.Map[2]
	for y := range h {
		v := min(max(y-sy, 0), h-1)
		for x := range w {
			u := min(max(x-sx, 0), w-1)
			copy(to[(y*w+x)*c:][:c], from[(v*w+u)*c:])
		}
	}
}

// targets fills row b with what was done next: actions as -1 to 1, and places of the tip.
func (l *lesson) targets(in *inputs, b, frame int) {
	last, n, ahead := l.episodes[frame][1], l.actions(), l.options.Ahead
	for t := range ahead {
		weight := float32(0) // after the end
		if frame+t <= last {
			weight = 1
		}
		in.weight[b*ahead+t] = weight
		for i, d := range l.Spec.Action {
			v := (2*float64(l.Frames[min(frame+t, last)].Action[i]) - d.Min - d.Max) / (d.Max - d.Min)
			in.want[(b*ahead+t)*n+i] = float32(v)
		}
	}
	here := l.tip(frame)
	for k, far := range horizons {
		then := l.tip(frame + min(far, last-frame))
		for i := range 2 {
			in.future[(b*len(horizons)+k)*2+i] = zoom * (then[i] - here[i])
		}
	}
}
