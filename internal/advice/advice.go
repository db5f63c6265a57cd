// Package advice is errors that keep what to do next apart from what went wrong, so that each can be
// shown in its own place and no wording has to be taken apart.
//
//	return advice.New(fmt.Errorf("run: name %q becomes a folder", name), "use letters, digits, '-' and '_'")
package advice

import (
	"errors"
	"fmt"
	"strings"
)

// Error is what went wrong and what to do about it.
type Error struct {
	Cause error
	Fix   string // what to type or change, as a clause: "delete that folder, or give this run another name"
}

// New adds what to do next to an error.
func New(cause error, format string, args ...any) error {
	return &Error{Cause: cause, Fix: fmt.Sprintf(format, args...)}
}

// Error is the cause, then what to do, behind a semicolon.
func (e *Error) Error() string { return e.Cause.Error() + Join(e.Fix) }

// Advice returns what to do next.
func (e *Error) Advice() string { return e.Fix }

// Join is how an error with an Advice method ends its text with that advice.
func Join(fix string) string { return "; " + fix }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Split returns what went wrong and, apart from it, the outermost advice in the chain of err: that of
// an *Error, or of any error with a method Advice. The fix is "" where no error of the chain has any,
// and where text follows it.
func Split(err error) (why, fix string) {
	why = err.Error()
	var e interface{ Advice() string }
	if !errors.As(err, &e) {
		return why, ""
	}
	before, ok := strings.CutSuffix(why, Join(e.Advice()))
	if !ok {
		return why, ""
	}
	return before, e.Advice()
}
