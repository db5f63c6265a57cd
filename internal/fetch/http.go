package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/cachedir"
)

const (
	maxDownload = 16 << 30 // for files of unknown size
	maxRedirect = 5
	tries       = 4 // connections per URL, each going on where the last one stopped
)

// web is how URLs are fetched.
type web struct {
	client *http.Client
	idle   time.Duration // no byte for so long: give up this connection
}

var defaultWeb = &web{
	idle: 30 * time.Second,
	client: &http.Client{
		CheckRedirect: checkRedirect,
		// No overall limit: a large file on a slow line is fine as long as bytes come.
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: 20 * time.Second,
			ForceAttemptHTTP2:     true,
			// The bytes are hashed as they are stored.
			DisableCompression: true,
		},
	},
}

func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirect {
		return fmt.Errorf("more than %d redirects", maxRedirect)
	}
	if r.URL.Scheme != "https" {
		return fmt.Errorf("redirect to %s, want https", r.URL.Redacted())
	}
	return nil
}

// permanent marks an error that another try cannot cure.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// fromURL downloads into a .part file, resuming when a connection breaks (also
// one of an earlier process), and adopts the file when its hash is right.
func fromURL(ctx context.Context, f File, address string, o Options) (string, error) {
	w := o.web
	if w == nil {
		w = defaultWeb
	}
	dir, err := cachedir.Dir("part")
	if err != nil {
		return "", err
	}
	// Held under the lock of f, so this process owns the name.
	part := filepath.Join(dir, strings.ToLower(f.SHA256)+"-"+f.Name+".part")
	o.report(f.Name, Downloading, 0, f.Bytes)
	resumed := false
	var last error
	for try := 0; try < tries; try++ {
		if try > 0 {
			select {
			case <-ctx.Done():
				return "", ctx.Err()
			case <-time.After(time.Duration(try) * w.pause()):
			}
		}
		var from int64
		if info, err := os.Stat(part); err == nil {
			from = info.Size()
		}
		resumed = resumed || from > 0
		err := w.download(ctx, f, address, part, from, o)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err == nil {
			p, err := f.finish(ctx, address, part, o)
			if err == nil {
				return p, nil
			}
			os.Remove(part)
			// A part of an older file of the same name spoils the whole: once more
			// from the start. A fresh download with a wrong hash is simply wrong.
			if errors.Is(err, ErrHash) && resumed {
				resumed, last = false, err
				continue
			}
			return "", err
		}
		last = err
		var p permanent
		if errors.As(err, &p) {
			os.Remove(part)
			return "", p.error
		}
		if info, serr := os.Stat(part); try > 0 && (serr != nil || info.Size() <= from) {
			break // no byte further: the line is dead, not bad
		}
	}
	return "", last
}

func (w *web) pause() time.Duration { return min(w.idle/30, time.Second) }

// download appends to part what is missing from byte `from` on.
func (w *web) download(ctx context.Context, f File, address, part string, from int64, o Options) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return permanent{err}
	}
	req.Header.Set("User-Agent", "tlkit")
	if from > 0 {
		if f.Bytes > 0 && from >= f.Bytes {
			if from == f.Bytes {
				return nil // complete already, only unverified
			}
			os.Remove(part)
			from = 0
		} else {
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		}
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return unreachable(err)
	}
	defer resp.Body.Close()
	flags := os.O_WRONLY | os.O_CREATE
	switch resp.StatusCode {
	case http.StatusOK:
		from = 0
		flags |= os.O_TRUNC
	case http.StatusPartialContent:
		var start, end int64
		var size string
		if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%s", &start, &end, &size); err != nil || start != from {
			os.Remove(part)
			return fmt.Errorf("the server answered bytes from elsewhere: Content-Range %q, want from %d", resp.Header.Get("Content-Range"), from)
		}
		flags |= os.O_APPEND
	case http.StatusRequestedRangeNotSatisfiable:
		os.Remove(part)
		return fmt.Errorf("the server has no bytes from %d on", from)
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fmt.Errorf("the server answered %s: %w", resp.Status, ErrUnreachable)
	case http.StatusProxyAuthRequired:
		return fmt.Errorf("the proxy answered %s: %w", resp.Status, ErrUnreachable)
	default:
		return permanent{fmt.Errorf("the server answered %s", resp.Status)}
	}
	total := f.Bytes
	if n := resp.ContentLength; n >= 0 {
		if f.Bytes > 0 && from+n != f.Bytes {
			return permanent{fmt.Errorf("the server offers %d bytes, want %d: %w", from+n, f.Bytes, ErrHash)}
		}
		total = from + n
	}
	limit := int64(maxDownload)
	if total > 0 {
		limit = total
	}
	if limit < from || total > maxDownload {
		return permanent{fmt.Errorf("the server offers %d bytes, more than %d", total, int64(maxDownload))}
	}
	if err := enoughSpace(filepath.Dir(part), total-from); err != nil {
		return permanent{err}
	}
	out, err := os.OpenFile(part, flags, 0o600)
	if err != nil {
		return permanent{err}
	}
	defer out.Close()
	body := &idleReader{r: resp.Body, idle: w.idle, cancel: func() {
		cancel(fmt.Errorf("no byte for %s: %w", w.idle, ErrUnreachable))
	}}
	defer body.stop()
	p := &progress{r: body, o: o, name: f.Name, state: Downloading, done: from, total: total}
	n, err := copyBuffer(out, io.LimitReader(p, limit-from+1))
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		var pe *os.PathError
		if errors.As(err, &pe) { // our own disk, not the line
			return permanent{err}
		}
		return fmt.Errorf("the connection broke after %d bytes: %w", from+n, err)
	}
	if from+n > limit {
		return permanent{fmt.Errorf("the server sent more than the %d bytes it should have: %w", limit, ErrHash)}
	}
	if err := out.Sync(); err != nil {
		return permanent{err}
	}
	return out.Close()
}

// finish hashes the whole part, its resumed beginning included, and adopts it.
func (f File) finish(ctx context.Context, address, part string, o Options) (string, error) {
	in, err := os.Open(part)
	if err != nil {
		return "", err
	}
	defer in.Close()
	h := sha256.New()
	n, err := copyBuffer(h, &progress{r: &ctxReader{ctx, in}, o: o, name: f.Name, state: Verifying, total: f.Bytes})
	if err != nil {
		return "", err
	}
	return f.adopt("what "+address+" sent", part, hex.EncodeToString(h.Sum(nil)), n)
}

// unreachable marks errors of the line (name lookup, refused, time out), so that
// a caller can tell "no network" from "wrong file".
func unreachable(err error) error {
	if strings.Contains(err.Error(), "redirect") {
		return permanent{err}
	}
	var op *net.OpError
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	if errors.As(err, &op) || errors.As(err, &dns) || errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("%w (%w)", err, ErrUnreachable)
	}
	return err
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
