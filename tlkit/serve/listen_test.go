package serve

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const secret = "correct horse battery staple"

// Without the token nothing is answered but what probes and the page need, and the token is in no log.
func TestToken(t *testing.T) {
	s := serving(t, Options{Token: secret, Limits: Limits{Body: 500 * time.Millisecond}})
	do := func(path, value string) (int, string) {
		r, err := http.NewRequest(http.MethodGet, s.url+path, nil)
		if path == "/predict" {
			r, err = http.NewRequest(http.MethodPost, s.url+path, bytes.NewReader(photo(t, 0)))
		}
		if err != nil {
			t.Fatal(err)
		}
		if value != "" {
			r.Header.Set("Authorization", value)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if a.StatusCode == 401 && !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: no WWW-Authenticate", path)
		}
		return drain(t, a)
	}
	for _, value := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "Bearer " + secret[1:], "Bearer " + secret + "x", "Basic " + secret, secret, "Bearer " + strings.ToUpper(secret)} {
		for _, path := range []string{"/predict", "/heads", "/metrics"} {
			if status, text := do(path, value); status != 401 || strings.Contains(text, "ants") {
				t.Errorf("%s with %q: %d", path, value, status)
			}
		}
	}
	for _, path := range []string{"/predict", "/heads", "/metrics"} {
		if status, text := do(path, "bearer "+secret); status != 200 {
			t.Errorf("%s with the token: %d %s", path, status, text)
		}
	}
	for _, path := range []string{"/", "/page.js", "/page.css", "/healthz", "/readyz", "/openapi.json"} {
		if status, text := do(path, ""); status != 200 || strings.Contains(text, secret) {
			t.Errorf("%s without a token: %d", path, status)
		}
	}
	if strings.Contains(s.log.String(), secret) || strings.Contains(s.log.String(), "battery") {
		t.Error("the token is in the log")
	}
	// One who has no token cannot hold a connection by sending slowly.
	c := raw(t, s, "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nab")
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := new(bytes.Buffer).ReadFrom(c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a slow sender without a token holds its connection")
	}
}

