package serve

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// bomb is a PNG whose header says side x side pixels.
func bomb(t testing.TB, side uint32) []byte {
	t.Helper()
	b := append([]byte(nil), photo(t, 0)...)
	binary.BigEndian.PutUint32(b[16:], side)
	binary.BigEndian.PutUint32(b[20:], side)
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

// Requests that nobody should send get an error with a reason, and the server goes on.
func TestHostile(t *testing.T) {
	s := serving(t, Options{Limits: Limits{Bytes: 1 << 20, Pixels: 1000_000, Body: time.Second}})
	picture := photo(t, 1)
	damaged := append([]byte(nil), picture...)
	damaged[len(damaged)/2] ^= 0xff
	named := func(name string) (string, []byte) {
		return "multipart/form-data; boundary=x", fmt.Appendf(nil, "--x\r\nContent-Disposition: form-data; name=\"picture\"; filename=\"%s\"\r\n\r\n%s\r\n--x--\r\n", name, picture)
	}
	cases := map[string]struct {
		status int
		kind   string
		body   []byte
		reason string
	}{
		"empty":                {400, "image/png", nil, "empty"},
		"truncated":            {422, "image/png", picture[:len(picture)/2], "truncated"},
		"only a header":        {422, "image/png", picture[:40], "truncated"},
		"damaged":              {422, "image/png", damaged, "picture"},
		"bomb":                 {413, "image/png", bomb(t, 30_000), "pixels"},
		"too many pixels":      {413, "image/png", bomb(t, 2048), "4194304 pixels, wanted at most 1000000"},
		"too long":             {413, "image/png", bytes.Repeat(picture, 1+(1<<20)/len(picture)), "larger than 1048576"},
		"50 MB":                {413, "image/png", make([]byte, 50<<20), "52428800 bytes, wanted a picture of at most 1048576"},
		"text":                 {415, "text/plain", picture, "not a picture"},
		"text in a picture":    {415, "image/jpeg", []byte("hello, world"), "wanted JPEG"},
		"SVG":                  {415, "image/svg+xml", []byte("<svg onload=alert(1)>"), "SVG"},
		"a nonsense type":      {415, "image/", picture, ""},
		"HEIC":                 {415, "image/heic", []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), "HEIC"},
		"no boundary":          {400, "multipart/form-data", picture, "boundary"},
		"no form":              {400, "multipart/form-data; boundary=x", picture, "form"},
		"an empty form":        {400, "multipart/form-data; boundary=x", []byte("--x--\r\n"), "no file"},
		"half a form":          {400, "multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=picture\r\n\r\nab"), ""},
		"two pictures":         {400, "multipart/form-data; boundary=x", append(bytes.TrimSuffix(second(named("a")), []byte("--x--\r\n")), second(named("b"))...), "two pictures"},
		"many parts":           {400, "multipart/form-data; boundary=x", append(bytes.Repeat([]byte("--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n"), 1000), []byte("--x--\r\n")...), "parts"},
		"a part of headers":    {400, "multipart/form-data; boundary=x", []byte("--x\r\n" + strings.Repeat("X-Y: z\r\n", 100_000) + "\r\n\r\n--x--\r\n"), "form"},
		"a NUL in a name":      {400, "multipart/form-data; boundary=x", second(named("a\x00.png")), "form"},
		"no JSON":              {400, "application/json", picture, "invalid"},
		"deep JSON":            {400, "application/json", bytes.Repeat([]byte("["), 1<<20), "depth"},
		"deep JSON in it":      {400, "application/json", []byte(`{"picture":` + strings.Repeat(`{"a":`, 100_000)), ""},
		"other JSON":           {400, "application/json", []byte(`{"image":"aGVsbG8="}`), "unknown field"},
		"a number":             {400, "application/json", []byte(`{"picture":1}`), "picture"},
		"null":                 {400, "application/json", []byte(`{"picture":null}`), "no picture"},
		"JSON twice":           {400, "application/json", []byte(`{"picture":"aGk="}{"picture":"aGk="}`), "more than one"},
		"no base64":            {400, "application/json", []byte(`{"picture":"***"}`), "base64"},
		"a data URL as text":   {400, "application/json", []byte(`{"picture":"data:image/png,hello"}`), "base64"},
		"no picture in base64": {415, "application/json", []byte(`{"picture":"aGVsbG8="}`), "wanted JPEG"},
		"large base64":         {413, "application/json", inJSON(t, base64.StdEncoding.EncodeToString(make([]byte, 1<<20+1))), "larger"},
		"a huge number":        {400, "application/json", []byte(`{"picture":` + strings.Repeat("9", 1<<20) + `}`), ""},
	}
	for _, name := range []string{"", "../../../etc/passwd", strings.Repeat("a", 5000), "a\\\"b", "<script>alert(1)</script>.png", "\x1b[2J.png", "\xff\xfe.png", "a%00.png", "%s%n.png", "CON", "a;b=c"} {
		kind, body := named(name)
		status, reason := 200, ""
		if strings.ContainsAny(name, "\x1b\xff") {
			status, reason = 0, "" // either is right
		}
		cases[fmt.Sprintf("a file called %.20q", name)] = struct {
			status int
			kind   string
			body   []byte
			reason string
		}{status, kind, body, reason}
	}
	for what, c := range cases {
		start := time.Now()
		status, text := post(t, s.url+"/predict", c.kind, c.body)
		if status != c.status && (c.status != 0 || status != 200 && status != 400) || !strings.Contains(text, c.reason) {
			t.Errorf("%s: %d %.300s, want %d because of %q", what, status, text, c.status, c.reason)
		}
		if status != 200 {
			p := decoded[problem](t, text)
			if p.Status != status || p.Title == "" || p.Detail == "" || len(text) > 1500 || strings.Contains(text, "\x1b") {
				t.Errorf("%s: %.2000s", what, text)
			}
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s took %s", what, took)
		}
	}
	for query, want := range map[string]int{"?head=" + strings.Repeat("x", 10_000): 404, "?%zz": 200, "?head=%ff%00": 404, "?head=": 404} {
		if status, text := post(t, s.url+"/predict"+query, "image/png", picture); status != want || len(text) > 1000 {
			t.Errorf("%.20s: %d %.300s", query, status, text)
		}
	}
	if status, text := get(t, s.url+"/no%20such%3Cscript%3E"); status != 404 || strings.Contains(text, "<script>") {
		t.Errorf("%d %s", status, text)
	}
	if status, text := get(t, s.url+"/predict"); status != 405 || !strings.Contains(text, "want POST") {
		t.Errorf("%d %s", status, text)
	}
	alive(t, s)
}

