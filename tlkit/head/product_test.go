package head

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// The products are those of gonum, to the last bit where gonum does not fuse, for any shape: few rows,
// odd numbers of columns, triangles, and sizes that are divided among processors.
func TestProductsWithFewColumns(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	rng := rand.New(rand.NewPCG(3, 4))
	same := func(got, want float64) bool {
		if runtime.GOARCH == "amd64" {
			return got == want
		}
		return math.Abs(got-want) <= 1e-12*(1+math.Abs(want))
	}
	for _, c := range []struct {
		n, r, k int
		lower   bool
	}{{1, 1, 1, true}, {3, 7, 2, false}, {7, 7, 3, true}, {130, 130, 5, true}, {9, 300, 1, false}, {700, 700, 4, true}, {600, 900, 3, false}} {
		z := mat.NewDense(c.n, c.r, nil)
		for i := range c.n {
			for j := range c.r {
				if !c.lower || j <= i {
					z.Set(i, j, rng.NormFloat64())
				}
			}
		}
		w, s := mat.NewDense(c.r, c.k, nil), mat.NewDense(c.n, c.k, nil)
		for _, m := range []*mat.Dense{w, s} {
			for i := range m.RawMatrix().Data {
				m.RawMatrix().Data[i] = rng.NormFloat64()
			}
		}
		s.Set(0, 0, 0)
		var scores, against mat.Dense
		scores.Mul(z, w)
		against.Mul(z.T(), s)
		in, out := thin{z, c.lower}, make([]float64, c.n*c.k)
		in.scores(out, turned(make([]float64, c.r*c.k), w.RawMatrix().Data, c.k), c.k)
		for i, v := range out {
			if want := scores.At(i/c.k, i%c.k); !same(v, want) {
				t.Fatalf("%+v: score %d is %v, want %v", c, i, v, want)
			}
		}
		back := make([]float64, c.r*c.k)
		in.against(back, s.RawMatrix().Data, c.k)
		for i, v := range back {
			if want := against.At(i%c.r, i/c.r); !same(v, want) {
				t.Fatalf("%+v: gradient %d is %v, want %v", c, i, v, want)
			}
		}
	}
}
