package wrapper

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// explainer is the kernel that runs when GoNB cannot be started: it answers every cell with what
// is wrong and how to repair it. A kernel that just ended would leave a page that waits, and the
// reason in a log that few know of.
type explainer struct {
	info connection
	say  func() []Problem // called for every cell: a repaired machine has none

	mu    sync.Mutex
	subs  []*peer
	count int
	stop  context.CancelFunc
}

// connection is Jupyter's connection file.
type connection struct {
	Transport string `json:"transport"`
	IP        string `json:"ip"`
	Key       string `json:"key"`
	Scheme    string `json:"signature_scheme"`
	Shell     int    `json:"shell_port"`
	Control   int    `json:"control_port"`
	Stdin     int    `json:"stdin_port"`
	IOPub     int    `json:"iopub_port"`
	Heartbeat int    `json:"hb_port"`
}

// explain serves until it is told to shut down or ctx ends.
func explain(ctx context.Context, connectionFile string, say func() []Problem) error {
	text, err := os.ReadFile(connectionFile)
	if err != nil {
		return fmt.Errorf("wrapper: %w", err)
	}
	e := &explainer{say: say}
	if err := json.Unmarshal(text, &e.info); err != nil {
		return fmt.Errorf("wrapper: the connection file %s: %w", connectionFile, err)
	}
	if s := e.info.Scheme; s != "" && s != "hmac-sha256" {
		return fmt.Errorf("wrapper: messages are to be signed with %q, want hmac-sha256", s)
	}
	ctx, e.stop = context.WithCancel(ctx)
	defer e.stop()
	for _, s := range []struct {
		port  int
		kind  string
		serve func(*peer)
	}{
		{e.info.Shell, "ROUTER", e.requests},
		{e.info.Control, "ROUTER", e.requests},
		{e.info.Stdin, "ROUTER", func(p *peer) { e.drain(p) }},
		{e.info.IOPub, "PUB", e.subscribe},
		{e.info.Heartbeat, "REP", func(p *peer) {
			for {
				parts, err := p.receive()
				if err != nil || p.send(parts...) != nil {
					return
				}
			}
		}},
	} {
		l, err := e.listen(s.port)
		if err != nil {
			return fmt.Errorf("wrapper: %w", err)
		}
		defer l.Close()
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					if p, err := handshake(conn, s.kind); err == nil {
						s.serve(p)
					}
				}()
			}
		}()
	}
	<-ctx.Done()
	return nil
}

