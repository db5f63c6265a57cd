package datasets

import "iter"

// A Batch is a fixed number of rows, of which the first Count are real.
type Batch struct {
	Indices []int  // size of the batch; the padding repeats the last real index
	Mask    []bool // true where the row is real
	Count   int    // how many rows are real; always the first ones
}

// Batches cuts 0..n-1 into batches of exactly size rows, in order. The last
// one is padded, since a compiled graph has one shape; its Mask says which
// rows count. A size below 1 is taken as 1; n below 1 gives no batch.
//
// Each batch has slices of its own: it may be kept.
func Batches(n, size int) iter.Seq[Batch] {
	size = max(size, 1)
	return func(yield func(Batch) bool) {
		for start := 0; start < n; start += size {
			b := Batch{Indices: make([]int, size), Mask: make([]bool, size), Count: min(size, n-start)}
			for i := range size {
				b.Indices[i] = min(start+i, n-1)
				b.Mask[i] = start+i < n
			}
			if !yield(b) {
				return
			}
		}
	}
}
