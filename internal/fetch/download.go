package fetch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/cachedir"
)

const (
	stuckTries = 2                // connections in a row that brought nothing
	busyTries  = 4                // of a server that asks to come later
	freshTries = 2                // starts from zero, after a first one that went wrong
	allTries   = 100              // whatever happens
	longWait   = 60 * time.Second // a server that asks for more is left alone
)

// download is one file on its way from one address. Until adopt has verified them, its bytes are
// in part, which is never taken for the file.
type download struct {
	f       File
	address string
	token   string // "" = none
	o       Options
	w       *web
	part    string
	git     bool // hash as git does, too
	adopt   func(part string, got sums, size int64) (string, error)
}

// origin identifies the file on the server that a part is the beginning of.
type origin struct {
	Address  string `json:"address"`
	ETag     string `json:"etag,omitempty"` // a strong one
	Modified string `json:"modified,omitempty"`
}

// errFresh: what is there of the part does not go on; begin again.
var errFresh = errors.New("begin again")

// run brings the whole file, over as many connections as it takes, and adopts it.
func (d *download) run(ctx context.Context) (string, error) {
	d.o.report(d.f.Name, Downloading, 0, d.f.Bytes)
	resumed := false
	var stuck, asked, fresh int
	for range allTries {
		from := d.have()
		resumed = resumed || from > 0
		err := d.connect(ctx, from)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		var p permanent
		var b busy
		wait := d.w.pause()
		switch {
		case err == nil:
			path, err := d.finish(ctx)
			if err == nil {
				return path, nil
			}
			d.discard()
			// A part of an older file of the same name spoils the whole: once more
			// from the start. A fresh download with a wrong hash is simply wrong.
			if !errors.Is(err, ErrHash) || !resumed || fresh >= freshTries {
				return "", err
			}
			resumed = false
			fresh++
		case errors.As(err, &p):
			d.discard()
			return "", p.error
		case errors.Is(err, errFresh):
			d.discard()
			if fresh++; fresh > freshTries {
				return "", err
			}
			resumed = false
		case errors.As(err, &b):
			if asked++; asked >= busyTries || d.o.Answer > 0 && b.after > d.o.Answer {
				return "", err
			}
			if b.after > longWait {
				return "", advice.New(err, "try again then")
			}
			if wait *= time.Duration(asked); b.after > 0 {
				wait = b.after
			}
		default:
			if stuck++; d.have() > from {
				stuck = 0
			}
			if stuck >= stuckTries || d.o.Answer > 0 && errors.Is(err, ErrUnreachable) {
				return "", err // the line is dead, not bad
			}
		}
		if err := d.w.wait(ctx, wait); err != nil {
			return "", err
		}
	}
	return "", unanswered("the connection broke %d times", allTries)
}

// have is how much of the part is there.
func (d *download) have() int64 {
	if info, err := os.Stat(d.part); err == nil && info.Mode().IsRegular() {
		return info.Size()
	}
	return 0
}

func (d *download) discard() { remove(d.part, d.originFile()) }

func (w *web) pause() time.Duration { return min(w.idle/30, time.Second) }

// connect appends to the part what is missing from byte `from` on.
func (d *download) connect(ctx context.Context, from int64) error {
	if d.f.Bytes > 0 && from == d.f.Bytes {
		return nil // complete already, only unverified
	}
	if d.f.Bytes > 0 && from > d.f.Bytes {
		return fmt.Errorf("what is there is longer than the file: %w", errFresh)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	before := d.origin()
	req, err := d.request(ctx, from, before)
	if err != nil {
		return permanent{err}
	}
	resp, err := d.w.do(req, d.o.Answer, cancel)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && errors.Is(cause, ErrUnreachable) {
			return cause
		}
		return unreachable(err)
	}
	defer resp.Body.Close()
	body := &idleReader{r: resp.Body, idle: d.w.idle, cancel: func() {
		cancel(unanswered("no byte for %s", d.w.idle))
	}}
	defer body.stop()
	offered, err := d.offered(resp, from, before)
	if err != nil || offered.complete {
		return err
	}
	limit, err := d.limit(offered, body)
	if err != nil {
		return permanent{err}
	}
	if offered.from == 0 {
		// The note first: bytes without it are believed less, not more.
		if err := d.keepOrigin(d.originOf(resp)); err != nil {
			return permanent{err}
		}
	}
	return d.save(ctx, body, offered, limit)
}

