package policy

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/tlkit/transfer-learning/internal/heatmap"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Familiarity knows what demonstrations look like, and how much a look may differ. It has three measures:
//
//   - how far the channels of the map are, in mean and deviation over the cells, from those of the
//     demonstrations: a Mahalanobis distance in their principal components;
//   - how far the light of the picture is from theirs, see [Light];
//   - for robots that know where in the picture their tip is: how far from there the map shows the tip,
//     by a ridge regression on the nine cells around it.
//
// A measure is the median of the last one, two or three looks of an episode. Its limit comes from
// demonstrations that were held back: none is judged by what was learnt from it.
type Familiarity struct {
	Look  Measure  `json:"look"`
	Light *Measure `json:"light,omitempty"` // nil = the light of the demonstrations is not known
	Hand  *Measure `json:"hand,omitempty"`  // nil = the robot does not know where its tip is
	// LightMean and LightDeviation are of the demonstrations' light.
	LightMean      Light `json:"light_mean"`
	LightDeviation Light `json:"light_deviation"`

	grid      heatmap.Grid
	body      body
	mean      []float32   // [2C] of the description of a look
	deviation []float32   // [2C]
	parts     [][]float32 // principal components [2C], each divided by its deviation
	rest      float64     // the deviation of what the components leave
	tip       [][]float32 // for x and y: the weights of the nine cells around the tip, [9C], and a constant
}

// Measure says how large a measure is in demonstrations that it was not learnt from.
type Measure struct {
	// Quantiles are those of single looks: the least, 1, 5, 25, 50, 75, 95 and 99 %, the largest.
	Quantiles [9]float64 `json:"quantiles"`
	// Limits are those of the last one, two and three looks.
	Limits [looks]float64 `json:"limits"`
}

var quantiles = [9]float64{0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1}

const (
	looks         = 3 // that are judged together
	mostParts     = 24
	familiarFits  = 1000 // frames that are learnt from
	tipStrength   = 0.3  // of the ridge regression, for each frame
	smallestShare = 1e-3 // of the largest deviation, below which a number of the description is constant
	// A limit is the largest measure of a demonstration, and a quarter more. For three places of the tip,
	// which is where a moved camera shows first, it is that of 98 in 100 demonstrations.
	margin    = 1.25
	handShare = 0.98
)

// FitFamiliarity learns what demonstrations look like. From pooled features it does not learn where the
// tip is. It needs three demonstrations, one for each fold.
func FitFamiliarity(ctx context.Context, d Demonstrations) (*Familiarity, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	f := &Familiarity{grid: d.grid()}
	j := newJudging(d)
	if len(j.spans) < folds {
		return nil, fmt.Errorf("policy: familiarity from %d demonstrations, want %d or more", len(j.spans), folds)
	}
	if err := f.learnLook(j); err != nil {
		return nil, err
	}
	f.learnLight(j)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b, err := newBody(d.Spec)
	if err != nil || f.grid.Cells() < 2 {
		return f, nil // such a robot has no tip in the picture
	}
	f.body = b
	return f, f.learnHand(j)
}

// grid is the grid of the demonstrations' maps; pooled features are a map of one cell.
func (d Demonstrations) grid() heatmap.Grid {
	if d.Map == [3]int{} {
		return heatmap.Grid{H: 1, W: 1, C: len(d.Frames[0].Seen)}
	}
	return heatmap.Grid{H: d.Map[0], W: d.Map[1], C: d.Map[2]}
}

// judging is what measures are learnt from: the frames of the demonstrations, thinned out evenly.
type judging struct {
	frames []Frame
	spans  []span // of frames
	fold   []int  // of each frame
	apart  int    // frames between two looks when the policy acts
}

func newJudging(d Demonstrations) *judging {
	with := 0 // features
	for _, f := range d.Frames {
		if f.Seen != nil {
			with++
		}
	}
	every := (with + familiarFits - 1) / familiarFits
	j := &judging{apart: max(steps*with/(every*len(d.Frames)), 1)}
	for _, s := range d.spans() {
		from, seen := len(j.frames), 0
		for i := s.from; i < s.to; i++ {
			if d.Frames[i].Seen == nil {
				continue
			}
			if seen%every == 0 {
				j.frames, j.fold = append(j.frames, d.Frames[i]), append(j.fold, s.scene%folds)
			}
			seen++
		}
		j.spans = append(j.spans, span{from, len(j.frames), s.scene})
	}
	return j
}

