package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Address is where a server listens.
type Address struct {
	Addr string // host:port; "" = 127.0.0.1:8080, ":8080" = every address of this machine
	// Cert and Key are files in PEM, for HTTPS. They are read again when they change.
	Cert, Key string
	// PlainHTTP allows another address than a loopback one without a certificate, for servers
	// behind a proxy that has one.
	PlainHTTP bool
	Token     string // that the server requires; another address than a loopback one needs it
}

// DefaultAddr is where a server listens if nothing else is said.
const DefaultAddr = "127.0.0.1:8080"

// Listen opens the address. It is an error to listen where other machines reach it without a token,
// or without a certificate unless a.PlainHTTP.
func (a Address) Listen() (net.Listener, error) {
	if a.Addr == "" {
		a.Addr = DefaultAddr
	}
	if (a.Cert == "") != (a.Key == "") {
		return nil, errors.New("serve: a certificate needs its key: --tls-cert FILE --tls-key FILE")
	}
	host, _, err := net.SplitHostPort(a.Addr)
	if err != nil {
		return nil, advice.New(fmt.Errorf("serve: the address %q: %w", a.Addr, err), "want HOST:PORT, as in %s", DefaultAddr)
	}
	if !loopback(host) {
		switch {
		case a.Token == "":
			return nil, advice.New(fmt.Errorf("serve: other machines reach %s, and there is no token", a.Addr), "set one: --token-file FILE, or %s in the environment", TokenVar)
		case a.Cert == "" && !a.PlainHTTP:
			return nil, advice.New(fmt.Errorf("serve: other machines reach %s, and there is no certificate", a.Addr), "pass --tls-cert FILE --tls-key FILE, or --plain-http behind a proxy that has one")
		}
	}
	var config *tls.Config
	if a.Cert != "" {
		pair := &keyPair{cert: a.Cert, key: a.Key}
		if _, err := pair.get(nil); err != nil {
			return nil, fmt.Errorf("serve: %w", err)
		}
		config = &tls.Config{GetCertificate: pair.get, NextProtos: []string{"h2", "http/1.1"}}
	}
	l, err := net.Listen("tcp", a.Addr)
	if err != nil {
		return nil, advice.New(fmt.Errorf("serve: %w", err), "choose another address with --addr HOST:PORT")
	}
	return &listener{Listener: l, tls: config}, nil
}

// TokenVar is the environment variable that holds the bearer token of tlkit serve.
const TokenVar = "TLKIT_SERVE_TOKEN"

// loopback reports whether only this machine reaches a host.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// listener is a listening socket.
type listener struct {
	net.Listener
	tls      *tls.Config
	stopping atomic.Bool
}

// errStopped ends the loop of net/http that accepts connections.
var errStopped = errors.New("serve: the listener takes no more connections")

// lastLook is how long a listener that stops waits for another connection.
const lastLook = 20 * time.Millisecond

// stopAccepting makes Accept fail when it has taken the connections that the system has taken.
func (l *listener) stopAccepting() {
	l.stopping.Store(true)
	if !l.soon() {
		_ = l.Close() // Accept then fails
	}
}

// soon lets Accept wait a little longer. It reports whether the listener can do that.
func (l *listener) soon() bool {
	t, ok := l.Listener.(interface{ SetDeadline(time.Time) error })
	return ok && t.SetDeadline(time.Now().Add(lastLook)) == nil
}

func (l *listener) Accept() (net.Conn, error) {
	stopping := l.stopping.Load()
	if stopping {
		l.soon() // Accept looks at once, and then waits
	}
	c, err := l.Listener.Accept()
	switch {
	case err == nil || !l.stopping.Load():
		return c, err
	case !stopping: // the time may have passed while connections waited
		return l.Accept()
	}
	return nil, errStopped
}

// keyPair is a certificate that is read again when its file changes.
type keyPair struct {
	cert, key string

	mu     sync.Mutex
	loaded *tls.Certificate
	seen   stamp
	looked time.Time
}

func (p *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.loaded != nil && time.Since(p.looked) < time.Second {
		return p.loaded, nil
	}
	p.looked = time.Now()
	now, err := stampOf(p.cert)
	if err == nil && p.loaded != nil && now.same(p.seen) {
		return p.loaded, nil
	}
	pair, err := tls.LoadX509KeyPair(p.cert, p.key)
	if err != nil {
		if p.loaded != nil { // half renewed
			slog.Warn("the certificate cannot be read, the old one stays in use", "file", p.cert, "error", err)
			return p.loaded, nil
		}
		return nil, err
	}
	p.loaded, p.seen = &pair, now
	return p.loaded, nil
}

// The times of a stop: how long clients are told that an answer is the last of its connection, how
// long a connection may take to send its first request, and how long answers may take.
const (
	farewell  = 500 * time.Millisecond
	mostQuiet = 2 * time.Second
	mostStop  = time.Minute
)

// Serve answers requests on a listener until ctx ends. Then it tells clients to close their connections,
// answers the requests that it has accepted, and closes the listener. After such a stop it returns nil.
func (s *gate) Serve(ctx context.Context, l net.Listener) error {
	own, ok := l.(*listener)
	if !ok {
		own = &listener{Listener: l}
	}
	open := connections{since: map[net.Conn]time.Time{}}
	h := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, TLSConfig: own.tls, ConnState: open.note,
		WriteTimeout: s.limits.Body + s.limits.Answer + 30*time.Second, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() {
		if own.tls != nil {
			ended <- h.ServeTLS(own, "", "")
			return
		}
		ended <- h.Serve(own)
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.log.Info("stopping: answering the requests that are here")
	s.draining.Store(true)
	time.Sleep(farewell)
	own.stopAccepting()
	<-ended
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), mostStop)
	defer cancel()
	// Shutdown drops requests that a connection has sent and net/http has not read.
	err := open.wait(last)
	if err == nil {
		err = h.Shutdown(last)
	}
	if err != nil {
		_ = h.Close()
		return fmt.Errorf("serve: stopped with requests unanswered: %w", err)
	}
	return nil
}

// connections are those that a request is or may be on its way over, and since when.
type connections struct {
	mu    sync.Mutex
	since map[net.Conn]time.Time // the zero time for those with a request
}

func (c *connections) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.since[conn] = time.Now()
	case http.StateActive:
		c.since[conn] = time.Time{}
	default:
		delete(c.since, conn)
	}
}

// wait waits until no request is on its way.
func (c *connections) wait(ctx context.Context) error {
	busy := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, since := range c.since {
			if since.IsZero() || time.Since(since) < mostQuiet {
				return true
			}
		}
		return false
	}
	for busy() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// ReadToken returns the bearer token in a file. If file is "", it returns the value of [TokenVar] in the
// environment, which may be "" too.
func ReadToken(file string) (string, error) {
	if file == "" {
		return os.Getenv(TokenVar), nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("serve: the token: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return "", advice.New(fmt.Errorf("serve: %s is empty, want a token", file), "make one: openssl rand -hex 32")
	}
	return token, nil
}
