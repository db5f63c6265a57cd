package embed

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Options of [TSNE]. The zero value has its defaults.
type Options struct {
	// Perplexity is about how many neighbours of a picture count, below the number of pictures; 0 = 30,
	// and for few pictures a third of them.
	Perplexity float64
	Steps      int // 0 = 1000
}

// The constants of the method: those of van der Maaten's paper and of scikit-learn.
const (
	exaggeration     = 12.0 // of the neighbourhoods, in the first steps
	exaggeratedSteps = 250
	leastRate        = 50.0
	smallestGradient = 1e-7
	tiny             = 2.220446049250313e-16

	mostFeatures = 50 // of which distances are computed
)

// TSNE lays the rows out on a plane so that each picture's neighbours are those it has among the
// features: t-distributed stochastic neighbour embedding (van der Maaten and Hinton, 2008), the exact
// method, started from the first two principal components. More than 50 features are first reduced to
// their 50 principal components, as in that paper.
//
// It is our own: the one package for Go that computes t-SNE starts from random places, reports no
// divergence, and has not changed since 2020.
func TSNE(ctx context.Context, r Rows, o Options) (*Plane, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if r.N < 4 {
		return nil, advice.New(fmt.Errorf("embed: t-SNE of %d pictures, want at least 4", r.N), "use PCA")
	}
	if o.Perplexity == 0 {
		o.Perplexity = min(30, float64(r.N-1)/3)
	}
	if o.Steps == 0 {
		o.Steps = 1000
	}
	if !(o.Perplexity >= 1 && o.Perplexity < float64(r.N)) || o.Steps < 1 {
		return nil, fmt.Errorf("embed: perplexity %g and %d steps for %d pictures, want a perplexity from 1 to below that number, and at least one step", o.Perplexity, o.Steps, r.N)
	}
	start, err := PCA(r, min(r.C, mostFeatures))
	if err != nil {
		return nil, err
	}
	if r.C > mostFeatures {
		r = rowsOf(start.At)
	}
	t := &tsne{n: r.N, p: neighbourhoods(r, o.Perplexity)}
	t.begin(start.At)
	if err := t.descend(ctx, o.Steps); err != nil {
		return nil, err
	}
	out := &Plane{At: make([][]float64, r.N), KL: t.divergence(), Perplexity: o.Perplexity}
	for i := range out.At {
		out.At[i] = []float64{t.y[2*i], t.y[2*i+1]}
	}
	return out, nil
}

// rowsOf returns places as rows of features.
func rowsOf(at [][]float64) Rows {
	r := Rows{N: len(at), C: len(at[0])}
	for _, row := range at {
		for _, v := range row {
			r.Data = append(r.Data, float32(v))
		}
	}
	return r
}

// tsne is a descent in progress.
type tsne struct {
	n int
	p []float64 // [N,N] joint probabilities, symmetric
	y []float64 // [N,2]
}

// begin places the pictures at their first two components, scaled to almost one point.
func (t *tsne) begin(at [][]float64) {
	t.y = make([]float64, 2*t.n)
	sum, squares := 0.0, 0.0
	for i, row := range at {
		copy(t.y[2*i:2*i+2], row) // one number where there is one feature
		sum += row[0]
		squares += row[0] * row[0]
	}
	mean := sum / float64(t.n)
	deviation := math.Sqrt(max(squares/float64(t.n)-mean*mean, 0))
	for i := range t.y {
		switch {
		case deviation > 0:
			t.y[i] *= 1e-4 / deviation
		default: // all pictures are equal: a spiral, so that they can be told apart
			a := float64(i/2) * 2.4
			t.y[i] = 1e-4 * float64(i/2+1) / float64(t.n) * []float64{math.Cos(a), math.Sin(a)}[i%2]
		}
	}
}

// descend does the steps: those of exaggerated neighbourhoods first.
func (t *tsne) descend(ctx context.Context, steps int) error {
	rate := max(float64(t.n)/exaggeration/4, leastRate)
	update, gains, grad := make([]float64, 2*t.n), make([]float64, 2*t.n), make([]float64, 2*t.n)
	for i := range gains {
		gains[i] = 1
	}
	for step := range steps {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("embed: t-SNE: %w", err)
		}
		momentum, factor := 0.8, 1.0
		if step < exaggeratedSteps {
			momentum, factor = 0.5, exaggeration
		}
		if step == exaggeratedSteps { // the phases are descents of their own
			clear(update)
			for i := range gains {
				gains[i] = 1
			}
		}
		t.gradient(factor, grad)
		norm := 0.0
		for i, g := range grad {
			if update[i]*g < 0 {
				gains[i] += 0.2
			} else {
				gains[i] *= 0.8
			}
			gains[i] = max(gains[i], 0.01)
			norm += g * g
			update[i] = momentum*update[i] - rate*gains[i]*g
			t.y[i] += update[i]
		}
		if math.IsNaN(norm) || math.IsInf(norm, 0) {
			return errors.New("embed: t-SNE left the range of numbers; use PCA")
		}
		if step > exaggeratedSteps && math.Sqrt(norm) < smallestGradient {
			break
		}
	}
	return nil
}

// blocks is how many parts of a sum are added up on their own, in a fixed order, so that the number of
// processors changes nothing.
const blocks = 16

