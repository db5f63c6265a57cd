package run

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/results"
)

const (
	curveParts  = 16 // equal parts that the training pictures are dealt into
	curveDraws  = 5  // draws of each number of pictures
	curveLeast  = 5  // pictures of a label: with fewer, another kind of head is usual
	curveSample = 1000
	// The forecast rests on the points from an eighth of the pictures on: a power law holds better at
	// the end.
	curveTail = 8
)

var (
	errCurve    = errors.New("run: a learning curve with folds, several seeds or fine-tuning")
	errCurveFew = errors.New("run: too few training pictures for a learning curve")
)

// curveShares are the numbers of parts that heads learn from.
var curveShares = []int{1, 2, 3, 4, 6, 8, 12, 16}

// LearningCurve fits heads on growing parts of the training pictures, five draws of each size, and scores
// them on the pictures held back. The parts are stratified, and keep groups and copies together. From the errors,
// which fall as a power of the number of pictures, it says what more pictures would bring to the score of
// the next head, with an interval over draws and pictures. Nothing is stored. p may be nil.
//
// It is an error if Folds or Finetune of the spec is set, or if the data has nothing to learn from.
func (s Spec) LearningCurve(ctx context.Context, place Place, p Progress) (*results.LearningCurve, error) {
	p, shown := place.Shown(p)
	defer shown()
	if s.Folds > 0 || s.Finetune > 0 || s.Seeds > 1 {
		return nil, advice.New(errCurve, "leave out folds, seeds and fine-tuning: the curve is of one head on frozen features")
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	o, err := open(ctx, s, place, p, (*datasets.Dataset).CheckTraining)
	if err != nil {
		return nil, err
	}
	defer o.eng.Close()
	split := cmp.Or(s.Split, string(o.data.Evaluation()))
	train, eval, err := o.samples(ctx, o.data.In(datasets.Train), o.data.In(datasets.Split(split)), views{s.Views, s.Seed}, p)
	if err == nil {
		err = o.settle(p)
	}
	if err != nil {
		return nil, err
	}
	c := &growing{opened: o, spec: s, train: train, eval: eval}
	curve := &results.LearningCurve{Data: o.data.Name, Model: o.net.Row.Name, Split: split, Total: eval.s.Len(), Labels: len(o.data.Labels)}
	if err := c.measure(ctx, p); err != nil {
		return nil, err
	}
	c.report(curve)
	return curve, nil
}

// growing is a learning curve that is being measured.
type growing struct {
	*opened
	spec        Spec
	train, eval *sample
	metric      metrics.Metric
	sizes       []grown
}

// grown is the heads that learnt from about the same number of pictures.
type grown struct {
	pictures []float64
	scores   []metrics.Score
	right    [][]bool // of the pictures reported on, for one label a picture
}

// measure fits the heads.
func (c *growing) measure(ctx context.Context, p Progress) error {
	for i, share := range curveShares {
		p.State("training on parts", int64(i), int64(len(curveShares)))
		draws := curveDraws
		if share == curveParts {
			draws = 1
		}
		var g grown
		for draw := range draws {
			part := c.draw(share, draw)
			if part == nil {
				continue
			}
			if err := c.fit(ctx, part, &g); err != nil {
				return err
			}
		}
		if len(g.scores) > 0 {
			c.sizes = append(c.sizes, g)
		}
	}
	if len(c.sizes) == 0 {
		return advice.New(errCurveFew, "add pictures: the smallest part needs %d of each label", curveLeast)
	}
	return nil
}

// draw returns so many of the parts of the training pictures; nil if a label has too few in them.
func (c *growing) draw(share, draw int) *sample {
	if share == curveParts {
		return c.train
	}
	parts := datasets.Folds(c.train.items, curveParts, c.spec.Seed+uint64(draw))
	if len(parts) < curveParts {
		return nil
	}
	// Draws of the same seed take other parts, so that they differ also where few parts are taken.
	first := draw * curveParts / curveDraws
	var rows []int
	for k := range share {
		rows = append(rows, parts[(first+k)%curveParts]...)
	}
	slices.Sort(rows)
	out := &sample{s: c.train.s.Select(rows)}
	for _, r := range rows {
		out.items = append(out.items, c.train.items[r])
	}
	if !enoughOfEach(out.s) {
		return nil
	}
	return out
}

// enoughOfEach reports whether each label has enough samples to learn from.
func enoughOfEach(s head.Samples) bool {
	count := make([]int, s.Classes)
	for _, y := range s.Y {
		count[y]++
	}
	for i, v := range s.Targets {
		if v != 0 {
			count[i%s.Classes]++
		}
	}
	return slices.Min(count) >= curveLeast
}

// fit fits a head on a part and scores it.
func (c *growing) fit(ctx context.Context, part *sample, g *grown) error {
	fitted, err := c.fitHead(ctx, part, c.spec, nil)
	if err != nil {
		return err
	}
	logits := fitted.Model.Logits(c.eval.s.X)
	score, err := c.task.Measure(c.eval.s, logits)
	if err != nil {
		return err
	}
	c.metric = score.Metric
	g.pictures, g.scores = append(g.pictures, float64(part.pictures())), append(g.scores, score)
	if c.eval.s.Targets == nil {
		said := head.Classes(logits, c.eval.s.Classes)
		right := make([]bool, len(said))
		for i, k := range said {
			right[i] = k == c.eval.s.Y[i]
		}
		g.right = append(g.right, right)
	}
	return nil
}

// report fills the points and the forecasts.
func (c *growing) report(curve *results.LearningCurve) {
	curve.Metric = c.metric
	for _, g := range c.sizes {
		p := results.CurvePoint{Train: int(math.Round(mean(g.pictures))), Interval: metrics.Unknown()}
		var low, high float64
		for _, s := range g.scores {
			p.Scores = append(p.Scores, s.Value)
			low, high = low+s.Interval.Low, high+s.Interval.High
		}
		p.Mean = mean(p.Scores)
		// All draws are scored on the same pictures, so their mean is no surer than one of them.
		n := float64(len(g.scores))
		p.Interval = metrics.Interval{Low: low / n, High: high / n}
		curve.Points = append(curve.Points, p)
	}
	curve.Why = c.whyNot()
	if curve.Why == "" {
		now := curve.Points[len(curve.Points)-1].Train
		curve.More, curve.Twice = c.forecast(now, now+100), c.forecast(now, 2*now)
	}
}

// whyNot says why there is no forecast; "" if there is one.
func (c *growing) whyNot() string {
	switch {
	case c.metric != metrics.Accuracy:
		return "a forecast is made for one label a picture"
	case len(c.tail()) < 4:
		return "too few sizes for a forecast: add pictures"
	}
	return ""
}

// tail returns the sizes that the forecast rests on.
func (c *growing) tail() []grown {
	most := c.sizes[len(c.sizes)-1].pictures[0]
	return slices.DeleteFunc(slices.Clone(c.sizes), func(g grown) bool { return mean(g.pictures) < most/curveTail*0.99 })
}

// forecast returns what to pictures bring instead of from. The interval is of the difference of two heads: it
// covers the fit of the curve, the pictures reported on, and the luck of what each head learns from.
func (c *growing) forecast(from, to int) *results.Forecast {
	tail, rng := c.tail(), rand.New(rand.NewPCG(c.spec.Seed, 0x6375727665))
	gain := func(weights []float64, pick func(n int) []int) float64 {
		var pictures, wrong []float64
		for _, g := range tail {
			var e, n float64
			draws := pick(len(g.scores))
			for _, d := range draws {
				e += wrongShare(g.right[d], weights) / float64(len(draws))
				n += g.pictures[d] / float64(len(draws))
			}
			pictures, wrong = append(pictures, n), append(wrong, e)
		}
		return results.PowerLaw(pictures, wrong, float64(from)) - results.PowerLaw(pictures, wrong, float64(to))
	}
	all := func(n int) []int {
		out := make([]int, n)
		for i := range out {
			out[i] = i
		}
		return out
	}
	again := func(n int) []int {
		out := make([]int, n)
		for i := range out {
			out[i] = rng.IntN(n)
		}
		return out
	}
	weights := make([]float64, c.eval.s.Len())
	for i := range weights {
		weights[i] = 1
	}
	luck := c.luck(float64(to) / float64(from))
	f := &results.Forecast{Train: to, Gain: gain(weights, all)}
	var gains []float64
	for range curveSample {
		c.redraw(weights, rng)
		// Two heads are compared, and each has the luck of its pictures.
		gains = append(gains, gain(weights, again)+luck*rng.NormFloat64())
	}
	slices.Sort(gains)
	f.Interval = metrics.Interval{Low: gains[len(gains)*25/1000], High: gains[len(gains)*975/1000-1]}
	return f
}

// luck is the standard deviation of the difference of two heads' scores, by the pictures that each learns from:
// so many, and so many times more. Draws of a part f of the pictures share some, so their variance is too
// small by 1-f, and it falls as the number of pictures grows.
func (c *growing) luck(more float64) float64 {
	all := c.sizes[len(c.sizes)-1].pictures[0]
	var variance, sizes float64
	for _, g := range c.tail() {
		f, n := mean(g.pictures)/all, float64(len(g.scores))
		if n < 2 || f > 0.5 {
			continue
		}
		var squares, m float64
		for _, s := range g.scores {
			m += s.Value / n
		}
		for _, s := range g.scores {
			squares += (s.Value - m) * (s.Value - m)
		}
		variance += squares / (n - 1) / (1 - f) * f
		sizes++
	}
	return math.Sqrt(variance / max(sizes, 1) * (1 + 1/more))
}

// redraw draws the pictures reported on anew, whole groups where there are groups, and writes how often each
// is there.
func (c *growing) redraw(weights []float64, rng *rand.Rand) {
	clear(weights)
	of := c.eval.s.Clusters
	members := map[int][]int{}
	var names []int
	for i := range weights {
		k := i
		if of != nil {
			k = of[i]
		}
		if members[k] == nil {
			names = append(names, k)
		}
		members[k] = append(members[k], i)
	}
	for range names {
		for _, i := range members[names[rng.IntN(len(names))]] {
			weights[i]++
		}
	}
}

// wrongShare is the share of wrong pictures, at least half a picture: its logarithm is taken.
func wrongShare(right []bool, weights []float64) float64 {
	var wrong, all float64
	for i, ok := range right {
		all += weights[i]
		if !ok {
			wrong += weights[i]
		}
	}
	return max(wrong, 0.5) / all
}

func mean(v []float64) float64 {
	var sum float64
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}
