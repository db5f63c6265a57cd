package finetune

import (
	"context"
	"fmt"
	"time"
)

// measuredSteps are timed before they say anything about those to come.
const measuredSteps = 10

// hurry tells from the pace of the steps whether a training will be done by its deadline.
type hurry struct {
	began, deadline time.Time
	last            time.Time // end of the step before; zero = there is none
	steps           int       // measured
	spent           time.Duration
}

// newHurry returns nil if ctx has no deadline.
func newHurry(ctx context.Context) *hurry {
	deadline, ok := ctx.Deadline()
	if !ok {
		return nil
	}
	return &hurry{began: time.Now(), deadline: deadline}
}

// begin is called before the first step of a loop, which may compile.
func (h *hurry) begin() {
	if h != nil {
		h.last = time.Time{}
	}
}

// check is called after each step, with the least number of steps to come. It is an error if they take
// longer than there is time.
func (h *hurry) check(left int) error {
	if h == nil {
		return nil
	}
	now := time.Now()
	if !h.last.IsZero() {
		h.steps, h.spent = h.steps+1, h.spent+now.Sub(h.last)
	}
	h.last = now
	if h.steps < measuredSteps {
		return nil
	}
	rest := time.Duration(left) * h.spent / time.Duration(h.steps)
	if !now.Add(rest).After(h.deadline) {
		return nil
	}
	return &lateError{rest: rest, left: time.Until(h.deadline), takes: now.Sub(h.began) + rest}
}

// lateError reports a training that cannot be done by its deadline.
type lateError struct{ rest, left, takes time.Duration }

func (e *lateError) Error() string {
	return fmt.Sprintf("finetune: at the pace of its steps, fine-tuning takes at least %s more, and there are %s", e.rest.Round(time.Second), max(e.left, 0).Round(time.Second))
}

// Takes returns how long the whole training would take at least.
func (e *lateError) Takes() time.Duration { return e.takes }

// Unwrap returns [context.DeadlineExceeded].
func (e *lateError) Unwrap() error { return context.DeadlineExceeded }
