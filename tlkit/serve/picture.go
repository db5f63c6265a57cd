package serve

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"
)

// body is what a request holds, as far as it was read.
type body struct {
	data  []byte
	said  int64 // bytes of the body as it announces them; below 1 = not known
	taken int64 // bytes of the server's memory
	from  *semaphore.Weighted
}

func (b *body) release() {
	if b.from != nil {
		b.from.Release(b.taken)
	}
	*b = body{}
}

// readStep is how much memory a body takes at a time, so that announcing a long one reserves nothing.
const readStep = 256 << 10

// readAll reads at most so many bytes.
func (b *body) readAll(r io.Reader, most int64) error {
	for {
		if len(b.data) == cap(b.data) {
			step := int64(max(readStep, len(b.data)/2))
			if b.data == nil && b.said > 0 {
				step = min(step, b.said+1) // and the byte that is not there
			}
			if !b.from.TryAcquire(step) {
				return errNoMemory()
			}
			b.taken += step
			b.data = append(make([]byte, 0, int64(cap(b.data))+step), b.data...)
		}
		n, err := r.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		if int64(len(b.data)) > most {
			return problemf(http.StatusRequestEntityTooLarge, "the picture is larger than %d bytes", most)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func errNoMemory() error {
	return unavailable("the requests in progress use all the memory that they may use")
}

// withRoom adds what base64, JSON and forms add to a picture.
func withRoom(bytes int64) int64 { return bytes/3*4 + 64<<10 }

// readPicture returns the picture of a request, whatever way it is sent.
func (s *gate) readPicture(w http.ResponseWriter, r *http.Request) (*body, error) {
	if !s.reading.TryAcquire(1) {
		return nil, s.busy("too many requests arrive to read them all")
	}
	defer s.reading.Release(1)
	start := time.Now()
	defer func() { s.metrics.stage.WithLabelValues("read").Observe(time.Since(start).Seconds()) }()
	if r.ContentLength > withRoom(s.limits.Bytes) {
		s.discard(r)
		return nil, problemf(http.StatusRequestEntityTooLarge, "%d bytes, wanted a picture of at most %d", r.ContentLength, s.limits.Bytes)
	}
	r.Body = http.MaxBytesReader(w, r.Body, withRoom(s.limits.Bytes))
	b := &body{from: s.memory, said: r.ContentLength}
	err := s.readForm(b, r)
	if err == nil && len(b.data) == 0 {
		err = badRequest("no picture: the body is empty")
	}
	if err != nil {
		b.release()
		return nil, broken(err)
	}
	// What follows is another request, with a time of its own.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return b, nil
}

// discard reads the rest of a body that is too long for an answer, so that a client that sends all of
// it before it reads gets the answer.
func (s *gate) discard(r *http.Request) {
	if r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, 4*s.limits.Bytes)
	}
}

// broken makes what net/http says about a body that ends too early the client's fault.
func broken(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return badRequest("the body ends before it is complete")
	}
	return err
}

// readForm reads the picture by the request's Content-Type.
func (s *gate) readForm(b *body, r *http.Request) error {
	header := r.Header.Get("Content-Type")
	kind, params, err := mime.ParseMediaType(header)
	if err != nil && header != "" && kind == "" {
		return problemf(http.StatusUnsupportedMediaType, "the Content-Type cannot be understood; %s", sendAs)
	}
	switch {
	case kind == "multipart/form-data":
		return s.readMultipart(b, r, params["boundary"])
	case kind == "application/json":
		return s.readJSON(b, r)
	case kind == "", kind == "application/octet-stream", strings.HasPrefix(kind, "image/"), kind == "binary/octet-stream",
		kind == "application/x-www-form-urlencoded": // what curl --data-binary says of everything
		return b.readAll(r.Body, s.limits.Bytes)
	}
	return problemf(http.StatusUnsupportedMediaType, "Content-Type %.60q is not a picture; %s", kind, sendAs)
}

const sendAs = "send the picture as image/jpeg or another image type, as application/octet-stream, in multipart/form-data, or as base64 in application/json"

// readMultipart reads the one file of a form. Names of files and fields are not used.
func (s *gate) readMultipart(b *body, r *http.Request, boundary string) error {
	if boundary == "" {
		return badRequest("multipart/form-data without a boundary")
	}
	form := multipart.NewReader(r.Body, boundary)
	found := false
	for range mostParts {
		part, err := form.NextPart()
		if err == io.EOF {
			if !found {
				return badRequest("no file in the form; with curl: -F picture=@FILE")
			}
			return nil
		}
		if err != nil {
			return inForm(err)
		}
		if part.FileName() == "" && part.FormName() != "picture" {
			continue // another field; NextPart skips what it holds
		}
		if found {
			return badRequest("two pictures in a form, want one; requests that arrive together are answered together")
		}
		found = true
		if err := b.readAll(part, s.limits.Bytes); err != nil {
			return inForm(err)
		}
	}
	return badRequest("more than %d parts in a form", mostParts)
}

const mostParts = 16

// inForm makes errors of the form's syntax the client's fault.
func inForm(err error) error {
	var p *problem
	var large *http.MaxBytesError
	var timeout interface{ Timeout() bool }
	if errors.As(err, &p) || errors.As(err, &large) || errors.As(err, &timeout) && timeout.Timeout() {
		return err
	}
	return badRequest("the form cannot be read: %.200q", err.Error())
}

// readJSON reads {"picture": BASE64}. The text may be a data URL.
func (s *gate) readJSON(b *body, r *http.Request) error {
	if err := b.readAll(r.Body, withRoom(s.limits.Bytes)); err != nil {
		return err
	}
	if len(b.data) == 0 {
		return badRequest("no picture: the body is empty")
	}
	// The text and what it decodes to, for a moment.
	more := 2 * int64(len(b.data))
	if !b.from.TryAcquire(more) {
		return errNoMemory()
	}
	b.taken += more
	var in struct {
		Picture *string `json:"picture"`
	}
	dec := json.NewDecoder(bytes.NewReader(b.data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return badRequest(`%.200q; want {"picture": "BASE64"}`, err.Error())
	}
	if _, err := dec.Token(); err != io.EOF {
		return badRequest(`more than one JSON value; want {"picture": "BASE64"}`)
	}
	if in.Picture == nil || *in.Picture == "" {
		return badRequest(`no picture; want {"picture": "BASE64"}`)
	}
	data, err := decodeBase64(*in.Picture)
	if err != nil {
		return badRequest("the picture is not base64: %v", err)
	}
	if int64(len(data)) > s.limits.Bytes {
		return problemf(http.StatusRequestEntityTooLarge, "the picture is larger than %d bytes", s.limits.Bytes)
	}
	b.data = data
	return nil
}

// decodeBase64 decodes base64 of either alphabet, with or without padding, also in a data URL.
func decodeBase64(text string) ([]byte, error) {
	if rest, ok := strings.CutPrefix(text, "data:"); ok {
		_, after, found := strings.Cut(rest, ";base64,")
		if !found {
			return nil, errors.New("a data URL without ;base64")
		}
		text = after
	}
	text = strings.TrimRight(text, "=\r\n")
	if strings.ContainsAny(text, "-_") {
		return base64.RawURLEncoding.DecodeString(text)
	}
	return base64.RawStdEncoding.DecodeString(text)
}
