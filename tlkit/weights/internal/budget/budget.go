// Package budget limits the cost of reading a file in proportion to its size. A hostile file of a
// few kilobytes can describe gigabytes of data or loops that take hours; an honest one never comes
// near the limits. Each reader draws from the budget of its file before it allocates, keeps or
// repeats anything that the file asks for.
package budget

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrExhausted is wrapped by the errors of a budget.
var ErrExhausted = errors.New("it asks for more than its size allows")

// The limits for a file of n bytes. They apply to the description of the weights: the numbers
// themselves are read one tensor at a time.
const (
	describeBase, describeRate, describeMost = 16 << 20, 4, 160 << 20
	holdBase, holdRate                       = 32 << 20, 10
	timeBase, timePerMB                      = 30 * time.Second, 100 * time.Millisecond
)

// Budget is what is left for a file. It is not safe for concurrent use.
type Budget struct {
	size     int64
	describe int64
	hold     int64
	draws    int
	ctx      context.Context
}

// ForFile returns the budget of a file of size bytes:
//
//   - 16 MiB plus 4 bytes per byte of the file, at most 160 MiB, for the description of its content;
//   - 32 MiB and 10 bytes for each byte, for what its tensors hold together as float32, views of the
//     same bytes counted each time: 8-bit numbers take four times their size, and eight times where
//     a network turns them into floats itself;
//   - 30 seconds and a second for each 10 MB, which no file reaches that keeps to the others: they
//     take a second or two at most.
func ForFile(ctx context.Context, size int64) *Budget {
	size = max(0, min(size, 1<<50))
	ctx, stop := context.WithTimeout(ctx, timeBase+time.Duration(size>>20)*timePerMB)
	context.AfterFunc(ctx, stop) // frees the timer
	return &Budget{size: size, describe: min(describeBase+describeRate*size, describeMost), hold: holdBase + holdRate*size, ctx: ctx}
}

// Grow adds the size of another file, which holds the numbers that the first describes.
func (b *Budget) Grow(size int64) {
	size = max(0, min(size, 1<<50))
	b.size += size
	b.hold += holdRate * size
}

// Describe draws n bytes of memory for the description of the content: names, lists, maps, headers.
// Other costs of a step are counted in bytes, too: 64 for a read.
func (b *Budget) Describe(n int64) error {
	if n < 0 || n > b.describe {
		b.describe = 0
		return b.exhausted("the description of its content")
	}
	b.describe -= n
	if b.draws++; b.draws%4096 == 0 && b.ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrExhausted, context.Cause(b.ctx))
	}
	return nil
}

// Hold draws n bytes that a tensor holds.
func (b *Budget) Hold(n int64) error {
	if n < 0 || n > b.hold {
		b.hold = 0
		return b.exhausted("the total size of its tensors")
	}
	b.hold -= n
	return nil
}

func (b *Budget) exhausted(what string) error {
	return fmt.Errorf("%w: %s is too large for a file of %d bytes: this is a bomb, not weights", ErrExhausted, what, b.size)
}