// Pages of other sites, also under a name that leads to this machine, get nothing.
func TestOtherSites(t *testing.T) {
	s := serving(t, Options{Hosts: []string{"pictures.example"}})
	for _, c := range []struct {
		host, header, value string
		want                int
	}{
		{"", "", "", 200}, {"localhost:8080", "", "", 200}, {"[::1]:8080", "", "", 200}, {"192.168.0.7", "", "", 200}, {"bees.localhost", "", "", 200},
		{"evil.example", "", "", 403}, {"localhost.evil.example:8080", "", "", 403}, {"pictures.example", "", "", 200}, {"Pictures.example.:443", "", "", 200},
		{"", "Sec-Fetch-Site", "cross-site", 403}, {"", "Origin", "https://evil.example", 403}, {"", "Sec-Fetch-Site", "same-origin", 200},
	} {
		r, err := http.NewRequest(http.MethodPost, s.url+"/predict", bytes.NewReader(photo(t, 0)))
		if err != nil {
			t.Fatal(err)
		}
		if r.Host = c.host; c.header != "" {
			r.Header.Set(c.header, c.value)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if status, text := drain(t, a); status != c.want {
			t.Errorf("%+v: %d %s", c, status, text)
		}
	}
}

// certificate writes a certificate for 127.0.0.1.
func certificate(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{key: {Type: "PRIVATE KEY", Bytes: private}, cert: {Type: "CERTIFICATE", Bytes: der}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// Where other machines reach the server there must be a token and a certificate.
func TestAddresses(t *testing.T) {
	cert, key := certificate(t, t.TempDir(), 1)
	for _, c := range []struct {
		a    Address
		fail string // "" = it listens
	}{
		{Address{Addr: "127.0.0.1:0"}, ""}, {Address{Addr: "localhost:0"}, ""}, {Address{Addr: "127.8.9.1:0"}, ""},
		{Address{Addr: "0.0.0.0:0"}, "no token"}, {Address{Addr: ":0"}, "no token"}, {Address{Addr: "[::]:0"}, "no token"}, {Address{Addr: "example.com:0"}, "no token"},
		{Address{Addr: ":0", Token: secret}, "no certificate"}, {Address{Addr: ":0", PlainHTTP: true}, "no token"}, {Address{Addr: ":0", Cert: cert, Key: key}, "no token"},
		{Address{Addr: ":0", Token: secret, PlainHTTP: true}, ""}, {Address{Addr: ":0", Token: secret, Cert: cert, Key: key}, ""},
		{Address{Addr: "127.0.0.1:0", Cert: cert}, "its key"}, {Address{Addr: "127.0.0.1:0", Cert: cert, Key: cert}, "key"}, {Address{Addr: "8080"}, "HOST:PORT"},
		{Address{Addr: "127.0.0.1:99999"}, "address"},
	} {
		l, err := c.a.Listen()
		if err == nil {
			l.Close()
		}
		if (err == nil) != (c.fail == "") || err != nil && !strings.Contains(err.Error(), c.fail) {
			t.Errorf("%+v: %v, want %q", c.a, err, c.fail)
		}
	}
}

// started serves on an address until stop is called; stop returns what Serve does.
func started(t *testing.T, s *Server, a Address) (url string, stop func() error) {
	t.Helper()
	a.Addr = "127.0.0.1:0"
	l, err := a.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	once := sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = once() })
	return l.Addr().String(), once
}

// A renewed certificate is taken without a stop, and half of one is not.
func TestTLS(t *testing.T) {
	s := serving(t, Options{})
	dir := t.TempDir()
	cert, key := certificate(t, dir, 1)
	addr, stop := started(t, s.Server, Address{Cert: cert, Key: key})
	serial := func() string {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
		defer client.CloseIdleConnections()
		r, err := client.Post("https://"+addr+"/predict", "image/png", bytes.NewReader(photo(t, 0)))
		if err != nil {
			t.Fatal(err)
		}
		if status, text := drain(t, r); status != 200 || r.ProtoMajor != 2 {
			t.Errorf("%d %s over %s", status, text, r.Proto)
		}
		return fmt.Sprint(r.TLS.PeerCertificates[0].SerialNumber)
	}
	if got := serial(); got != "1" {
		t.Errorf("certificate %s", got)
	}
	if err := os.WriteFile(cert, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond) // it is looked at once a second
	if got := serial(); got != "1" {
		t.Errorf("certificate %s", got)
	}
	certificate(t, dir, 2)
	time.Sleep(1100 * time.Millisecond)
	if got := serial(); got != "2" {
		t.Errorf("certificate %s", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// taken remembers the clients whose connections a listener took.
type taken struct {
	net.Listener
	mu  sync.Mutex
	all map[string]bool
}

func (l *taken) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		l.all[c.RemoteAddr().String()] = true
		l.mu.Unlock()
	}
	return c, err
}

func (l *taken) SetDeadline(at time.Time) error {
	return l.Listener.(*net.TCPListener).SetDeadline(at)
}

// A stop under load answers every request that was sent over a connection that the server took.
func TestGracefulStop(t *testing.T) {
	s := serving(t, Options{})
	tr := s.trunks[0]
	run := tr.run
	// Answers that take longer than the farewell, so that a stop begins while each of them is on its way.
	pace := atomic.Int64{}
	pace.Store(int64(20 * time.Millisecond))
	tr.run = func(x []float32) ([]float32, error) { time.Sleep(time.Duration(pace.Load())); return run(x) }
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	seen := &taken{Listener: l, all: map[string]bool{}}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, seen) }()
	picture := photo(t, 1)
	want := expected(t, s.Server, 0, picture)[0]
	var answered, refused atomic.Int64
	var clients sync.WaitGroup
	for range 24 {
		clients.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for {
				r, err := http.NewRequest(http.MethodPost, "http://"+l.Addr().String()+"/predict", bytes.NewReader(picture))
				if err != nil {
					t.Error(err)
					return
				}
				r.GetBody = nil // it is sent once
				from := ""
				trace := &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { from = c.Conn.LocalAddr().String() }}
				a, err := client.Do(r.WithContext(httptrace.WithClientTrace(ctxOfTest(t), trace)))
				if err != nil {
					seen.mu.Lock()
					defer seen.mu.Unlock()
					if refused.Add(1); seen.all[from] {
						t.Errorf("a request was lost: %v", err)
					}
					return
				}
				status, text := drain(t, a)
				if status != 200 {
					t.Errorf("%d %s", status, text)
					return
				}
				if err := same(decoded[predictions](t, text).Predictions[0], want); err != nil {
					t.Error(err)
				}
				answered.Add(1)
			}
		})
	}
	waitUntil(t, func() bool { return answered.Load() > 100 })
	pace.Store(int64(farewell + 200*time.Millisecond))
	time.Sleep(100 * time.Millisecond)
	before, start := answered.Load(), time.Now()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	took := time.Since(start)
	clients.Wait()
	if refused.Load() != 24 || took > 10*time.Second || answered.Load() < before+10 {
		t.Errorf("%d of 24 clients were refused in the end, %d answered after the stop began, %s", refused.Load(), answered.Load()-before, took)
	}
	t.Logf("%d answered, %d of them while stopping, %s", answered.Load(), answered.Load()-before, took)
}

func ctxOfTest(t *testing.T) context.Context { return context.WithoutCancel(t.Context()) }