// request asks for the file from a byte on, in the version that the part is the beginning of.
func (d *download) request(ctx context.Context, from int64, before origin) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "tlkit")
	if d.token != "" {
		req.Header.Set("Authorization", "Bearer "+d.token)
	}
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		// A file that has changed since is then sent whole.
		if v := before.ETag; v != "" {
			req.Header.Set("If-Range", v)
		} else if before.Modified != "" {
			req.Header.Set("If-Range", before.Modified)
		}
	}
	return req, nil
}

// offer is what a response holds.
type offer struct {
	from     int64 // the first byte of its body
	size     int64 // of the whole file, as the server tells it; 0 = unknown
	total    int64 // of the whole file, as we or the server know it; 0 = unknown
	complete bool  // the part was the whole file already
}

// offered checks a response against what was asked for: the bytes from `from` on.
func (d *download) offered(resp *http.Response, from int64, before origin) (offer, error) {
	contentRange := resp.Header.Get("Content-Range")
	var o offer
	switch resp.StatusCode {
	case http.StatusOK:
		o.size = max(resp.ContentLength, 0)
	case http.StatusPartialContent:
		var start, end int64
		if _, err := fmt.Sscanf(contentRange, "bytes %d-%d", &start, &end); err != nil || start != from || from == 0 || end < start {
			return o, fmt.Errorf("the server answered bytes from elsewhere (Content-Range %q, want from %d): %w", contentRange, from, errFresh)
		}
		if now := d.originOf(resp); before.ETag != "" && now.ETag != "" && before.ETag != now.ETag {
			return o, fmt.Errorf("the file changed on the server: %w", errFresh)
		}
		o.from, o.size = from, end+1
		if resp.ContentLength >= 0 && from+resp.ContentLength != o.size {
			return o, fmt.Errorf("the server contradicts itself (%q, %d bytes): %w", contentRange, resp.ContentLength, errFresh)
		}
	case http.StatusRequestedRangeNotSatisfiable:
		var size int64
		if _, err := fmt.Sscanf(contentRange, "bytes */%d", &size); err == nil && size == from && d.f.Bytes == 0 && from > 0 {
			o.complete = true // the size told before was not true; the hash decides
			return o, nil
		}
		return o, fmt.Errorf("the server has no bytes from %d on: %w", from, errFresh)
	default:
		return o, answered(resp)
	}
	o.total = max(d.f.Bytes, o.size)
	return o, nil
}

// limit returns how many bytes the whole file may have, after a look at what is offered and at the
// disk.
func (d *download) limit(o offer, body *idleReader) (int64, error) {
	if o.size > 0 && d.f.Bytes > 0 && o.size != d.f.Bytes {
		seems := ""
		if s := looks(body); o.from == 0 && s != "" {
			seems = " (it is " + s + ")"
		}
		return 0, fmt.Errorf("the server offers %d bytes%s, want %d: %w", o.size, seems, d.f.Bytes, ErrHash)
	}
	limit := int64(maxDownload)
	if o.total > 0 {
		limit = o.total
	}
	if limit < o.from || o.total > maxDownload {
		return 0, fmt.Errorf("the server offers %d bytes, more than %d", o.total, int64(maxDownload))
	}
	return limit, enoughSpace(filepath.Dir(d.part), o.total-o.from)
}

