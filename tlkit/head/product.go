package head

import (
	"runtime"
	"sync"
	"sync/atomic"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// thin is a matrix [n, r] that is multiplied by few columns again and again. gonum's matrix product
// is made for many columns; with two, most of its time goes into calls. These products are several
// times as fast. They add in the same order, so the bits are the same.
type thin struct {
	*mat.Dense
	lower bool // entries above the diagonal are zero
}

// width returns how many entries of row i may differ from zero.
func (z thin) width(i int) int {
	if z.lower {
		return i + 1
	}
	return z.RawMatrix().Cols
}

// scores writes z·w into out, [n, k] row by row. columns is w by columns, [k, r].
func (z thin) scores(out, columns []float64, k int) {
	m := z.RawMatrix()
	inParts(m.Rows, m.Cols*k, func(from, to int) {
		const tall = 4 // rows at a time: independent sums keep the processor busy
		for ; from+tall <= to; from += tall {
			z.four(out, columns, from, k)
		}
		for i := from; i < to; i++ {
			for j := range k {
				out[i*k+j] = more(0, z.RawRowView(i)[:z.width(i)], columns[j*m.Cols:])
			}
		}
	})
}

// four writes the scores of the four rows from i on.
func (z thin) four(out, columns []float64, i, k int) {
	r := z.RawMatrix().Cols
	all := [4][]float64{z.RawRowView(i), z.RawRowView(i + 1), z.RawRowView(i + 2), z.RawRowView(i + 3)}
	both := z.width(i) // the rows after it are as wide or wider
	j := 0
	for ; j+2 <= k; j += 2 {
		w0, w1 := columns[j*r:(j+1)*r], columns[(j+1)*r:(j+2)*r]
		sums := tile(all, w0[:both], w1[:both])
		for t, row := range all {
			rest := row[both:z.width(i+t)]
			out[(i+t)*k+j] = more(sums[t][0], rest, w0[both:])
			out[(i+t)*k+j+1] = more(sums[t][1], rest, w1[both:])
		}
	}
	if j < k {
		for t, row := range all {
			out[(i+t)*k+j] = more(0, row[:z.width(i+t)], columns[j*r:])
		}
	}
}

// tile returns the products of four rows with two columns. The conversions forbid the compiler to fuse
// a product with its sum, which rounds once instead of twice.
func tile(four [4][]float64, w0, w1 []float64) [4][2]float64 {
	n := len(w0)
	w1 = w1[:n]
	r0, r1, r2, r3 := four[0][:n], four[1][:n], four[2][:n], four[3][:n]
	var a0, a1, b0, b1, c0, c1, d0, d1 float64
	for l, u := range w0 {
		v := w1[l]
		x := r0[l]
		a0 += float64(x * u)
		a1 += float64(x * v)
		x = r1[l]
		b0 += float64(x * u)
		b1 += float64(x * v)
		x = r2[l]
		c0 += float64(x * u)
		c1 += float64(x * v)
		x = r3[l]
		d0 += float64(x * u)
		d1 += float64(x * v)
	}
	return [4][2]float64{{a0, a1}, {b0, b1}, {c0, c1}, {d0, d1}}
}

// more adds the product of two vectors to sum, entry by entry.
func more(sum float64, x, w []float64) float64 {
	w = w[:len(x)]
	for l, v := range x {
		sum += float64(v * w[l])
	}
	return sum
}

// against writes zᵀ·s into out by columns, [k, r]; s is [n, k] row by row.
func (z thin) against(out, s []float64, k int) {
	m := z.RawMatrix()
	inParts(m.Cols, m.Rows*k, func(from, to int) {
		for j := range k {
			clear(out[j*m.Cols+from : j*m.Cols+to])
		}
		for i := range m.Rows {
			n := min(to, z.width(i)) - from
			if n <= 0 {
				continue
			}
			row := blas64.Vector{N: n, Inc: 1, Data: m.Data[i*m.Stride+from:]}
			for j := range k {
				blas64.Axpy(s[i*k+j], row, blas64.Vector{N: n, Inc: 1, Data: out[j*m.Cols+from:]})
			}
		}
	})
}

// inParts calls do for parts of 0..n-1, on all processors if that is worth it; each costs so many
// products.
func inParts(n, each int, do func(from, to int)) {
	const part, worth = 128, 1 << 20
	workers := min(runtime.GOMAXPROCS(0), (n+part-1)/part)
	if workers < 2 || n*each < worth {
		do(0, n)
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				from := int(next.Add(part)) - part
				if from >= n {
					return
				}
				do(from, min(from+part, n))
			}
		})
	}
	wg.Wait()
}

// turned writes the transpose of x, [n, k] row by row, into out, [k, n].
func turned(out, x []float64, k int) []float64 {
	n := len(x) / k
	for i := range n {
		for j := range k {
			out[j*n+i] = x[i*k+j]
		}
	}
	return out
}
