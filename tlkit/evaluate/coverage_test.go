package evaluate

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/confidence"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Whether a 95 % interval holds the truth 95 times in 100 can only be seen where the truth is known. Here it
// is: a population of pictures with what two heads answer about each. From it, the pictures to report on are
// drawn again and again, with replacement, reported as for any data set, and every interval of the report is
// compared with the value in the whole population.

// A population is pictures with the answers of two heads.
type population struct {
	name  string
	task  task.Task
	names []string // of labels or values
	truth head.Samples
	a, b  []float32
	// Groups of pictures that are alike; nil = none. Whole groups are drawn.
	groups [][]int
}

// draw returns pictures of the population and the answers about them: n pictures, or groups with about as many.
func (p *population) draw(n int, r *rand.Rand) (truth head.Samples, a, b []float32) {
	var rows []int
	var clusters metrics.Clusters
	for g := 0; len(rows) < n; g++ {
		if p.groups == nil {
			rows = append(rows, r.IntN(p.truth.Len()))
			continue
		}
		one := p.groups[r.IntN(len(p.groups))]
		rows = append(rows, one...)
		clusters = append(clusters, slices.Repeat([]int{g}, len(one))...)
	}
	truth = p.truth.Select(rows)
	truth.Clusters = clusters
	return truth, picked(p.a, rows, truth.Classes), picked(p.b, rows, truth.Classes)
}

func picked(logits []float32, rows []int, k int) []float32 {
	out := make([]float32, 0, len(rows)*k)
	for _, r := range rows {
		out = append(out, logits[r*k:(r+1)*k]...)
	}
	return out
}

// A claim is one interval of a report, and the value that it is about.
type claim struct {
	what     string
	value    float64
	interval metrics.Interval
	wrong    float64 // how many of the pictures make it differ from 1, or from 0 for a difference
}

// claims returns the intervals that are printed about some pictures.
func (p *population) claims(truth head.Samples, a, b []float32) ([]claim, error) {
	report, err := New(p.task, Input{Names: p.names, Truth: truth, Logits: a})
	if err != nil {
		return nil, err
	}
	s := report.Score()
	n := float64(truth.Len())
	out := []claim{{s.Metric.Title(), s.Value, s.Interval, n * (1 - s.Value)}}
	differ := n
	switch r := report.(type) {
	case *ClassesReport:
		differ = 0
		for i, c := range head.Classes(a, truth.Classes) {
			if right := truth.Y[i]; (c == right) != (head.Classes(b[i*truth.Classes:(i+1)*truth.Classes], truth.Classes)[0] == right) {
				differ++
			}
		}
		for _, c := range r.Classes {
			out = append(out, claim{"recall of " + c.Label, c.Recall, c.RecallInterval, float64(c.Support - c.Correct)})
		}
	case *LabelsReport:
		for _, l := range r.Labels {
			out = append(out, claim{"AP of " + l.Label, l.AP, l.Interval, float64(l.Support) * (1 - l.AP)})
		}
	case *ValuesReport:
		for _, v := range r.Values {
			out = append(out, claim{"R² of " + v.Name, v.R2, v.Interval, n})
		}
	}
	gain, err := p.task.Compare(truth, a, b)
	return append(out, claim{"difference of two heads", gain.Value, gain.Interval, differ}), err
}

// A coverage counts what became of the intervals of one claim.
type coverage struct {
	population, what string
	n                int // pictures in a draw
	truth            float64
	draws            int
	below, above     int // the interval lies below, or above, the truth
	unknown          int
	width            float64
	naive            int // with groups: how many intervals would hold it if none were declared
	// There is little to go by: in a draw, fewer than ten pictures are wrong, or there are fewer than 20
	// groups.
	few bool
}

func (c coverage) share() float64 {
	return 100 * float64(c.draws-c.below-c.above) / float64(c.draws)
}

func (c coverage) String() string {
	few := ""
	if c.few {
		few = "few"
	}
	naive := ""
	if c.naive > 0 {
		naive = fmt.Sprintf("%.1f", 100*float64(c.naive)/float64(c.draws))
	}
	return fmt.Sprintf("| %s | %d | %s | %.3f | %.1f | %.1f | %.1f | %.3f | %s | %s |", c.population, c.n, c.what, c.truth, c.share(),
		100*float64(c.below)/float64(c.draws), 100*float64(c.above)/float64(c.draws), c.width/float64(c.draws), naive, few)
}

const coverageHeader = "| pictures | in a draw | interval of | truth | covered, % | too low, % | too high, % | mean width | if no groups were declared, % | |\n|---|---|---|---|---|---|---|---|---|---|"