// without lists the frames that are not in a fold; -1 = all.
func (j *judging) without(fold int) (out []int) {
	for i, of := range j.fold {
		if of != fold {
			out = append(out, i)
		}
	}
	return out
}

// measure makes a Measure of what single looks of each frame gave when they were held back. The limits
// are those that a share of the demonstrations keep, times a margin.
func (j *judging) measure(values [][]float64, share [looks]float64) (m Measure) {
	var all []float64
	var largest [looks][]float64 // of each demonstration
	for _, s := range j.spans {
		var most [looks]float64
		for i := s.from; i < s.to; i++ {
			all = append(all, norm(values[i]))
			var window [][]float64
			for k := i; k >= s.from && len(window) < looks; k -= j.apart {
				window = append(window, values[k])
				n := len(window) - 1
				most[n] = max(most[n], norm(middleOf(window)))
			}
		}
		for n, v := range most {
			if v > 0 {
				largest[n] = append(largest[n], v)
			}
		}
	}
	slices.Sort(all)
	for i, q := range quantiles {
		m.Quantiles[i] = all[int(q*float64(len(all)-1))]
	}
	for n, v := range largest {
		slices.Sort(v)
		switch {
		case len(v) == 0 && n > 0: // episodes are too short
			m.Limits[n] = m.Limits[n-1]
		case len(v) == 0:
			m.Limits[n] = 1
		case share[n] == 1:
			m.Limits[n] = margin * v[len(v)-1]
		default:
			m.Limits[n] = v[int(share[n]*float64(len(v)-1))]
		}
	}
	return m
}

func norm(v []float64) (n float64) {
	for _, x := range v {
		n = math.Hypot(n, x)
	}
	return n
}

// middleOf is the median of one, two or three vectors, number by number.
func middleOf(vectors [][]float64) []float64 {
	out, v := make([]float64, len(vectors[0])), make([]float64, len(vectors))
	for i := range out {
		for k := range vectors {
			v[k] = vectors[k][i]
		}
		slices.Sort(v)
		out[i] = (v[(len(v)-1)/2] + v[len(v)/2]) / 2
	}
	return out
}

// learnLook learns the distance of looks.
func (f *Familiarity) learnLook(j *judging) error {
	values := make([][]float64, len(j.frames))
	for fold := range folds {
		if err := f.principal(j, j.without(fold)); err != nil {
			return err
		}
		for i, of := range j.fold {
			if of == fold {
				values[i] = []float64{f.distance(j.frames[i].Seen)}
			}
		}
	}
	f.Look = j.measure(values, [looks]float64{1, 1, 1})
	return f.principal(j, j.without(-1))
}

// describe describes a look: mean and deviation of each channel over the cells.
func (f *Familiarity) describe(seen []float32) []float64 {
	c, n := f.grid.C, float64(f.grid.Cells())
	out := make([]float64, 2*c)
	for i, v := range seen {
		out[i%c] += float64(v) / n
	}
	for i, v := range seen {
		e := float64(v) - out[i%c]
		out[c+i%c] += e * e / n
	}
	for i := c; i < 2*c; i++ {
		out[i] = math.Sqrt(out[i])
	}
	return out
}

// principal learns mean, deviation and principal components of the descriptions of some frames.
func (f *Familiarity) principal(j *judging, frames []int) error {
	size := 2 * f.grid.C
	mean, deviation := make([]float64, size), make([]float64, size)
	x := mat.NewDense(len(frames), size, nil)
	for r, i := range frames {
		x.SetRow(r, f.describe(j.frames[i].Seen))
	}
	var most float64
	for c := range size {
		for r := range frames {
			mean[c] += x.At(r, c) / float64(len(frames))
		}
		for r := range frames {
			e := x.At(r, c) - mean[c]
			deviation[c] += e * e / float64(len(frames))
		}
		deviation[c] = math.Sqrt(deviation[c])
		most = max(most, deviation[c])
	}
	if most == 0 {
		return errors.New("policy: all pictures of the demonstrations look the same")
	}
	for c := range size {
		deviation[c] = max(deviation[c], smallestShare*most)
		for r := range frames {
			x.Set(r, c, (x.At(r, c)-mean[c])/deviation[c])
		}
	}
	var svd mat.SVD
	if !svd.Factorize(x, mat.SVDThin) {
		return errors.New("policy: the principal components of the looks cannot be computed")
	}
	var v mat.Dense
	svd.VTo(&v)
	singular := svd.Values(nil)
	k := min(mostParts, len(j.spans)/2, len(singular))
	f.mean, f.deviation, f.parts = narrow(mean), narrow(deviation), make([][]float32, k)
	var left float64
	for i, s := range singular {
		variance := s * s / float64(len(frames))
		if i >= k {
			left += variance
			continue
		}
		f.parts[i] = make([]float32, size)
		for c := range size {
			f.parts[i][c] = float32(v.At(c, i) / math.Sqrt(max(variance, 1e-12)))
		}
	}
	f.rest = math.Sqrt(max(left, 1e-6*float64(size)))
	return nil
}

