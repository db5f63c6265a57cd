package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// problem is an error with a status, written as application/problem+json (RFC 9457).
type problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`

	retry int // seconds for Retry-After; 0 = none
	close bool
}

func (p *problem) Error() string { return p.Detail }

func problemf(status int, format string, args ...any) *problem {
	return &problem{Status: status, Title: http.StatusText(status), Detail: fmt.Sprintf(format, args...)}
}

func badRequest(format string, args ...any) *problem {
	return problemf(http.StatusBadRequest, format, args...)
}

func notFound(format string, args ...any) *problem {
	return problemf(http.StatusNotFound, format, args...)
}

func unavailable(format string, args ...any) *problem {
	p := problemf(http.StatusServiceUnavailable, format, args...)
	p.retry = 1
	return p
}

// write answers with the problem.
func (p *problem) write(w http.ResponseWriter) {
	body, _ := json.Marshal(p) // strings and a number
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	if p.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retry))
	}
	if p.close {
		h.Set("Connection", "close")
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // the client may be gone
}

// problemOf returns what an error means to the client.
func problemOf(err error) *problem {
	var p *problem
	var large *http.MaxBytesError
	var d *transforms.DecodeError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &large):
		return problemf(http.StatusRequestEntityTooLarge, "the request is larger than %d bytes", large.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		p := problemf(http.StatusRequestTimeout, "the body did not arrive in time")
		p.close = true
		return p
	case errors.As(err, &d):
		return problemf(decodeStatus(d.Kind), "%s", words.Plain(strings.TrimPrefix(d.Error(), "transforms: ")))
	case errors.Is(err, context.DeadlineExceeded):
		return unavailable("not answered in time: the server is busy")
	}
	return problemf(http.StatusInternalServerError, "the network failed; the server's log says why")
}

// decodeStatus is the status for a picture that cannot be decoded.
func decodeStatus(kind transforms.DecodeKind) int {
	switch kind {
	case transforms.Empty:
		return http.StatusBadRequest
	case transforms.NotPicture, transforms.Unsupported:
		return http.StatusUnsupportedMediaType
	case transforms.TooLarge:
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusUnprocessableEntity // truncated, damaged
}