// listen binds a port. One that GoNB has just closed may take a moment.
func (e *explainer) listen(port int) (net.Listener, error) {
	network, address := "tcp", net.JoinHostPort(e.info.IP, fmt.Sprint(port))
	if e.info.Transport == "ipc" {
		network, address = "unix", fmt.Sprintf("%s-%d", e.info.IP, port)
		os.Remove(address)
	}
	var err error
	for range 20 {
		var l net.Listener
		if l, err = net.Listen(network, address); err == nil {
			return l, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, err
}

func (e *explainer) drain(p *peer) {
	for {
		if _, err := p.receive(); err != nil {
			return
		}
	}
}

// subscribe keeps a peer as a listener while it is connected. It gets every topic, which is what
// Jupyter's clients ask for.
func (e *explainer) subscribe(p *peer) {
	e.mu.Lock()
	e.subs = append(e.subs, p)
	e.mu.Unlock()
	e.drain(p)
	e.mu.Lock()
	e.subs = slices.DeleteFunc(e.subs, func(q *peer) bool { return q == p })
	e.mu.Unlock()
}

// header is what requests and answers begin with.
type header struct {
	ID       string `json:"msg_id"`
	Session  string `json:"session"`
	Username string `json:"username"`
	Date     string `json:"date"`
	Type     string `json:"msg_type"`
	Version  string `json:"version"`
}

const delimiter = "<IDS|MSG>"

func (e *explainer) sign(parts [][]byte) string {
	if e.info.Key == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(e.info.Key))
	for _, p := range parts {
		mac.Write(p)
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// message is the frames of an answer to parent.
func (e *explainer) message(kind string, parent json.RawMessage, session string, content any) [][]byte {
	id := make([]byte, 16)
	rand.Read(id)
	head, _ := json.Marshal(header{ID: hex.EncodeToString(id), Session: session, Username: "tlkit", Date: time.Now().UTC().Format(time.RFC3339Nano), Type: kind, Version: "5.3"})
	body, _ := json.Marshal(content)
	if len(parent) == 0 {
		parent = json.RawMessage("{}")
	}
	parts := [][]byte{head, parent, []byte("{}"), body}
	return append([][]byte{[]byte(delimiter), []byte(e.sign(parts))}, parts...)
}

func (e *explainer) requests(p *peer) {
	for {
		parts, err := p.receive()
		if err != nil {
			return
		}
		at := slices.IndexFunc(parts, func(b []byte) bool { return string(b) == delimiter })
		if at < 0 || len(parts) < at+6 {
			continue
		}
		signed := parts[at+2 : at+6]
		if !hmac.Equal([]byte(e.sign(signed)), parts[at+1]) {
			continue // not from our Jupyter
		}
		var h header
		if json.Unmarshal(signed[0], &h) != nil {
			continue
		}
		e.answer(p, h, signed[0], signed[3])
	}
}

type object = map[string]any

func (e *explainer) answer(p *peer, h header, parent, content []byte) {
	publish := func(kind string, content any) {
		m := append([][]byte{[]byte(kind)}, e.message(kind, parent, h.Session, content)...)
		e.mu.Lock()
		to := slices.Clone(e.subs)
		e.mu.Unlock()
		for _, s := range to {
			_ = s.send(m...) // a listener that is gone is removed by its reader
		}
	}
	reply := func(content any) {
		kind := strings.TrimSuffix(h.Type, "_request") + "_reply"
		_ = p.send(e.message(kind, parent, h.Session, content)...) // a lost peer ends the reading loop
	}
	publish("status", object{"execution_state": "busy"})
	defer publish("status", object{"execution_state": "idle"})
	switch h.Type {
	case "kernel_info_request":
		reply(object{
			"status": "ok", "protocol_version": "5.3", "implementation": "tlkit", "implementation_version": "0",
			"language_info": object{"name": "go", "version": "", "mimetype": "text/x-go", "file_extension": ".go"},
			"banner":        "Go (tlkit) could not start; run any cell to see why",
			"help_links":    []any{},
		})
	case "execute_request":
		e.execute(content, publish, reply)
	case "shutdown_request":
		var r struct {
			Restart bool `json:"restart"`
		}
		_ = json.Unmarshal(content, &r)
		reply(object{"status": "ok", "restart": r.Restart})
		e.stop()
	case "complete_request":
		reply(object{"status": "ok", "matches": []any{}, "cursor_start": 0, "cursor_end": 0, "metadata": object{}})
	case "inspect_request":
		reply(object{"status": "ok", "found": false, "data": object{}, "metadata": object{}})
	case "is_complete_request":
		reply(object{"status": "unknown"})
	case "history_request":
		reply(object{"status": "ok", "history": []any{}})
	case "comm_info_request":
		reply(object{"status": "ok", "comms": object{}})
	case "interrupt_request":
		reply(object{"status": "ok"})
	}
}

// execute answers a cell with what is wrong.
func (e *explainer) execute(content []byte, publish func(kind string, content any), reply func(content any)) {
	var r struct {
		Code   string `json:"code"`
		Silent bool   `json:"silent"`
	}
	_ = json.Unmarshal(content, &r) // a damaged request has the zero values
	e.mu.Lock()
	if !r.Silent {
		e.count++
	}
	count := e.count
	e.mu.Unlock()
	publish("execute_input", object{"code": r.Code, "execution_count": count})
	name, value := "KernelNotReady", "this was repaired: restart the kernel (Kernel, Restart) and run the cell again"
	var lines []string
	if problems := e.say(); len(problems) > 0 {
		value = problems[0].sentence()
		lines = problems[0].details()
		for _, q := range problems[1:] {
			lines = append(lines, q.lines()...)
		}
		lines = append(lines, "", "Then restart the kernel (Kernel, Restart) and run the cell again.")
	}
	trace := append([]string{"The Go (tlkit) kernel could not start: " + value}, lines...)
	publish("error", object{"ename": name, "evalue": value, "traceback": trace})
	reply(object{"status": "error", "execution_count": count, "ename": name, "evalue": value, "traceback": trace})
}
