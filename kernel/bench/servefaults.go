package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// fault sends a request that nobody should send, one kind after the other, and checks its status.
func (b *serving) fault(ctx context.Context, i int, t *tally) {
	t.faults.Add(1)
	picture := b.pictures[i%len(b.pictures)]
	const jpeg = "image/jpeg"
	asked := func(want int, f form) {
		status, body, err := b.server.ask(ctx, f)
		if ctx.Err() == nil && (err != nil || status != want) {
			t.blame(&t.misjudged, "status %d, want %d: %.200s %v", status, want, body, err)
		}
	}
	kinds := []func(){
		func() { asked(http.StatusUnprocessableEntity, form{jpeg, picture[:len(picture)/2]}) },
		func() { asked(http.StatusBadRequest, form{jpeg, nil}) },
		func() { asked(http.StatusUnsupportedMediaType, form{"text/plain", picture}) },
		func() { asked(http.StatusUnsupportedMediaType, form{jpeg, []byte("no picture at all")}) },
		func() { asked(http.StatusRequestEntityTooLarge, form{"image/png", bomb()}) },
		func() {
			asked(http.StatusBadRequest, form{"multipart/form-data; boundary=x", []byte("--x\r\nnonsense")})
		},
		func() {
			asked(http.StatusBadRequest, form{"application/json", []byte(`{"picture":` + strings.Repeat("[", 20_000))})
		},
		func() { b.halfClosed(picture, t) },
		func() { b.gone(picture) },
		func() {
			if i%(100*kindsOfFaults) == kindsOfFaults-1 { // it takes seconds
				b.slow(t)
			}
		},
	}
	kinds[i%kindsOfFaults]()
}

// kindsOfFaults is how many kinds of faults there are.
const kindsOfFaults = 10

// bomb is the beginning of a PNG of 30,000 x 30,000 pixels.
func bomb() []byte {
	head := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), make([]byte, 13)...)
	binary.BigEndian.PutUint32(head[16:], 30_000)
	binary.BigEndian.PutUint32(head[20:], 30_000)
	copy(head[24:], []byte{8, 2, 0, 0, 0})
	return binary.BigEndian.AppendUint32(head, crc32.ChecksumIEEE(head[12:]))
}

// dial opens a connection and sends the head of a request for so many bytes.
func (b *serving) dial(bytes int) (*net.TCPConn, error) {
	u, err := url.Parse(b.server.url)
	if err != nil {
		return nil, err
	}
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(c, "POST /predict HTTP/1.1\r\nHost: %s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n", u.Host, bytes)
	return c.(*net.TCPConn), err
}

// halfClosed closes its side after the picture, and still gets the answer.
func (b *serving) halfClosed(picture []byte, t *tally) {
	c, err := b.dial(len(picture))
	if err != nil {
		t.blame(&t.misjudged, "half-closed: %v", err)
		return
	}
	defer c.Close()
	_, _ = c.Write(picture)
	_ = c.CloseWrite()
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	if r, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || r.StatusCode != http.StatusOK {
		t.blame(&t.misjudged, "half-closed: %v", err)
	}
}

// gone sends half a picture and leaves.
func (b *serving) gone(picture []byte) {
	c, err := b.dial(len(picture))
	if err != nil {
		return
	}
	_, _ = c.Write(picture[:len(picture)/2])
	_ = c.SetLinger(0)
	_ = c.Close()
}

// slow sends a byte and waits.
func (b *serving) slow(t *tally) {
	c, err := b.dial(1000)
	if err != nil {
		t.blame(&t.misjudged, "slow: %v", err)
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, "\xff")
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	if r, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || r.StatusCode != http.StatusRequestTimeout {
		t.blame(&t.misjudged, "slow: %v, want 408", err)
	}
}
