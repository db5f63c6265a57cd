// Package keypoint finds a point in pictures on the maps of a frozen network. Pooled features know what
// a picture shows, but hardly where; a map has a cell for each part of the picture.
//
//	b, err := features.FromStage(net, engine, "features.13")
//	m, err := features.Extract(ctx, features.Job{Items: items, Preset: net.Preset, Backbone: b})
//	fit, err := keypoint.Fit(ctx, keypoint.Samples{Map: b.Map, X: m.Data, At: at}, keypoint.Options{})
//	p, err := fit.Head.Find(m.Row(0)) // p.X, p.Y: in shares of the picture; p.Heat: why
//	near, err := fit.Head.Around(m.Row(0), p, 3)
//
// [Fit] learns one question: is the point in this cell? It is a conditional logit over the cells of a
// map, on the channels of a cell and the mean of its neighbours', and convex: a few dozen pictures are
// enough, and take seconds. Policies of package policy ask the same question.
//
// What else is to be known of the thing at the point, such as its size and direction, package head
// learns from the cells around it: see [Head.Around].
//
// The maps have to be of whole pictures, see transforms.Preset.Whole: shares of what is cropped away
// mean nothing. The package is plain Go. The same samples give the same bits, on any number of
// processors.
package keypoint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/heatmap"
)

// Samples are pictures whose point is known.
type Samples struct {
	Map [3]int       // [h,w,C], as features.Backbone.Map
	X   []float32    // [N,h·w·C], row by row
	At  [][2]float64 // the point of each: x from the left and y from the top, in shares of the picture
}

// Row returns the map of sample i. It shares memory with X.
func (s Samples) Row(i int) []float32 {
	n := s.Map[0] * s.Map[1] * s.Map[2]
	return s.X[i*n : (i+1)*n]
}

// Options of Fit. The zero value is the default.
type Options struct {
	// Strengths are the candidates of λ in mean cross-entropy + λ/2·‖w‖² on standardised channels;
	// nil = 1, 0.3, 0.1, 0.03, 0.01. A single one needs no choice.
	Strengths []float64
	// Folds are the indices of the samples that each fold holds back; nil = 5 folds, dealt in turn.
	// Pictures that are much alike, such as frames of one film, belong into one fold.
	Folds [][]int
	// Progress gets the number of fits done, and of all. It may be nil.
	Progress func(done, total int)
}

// Fitted is a head with what the folds said.
type Fitted struct {
	Head     *Head
	Strength float64
	Choices  []Choice // by strength, the strongest first; nil if there was one candidate
	// OutOfFold are the points of the samples, each found by a head that has not seen it: what a
	// second head should learn from. A sample that no fold holds back has that of Head.
	OutOfFold []Point
}

// Choice is the out-of-fold result at one strength.
type Choice struct {
	Strength float64 `json:"strength"`
	Loss     float64 `json:"loss"`   // mean cross-entropy, in nats
	Median   float64 `json:"median"` // distance from the true point, in shares of the picture
}

// Head finds a point on maps.
type Head struct {
	Map    [3]int    // [h,w,C]
	Weight []float32 // [2C]: of a cell's channels, then of the mean of its neighbours'
}

// Point is where the head looks.
type Point struct {
	X, Y float64   // in shares of the picture
	Sure float64   // the probability that the point is there or a few cells away
	Heat []float32 // the probability of each cell [h,w], row by row
}

// reach is how many cells around the best one count for the point: a heat with two hills is not read
// as their middle.
const reach = 3

const usualFolds = 5

// Fit learns to find the point. Folds choose the strength by loss; in a tie, the stronger one.
//
// It is an error if there are fewer than two samples, if their numbers do not fit together or are not
// finite, if a point lies outside of its picture, and if folds overlap or leave nothing to learn
// from. ctx stops the fit between iterations.
func Fit(ctx context.Context, s Samples, o Options) (*Fitted, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if o.Strengths == nil {
		o.Strengths = []float64{1, 0.3, 0.1, 0.03, 0.01}
	}
	f, err := newFitting(s, o)
	if err != nil {
		return nil, err
	}
	out := &Fitted{OutOfFold: make([]Point, len(s.At))}
	if out.Strength, out.Choices, err = f.choose(ctx); err != nil {
		return nil, err
	}
	for i := range f.folds {
		h, err := f.fit(ctx, i, out.Strength)
		if err != nil {
			return nil, err
		}
		for _, j := range f.folds[i] {
			out.OutOfFold[j], _ = h.Find(s.Row(j)) // its numbers have been checked
		}
	}
	if out.Head, err = f.fit(ctx, -1, out.Strength); err != nil {
		return nil, err
	}
	for i, p := range out.OutOfFold {
		if p.Heat == nil {
			out.OutOfFold[i], _ = out.Head.Find(s.Row(i))
		}
	}
	return out, nil
}

