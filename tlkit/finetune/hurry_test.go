package finetune

import (
	"context"
	"errors"
	"testing"
	"time"
)

// The pace of the steps tells early that a training will not be done; compiling before the first step
// does not count.
func TestHurry(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	h := newHurry(ctx)
	var late *lateError
	for i := range 2 * measuredSteps {
		if i%measuredSteps == 0 { // another loop
			h.begin()
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(2 * time.Millisecond)
		if err := h.check(10); err != nil {
			t.Fatalf("step %d: %v, and 10 steps fit into a minute", i, err)
		}
	}
	err := h.check(1e6)
	if !errors.As(err, &late) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a million steps of 2 ms do not fit into a minute: %v", err)
	}
	if took := h.spent / time.Duration(h.steps); took > 45*time.Millisecond || h.steps != 2*measuredSteps-1 {
		t.Errorf("%d steps of %v, want %d without what was before them", h.steps, took, 2*measuredSteps-1)
	}
	if late.Takes() < 2000*time.Second {
		t.Errorf("takes %v", late.Takes())
	}
	if h := newHurry(t.Context()); h.check(1e9) != nil {
		t.Error("no deadline, no hurry")
	}
}
