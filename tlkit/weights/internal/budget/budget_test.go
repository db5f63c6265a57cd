package budget

import (
	"context"
	"errors"
	"math"
	"testing"
)

func TestBudgetIsInProportion(t *testing.T) {
	for _, c := range []struct{ size, describe, hold int64 }{
		{0, 16 << 20, 32 << 20}, {1 << 20, 20 << 20, 42 << 20}, {1 << 30, 160 << 20, 32<<20 + 10<<30}, {-5, 16 << 20, 32 << 20}, {math.MaxInt64, 160 << 20, 32<<20 + 10<<50},
	} {
		b := ForFile(context.Background(), c.size)
		if err := errors.Join(b.Describe(c.describe-1), b.Describe(1), b.Hold(c.hold)); err != nil {
			t.Errorf("%d bytes: %v", c.size, err)
		}
		if b.Describe(1) == nil || b.Hold(1) == nil || b.Describe(0) != nil {
			t.Errorf("%d bytes: the budget has no end", c.size)
		}
	}
	b := ForFile(context.Background(), 0)
	b.Grow(100 << 20)
	if err := b.Hold(1032 << 20); err != nil {
		t.Errorf("with a file of 100 MiB beside it: %v", err)
	}
	b = ForFile(context.Background(), 100)
	if err := b.Hold(-1); !errors.Is(err, ErrExhausted) {
		t.Errorf("a negative draw: %v", err)
	}
	if err := b.Hold(1); err == nil {
		t.Error("an exhausted budget gave more")
	}
}

func TestBudgetEndsWithItsContext(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	b := ForFile(ctx, 100)
	stop()
	for range 5000 {
		if err := b.Describe(1); err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			return
		}
	}
	t.Error("a cancelled budget goes on")
}
