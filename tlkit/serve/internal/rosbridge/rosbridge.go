// Package rosbridge is a client of the rosbridge protocol 2.0: JSON over a websocket, as rosbridge_server
// speaks it for ROS 1 and ROS 2.
package rosbridge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
)

// Topic is one that a client hears or publishes.
type Topic struct {
	Name, Type string        // "/joint_states", "sensor_msgs/JointState": ROS 2 knows this form, too
	Every      time.Duration // heard at most this often; 0 = every message
	Queue      int           // messages that wait at the server; more push out the oldest
}

// Options are where the server is, and what to hear and to publish there.
type Options struct {
	URL       string // ws://HOST:PORT or wss://HOST:PORT
	CA        string // PEM file of the authority behind the server's certificate; "" = the system's
	Subscribe []Topic
	Advertise []Topic
	Most      int64 // bytes of a message, its fragments together
	Events    Events
}

// Events hears what happens, one call after the other.
type Events interface {
	Up()                                   // connected, with all topics
	Down(why error, again time.Duration)   // not or no longer connected; tried again after a while
	Heard(topic string, m json.RawMessage) // a message of a subscribed topic
	Refused(why error)                     // a message that is not as the protocol says
	Status(level, text string)             // what the server says about itself
}

// Client is a connection that comes back. Make it with [New].
type Client struct {
	o    Options
	http *http.Client

	mu   sync.Mutex
	conn *websocket.Conn // nil = down
}

// ErrDown is returned where nothing can be published, because there is no connection.
var ErrDown = errors.New("rosbridge: not connected")

// The times of a connection.
const (
	patience = 5 * time.Second        // for a handshake, and for a pong
	beats    = 5 * time.Second        // between pings
	writing  = 2 * time.Second        // for a message to leave
	parting  = time.Second            // for a farewell
	shortest = 250 * time.Millisecond // before the first new attempt, on average
	longest  = 10 * time.Second       // before later ones
	steady   = 10 * time.Second       // a connection that lasts this long starts again with the shortest
)

// New checks the options. It does not connect.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Hostname() == "" {
		return nil, advice.New(fmt.Errorf("rosbridge: the address is %s", words.Quote(o.URL)), "want ws://HOST:9090, or wss://HOST:9090 with TLS")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("rosbridge: the certificate: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("rosbridge: %s has no certificate, want PEM", o.CA)
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = config
	// A robot is where the address says, and nowhere else.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{o: o, http: &http.Client{Transport: transport, CheckRedirect: stay}}, nil
}

// Run connects, and connects again whenever the connection is lost, until ctx ends. Then it takes leave.
func (c *Client) Run(ctx context.Context) {
	defer c.http.CloseIdleConnections()
	for wait := shortest; ctx.Err() == nil; wait = min(2*wait, longest) {
		began := time.Now()
		err := c.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > steady {
			wait = shortest
		}
		pause := wait/2 + rand.N(wait) // so that clients do not all come back at once
		c.o.Events.Down(plain(err), pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// session is one connection, from the handshake to its end.
func (c *Client) session(ctx context.Context) error {
	dialing, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, _, err := websocket.Dial(dialing, c.o.URL, &websocket.DialOptions{HTTPClient: c.http})
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(-1) // listen has a limit that does not cost the connection
	// Not ctx: that its end ends a read would close the connection before the farewell.
	link, unlink := context.WithCancel(context.WithoutCancel(ctx))
	defer unlink()
	if err := c.join(link, conn); err != nil {
		return err
	}
	c.set(conn)
	defer c.set(nil)
	c.o.Events.Up()
	defer context.AfterFunc(ctx, func() {
		defer time.AfterFunc(parting, unlink).Stop()
		c.leave(link, conn)
	})()
	go beat(link, conn)
	return c.listen(link, conn)
}

func (c *Client) set(conn *websocket.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
}

// beat closes a connection whose other end is gone.
func beat(ctx context.Context, conn *websocket.Conn) {
	for tick := time.NewTicker(beats); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		pong, cancel := context.WithTimeout(ctx, patience)
		err := conn.Ping(pong)
		cancel()
		if err != nil {
			_ = conn.CloseNow() // listen says so
		}
	}
}

// join tells the server which topics the client hears and publishes.
func (c *Client) join(ctx context.Context, conn *websocket.Conn) error {
	for _, t := range c.o.Subscribe {
		m := map[string]any{"op": "subscribe", "topic": t.Name, "type": t.Type, "queue_length": t.Queue, "throttle_rate": t.Every.Milliseconds()}
		if err := write(ctx, conn, m); err != nil {
			return err
		}
	}
	for _, t := range c.o.Advertise {
		if err := write(ctx, conn, map[string]any{"op": "advertise", "topic": t.Name, "type": t.Type}); err != nil {
			return err
		}
	}
	return nil
}

// leave takes back what join said. The server may be gone.
func (c *Client) leave(ctx context.Context, conn *websocket.Conn) {
	for _, t := range c.o.Subscribe {
		_ = write(ctx, conn, map[string]any{"op": "unsubscribe", "topic": t.Name})
	}
	for _, t := range c.o.Advertise {
		_ = write(ctx, conn, map[string]any{"op": "unadvertise", "topic": t.Name})
	}
	_ = conn.Close(websocket.StatusNormalClosure, "")
}

// Publish sends a message to an advertised topic.
func (c *Client) Publish(ctx context.Context, topic string, m any) error {
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	if conn == nil {
		return ErrDown
	}
	return write(ctx, conn, map[string]any{"op": "publish", "topic": topic, "msg": m})
}

func write(ctx context.Context, conn *websocket.Conn, m any) error {
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("rosbridge: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, writing)
	defer cancel()
	return conn.Write(ctx, websocket.MessageText, data)
}

// listen reads messages until the connection ends.
func (c *Client) listen(ctx context.Context, conn *websocket.Conn) error {
	parts := assembly{most: c.o.Most}
	for {
		kind, r, err := conn.Reader(ctx)
		if err != nil {
			return err
		}
		data, err := io.ReadAll(io.LimitReader(r, c.o.Most+1))
		if err != nil {
			return err
		}
		switch {
		case int64(len(data)) > c.o.Most:
			if _, err := io.Copy(io.Discard, r); err != nil {
				return err
			}
			err = fmt.Errorf("a message of more than %d bytes", c.o.Most)
		case kind == websocket.MessageBinary:
			err = errors.New("a binary message, want JSON: start the server without bson_only_mode")
		default:
			err = c.take(data, &parts)
		}
		if err != nil {
			c.o.Events.Refused(err)
		}
	}
}

// plain returns the last and telling part of what net/http and the websocket say.
func plain(err error) error {
	var of *url.Error // has the address, with its password
	if errors.As(err, &of) {
		err = of.Err
	}
	if code := websocket.CloseStatus(err); code != -1 {
		return fmt.Errorf("the server closed the connection: %s", code)
	}
	if errors.Is(err, io.EOF) {
		return errors.New("the connection broke")
	}
	return errors.New(words.Plain(err.Error()))
}