func narrow(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

// distance is the distance of a look from the demonstrations: 1 is usual.
func (f *Familiarity) distance(seen []float32) float64 {
	x := f.describe(seen)
	var all, inside, sum float64
	for i := range x {
		x[i] = (x[i] - float64(f.mean[i])) / float64(f.deviation[i])
		all += x[i] * x[i]
	}
	for _, p := range f.parts {
		var dot, length float64
		for i, v := range p {
			dot += x[i] * float64(v)
			length += float64(v) * float64(v)
		}
		sum += dot * dot
		inside += dot * dot / max(length, 1e-12)
	}
	rest := max(all-inside, 0) / (f.rest * f.rest)
	return math.Sqrt((sum/float64(max(len(f.parts), 1)) + rest) / 2)
}

// learnLight learns the light of the pictures.
func (f *Familiarity) learnLight(j *judging) {
	for _, frame := range j.frames {
		if frame.Light == (Light{}) {
			return
		}
	}
	values := make([][]float64, len(j.frames))
	for fold := range folds {
		f.usualLight(j, j.without(fold))
		for i, of := range j.fold {
			if of == fold {
				values[i] = f.lightOff(j.frames[i].Light)
			}
		}
	}
	m := j.measure(values, [looks]float64{1, 1, 1})
	f.Light = &m
	f.usualLight(j, j.without(-1))
}

// usualLight learns mean and deviation of the light of some frames.
func (f *Familiarity) usualLight(j *judging, frames []int) {
	n := float64(len(frames))
	for k := range f.LightMean {
		var sum, squares float64
		for _, i := range frames {
			v := j.frames[i].Light[k]
			sum, squares = sum+v, squares+v*v
		}
		f.LightMean[k] = sum / n
		f.LightDeviation[k] = max(math.Sqrt(max(squares/n-sum/n*sum/n, 0)), 0.01) // no lamp is steadier
	}
}

// lightOff is how far a light is from the usual one, in deviations.
func (f *Familiarity) lightOff(l Light) []float64 {
	out := make([]float64, len(l))
	for k, v := range l {
		out[k] = (v - f.LightMean[k]) / f.LightDeviation[k]
	}
	return out
}

// around returns what a map has in the nine cells around the cell of a place, standardised, and then a
// one. At the borders, cells are repeated.
func (f *Familiarity) around(seen []float32, place [2]float64) []float64 {
	g := f.grid
	cx, cy := f.cell(place)
	out := make([]float64, 0, 9*g.C+1)
	for y := cy - 1; y <= cy+1; y++ {
		for x := cx - 1; x <= cx+1; x++ {
			cell := min(max(y, 0), g.H-1)*g.W + min(max(x, 0), g.W-1)
			for c := range g.C {
				out = append(out, (float64(seen[cell*g.C+c])-float64(f.mean[c]))/f.spread(c))
			}
		}
	}
	return append(out, 1)
}

// spread is the usual deviation of a channel: over the cells, and between pictures.
func (f *Familiarity) spread(c int) float64 {
	return math.Hypot(float64(f.mean[f.grid.C+c]), float64(f.deviation[c])) + 1e-9
}

// cell is the cell of a place.
func (f *Familiarity) cell(place [2]float64) (x, y int) {
	return int(math.Floor(place[0] * float64(f.grid.W))), int(math.Floor(place[1] * float64(f.grid.H)))
}

// within is where in its cell a place is, in cells from its middle.
func (f *Familiarity) within(place [2]float64) [2]float64 {
	x, y := f.cell(place)
	return [2]float64{place[0]*float64(f.grid.W) - float64(x) - 0.5, place[1]*float64(f.grid.H) - float64(y) - 0.5}
}

// learnHand learns where in its cell the tip is: ridge regression in its dual form, of which each
// demonstration can be held back without another fit.
func (f *Familiarity) learnHand(j *judging) error {
	n, size := len(j.frames), 9*f.grid.C+1
	x, y := mat.NewDense(n, size, nil), mat.NewDense(n, 2, nil)
	for i, frame := range j.frames {
		tip := f.body.tip(frame.State)
		x.SetRow(i, f.around(frame.Seen, tip))
		at := f.within(tip)
		y.SetRow(i, at[:])
	}
	var kernel mat.SymDense
	kernel.SymOuterK(1, x)
	for i := range n {
		kernel.SetSym(i, i, kernel.At(i, i)+tipStrength*float64(n))
	}
	var factor mat.Cholesky
	if !factor.Factorize(&kernel) {
		return errors.New("policy: the places of the tip cannot be learnt")
	}
	var inverse mat.SymDense
	if err := factor.InverseTo(&inverse); err != nil {
		return fmt.Errorf("policy: the places of the tip cannot be learnt: %w", err)
	}
	var alpha, weights mat.Dense
	alpha.Mul(&inverse, y)
	values := make([][]float64, n)
	for _, s := range j.spans {
		// What a fit without these frames would miss them by.
		var off mat.Dense
		if err := off.Solve(inverse.SliceSym(s.from, s.to), alpha.Slice(s.from, s.to, 0, 2)); err != nil {
			return fmt.Errorf("policy: the places of the tip cannot be learnt: %w", err)
		}
		for i := s.from; i < s.to; i++ {
			values[i] = []float64{-off.At(i-s.from, 0) / float64(f.grid.W), -off.At(i-s.from, 1) / float64(f.grid.H)}
		}
	}
	m := j.measure(values, [looks]float64{1, 1, handShare})
	f.Hand = &m
	weights.Mul(x.T(), &alpha)
	for k := range 2 {
		f.tip = append(f.tip, narrow(mat.Col(nil, k, &weights)))
	}
	return nil
}

// handOff is how far from where the robot feels its tip the map shows it, in shares of the picture.
func (f *Familiarity) handOff(seen, state []float32) []float64 {
	tip := f.body.tip(state)
	x, felt := f.around(seen, tip), f.within(tip)
	out := make([]float64, 2)
	for k, w := range f.tip {
		for i, v := range x {
			out[k] += v * float64(w[i])
		}
		out[k] = (out[k] - felt[k]) / float64([2]int{f.grid.W, f.grid.H}[k])
	}
	return out
}

// recall judges the looks of one episode.
type recall struct {
	of                *Familiarity
	look, light, hand [][]float64 // the last ones
	seen, state       []float32   // before
}

// judge returns how strange what is seen now is, as a share of the limit, and why. Light may be nil.
func (r *recall) judge(seen, state []float32, light *Light) (strange float64, why string) {
	frozen := r.seen != nil && slices.Equal(r.seen, seen) && !slices.Equal(r.state, state)
	r.seen, r.state = slices.Clone(seen), slices.Clone(state)
	if frozen {
		return math.Inf(1), "the picture is frozen: it is the one before, though the robot has moved"
	}
	worse := func(m *Measure, last *[][]float64, v []float64) (off float64, is bool) {
		if *last = append(*last, v); len(*last) > looks {
			*last = (*last)[1:]
		}
		off = norm(middleOf(*last))
		share := off / m.Limits[len(*last)-1]
		if is = share > strange; is {
			strange = share
		}
		return off, is
	}
	if _, is := worse(&r.of.Look, &r.look, []float64{r.of.distance(seen)}); is {
		why = "the pictures look unlike those of the demonstrations"
	}
	if light != nil && r.of.Light != nil {
		if _, is := worse(r.of.Light, &r.light, r.of.lightOff(*light)); is {
			why = "the light is unlike that of the demonstrations"
		}
	}
	if r.of.Hand != nil {
		if off, is := worse(r.of.Hand, &r.hand, r.of.handOff(seen, state)); is {
			why = fmt.Sprintf("the tip is seen %.1f %% of the picture from where it is felt: was the camera moved?", 100*off)
		}
	}
	return strange, why
}

// The tensors of a policy file.
const (
	familiarMean  = "familiarity.mean"
	familiarScale = "familiarity.deviation"
	familiarParts = "familiarity.parts"
	familiarRest  = "familiarity.rest"
	familiarTip   = "familiarity.tip"
)

func (f *Familiarity) tensors() []weights.Tensor {
	size := len(f.mean)
	out := []weights.Tensor{
		weights.FromFloat32(familiarMean, []int{size}, f.mean), weights.FromFloat32(familiarScale, []int{size}, f.deviation),
		weights.FromFloat32(familiarParts, []int{len(f.parts), size}, slices.Concat(f.parts...)), weights.FromFloat32(familiarRest, []int{1}, []float32{float32(f.rest)}),
	}
	if f.Hand != nil {
		out = append(out, weights.FromFloat32(familiarTip, []int{2, len(f.tip[0])}, slices.Concat(f.tip...)))
	}
	return out
}

// read reads the tensors of a file.
func (f *Familiarity) read(c contract, w *weights.File) (err error) {
	f.grid = heatmap.Grid{H: c.Sight.Map[0], W: c.Sight.Map[1], C: c.Sight.Map[2]}
	if t, ok := w.Tensor(familiarMean); c.Sight.Map == [3]int{} && ok && len(t.Shape) == 1 {
		f.grid = heatmap.Grid{H: 1, W: 1, C: t.Shape[0] / 2}
	}
	size, parts := 2*f.grid.C, 0
	if t, ok := w.Tensor(familiarParts); ok && len(t.Shape) == 2 && t.Shape[0] <= mostParts {
		parts = t.Shape[0]
	}
	if f.mean, err = tensorOf(w, familiarMean, size); err != nil {
		return err
	}
	if f.deviation, err = tensorOf(w, familiarScale, size); err != nil {
		return err
	}
	flat, err := tensorOf(w, familiarParts, parts*size)
	if err != nil {
		return err
	}
	f.parts = slices.Collect(slices.Chunk(flat, max(size, 1)))
	rest, err := tensorOf(w, familiarRest, 1)
	if err != nil {
		return err
	}
	if f.rest = float64(rest[0]); slices.Min(f.deviation) <= 0 || f.rest <= 0 {
		return errors.New("a familiarity with deviations of zero")
	}
	for _, v := range f.LightDeviation {
		if f.Light != nil && !(v > 0) {
			return fmt.Errorf("deviations of light %v, want positive ones", f.LightDeviation)
		}
	}
	if err := errors.Join(f.Look.check(), f.Light.check(), f.Hand.check()); err != nil || f.Hand == nil {
		return err
	}
	if f.body, err = newBody(c.Robot); err != nil {
		return err
	}
	flat, err = tensorOf(w, familiarTip, 2*(9*f.grid.C+1))
	f.tip = slices.Collect(slices.Chunk(flat, 9*f.grid.C+1))
	return err
}

func (m *Measure) check() error {
	if m == nil {
		return nil
	}
	for _, l := range m.Limits {
		if !(l > 0) || math.IsInf(l, 0) {
			return fmt.Errorf("limits of familiarity %v, want positive ones", m.Limits)
		}
	}
	return nil
}

// Count returns the number of demonstrations.
func (d Demonstrations) Count() int { return len(d.spans()) }

// Learnt describes the demonstrations for a policy file.
func (d Demonstrations) Learnt(source string) Learnt {
	l := Learnt{Source: source, Demonstrations: len(d.spans()), Frames: len(d.Frames)}
	h := sha256.New()
	for i, f := range d.Frames {
		for _, part := range []struct {
			values []float32
			ranges *[][2]float64
		}{{f.State, &l.State}, {f.Action, &l.Action}, {f.Seen, nil}} {
			writeFloats(h, part.values)
			if part.ranges == nil {
				continue
			}
			for k, v := range part.values {
				if i == 0 {
					*part.ranges = append(*part.ranges, [2]float64{float64(v), float64(v)})
				}
				r := &(*part.ranges)[k]
				r[0], r[1] = min(r[0], float64(v)), max(r[1], float64(v))
			}
		}
	}
	l.SHA256 = hex.EncodeToString(h.Sum(nil))
	return l
}

func writeFloats(w io.Writer, values []float32) {
	raw := make([]byte, 0, 4*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	_, _ = w.Write(raw) // a hash
}