// covers reports whether the share of intervals that hold the truth is as promised, give or take what chance does to so
// many draws: 94 to 96 %, or 94 and more where there is little to go by.
func (c coverage) covers() bool {
	chance := 2 * 100 * math.Sqrt(0.95*0.05/float64(c.draws))
	return c.share() > 94-chance && (c.few || c.share() < 96+chance) && c.unknown == 0
}

// cover draws pictures many times and counts how often each interval holds the truth.
func (p *population) cover(t *testing.T, n, draws int) []coverage {
	t.Helper()
	all := p.truth
	all.Clusters = nil
	truths, err := p.claims(all, p.a, p.b)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]coverage, len(truths))
	for i, c := range truths {
		wrong := c.wrong * float64(n) / float64(p.truth.Len())
		out[i] = coverage{population: p.name, what: c.what, n: n, truth: c.value, few: wrong < 10 || p.groups != nil && n/8 < 20}
	}
	var lock sync.Mutex
	var pool sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		pool.Go(func() {
			for d := w; d < draws; d += workers {
				r := rand.New(rand.NewPCG(uint64(d), uint64(n)))
				truth, a, b := p.draw(n, r)
				claims, err := p.claims(truth, a, b)
				alone := claims
				if err == nil && p.groups != nil {
					truth.Clusters = nil
					alone, err = p.claims(truth, a, b)
				}
				if err != nil {
					t.Error(err)
					return
				}
				lock.Lock()
				for i, c := range claims {
					out[i].add(c.interval)
					if p.groups != nil && alone[i].interval.Contains(out[i].truth) {
						out[i].naive++
					}
				}
				lock.Unlock()
			}
		})
	}
	pool.Wait()
	return out
}

func (c *coverage) add(i metrics.Interval) {
	if !i.Known() {
		c.unknown++
		return
	}
	c.draws++
	c.width += i.High - i.Low
	switch {
	case i.High < c.truth:
		c.below++
	case i.Low > c.truth:
		c.above++
	}
}

// alike makes groups of 4 to 12 pictures of which a head thinks alike, as of the photos of one patient: it sorts
// them by its loss, with noise, and cuts.
func (p *population) alike(r *rand.Rand) *population {
	k, n := p.truth.Classes, p.truth.Len()
	hard, spread := make([]float64, n), make([]float64, k)
	for i, v := range p.truth.Targets {
		spread[i%k] = max(spread[i%k], math.Abs(v))
	}
	for i := range n {
		one, row := p.truth.Select([]int{i}), p.a[i*k:(i+1)*k]
		switch p.task.(type) {
		case task.Classes:
			hard[i] = head.LogLoss(row, one.Y, k)
		case task.Labels:
			for c, v := range row {
				hard[i] += metrics.BinaryLoss(float64(v), one.Targets[c])
			}
		case task.Values:
			for c, v := range row {
				off := (float64(v) - one.Targets[c]) / spread[c]
				hard[i] += off * off
			}
		}
	}
	rank := make([]int, n)
	for i := range rank {
		rank[i] = i
	}
	slices.SortFunc(rank, func(a, b int) int { return cmp.Compare(hard[a], hard[b]) })
	place := make([]float64, n)
	for at, i := range rank {
		place[i] = float64(at)/float64(n) + 0.15*r.NormFloat64()
	}
	slices.SortFunc(rank, func(a, b int) int { return cmp.Compare(place[a], place[b]) })
	out := *p
	out.name += ", in groups"
	for len(rank) > 0 {
		m := min(4+r.IntN(9), len(rank))
		out.groups, rank = append(out.groups, rank[:m:m]), rank[m:]
	}
	return &out
}

// TestCoverageOfDrawnNumbers is the proof in small, with numbers in the place of pictures. It takes seconds.
func TestCoverageOfDrawnNumbers(t *testing.T) {
	for _, p := range numbers(3000) {
		for _, c := range p.cover(t, 200, 500) {
			if !c.covers() {
				t.Errorf("%s", c)
			}
		}
	}
}

