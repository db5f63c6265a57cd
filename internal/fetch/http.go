package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/cachedir"
)

const (
	maxDownload = 16 << 30 // for files of unknown size
	maxRedirect = 5
)

// web is how URLs are fetched.
type web struct {
	client *http.Client
	idle   time.Duration // no byte for so long: give up this connection
	// sleep waits between two connections; tests have a clock of their own.
	sleep func(context.Context, time.Duration) error
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

func (o Options) wire() *web {
	if o.web != nil {
		return o.web
	}
	return defaultWeb
}

func (w *web) wait(ctx context.Context, d time.Duration) error {
	if w.sleep != nil {
		return w.sleep(ctx, d)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// checkRedirect follows a few steps, never away from https, and never with the
// token: that belongs to the host it was meant for. net/http would keep it for
// other ports and for subdomains.
func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirect {
		return fmt.Errorf("more than %d redirects", maxRedirect)
	}
	first := via[0].URL
	if !secure(r.URL) && (first.Scheme == "https" || !loopback(r.URL)) {
		return fmt.Errorf("redirect to %s, want https", plain(r.URL))
	}
	for _, v := range via {
		if v.URL.Scheme != r.URL.Scheme || v.URL.Host != first.Host || r.URL.Host != first.Host {
			r.Header.Del("Authorization")
		}
	}
	r.Header.Del("Referer") // signed addresses are secrets too
	return nil
}

func secure(u *url.URL) bool { return u.Scheme == "https" }

// loopback: a mirror on this very machine needs no certificate.
func loopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// plain is an address without what may be secret in it.
func plain(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// scrub takes secrets out of an error's words: the token, and what is secret in addresses.
func scrub(err error, token string) error {
	if err == nil {
		return nil
	}
	text := redact(err.Error())
	if token != "" {
		text = strings.ReplaceAll(text, token, "…")
	}
	return &scrubbed{text, err}
}

// scrubbed can be asked what it is, and does not say what it must not.
type scrubbed struct {
	text string
	err  error
}

func (s *scrubbed) Error() string { return s.text }

func (s *scrubbed) Is(target error) bool { return errors.Is(s.err, target) }

func (s *scrubbed) As(target any) bool {
	if h, ok := target.(**HashError); ok { // its words hold no address
		return errors.As(s.err, h)
	}
	return false
}

// fromURL downloads into a .part file, resuming when a connection breaks (also
// one of an earlier process), and adopts the file when its hash is right.
func fromURL(ctx context.Context, f File, address string, o Options) (string, error) {
	dir, err := cachedir.Dir("part")
	if err != nil {
		return "", err
	}
	d := &download{f: f, address: address, o: o, w: o.wire(),
		// Held under the lock of f, so this process owns the name.
		part:  filepath.Join(dir, f.id()+"-"+f.Name+".part"),
		adopt: func(part string, got sums, n int64) (string, error) { return f.adopt(what(address), part, got, n) },
	}
	p, err := d.run(ctx)
	return p, scrub(err, "")
}

func what(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "what the server sent"
	}
	return "what " + plain(u) + " sent"
}

// unreachable marks errors of the line (name lookup, refused, time out), so that
// a caller can tell "no network" from "wrong file".
func unreachable(err error) error {
	if strings.Contains(err.Error(), "redirect") {
		return permanent{err}
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // the caller names the address
	}
	var op *net.OpError
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	if errors.As(err, &op) || errors.As(err, &dns) || errors.As(err, &timeout) && timeout.Timeout() {
		return noAnswer{err}
	}
	return err
}

// permanent marks an error that another try cannot cure.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// busy is a server that asks to come again later.
type busy struct {
	status string
	after  time.Duration // as it asks; 0 = it does not say
}

func (b busy) Error() string {
	if b.after > 0 {
		return fmt.Sprintf("the server answered %s and asks to wait %s", b.status, b.after.Round(time.Second))
	}
	return "the server answered " + b.status
}

func (b busy) Is(target error) bool { return target == ErrUnreachable }

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(h http.Header) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if s, err := strconv.ParseInt(v, 10, 32); err == nil {
		return time.Duration(max(s, 0)) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

// answered turns a status that is no answer into an error.
func answered(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return busy{resp.Status, retryAfter(resp.Header)}
	case http.StatusProxyAuthRequired:
		return unanswered("the proxy answered %s", resp.Status)
	}
	return permanent{fmt.Errorf("the server answered %s", resp.Status)}
}

// remove drops a file whose content is known to be useless.
func remove(paths ...string) {
	for _, p := range paths {
		os.Remove(p)
	}
}