// check reports what cannot be learnt from.
func (s Samples) check() error {
	for _, n := range s.Map {
		if n < 1 {
			return advice.New(fmt.Errorf("keypoint: a map of %v, want three positive numbers", s.Map), "use the map of a stage: features.FromStage")
		}
	}
	if n := s.Map[0] * s.Map[1] * s.Map[2]; len(s.X) != len(s.At)*n {
		return fmt.Errorf("keypoint: %d numbers for %d points on maps of %v, want %d for each", len(s.X), len(s.At), s.Map, n)
	}
	if len(s.At) < 2 {
		return advice.New(fmt.Errorf("keypoint: %d pictures with a point, want 2 or more", len(s.At)), "mark the point in some more, 50 are a good start")
	}
	for i, at := range s.At {
		for k, v := range at {
			if !(v >= 0 && v <= 1) {
				return advice.New(fmt.Errorf("keypoint: point %d is at %s %v, want 0 to 1", i, [2]string{"x", "y"}[k], v), "divide pixels by the width or height of the picture")
			}
		}
	}
	if at := notFinite(s.X); at >= 0 {
		return fmt.Errorf("keypoint: number %d of the map of picture %d is %v: the weights are broken or the preset is wrong", at%(len(s.X)/len(s.At)), at/(len(s.X)/len(s.At)), s.X[at])
	}
	return nil
}

// notFinite returns the index of the first NaN or infinity, -1 = there is none.
func notFinite(values []float32) int {
	return slices.IndexFunc(values, func(v float32) bool { return math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) })
}

// Find finds the point on a map. It is an error if the map is of another shape or not finite.
func (h *Head) Find(row []float32) (Point, error) {
	g, err := h.grid(row)
	if err != nil {
		return Point{}, err
	}
	l := heatmap.Logit{Grid: g, Near: g.Neighbours()}
	s := l.Scratch()
	l.Score(row, h.Weight, s)
	heatmap.Softmax(s.Scores)
	p := Point{Heat: s.Scores}
	at, sure := g.Place(p.Heat, reach)
	p.X, p.Y, p.Sure = at[0], at[1], sure
	return p, nil
}

// Around returns the cells around a point, as features of what is there: (2·cells+1)² times C numbers,
// read between the middles of cells, so that a thing looks the same wherever it is. Beyond the rim,
// the cells at the rim repeat. Learn from those of Fitted.OutOfFold.
//
// It is an error if the map is of another shape or not finite, and if cells is not 0 to 32.
func (h *Head) Around(row []float32, p Point, cells int) ([]float32, error) {
	g, err := h.grid(row)
	if err != nil {
		return nil, err
	}
	if cells < 0 || cells > 32 || math.IsNaN(p.X+p.Y) {
		return nil, fmt.Errorf("keypoint: %d cells around (%v,%v), want 0 to 32 around a point", cells, p.X, p.Y)
	}
	side := 2*cells + 1
	out := make([]float32, side*side*g.C)
	for i := range side * side {
		at := [2]float64{p.X + float64(i%side-cells)/float64(g.W), p.Y + float64(i/side-cells)/float64(g.H)}
		g.Spread(at, func(cell int, part float64) {
			for c := range g.C {
				out[i*g.C+c] += float32(part) * row[cell*g.C+c]
			}
		})
	}
	return out, nil
}

// grid checks a map and the head.
func (h *Head) grid(row []float32) (heatmap.Grid, error) {
	g := heatmap.Grid{H: h.Map[0], W: h.Map[1], C: h.Map[2]}
	if min(g.H, g.W, g.C) < 1 || len(h.Weight) != 2*g.C {
		return g, fmt.Errorf("keypoint: a head with %d weights for maps of %v, want twice the channels", len(h.Weight), h.Map)
	}
	if len(row) != g.Cells()*g.C {
		return g, advice.New(fmt.Errorf("keypoint: a map of %d numbers, want %v", len(row), h.Map), "use the backbone, stage and picture size that the head was fitted on")
	}
	if at := notFinite(row); at >= 0 {
		return g, fmt.Errorf("keypoint: number %d of the map is %v", at, row[at])
	}
	return g, nil
}

// fitting is the data of the fits of one head.
type fitting struct {
	samples     Samples
	grid        heatmap.Grid
	moments     heatmap.Moments
	frames      []heatmap.Frame
	folds       [][]int
	fold        []int // of each sample; -1 = none
	strengths   []float64
	done, total int
	progress    func(done, total int)
}