// gradient writes the gradient of the divergence, with the neighbourhoods times factor. Each pair is
// looked at once: what it adds to one picture, it takes from the other.
func (t *tsne) gradient(factor float64, grad []float64) {
	var pulls, pushes [blocks][]float64
	var all [blocks]float64
	inParallel(blocks, func(b int) {
		pull, push, sum := make([]float64, 2*t.n), make([]float64, 2*t.n), 0.0
		for i := b; i < t.n; i += blocks {
			xi, yi := t.y[2*i], t.y[2*i+1]
			var ax, ay, rx, ry float64
			p, y := t.p[i*t.n:i*t.n+i], t.y[:2*i]
			for j, pij := range p {
				dx, dy := xi-y[2*j], yi-y[2*j+1]
				q := 1 / (1 + dx*dx + dy*dy)
				sum += q
				a, r := pij*q, q*q
				ax, ay, rx, ry = ax+a*dx, ay+a*dy, rx+r*dx, ry+r*dy
				pull[2*j] -= a * dx
				pull[2*j+1] -= a * dy
				push[2*j] -= r * dx
				push[2*j+1] -= r * dy
			}
			pull[2*i] += ax
			pull[2*i+1] += ay
			push[2*i] += rx
			push[2*i+1] += ry
		}
		pulls[b], pushes[b], all[b] = pull, push, sum
	})
	sum := 0.0
	for _, z := range all {
		sum += 2 * z
	}
	for i := range grad {
		pull, push := 0.0, 0.0
		for b := range blocks {
			pull, push = pull+pulls[b][i], push+pushes[b][i]
		}
		grad[i] = 4 * (factor*pull - push/sum)
	}
}

// divergence returns the Kullback-Leibler divergence of the plane's neighbourhoods from those of the
// features.
func (t *tsne) divergence() float64 {
	part, all := make([]float64, t.n), make([]float64, t.n)
	each := func(i int, do func(p, q float64)) {
		for j := range t.n {
			if i != j {
				dx, dy := t.y[2*i]-t.y[2*j], t.y[2*i+1]-t.y[2*j+1]
				do(t.p[i*t.n+j], 1/(1+dx*dx+dy*dy))
			}
		}
	}
	t.rows(func(i int) { each(i, func(_, q float64) { all[i] += q }) })
	sum := 0.0
	for _, z := range all {
		sum += z
	}
	t.rows(func(i int) {
		each(i, func(p, q float64) { part[i] += p * math.Log(max(p, tiny)/max(q/sum, tiny)) })
	})
	kl := 0.0
	for _, v := range part {
		kl += v
	}
	return kl
}

// rows calls do for each row, from several goroutines.
func (t *tsne) rows(do func(i int)) { inParallel(t.n, do) }

// inParallel calls do for 0 to n-1 in blocks, from several goroutines.
func inParallel(n int, do func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			for i := w * n / workers; i < (w+1)*n/workers; i++ {
				do(i)
			}
		})
	}
	wait.Wait()
}

// neighbourhoods returns the joint probabilities [N,N] of the features: how much each picture counts as
// another one's neighbour, by Gaussians that are as wide as the perplexity asks.
func neighbourhoods(r Rows, perplexity float64) []float64 {
	p := squaredDistances(r)
	inParallel(r.N, func(i int) { conditional(p[i*r.N:(i+1)*r.N], i, math.Log(perplexity)) })
	sum := 0.0
	for i := range r.N {
		for j := range i {
			both := p[i*r.N+j] + p[j*r.N+i]
			p[i*r.N+j], p[j*r.N+i] = both, both
			sum += 2 * both
		}
	}
	for i := range r.N {
		for j := range r.N {
			p[i*r.N+j] = max(p[i*r.N+j]/max(sum, tiny), tiny)
		}
		p[i*r.N+i] = 0
	}
	return p
}

// squaredDistances returns |a-b|² of all pairs.
func squaredDistances(r Rows) []float64 {
	d := make([]float64, r.N*r.N)
	inParallel(r.N, func(i int) {
		a := r.Data[i*r.C : (i+1)*r.C]
		for j := range r.N {
			b, sum := r.Data[j*r.C:(j+1)*r.C], 0.0
			for c, v := range a {
				e := float64(v) - float64(b[c])
				sum += e * e
			}
			d[i*r.N+j] = sum
		}
	})
	return d
}

// conditional turns squared distances from picture i into probabilities of the wanted entropy, by
// bisection of the Gaussian's precision.
func conditional(row []float64, i int, entropy float64) {
	nearest, mean := math.Inf(1), 0.0
	for j, d := range row {
		if j != i {
			nearest = min(nearest, d)
			mean += d / float64(len(row)-1)
		}
	}
	low, high, beta := 0.0, math.Inf(1), 1.0
	if mean > 0 {
		beta = 1 / mean // features of any size
	}
	out := make([]float64, len(row))
	for range 200 {
		sum, weighted := 0.0, 0.0
		for j, d := range row {
			out[j] = 0
			if j != i {
				out[j] = math.Exp(-(d - nearest) * beta)
				sum += out[j]
				weighted += (d - nearest) * out[j]
			}
		}
		off := math.Log(sum) + beta*weighted/sum - entropy
		for j := range out {
			out[j] /= sum
		}
		if math.Abs(off) <= 1e-7 {
			break
		}
		switch {
		case off > 0 && math.IsInf(high, 1):
			low, beta = beta, 2*beta
		case off > 0:
			low, beta = beta, (beta+high)/2
		default:
			high, beta = beta, (beta+low)/2
		}
		if beta > 1e300 || beta < 1e-300 { // equal pictures have no such width
			break
		}
	}
	copy(row, out)
}
