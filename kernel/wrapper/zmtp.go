package wrapper

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// The part of ZeroMQ's wire protocol (ZMTP 3.0, mechanism NULL) that a kernel needs: the side that
// binds, with each peer known by its connection.

// Frame flags.
const (
	frameMore    = 1
	frameLong    = 2
	frameCommand = 4
)

// frameLimit bounds what a peer can make us allocate. Cells are text.
const frameLimit = 64 << 20

// peer is one connection after its handshake.
type peer struct {
	conn net.Conn
	in   *bufio.Reader
	out  sync.Mutex
}

func newPeer(conn net.Conn) *peer { return &peer{conn: conn, in: bufio.NewReader(conn)} }

// handshake greets as a socket of a kind (ROUTER, PUB, REP).
func handshake(conn net.Conn, kind string) (*peer, error) {
	p := newPeer(conn)
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, err
	}
	greeting := make([]byte, 64)
	greeting[0], greeting[8], greeting[9], greeting[10] = 0xff, 1, 0x7f, 3
	copy(greeting[12:], "NULL")
	if _, err := conn.Write(greeting); err != nil {
		return nil, err
	}
	reply := make([]byte, 64)
	if _, err := io.ReadFull(p.in, reply); err != nil {
		return nil, err
	}
	if reply[0] != 0xff || reply[9] != 0x7f || reply[10] < 3 {
		return nil, errors.New("wrapper: the peer does not speak ZMTP 3")
	}
	ready := append([]byte("\x05READY\x0bSocket-Type"), 0, 0, 0, byte(len(kind)))
	if err := p.frame(frameCommand, append(ready, kind...)); err != nil {
		return nil, err
	}
	flags, _, err := p.next()
	if err == nil && flags&frameCommand == 0 {
		err = errors.New("wrapper: the peer sent a message before it was ready")
	}
	if err != nil {
		return nil, err
	}
	return p, conn.SetDeadline(time.Time{})
}

func (p *peer) next() (flags byte, body []byte, err error) {
	if flags, err = p.in.ReadByte(); err != nil {
		return 0, nil, err
	}
	var size uint64
	if flags&frameLong != 0 {
		var n [8]byte
		if _, err := io.ReadFull(p.in, n[:]); err != nil {
			return 0, nil, err
		}
		size = binary.BigEndian.Uint64(n[:])
	} else {
		n, err := p.in.ReadByte()
		if err != nil {
			return 0, nil, err
		}
		size = uint64(n)
	}
	if size > frameLimit {
		return 0, nil, fmt.Errorf("wrapper: a frame of %d bytes, want at most %d", size, frameLimit)
	}
	body = make([]byte, size)
	_, err = io.ReadFull(p.in, body)
	return flags, body, err
}

// receive reads one message; commands (pings and the like) are passed over.
func (p *peer) receive() (parts [][]byte, err error) {
	total := 0
	for {
		flags, body, err := p.next()
		if err != nil {
			return nil, err
		}
		if flags&frameCommand != 0 {
			continue
		}
		if total += len(body) + 1; total > frameLimit {
			return nil, fmt.Errorf("wrapper: a message of more than %d bytes", frameLimit)
		}
		parts = append(parts, body)
		if flags&frameMore == 0 {
			return parts, nil
		}
	}
}

func (p *peer) send(parts ...[]byte) error {
	p.out.Lock()
	defer p.out.Unlock()
	if err := p.conn.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	for i, part := range parts {
		var flags byte
		if i < len(parts)-1 {
			flags = frameMore
		}
		if err := p.frame(flags, part); err != nil {
			return err
		}
	}
	return nil
}

func (p *peer) frame(flags byte, body []byte) error {
	head := []byte{flags, byte(len(body))}
	if len(body) > 255 {
		head = binary.BigEndian.AppendUint64([]byte{flags | frameLong}, uint64(len(body)))
	}
	_, err := p.conn.Write(append(head, body...))
	return err
}
