package transforms

import (
	"errors"
	"fmt"
	"io"
)

// DecodeKind says in a few words why a picture could not be decoded.
type DecodeKind string

// The kinds of a [DecodeError].
const (
	NotPicture  DecodeKind = "not a picture" // the first bytes are of no format known here
	Empty       DecodeKind = "empty"         // no bytes at all
	Truncated   DecodeKind = "truncated"     // the file ends before the picture does
	TooLarge    DecodeKind = "too large"     // bytes, pixels or sides beyond the limits
	Unsupported DecodeKind = "unsupported"   // a known format in a form not read here
	Damaged     DecodeKind = "damaged"       // the contents contradict the format
)

// DecodeError is the error of [Decode] and [DecodeFile] for a file that is not a usable picture.
// Use errors.As to read its Kind.
type DecodeError struct {
	Path   string     // the file, empty when decoding from memory
	Format string     // "jpeg", "png", "gif", "webp", or "" if not recognised
	Kind   DecodeKind // in a few words
	Detail string     // what was found, what was wanted
	Err    error      // the cause below, may be nil
}

func (e *DecodeError) Error() string {
	s := "transforms: "
	if e.Path != "" {
		s += e.Path + ": "
	}
	if e.Format != "" {
		s += e.Format + " picture "
	}
	s += string(e.Kind)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *DecodeError) Unwrap() error { return e.Err }

// decodeError assigns a kind to an error of a decoder.
func decodeError(format string, err error) *DecodeError {
	var d *DecodeError
	if errors.As(err, &d) {
		if d.Format == "" {
			d.Format = format
		}
		return d
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return &DecodeError{Format: format, Kind: Truncated, Detail: "the data ends before the picture does"}
	}
	return &DecodeError{Format: format, Kind: Damaged, Err: err}
}

func tooLarge(format, detail string, a ...any) *DecodeError {
	return &DecodeError{Format: format, Kind: TooLarge, Detail: fmt.Sprintf(detail, a...)}
}
