package weights

import (
	"errors"
	"fmt"
	"io"

	"github.com/tlkit/transfer-learning/tlkit/weights/internal/budget"
)

const (
	maxPickle = 64 << 20  // bytes of pickle in one file; a state dict of 1000 tensors has 200 kB
	maxOps    = 2_000_000 // operations in one file; the same state dict has 40,000
	maxMarks  = 1000      // nested unfinished containers; Python's own recursion limit
)

// unpickler runs the pickle operations that build data, and no others. It calls nothing: a
// function in the pickle is only a name, which is looked up in a short list in pickle_reduce.go
// or becomes an inert object.
//
// Allocations never depend on sizes in the pickle alone, but are bounded by the bytes that are
// really there.
type unpickler struct {
	window
	stack      []any
	marks      []int // heights of the stack at the MARKs
	memo       map[uint64]any
	ops        int
	persistent func(id any) (any, error) // what PyTorch stores outside the pickle
	budget     *budget.Budget
}

func newUnpickler(r io.ReaderAt, size int64, b *budget.Budget, persistent func(any) (any, error)) *unpickler {
	return &unpickler{window: window{r: r, size: min(size, maxPickle), whole: size}, budget: b, persistent: persistent}
}

// The average memory in bytes of an operation, a value in a list, and a value in a map.
const (
	costOp   = 48
	costItem = 16
	costPair = 112
)

var errStack = errors.New("an operation finds too little on the stack")

// load runs one pickle up to its STOP and returns its value. It can be called again for the
// next pickle, with a new memo but the same count of operations.
func (u *unpickler) load() (any, error) {
	u.stack, u.marks, u.memo = u.stack[:0], u.marks[:0], map[uint64]any{}
	for {
		pos := u.pos
		op, err := u.byte()
		if err != nil {
			return nil, fmt.Errorf("pickle: %w", err)
		}
		if u.ops++; u.ops > maxOps {
			return nil, fmt.Errorf("pickle: more than %d operations", maxOps)
		}
		if err := u.budget.Describe(costOp); err != nil {
			return nil, fmt.Errorf("pickle: %w", err)
		}
		if op == '.' { // STOP
			v, err := u.pop()
			if err != nil {
				return nil, fmt.Errorf("pickle: %w", err)
			}
			if len(u.stack) != 0 || len(u.marks) != 0 {
				return nil, errors.New("pickle: it stops in the middle of a value")
			}
			return v, nil
		}
		if err := u.step(op); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("pickle: byte %d, operation 0x%02x: %w", pos, op, err)
		}
	}
}

func (u *unpickler) push(v any) error {
	u.stack = append(u.stack, v)
	return nil
}

// floor returns the height of the stack below which the current container may not pop.
func (u *unpickler) floor() int {
	if len(u.marks) == 0 {
		return 0
	}
	return u.marks[len(u.marks)-1]
}

func (u *unpickler) pop() (any, error) {
	if len(u.stack) <= u.floor() {
		return nil, errStack
	}
	v := u.stack[len(u.stack)-1]
	u.stack = u.stack[:len(u.stack)-1]
	return v, nil
}

func (u *unpickler) top() (any, error) {
	if len(u.stack) <= u.floor() {
		return nil, errStack
	}
	return u.stack[len(u.stack)-1], nil
}

// popMark removes everything above the last MARK and returns a copy.
func (u *unpickler) popMark() ([]any, error) {
	if len(u.marks) == 0 {
		return nil, errStack
	}
	pos := u.floor()
	u.marks = u.marks[:len(u.marks)-1]
	if err := u.budget.Describe(costItem * int64(len(u.stack)-pos)); err != nil {
		return nil, err
	}
	items := append([]any(nil), u.stack[pos:]...)
	u.stack = u.stack[:pos]
	return items, nil
}

func (u *unpickler) popTuple(n int) error {
	if len(u.stack)-u.floor() < n {
		return errStack
	}
	pos := len(u.stack) - n
	t := append(tuple{}, u.stack[pos:]...)
	u.stack = append(u.stack[:pos], t)
	return nil
}

func (u *unpickler) memoize(index uint64) error {
	v, err := u.top()
	if err == nil {
		err = u.budget.Describe(costPair)
	}
	if err == nil {
		u.memo[index] = v
	}
	return err
}

func (u *unpickler) recall(index uint64) error {
	v, ok := u.memo[index]
	if !ok {
		return fmt.Errorf("memo %d was never written", index)
	}
	return u.push(v)
}