func second(_ string, body []byte) []byte { return body }

// alive checks that a server still answers right, and holds nothing of what it got before.
func alive(t *testing.T, s *fixture) {
	t.Helper()
	picture := photo(t, 2)
	status, text := post(t, s.url+"/predict", "image/png", picture)
	if status != 200 {
		t.Fatalf("the server no longer answers: %d %s", status, text)
	}
	if err := same(decoded[predictions](t, text).Predictions[0], expected(t, s.Server, 0, picture)[0]); err != nil {
		t.Error(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for free := false; !free; time.Sleep(5 * time.Millisecond) {
		if free = s.memory.TryAcquire(s.limits.Memory); free {
			s.memory.Release(s.limits.Memory)
		}
		if waiting := int64(s.limits.Waiting); free && s.waiting.TryAcquire(waiting) {
			s.waiting.Release(waiting)
		} else {
			free = false
		}
		if time.Now().After(deadline) {
			t.Fatal("memory or places of earlier requests are still taken")
		}
	}
}

// raw sends the beginning of a request over a connection of its own.
func raw(t testing.TB, s *fixture, text string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func answer(t testing.TB, c net.Conn) (int, string) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return drain(t, r)
}

// A body that comes too slowly, or not at all, gets 408 and takes no place from others.
func TestSlowSenders(t *testing.T) {
	s := serving(t, Options{Limits: Limits{Body: 300 * time.Millisecond, Waiting: 2}})
	head := "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nContent-Type: %s\r\n\r\n"
	var all []*net.TCPConn
	for range 20 { // more than are answered at the same time
		all = append(all, raw(t, s, fmt.Sprintf(head, 1000, "image/png")+"ab"))
	}
	form := raw(t, s, fmt.Sprintf(head, 1000, "multipart/form-data; boundary=x")+"--x\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n")
	inJSON := raw(t, s, fmt.Sprintf(head, 1000, "application/json")+`{"picture":"`)
	drip := raw(t, s, fmt.Sprintf(head, 1000, "image/png"))
	go func() {
		for range 1000 {
			if _, err := io.WriteString(drip, "a"); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	if status, text := post(t, s.url+"/predict", "image/png", photo(t, 0)); status != 200 {
		t.Errorf("beside slow senders: %d %s", status, text)
	}
	for i, c := range append(all, form, inJSON, drip) {
		if status, text := answer(t, c); status != 408 || !strings.Contains(text, "in time") {
			t.Errorf("%d: %d %s", i, status, text)
		}
	}
	alive(t, s)
}

// A client that closes its side after the body gets its answer; one that stops half-way costs nothing.
func TestHalfClosed(t *testing.T) {
	s := serving(t, Options{})
	picture := photo(t, 1)
	head := fmt.Sprintf("POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", len(picture))
	c := raw(t, s, head+string(picture))
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	status, text := answer(t, c)
	if status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	if err := same(decoded[predictions](t, text).Predictions[0], expected(t, s.Server, 0, picture)[0]); err != nil {
		t.Error(err)
	}
	half := raw(t, s, head+string(picture[:50]))
	half.CloseWrite()
	if status, text := answer(t, half); status != 400 || !strings.Contains(text, "ends before") {
		t.Errorf("half a picture: %d %s", status, text)
	}
	for range 50 { // gone without a word
		raw(t, s, head+string(picture[:50])).Close()
		raw(t, s, head+string(picture)).Close()
		gone := raw(t, s, head[:20])
		gone.SetLinger(0)
		gone.Close()
	}
	alive(t, s)
}

// A thousand at once are all answered: with a prediction, or told when to come again.
func TestAThousandAtOnce(t *testing.T) {
	s := serving(t, Options{Limits: Limits{Waiting: 64}})
	before := runtime.NumGoroutine()
	picture := photo(t, 1)
	want := expected(t, s.Server, 0, picture)[0]
	client := &http.Client{Transport: &http.Transport{}}
	var mu sync.Mutex
	seen := map[int]int{}
	var clients sync.WaitGroup
	gate := make(chan struct{})
	for range 1000 {
		clients.Go(func() {
			<-gate
			r, err := client.Post(s.url+"/predict", "image/png", bytes.NewReader(picture))
			if err != nil {
				t.Error(err)
				return
			}
			status, text := drain(t, r)
			mu.Lock()
			seen[status]++
			mu.Unlock()
			switch {
			case status == 200:
				if err := same(decoded[predictions](t, text).Predictions[0], want); err != nil {
					t.Error(err)
				}
			case status != 429 || r.Header.Get("Retry-After") == "":
				t.Errorf("%d %s", status, text)
			}
		})
	}
	close(gate)
	clients.Wait()
	t.Log("by status", seen)
	if seen[200] < 64 || seen[200]+seen[429] != 1000 {
		t.Errorf("by status: %v", seen)
	}
	client.CloseIdleConnections()
	alive(t, s)
	http.DefaultClient.CloseIdleConnections()
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before+20; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// One request more than may wait gets 429, one that waits too long 503, and memory has an end.
func TestLimits(t *testing.T) {
	s := serving(t, Options{Limits: Limits{Waiting: 3, Answer: 400 * time.Millisecond, Bytes: 1 << 20, Memory: 2 << 20}})
	tr := s.trunks[0]
	run := tr.run
	begun, gate := make(chan struct{}, 100), make(chan struct{})
	tr.run = func(x []float32) ([]float32, error) { begun <- struct{}{}; <-gate; return run(x) }
	picture := photo(t, 0)
	statuses := make(chan int, 100)
	send := func() {
		r, err := http.Post(s.url+"/predict", "image/png", bytes.NewReader(picture))
		if err != nil {
			t.Error(err)
			return
		}
		status, _ := drain(t, r)
		statuses <- status
	}
	go send()
	<-begun // the network is busy
	go send()
	go send()
	waitUntil(t, func() bool { return !s.waiting.TryAcquire(1) || (func() bool { s.waiting.Release(1); return false })() })
	r, err := http.Post(s.url+"/predict", "image/png", bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	if status, text := drain(t, r); status != 429 || r.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %d %s", status, text)
	}
	close(gate)
	for range 3 {
		if status := <-statuses; status != 200 {
			t.Errorf("one that waited: %d", status)
		}
	}

	// Bodies that never end hold all the memory there is.
	tr.run = run
	head := "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
	waitUntil(t, func() bool {
		raw(t, s, fmt.Sprintf(head, 1<<20)+strings.Repeat("\x89", 200<<10))
		for range 4 { // what is left, in the portions of the request below
			raw(t, s, fmt.Sprintf(head, len(picture))+"\x89")
		}
		r, err := http.Post(s.url+"/predict", "image/png", bytes.NewReader(picture))
		if err != nil {
			t.Fatal(err)
		}
		status, text := drain(t, r)
		return status == 503 && strings.Contains(text, "memory") && r.Header.Get("Retry-After") != ""
	})
}

// A request that waits for a place to be decoded longer than it may gets 503.
func TestNotInTime(t *testing.T) {
	s := serving(t, Options{Limits: Limits{Answer: 50 * time.Millisecond}})
	all := int64(runtime.GOMAXPROCS(0))
	if err := s.decoding.Acquire(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	if status, text := post(t, s.url+"/predict", "image/png", photo(t, 0)); status != 503 || !strings.Contains(text, "in time") {
		t.Errorf("%d %s", status, text)
	}
	s.decoding.Release(all)
	alive(t, s)
}

func waitUntil(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never came to that")
		}
	}
}