// numbers are populations of n drawn numbers, for each task, without and with groups.
func numbers(n int) (out []*population) {
	r := rand.New(rand.NewPCG(5, 6))
	classes := &population{name: "numbers", task: task.Classes{}, names: []string{"a", "b", "c"}, truth: head.Samples{Classes: 3}}
	labels := &population{name: "numbers", task: task.Labels{}, names: []string{"x", "y"}, truth: head.Samples{Classes: 2}}
	values := &population{name: "numbers", task: task.Values{}, names: []string{"v", "w"}, truth: head.Samples{Classes: 2}}
	for range n {
		y := r.IntN(3)
		classes.truth.Y = append(classes.truth.Y, y)
		for c := range 3 {
			z := r.NormFloat64()
			if c == y {
				z += 2.5
			}
			classes.a, classes.b = append(classes.a, float32(z)), append(classes.b, float32(z+r.NormFloat64()))
		}
		for c := range 2 {
			is, z := 0.0, r.NormFloat64()
			if r.Float64() < 0.3-0.1*float64(c) {
				is = 1
				z += 1.5
			}
			labels.truth.Targets = append(labels.truth.Targets, is)
			labels.a, labels.b = append(labels.a, float32(z)), append(labels.b, float32(z+r.NormFloat64()))
			v := r.NormFloat64()
			values.truth.Targets = append(values.truth.Targets, v)
			values.a, values.b = append(values.a, float32(v+0.5*r.NormFloat64())), append(values.b, float32(v+0.7*r.NormFloat64()))
		}
	}
	for _, p := range []*population{classes, labels, values} {
		out = append(out, p, p.alike(r))
	}
	return out
}

// coverageVar, set to 1, runs the proof on drawn pictures: some minutes, and more the first time. Set to a path,
// it writes the table into that file.
const coverageVar = "TLKIT_COVERAGE"

