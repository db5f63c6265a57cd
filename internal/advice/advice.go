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
func (e *Error) Error() string { return e.Cause.Error() + "; " + e.Fix }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Split returns what went wrong and, apart from it, the outermost advice in the chain of err. The fix
// is "" where no error of the chain has any, and where text follows it.
func Split(err error) (why, fix string) {
	why = err.Error()
	var e *Error
	if !errors.As(err, &e) {
		return why, ""
	}
	before, ok := strings.CutSuffix(why, "; "+e.Fix)
	if !ok {
		return why, ""
	}
	return before, e.Fix
}