// save writes the body to the part, behind what is there of it.
func (d *download) save(ctx context.Context, body *idleReader, o offer, limit int64) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if o.from == 0 {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	out, err := os.OpenFile(d.part, flags, 0o600)
	if err != nil {
		return permanent{err}
	}
	defer out.Close()
	p := &progress{r: body, o: d.o, name: d.f.Name, state: Downloading, done: o.from, total: o.total}
	n, err := copyBuffer(out, io.LimitReader(p, limit-o.from+1))
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		var pe *os.PathError
		if errors.As(err, &pe) { // our own disk, not the line
			return permanent{err}
		}
		return fmt.Errorf("the connection broke after %d bytes: %w", o.from+n, err)
	}
	if o.from+n > limit {
		return permanent{fmt.Errorf("the server sent more than the %d bytes it should have: %w", limit, ErrHash)}
	}
	if err := out.Sync(); err != nil {
		return permanent{err}
	}
	if err := out.Close(); err != nil {
		return permanent{err}
	}
	if o.total > 0 && o.from+n < o.total {
		return fmt.Errorf("the connection ended after %d of %d bytes: %w", o.from+n, o.total, io.ErrUnexpectedEOF)
	}
	return nil
}

// do sends a request. With answer > 0 it is given up when no header came by then.
func (w *web) do(req *http.Request, answer time.Duration, cancel context.CancelCauseFunc) (*http.Response, error) {
	if answer > 0 {
		t := time.AfterFunc(answer, func() { cancel(unanswered("no answer in %s", answer)) })
		defer t.Stop()
	}
	return w.client.Do(req)
}

// finish hashes the whole part, its resumed beginning included, and has it adopted.
func (d *download) finish(ctx context.Context) (string, error) {
	in, err := os.Open(d.part)
	if err != nil {
		return "", err
	}
	defer in.Close()
	h := newHashes()
	if info, err := in.Stat(); d.git && err == nil {
		h.withGit(info.Size())
	}
	n, err := copyBuffer(h, &progress{r: &ctxReader{ctx, in}, o: d.o, name: d.f.Name, state: Verifying, total: d.f.Bytes})
	if err != nil {
		return "", err
	}
	p, err := d.adopt(d.part, h.sums(), n)
	if err == nil {
		remove(d.originFile())
	}
	return p, err
}

// originFile is where the origin of the part is noted: always in our own cache.
func (d *download) originFile() string {
	dir, err := cachedir.Dir("part")
	if err != nil {
		return ""
	}
	return filepath.Join(dir, d.f.id()+"-"+d.f.Name+".origin")
}

func (d *download) originOf(resp *http.Response) origin {
	o := origin{Address: d.address, Modified: resp.Header.Get("Last-Modified")}
	// A weak tag promises the same meaning, not the same bytes.
	if tag := resp.Header.Get("ETag"); strings.HasPrefix(tag, `"`) {
		o.ETag = tag
	}
	return o
}

// origin is the note, when there is one of this very address.
func (d *download) origin() origin {
	in, err := os.Open(d.originFile())
	if err != nil {
		return origin{}
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, 64<<10))
	var o origin
	if err != nil || json.Unmarshal(data, &o) != nil || o.Address != d.address || strings.ContainsAny(o.ETag+o.Modified, "\r\n") {
		return origin{}
	}
	return o
}

func (d *download) keepOrigin(o origin) error {
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(d.originFile(), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("noting where %s comes from: %w", d.f.Name, err)
	}
	return nil
}

// idleReader calls cancel when a Read takes longer than idle.
type idleReader struct {
	r      io.Reader
	idle   time.Duration
	timer  *time.Timer
	cancel func()
}

func (i *idleReader) Read(p []byte) (int, error) {
	if i.timer == nil {
		i.timer = time.AfterFunc(i.idle, i.cancel)
	} else {
		i.timer.Reset(i.idle)
	}
	n, err := i.r.Read(p)
	i.timer.Stop()
	return n, err
}

func (i *idleReader) stop() {
	if i.timer != nil {
		i.timer.Stop()
	}
}