func newFitting(s Samples, o Options) (*fitting, error) {
	f := &fitting{samples: s, grid: heatmap.Grid{H: s.Map[0], W: s.Map[1], C: s.Map[2]}, folds: o.Folds, strengths: slices.Clone(o.Strengths), progress: o.Progress}
	slices.SortFunc(f.strengths, func(a, b float64) int { return cmp.Compare(b, a) })
	for _, l := range f.strengths {
		if !(l > 0) || math.IsInf(l, 0) {
			return nil, fmt.Errorf("keypoint: strength %v, want more than 0", l)
		}
	}
	if len(f.strengths) == 0 {
		return nil, errors.New("keypoint: no strengths to choose from; nil stands for the usual ones")
	}
	if f.folds == nil {
		f.folds = make([][]int, min(usualFolds, len(s.At)))
		for i := range s.At {
			f.folds[i%len(f.folds)] = append(f.folds[i%len(f.folds)], i)
		}
	}
	f.fold = slices.Repeat([]int{-1}, len(s.At))
	for k, held := range f.folds {
		for _, i := range held {
			if i < 0 || i >= len(s.At) || f.fold[i] >= 0 {
				return nil, fmt.Errorf("keypoint: fold %d holds back sample %d of %d, which is not there or in another fold", k, i, len(s.At))
			}
			f.fold[i] = k
		}
		if len(held) == 0 || len(held) == len(s.At) {
			return nil, fmt.Errorf("keypoint: fold %d holds back %d of %d samples", k, len(held), len(s.At))
		}
	}
	f.moments = f.grid.Moments(len(s.At), s.Row)
	for i, at := range s.At {
		f.frames = append(f.frames, f.grid.Frame(s.Row(i), f.moments, at))
	}
	f.total = len(f.folds) + 1
	if len(f.strengths) > 1 {
		f.total += len(f.folds) * len(f.strengths)
	}
	return f, nil
}

// weights fits all samples but those of a fold; -1 = all.
func (f *fitting) weights(ctx context.Context, fold int, strength float64, start []float64) ([]float64, error) {
	l := &heatmap.Logit{Grid: f.grid, Near: f.grid.Neighbours(), Strength: strength}
	for i, frame := range f.frames {
		if fold < 0 || f.fold[i] != fold {
			l.Frames = append(l.Frames, frame)
		}
	}
	w, err := l.Solve(ctx, start)
	if err != nil {
		return nil, fmt.Errorf("keypoint: %w", err)
	}
	f.done++
	if f.progress != nil {
		f.progress(f.done, f.total)
	}
	return w, nil
}

func (f *fitting) fit(ctx context.Context, fold int, strength float64) (*Head, error) {
	w, err := f.weights(ctx, fold, strength, nil)
	if err != nil {
		return nil, err
	}
	return &Head{Map: f.samples.Map, Weight: f.moments.Raw(w)}, nil
}

// choose takes the strength with the lowest loss out of fold.
func (f *fitting) choose(ctx context.Context) (float64, []Choice, error) {
	if len(f.strengths) == 1 || len(f.folds) == 0 {
		return f.strengths[0], nil, nil
	}
	choices, off := make([]Choice, len(f.strengths)), make([][]float64, len(f.strengths))
	for k, held := range f.folds {
		var w []float64
		var err error
		for i, strength := range f.strengths {
			if w, err = f.weights(ctx, k, strength, w); err != nil { // each starts where the stronger one ended
				return 0, nil, err
			}
			loss, far := f.judge(w, held)
			choices[i].Loss += loss
			off[i] = append(off[i], far...)
		}
	}
	best := 0
	for i, far := range off {
		slices.Sort(far)
		choices[i].Strength, choices[i].Loss, choices[i].Median = f.strengths[i], choices[i].Loss/float64(len(far)), far[len(far)/2]
		if choices[i].Loss < choices[best].Loss {
			best = i
		}
	}
	return f.strengths[best], choices, nil
}

// judge returns the sum of the cross-entropies of held-back samples, and how far off each point is.
func (f *fitting) judge(w []float64, held []int) (sum float64, off []float64) {
	l := &heatmap.Logit{Grid: f.grid, Near: f.grid.Neighbours()}
	w32, s := make([]float32, len(w)), l.Scratch()
	for i, v := range w {
		w32[i] = float32(v)
	}
	for _, i := range held {
		sum += l.Cross(f.frames[i], w32, s)
		at, _ := f.grid.Place(s.Scores, reach)
		off = append(off, math.Hypot(at[0]-f.samples.At[i][0], at[1]-f.samples.At[i][1]))
	}
	return sum, off
}
