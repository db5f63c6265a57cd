package wrapper

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/kernel/kernelspec"
)

// standIn starts an explaining kernel on free ports.
func standIn(t *testing.T, problems *[]Problem) (c connection, ended <-chan error) {
	t.Helper()
	ports := make([]int, 5)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = l.Addr().(*net.TCPAddr).Port
		l.Close()
	}
	c = connection{Transport: "tcp", IP: "127.0.0.1", Key: "secret", Scheme: "hmac-sha256",
		Shell: ports[0], Control: ports[1], Stdin: ports[2], IOPub: ports[3], Heartbeat: ports[4]}
	text, _ := json.Marshal(c)
	file := filepath.Join(t.TempDir(), "kernel.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	end := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go func() { end <- explain(ctx, file, func() []Problem { return *problems }) }()
	return c, end
}

func dial(t *testing.T, port int, kind string) *peer {
	t.Helper()
	var err error
	for range 50 {
		var conn net.Conn
		if conn, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			t.Cleanup(func() { conn.Close() })
			p, err := handshake(conn, kind)
			if err != nil {
				t.Fatal(err)
			}
			conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			return p
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal(err)
	return nil
}

// ask sends a request and gives the answer's kind and content.
func ask(t *testing.T, c connection, p *peer, kind string, content any) (string, string) {
	t.Helper()
	client := &explainer{info: c}
	if err := p.send(client.message(kind, nil, "session", content)...); err != nil {
		t.Fatal(err)
	}
	return hear(t, client, p)
}

func hear(t *testing.T, client *explainer, p *peer) (string, string) {
	t.Helper()
	parts, err := p.receive()
	if err != nil {
		t.Fatal(err)
	}
	if string(parts[0]) != delimiter {
		parts = parts[1:] // a topic
	}
	if len(parts) != 6 || client.sign(parts[2:]) != string(parts[1]) {
		t.Fatalf("%d parts, or a wrong signature", len(parts))
	}
	var h header
	if err := json.Unmarshal(parts[2], &h); err != nil {
		t.Fatal(err)
	}
	return h.Type, string(parts[5])
}

// subscribed waits until what is published arrives: a kernel notices a subscriber in its own time.
func subscribed(t *testing.T, c connection, shell, iopub *peer) {
	t.Helper()
	heard := make(chan error, 1)
	go func() {
		_, err := iopub.receive()
		heard <- err
	}()
	for {
		ask(t, c, shell, "kernel_info_request", object{})
		select {
		case err := <-heard:
			if err != nil {
				t.Fatal(err)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestTheStandInExplains(t *testing.T) {
	problems := []Problem{{What: "The disk is full", Detail: "no space", Repair: "free <some>"}, {What: "And another", Repair: "wait"}}
	c, ended := standIn(t, &problems)
	shell, iopub, heart, control := dial(t, c.Shell, "DEALER"), dial(t, c.IOPub, "SUB"), dial(t, c.Heartbeat, "REQ"), dial(t, c.Control, "DEALER")
	iopub.send([]byte{1})
	subscribed(t, c, shell, iopub)
	if err := heart.send([]byte{}, []byte("ping")); err != nil {
		t.Fatal(err)
	}
	if parts, err := heart.receive(); err != nil || string(parts[1]) != "ping" {
		t.Errorf("heartbeat: %q, %v", parts, err)
	}
	if kind, content := ask(t, c, shell, "kernel_info_request", object{}); kind != "kernel_info_reply" || !strings.Contains(content, `"name":"go"`) {
		t.Errorf("%s %s", kind, content)
	}
	kind, content := ask(t, c, shell, "execute_request", object{"code": "x"})
	for _, w := range []string{`"status":"error"`, "The disk is full", "no space", "And another", "Kernel, Restart"} {
		if kind != "execute_reply" || !strings.Contains(content, w) {
			t.Errorf("%s has no %q: %s", kind, w, content)
		}
	}
	heard := map[string]string{}
	for heard["error"] == "" {
		kind, content := hear(t, &explainer{info: c}, iopub)
		heard[kind] = content
	}
	if !strings.Contains(heard["error"], "traceback") || heard["execute_input"] == "" {
		t.Errorf("published %v", heard)
	}
	problems = nil
	if _, content := ask(t, c, shell, "execute_request", object{"code": "x"}); !strings.Contains(content, "was repaired") {
		t.Errorf("after the repair: %s", content)
	}
	for _, k := range []string{"complete", "inspect", "is_complete", "history", "comm_info", "interrupt"} {
		if kind, _ := ask(t, c, shell, k+"_request", object{}); kind != k+"_reply" {
			t.Errorf("%s answered with %s", k, kind)
		}
	}
	// What is not signed with the key of the connection file is not answered.
	bad := c
	bad.Key = "guessed"
	shell.send((&explainer{info: bad}).message("shutdown_request", nil, "s", object{})...)
	if kind, _ := ask(t, c, shell, "kernel_info_request", object{}); kind != "kernel_info_reply" {
		t.Errorf("a forged message was answered: %s", kind)
	}
	if kind, _ := ask(t, c, control, "shutdown_request", object{"restart": false}); kind != "shutdown_reply" {
		t.Errorf("shutdown: %s", kind)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the stand-in does not end")
	}
}

// A clone that was moved or deleted: the first cell says so, with the command, in one sentence.
func TestTheFirstCellSaysThatTheCloneIsGone(t *testing.T) {
	env, dir := goodMachine(t)
	clone := env[kernelspec.RootVar]
	if err := os.Rename(clone, filepath.Join(dir, "new place")); err != nil {
		t.Fatal(err)
	}
	_, problems := look(t, env, dir)
	c, _ := standIn(t, &problems)
	_, content := ask(t, c, dial(t, c.Shell, "DEALER"), "execute_request", object{"code": "x"})
	var said struct {
		Value     string   `json:"evalue"`
		Traceback []string `json:"traceback"`
	}
	if err := json.Unmarshal([]byte(content), &said); err != nil {
		t.Fatal(err)
	}
	want := "The clone of tlkit that cells compile against is gone: " + clone + " was moved or deleted; to repair it, in its new place, or in a new clone: go tool tlkit setup"
	if said.Value != want {
		t.Errorf("the first cell says %q, want %q", said.Value, want)
	}
	if len(said.Traceback) == 0 || !strings.HasSuffix(said.Traceback[0], want) || strings.Count(strings.Join(said.Traceback, "\n"), clone) != 1 {
		t.Errorf("the traceback is %q, want that sentence once, first", said.Traceback)
	}
}

func TestThePeerLiesAboutLengths(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	go func() { b.Write([]byte{frameLong, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}); b.Close() }()
	if _, _, err := newPeer(a).next(); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a frame of 2^64-1 bytes: %v", err)
	}
}
