package fetch

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Errors that [File.Get] wraps.
var (
	// ErrUnreachable: no source answered. Usually there is no network.
	ErrUnreachable = errors.New("no source could be reached")
	// ErrOffline: the file is not in the cache, and Options.Offline forbids to fetch it.
	ErrOffline = errors.New("offline, so no source was asked")
	// ErrHash: something arrived, and it is not the wanted file. See [HashError].
	ErrHash = errors.New("wrong content")
)

// noAnswer is an error that is ErrUnreachable too, without saying so a second time.
type noAnswer struct{ error }

func (noAnswer) Is(target error) bool { return target == ErrUnreachable }
func (e noAnswer) Unwrap() error      { return e.error }

// unanswered makes an error that is ErrUnreachable.
func unanswered(format string, a ...any) error { return noAnswer{fmt.Errorf(format, a...)} }

// MissingError says which file could not be had, what to do by hand, and why each source failed.
type MissingError struct {
	Causes []error // one for each thing that was tried; from a source it is a *SourceError
	text   string
}

func (e *MissingError) Error() string {
	var b strings.Builder
	b.WriteString(e.text)
	for _, c := range e.Causes {
		b.WriteString("\n  ")
		b.WriteString(c.Error())
	}
	return redact(b.String())
}

func (e *MissingError) Unwrap() []error { return e.Causes }

// Brief is the first cause in a few words that fit a table.
func (e *MissingError) Brief() string {
	if len(e.Causes) == 0 {
		return redact(e.text)
	}
	var s *SourceError
	if errors.As(e.Causes[0], &s) {
		return s.Brief()
	}
	return redact(e.Causes[0].Error())
}

// SourceError is why a source did not give the file.
type SourceError struct {
	Source Source
	Err    error
}

func (e *SourceError) Error() string { return redact(fmt.Sprintf("%s: %v", e.Source, e.Err)) }
func (e *SourceError) Unwrap() error { return e.Err }

// Brief names the host instead of the whole address, and of an error of the line its last word.
func (e *SourceError) Brief() string {
	name := e.Source.String()
	if u, err := url.Parse(name); err == nil && u.Host != "" {
		name = u.Host
	}
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(e.Err, &dns):
		return name + ": " + dns.Err
	case errors.As(e.Err, &op):
		return name + ": " + op.Err.Error()
	}
	return redact(name + ": " + e.Err.Error())
}