// TestCoverage is the proof on drawn pictures: each 95 % interval holds the truth in 94 to 96 % of the draws.
func TestCoverage(t *testing.T) {
	target := os.Getenv(coverageVar)
	if target == "" {
		t.Skipf("%s is not set: several minutes", coverageVar)
	}
	const draws = 4000
	lines := []string{coverageHeader}
	for _, p := range drawn(t) {
		for _, n := range []int{100, 300} {
			for _, c := range p.cover(t, n, draws) {
				lines = append(lines, c.String())
				t.Log(c)
				if !c.covers() {
					t.Errorf("%s", c)
				}
			}
		}
	}
	lines = append(lines, "", promiseHeader)
	for _, line := range promises(t) {
		lines = append(lines, line)
	}
	if target != "1" {
		if err := os.WriteFile(target, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// pictured is a drawn set with the features of the default network.
type pictured struct {
	set         *datasets.Dataset
	task        task.Task
	train, test head.Samples
}

// features of the drawn sets. They are kept in the cache.
func featured(t *testing.T) (out []pictured) {
	t.Helper()
	ctx := context.Background()
	e, err := engine.Open(ctx, engine.Options{Install: true})
	if err != nil || e.Plugin == "" {
		t.Skip("needs XLA")
	}
	t.Cleanup(e.Close)
	net, err := zoo.Load(ctx, "mobilenetv2", zoo.Options{})
	if err != nil {
		t.Skipf("needs the weights of MobileNetV2: %v", err)
	}
	for _, name := range []string{"insects", "insects-hard", "insects-labels", "insects-values"} {
		set, err := datasets.Open(ctx, name, datasets.Options{})
		if err != nil {
			t.Fatal(err)
		}
		kind, err := task.Named(set.Task)
		if err != nil {
			t.Fatal(err)
		}
		sample := func(items []datasets.Item) head.Samples {
			m, err := features.Extract(ctx, features.Job{Items: items, Preset: net.Preset, Backbone: features.FromNet(net, e)})
			if err != nil {
				t.Fatal(err)
			}
			return kind.Samples(items, m.Data, len(set.Labels))
		}
		out = append(out, pictured{set, kind, sample(set.In(datasets.Train)), sample(set.In(datasets.Test))})
	}
	return out
}

// drawn are the populations of drawn pictures, with heads that have learnt from the set's own train; the population is
// its test.
func drawn(t *testing.T) (out []*population) {
	t.Helper()
	r := rand.New(rand.NewPCG(9, 9))
	for _, s := range featured(t) {
		items := s.set.In(datasets.Train)
		p := &population{name: s.set.Name, task: s.task, names: s.set.Labels, truth: s.test}
		// The second head knows half of the pictures.
		p.a, p.b = fitted(t, s.task, items, s.train, 1).Logits(s.test.X), fitted(t, s.task, items, s.train, 2).Logits(s.test.X)
		p.truth.X, p.truth.Features = nil, 0
		out = append(out, p, p.alike(r))
	}
	return out
}

const promiseHeader = "| pictures | learnt from | promise | kept in, % | mean size or margin |\n|---|---|---|---|---|"

// promises returns how often conformal sets hold the true label, and margins the true value, of pictures that a head has not
// seen: a head learns from 240 pictures, again and again others, and its sets from what it says of them out of fold.
func promises(t *testing.T) (lines []string) {
	t.Helper()
	const draws, n = 1000, 240
	for _, s := range featured(t) {
		if s.task.Name() == datasets.Labels {
			continue
		}
		all := thinned(joined(s.train, s.test), 48)
		kept, size := 0.0, 0.0
		for d := range draws {
			rows := rand.New(rand.NewPCG(uint64(d), 3)).Perm(all.Len())
			k, w, err := promised(t.Context(), all.Select(rows[:n]), all.Select(rows[n:]))
			if err != nil {
				t.Fatal(err)
			}
			kept, size = kept+100*k/draws, size+w/draws
		}
		what := "a set holds the label"
		if s.task.Name() == datasets.Values {
			what = "a margin holds the value"
		}
		lines = append(lines, fmt.Sprintf("| %s | %d | %s | %.1f | %.2f |", s.set.Name, n, what, kept, size))
		t.Log(lines[len(lines)-1])
		if math.Abs(kept-100*confidence.Coverage) > 1 {
			t.Errorf("%s", lines[len(lines)-1])
		}
	}
	return lines
}

// promised returns the share of other pictures for which a promise is kept, and how large the sets or margins are.
func promised(ctx context.Context, learnt, other head.Samples) (kept, size float64, err error) {
	n := float64(other.Len())
	var folds [][]int
	for f := range 5 {
		var rows []int
		for i := f; i < learnt.Len(); i += 5 {
			rows = append(rows, i)
		}
		folds = append(folds, rows)
	}
	if learnt.Targets == nil {
		fit, err := head.LDA(ctx, learnt, head.LDAOptions{Folds: folds, Shrinkages: []float64{0.3}})
		if err != nil {
			return 0, 0, err
		}
		sets, err := confidence.FitSets(learnt, fit.OutOfFold, confidence.Coverage)
		if err != nil {
			return 0, 0, err
		}
		p := head.Softmax(fit.Head.Logits(other.X), other.Classes)
		for i, y := range other.Y {
			row := make([]float64, other.Classes)
			for c := range row {
				row[c] = float64(p[i*other.Classes+c])
			}
			set := sets.Of(row)
			size += float64(len(set)) / n
			if slices.Contains(set, y) {
				kept += 1 / n
			}
		}
		return kept, size, nil
	}
	fit, err := head.Ridge(ctx, learnt, head.RidgeOptions{Folds: folds, Strengths: []float64{1}})
	if err != nil {
		return 0, 0, err
	}
	margins, err := confidence.FitMargins(learnt, fit.OutOfFold, confidence.Coverage)
	if err != nil {
		return 0, 0, err
	}
	k := float64(other.Classes)
	for i, v := range fit.Head.Logits(other.X) {
		if math.Abs(float64(v)-other.Targets[i]) <= margins[i%other.Classes] {
			kept += 1 / n / k
		}
	}
	for _, m := range margins {
		size += m / k
	}
	return kept, size, nil
}

// joined puts samples together.
func joined(a, b head.Samples) head.Samples {
	a.X, a.Y = slices.Concat(a.X, b.X), slices.Concat(a.Y, b.Y)
	if a.Targets != nil {
		a.Y, a.Targets = nil, slices.Concat(a.Targets, b.Targets)
	}
	return a
}

// thinned replaces the features by fewer sums of them with random signs: a head then takes a millisecond.
func thinned(s head.Samples, fewer int) head.Samples {
	r := rand.New(rand.NewPCG(4, 4))
	signs := make([]float32, s.Features*fewer)
	for i := range signs {
		signs[i] = float32(2*r.IntN(2) - 1)
	}
	x := make([]float32, s.Len()*fewer)
	for i := range s.Len() {
		for j, v := range s.Row(i) {
			for c := range fewer {
				x[i*fewer+c] += v * signs[j*fewer+c]
			}
		}
	}
	s.X, s.Features = x, fewer
	return s
}

// fitted is a head that has learnt from every nth picture, as a run fits it.
func fitted(t *testing.T, kind task.Task, items []datasets.Item, all head.Samples, nth int) *head.Linear {
	t.Helper()
	var rows []int
	var some []datasets.Item
	for i := 0; i < len(items); i += nth {
		rows, some = append(rows, i), append(some, items[i])
	}
	folds := datasets.Folds(some, 5, 1)
	var fit *head.Fit
	var err error
	if kind.Heads()[0] == head.RidgeKind {
		fit, err = head.Ridge(t.Context(), all.Select(rows), head.RidgeOptions{Folds: folds})
	} else {
		fit, err = head.Logistic(t.Context(), all.Select(rows), head.LogisticOptions{Folds: folds})
	}
	if err != nil {
		t.Fatal(err)
	}
	return fit.Head
}
