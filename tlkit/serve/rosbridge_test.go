package serve

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"image/png"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/tlkit/transfer-learning/internal/hostile"
	"github.com/tlkit/transfer-learning/tlkit/rollout"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// rosServer is a small rosbridge_server, for one client.
type rosServer struct {
	url     string
	cert    []byte       // of a server with TLS, PEM
	refuses atomic.Bool  // connections
	joins   atomic.Int32 // connections that have advertised

	mu    sync.Mutex
	conn  *websocket.Conn
	ops   []string         // what was heard, in words
	acted func(multiArray) // hears what is published; nil = nobody does
}

func newROSServer(t *testing.T, secure bool) *rosServer {
	t.Helper()
	s := new(rosServer)
	h := httptest.NewUnstartedServer(s)
	h.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	if secure {
		h.StartTLS()
		s.cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw})
	} else {
		h.Start()
	}
	t.Cleanup(h.Close)
	s.url = "ws" + strings.TrimPrefix(h.URL, "http")
	return s
}

func (s *rosServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.refuses.Load() {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	s.mu.Lock()
	s.conn = conn
	acted := s.acted
	s.mu.Unlock()
	for {
		_, data, err := conn.Read(context.Background())
		if err != nil {
			return
		}
		var m struct {
			Op, Topic, Type string
			Throttle        int `json:"throttle_rate"`
			Queue           int `json:"queue_length"`
			Msg             multiArray
		}
		if err := json.Unmarshal(data, &m); err != nil {
			panic(err)
		}
		if m.Op == "publish" {
			acted(m.Msg)
			continue
		}
		s.mu.Lock()
		s.ops = append(s.ops, strings.TrimSpace(fmt.Sprint(m.Op, " ", m.Topic, " ", m.Type, " ", m.Throttle, " ", m.Queue)))
		s.mu.Unlock()
		if m.Op == "advertise" {
			s.joins.Add(1)
		}
	}
}

func (s *rosServer) said() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ops)
}

// raw sends a message as it is.
func (s *rosServer) raw(kind websocket.MessageType, data []byte) error {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if conn == nil {
		return errors.New("no client")
	}
	return conn.Write(context.Background(), kind, data)
}

// publish sends a message of a topic, in fragments of that many bytes unless it is 0.
func (s *rosServer) publish(topic string, m any, fragment int) error {
	data, err := json.Marshal(map[string]any{"op": "publish", "topic": topic, "msg": m})
	if err != nil {
		return err
	}
	if fragment == 0 {
		return s.raw(websocket.MessageText, data)
	}
	total := float64(len(data)-1)/float64(fragment) + 1 // as rosbridge_library counts
	for i, part := range slices.Collect(slices.Chunk(data, fragment)) {
		raw, err := json.Marshal(map[string]any{"op": "fragment", "id": topic, "data": string(part), "num": i, "total": total})
		if err != nil {
			return err
		}
		if err := s.raw(websocket.MessageText, raw); err != nil {
			return err
		}
	}
	return nil
}

// drop breaks the connection.
func (s *rosServer) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.conn.CloseNow()
}

// rosRobot is a world behind a rosServer, with a camera and two nodes that feel.
type rosRobot struct {
	server      *rosServer
	blind, numb atomic.Bool  // the camera, or the nodes, are silent
	queued      atomic.Bool  // pictures wait in a queue that grows
	endless     atomic.Bool  // another scene follows when one is over
	fragment    atomic.Int32 // bytes of the fragments of pictures; 0 = whole

	sending sync.Mutex    // what is shown is of one scene
	late    time.Duration // of the picture shown last, when it is

	mu      sync.Mutex
	scene   uint64
	w       sim.World
	taken   int          // pictures: each differs, as those of a camera do
	actions []multiArray // in order
}

// newROSRobot starts a robot in a scene.
func newROSRobot(t *testing.T, s *rosServer, scene uint64) *rosRobot {
	t.Helper()
	r := &rosRobot{server: s, w: world(t, scene), scene: scene}
	s.mu.Lock()
	s.acted = r.act
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			r.show(t)
			time.Sleep(25 * time.Millisecond)
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
	return r
}

// act does an action. The time of a robot that is to hold does not count for the task.
func (r *rosRobot) act(m multiArray) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.actions = append(r.actions, m)
	if r.w.Done().Over {
		if r.endless.Load() {
			r.scene++
			go r.reset(r.scene) // it waits for what is being shown
		}
		return
	}
	if still(m.Data) && (m.Data[2] > 0.5) == (r.w.Feel()[2] > 0.5) {
		return
	}
	if err := r.w.Step(m.Data); err != nil {
		panic(err)
	}
}

func still(action []float32) bool { return action[0] == 0 && action[1] == 0 }

// show publishes what is seen and felt. Nobody may be there to hear it.
func (r *rosRobot) show(t *testing.T) {
	r.sending.Lock()
	defer r.sending.Unlock()
	r.mu.Lock()
	drawn, err := r.w.Draw("top", 160)
	felt, taken := r.w.Feel(), r.taken
	r.taken++
	r.mu.Unlock()
	if err != nil {
		t.Error(err)
		return
	}
	drawn.Pix[0] ^= byte(taken % 8)
	var buf bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&buf, drawn); err != nil {
		t.Error(err)
	}
	if r.late += 20 * time.Millisecond; !r.queued.Load() {
		r.late = 0
	}
	at := time.Now().Add(-r.late)
	header := map[string]any{"frame_id": "top", "stamp": map[string]any{"sec": at.Unix(), "nanosec": at.Nanosecond()}}
	if !r.blind.Load() {
		_ = r.server.publish("/top/compressed", map[string]any{"header": header, "format": "rgb8; png compressed rgb8", "data": base64.StdEncoding.EncodeToString(buf.Bytes())}, int(r.fragment.Load()))
	}
	if !r.numb.Load() {
		_ = r.server.publish("/joint_states", map[string]any{"name": []string{"y", "wheel", "x"}, "position": []any{felt[1], nil, felt[0]}, "velocity": []float64{}}, 0)
		_ = r.server.publish("/joint_states", map[string]any{"name": []string{"opening", "gripper"}, "position": []any{felt[3], felt[2]}}, 0)
	}
}

// reset puts the robot into a scene, and says so.
func (r *rosRobot) reset(scene uint64) {
	r.sending.Lock()
	defer r.sending.Unlock()
	r.mu.Lock()
	err := r.w.Reset(scene)
	r.mu.Unlock()
	if err != nil {
		panic(err)
	}
	_ = r.server.publish("/episode", map[string]any{}, 0) // the client may be gone
}

func (r *rosRobot) done() sim.Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.w.Done()
}

// last returns the last actions, and the number of all.
func (r *rosRobot) last(n int) ([]multiArray, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.actions[max(0, len(r.actions)-n):]), len(r.actions)
}

// moves reports whether the robot was just told to move.
func (r *rosRobot) moves() bool {
	a, n := r.last(1)
	return n > 0 && !still(a[0].Data)
}

// holds reports whether the last actions all hold the robot: more of them than a policy takes to open
// and to shut the fingers.
func (r *rosRobot) holds() bool {
	a, _ := r.last(12)
	return len(a) == 12 && !slices.ContainsFunc(a, func(m multiArray) bool { return !still(m.Data) })
}

// rosLog is a log that tests read.
type rosLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *rosLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *rosLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func rosTopics(url string) RosbridgeOptions {
	return RosbridgeOptions{URL: url, Image: "/top/compressed", State: "/joint_states", Action: "/arm/commands", Episode: "/episode"}
}

// driven drives a robot at ten steps a second until stop is called.
func driven(t *testing.T, o RosbridgeOptions) (s *Robot, log *rosLog, stop func()) {
	t.Helper()
	log = new(rosLog)
	s, _ = servedRobot(t, RobotOptions{Log: slog.New(slog.NewTextHandler(log, nil)), Limits: Limits{Bytes: 1 << 20}})
	s.spec.Rate = 10
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Rosbridge(ctx, o) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Error("does not stop")
		}
	})
	t.Cleanup(stop)
	return s, log, stop
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 60 s: %s", what)
		}
	}
}

// meter reads a number of /metrics.
func meter(t *testing.T, s *Robot, name string) int {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if rest, ok := strings.CutPrefix(line, "tlkit_rosbridge_"+name+" "); ok {
			n, err := strconv.Atoi(strings.TrimSpace(rest))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

// easy are scenes in which the policy puts the bee onto the blossom.
var easy = sync.OnceValues(func() (scenes []uint64, err error) {
	p, err := taught()
	if err != nil {
		return nil, err
	}
	tried, err := rollout.Run(context.Background(), rollout.Job{Task: "bench/sort", Policy: p.Guard(true), Eyes: &p.Eyes, Scenes: rollout.Scenes(12)})
	if err != nil {
		return nil, err
	}
	for i, e := range tried.Episodes {
		if e.Success {
			scenes = append(scenes, rollout.Scenes(12)[i])
		}
	}
	if len(scenes) < 2 {
		err = fmt.Errorf("%d of 12 scenes succeed, want 2 for the tests", len(scenes))
	}
	return scenes, err
})

// The whole loop: what a robot publishes comes in, and what goes out puts the bee onto the blossom,
// in one episode after the other, the second with pictures in fragments. At the end the robot holds.
func TestRosbridgeSorts(t *testing.T) {
	scenes, err := easy()
	if err != nil {
		t.Fatal(err)
	}
	server := newROSServer(t, false)
	r := newROSRobot(t, server, scenes[0])
	s, log, stop := driven(t, rosTopics(server.url))
	for i, scene := range scenes[:2] {
		if i > 0 {
			r.fragment.Store(3000)
			r.reset(scene)
		}
		eventually(t, "the episode is over", func() bool { return r.done().Over })
		if !r.done().Success {
			t.Errorf("scene %d ended with %+v\n%s", scene, r.done(), log)
		}
		t.Logf("scene %d: %+v", scene, r.done())
	}
	r.reset(scenes[0])
	eventually(t, "the robot moves again", r.moves)
	stop()
	if a, _ := r.last(1); !still(a[0].Data) || len(a[0].Layout.Dim) != 1 || a[0].Layout.Dim[0] != (arrayDim{"dx,dy,gripper", 3, 3}) {
		t.Errorf("the last action is %+v, want one that holds", a)
	}
	want := []string{
		"subscribe /top/compressed sensor_msgs/CompressedImage 50 1", "subscribe /joint_states sensor_msgs/JointState 0 10", "subscribe /episode std_msgs/Empty 0 1",
		"advertise /arm/commands std_msgs/Float64MultiArray 0 0",
		"unsubscribe /top/compressed  0 0", "unsubscribe /joint_states  0 0", "unsubscribe /episode  0 0", "unadvertise /arm/commands  0 0",
	}
	if got := server.said(); !slices.Equal(got, want) {
		t.Errorf("the client said\n%s", strings.Join(got, "\n"))
	}
	if n := meter(t, s, `messages_total{kind="image",result="refused"}`) + meter(t, s, `messages_total{kind="other",result="refused"}`); n > 0 {
		t.Errorf("%d messages were refused\n%s", n, log)
	}
	if len(s.episodes.known) > 0 {
		t.Errorf("%d episodes are remembered", len(s.episodes.known))
	}
}

// moving is a robot in a scene that does not end, driven through a server, once it moves.
func moving(t *testing.T) (server *rosServer, r *rosRobot, s *Robot, log *rosLog) {
	t.Helper()
	server = newROSServer(t, false)
	r = newROSRobot(t, server, rollout.Scenes(1)[0])
	r.endless.Store(true)
	s, log, _ = driven(t, rosTopics(server.url))
	eventually(t, "the robot moves", r.moves)
	return server, r, s, log
}

// A server that goes away and comes back is found again, and a new episode begins.
func TestRosbridgeComesBack(t *testing.T) {
	server, r, s, log := moving(t)
	server.refuses.Store(true)
	server.drop()
	eventually(t, "the loss is noticed", func() bool {
		return meter(t, s, "connected") == 0 && strings.Contains(log.String(), "got 503")
	})
	_, before := r.last(1)
	server.refuses.Store(false)
	eventually(t, "the client is back", func() bool { return server.joins.Load() == 2 })
	eventually(t, "the robot moves again", func() bool { _, n := r.last(1); return n > before && r.moves() })
	if n := meter(t, s, "connections_total"); n != 2 || meter(t, s, "connected") != 1 {
		t.Errorf("%d connections, want 2", n)
	}
}

// Without fresh pictures the robot holds at every step; without a state, once.
func TestRosbridgeHolds(t *testing.T) {
	_, r, s, log := moving(t)
	for what, switched := range map[string]*atomic.Bool{"no pictures": &r.blind, "late pictures": &r.queued} {
		switched.Store(true)
		eventually(t, "with "+what+", the robot holds", r.holds)
		time.Sleep(300 * time.Millisecond)
		if !r.holds() {
			t.Errorf("with %s, the robot moves again", what)
		}
		switched.Store(false)
		eventually(t, "after "+what+", the robot moves", r.moves)
	}
	if why := "the pictures are older than two steps"; !strings.Contains(log.String(), why) {
		t.Errorf("the log does not say that %s:\n%s", why, log)
	}
	r.numb.Store(true)
	eventually(t, "no state is noticed", func() bool { return meter(t, s, `steps_total{kind="none"}`) > 3 })
	a, n := r.last(1)
	time.Sleep(300 * time.Millisecond)
	if _, after := r.last(1); after != n || !still(a[0].Data) {
		t.Errorf("%d actions after the state was lost, the last before %v", after-n, a)
	}
	r.numb.Store(false)
	eventually(t, "the robot moves", r.moves)
}

// Pictures that wait in a queue get older than those before, whatever the robot's clock says.
func TestStampClock(t *testing.T) {
	start := time.Now()
	var c stampClock
	for i, step := range []struct {
		arrives, stamp, behind time.Duration // since the start
		again                  bool
	}{
		{0, 1000 * time.Hour, 0, false},
		{200 * time.Millisecond, 1000*time.Hour + 200*time.Millisecond, 0, false},
		{300 * time.Millisecond, 1000*time.Hour + 200*time.Millisecond, 0, true},
		{900 * time.Millisecond, 1000*time.Hour + 400*time.Millisecond, 500 * time.Millisecond, false},
		{1200 * time.Millisecond, 1000*time.Hour + 1150*time.Millisecond, 50 * time.Millisecond, false},
		{1400 * time.Millisecond, time.Hour, 0, false}, // the clock was set back
		{1600 * time.Millisecond, time.Hour + 100*time.Millisecond, 100 * time.Millisecond, false},
		{1800 * time.Millisecond, 0, 0, false}, // no stamp
	} {
		behind, again := c.see(start.Add(step.arrives), step.stamp)
		if d := behind - step.behind; again != step.again || d < -2*time.Millisecond || d > 2*time.Millisecond {
			t.Errorf("%d: %v behind, again %t, want %v and %t", i, behind, again, step.behind, step.again)
		}
	}
	drift := stampClock{}
	for i := range 36_000 { // two hours of a clock that is 50 millionths slow
		at := time.Duration(i) * 200 * time.Millisecond
		if behind, _ := drift.see(start.Add(at), time.Hour+at-at/20_000); behind > 20*time.Millisecond {
			t.Fatalf("after %v, pictures count as %v behind", at, behind)
		}
	}
}

// Messages that are not as they should be are counted, and the robot goes on.
func TestRosbridgeRefuses(t *testing.T) {
	server, r, s, log := moving(t)
	publish := func(topic, msg string) string { return `{"op":"publish","topic":"` + topic + `","msg":` + msg + `}` }
	bad := map[string]struct {
		kind string
		n    int
	}{}
	send := func(kind, text string) {
		t.Helper()
		if err := server.raw(websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		c := bad[kind]
		c.n++
		bad[kind] = c
	}
	for _, text := range []string{
		"", "null", "[]", "{", `"x"`, `{"op":7}`, `{"op":"publish"}`, `{"op":"png","data":"AAAA"}`, `{"op":"call_service"}`, `{"op":"status"}`, `{"op":"status","msg":{}}`,
		publish("/other", "{}"), `{"op":"publish","topic":"/joint_states"}`, strings.Repeat("[", 100_000), strings.Repeat("x", 3<<20),
		`{"op":"fragment","id":"a","num":0,"total":1e9}`, `{"op":"fragment","id":"a","num":3,"total":3.9}`, `{"op":"fragment","id":"a","num":-1,"total":3}`, `{"op":"fragment","id":"a","num":0.5,"total":3}`,
		`{"op":"fragment","id":"b","num":0,"total":1,"data":"{\"op\":\"fragment\"}"}`, `{"op":"fragment","id":"c","num":0,"total":1,"data":"{"}`,
	} {
		send("other", text)
	}
	for _, m := range []string{
		`7`, `{"name":["x"],"position":[]}`, `{"name":["x"],"position":[null]}`, `{"name":["x","x"],"position":[0,0]}`, `{"name":["x"],"position":[1e999]}`, `{"name":["x"],"position":["0"]}`, `{"name":"x","position":0}`,
	} {
		send("state", publish("/joint_states", m))
	}
	for _, m := range []string{
		`null`, `[]`, `{}`, `{"data":[1,2,3]}`, `{"data":"AAAA","header":{"stamp":{"sec":-1}}}`, `{"data":"AAAA","header":{"stamp":{"sec":9223372036854775807,"secs":9}}}`, `{"data":"AAAA","header":{"stamp":{"nanosec":2000000000}}}`,
		`{"data":"AAAA","format":"16UC1; compressedDepth"}`,
	} {
		send("image", publish("/top/compressed", m))
	}
	for _, name := range hostile.Names() {
		quoted, _ := json.Marshal(name)
		send("other", `{"op":`+string(quoted)+`}`)
		send("other", `{"op":"publish","topic":`+string(quoted)+`,"msg":{}}`)
		_ = server.raw(websocket.MessageText, []byte(`{"op":"status","level":"error","msg":`+string(quoted)+`}`))
		_ = server.raw(websocket.MessageText, []byte(publish("/joint_states", `{"name":[`+string(quoted)+`],"position":[1]}`)))
	}
	_ = server.raw(websocket.MessageBinary, []byte{1})
	c := bad["other"]
	c.n++
	bad["other"] = c
	for kind, c := range bad {
		eventually(t, fmt.Sprintf("%d messages of kind %s are refused\n%s", c.n, kind, log), func() bool { return meter(t, s, `messages_total{kind="`+kind+`",result="refused"}`) >= c.n })
		if n := meter(t, s, `messages_total{kind="`+kind+`",result="refused"}`); n != c.n {
			t.Errorf("%d messages of kind %s were refused, want %d", n, kind, c.n)
		}
	}
	_, before := r.last(1)
	eventually(t, "the robot moves", func() bool { _, n := r.last(1); return n > before+2 && r.moves() })
	if n := server.joins.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	if n := strings.Count(log.String(), "\n"); n > 60 {
		t.Errorf("the log has %d lines", n)
	}
	for _, line := range strings.Split(log.String(), "\n") {
		if len(line) > 700 || strings.ContainsAny(line, "\x00\x1b\r\u202e") {
			t.Errorf("the log has %.200q", line)
		}
	}
}

// A picture that cannot be decoded, or of another size, is refused when it is looked at.
func TestRosbridgeRefusesPictures(t *testing.T) {
	server, r, s, log := moving(t)
	r.blind.Store(true)
	for want, data := range map[string]string{
		"is not base64": "***", "has 72 x 96 pixels": base64.StdEncoding.EncodeToString(sized(t, 72, 96)),
		"not a picture": base64.StdEncoding.EncodeToString([]byte("\x80\x04\x95cos\nsystem\n.")), "pixels": base64.StdEncoding.EncodeToString(bomb(t, 30_000)),
	} {
		before := meter(t, s, `messages_total{kind="image",result="refused"}`)
		eventually(t, want+"\n"+log.String(), func() bool {
			if err := server.publish("/top/compressed", map[string]any{"data": data}, 0); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
			return meter(t, s, `messages_total{kind="image",result="refused"}`) > before && strings.Contains(log.String(), want)
		})
		if r.moves() {
			t.Errorf("%s: the robot moves", want)
		}
	}
	r.blind.Store(false)
	eventually(t, "the robot moves", r.moves)
}

// With TLS, the server must have a certificate of the authority.
func TestRosbridgeTLS(t *testing.T) {
	server := newROSServer(t, true)
	r := newROSRobot(t, server, rollout.Scenes(1)[0])
	r.endless.Store(true)
	_, log, stop := driven(t, rosTopics(server.url))
	eventually(t, "the certificate is refused", func() bool { return strings.Contains(log.String(), "certificate") })
	stop()
	if _, n := r.last(1); n > 0 || server.joins.Load() > 0 {
		t.Errorf("%d actions for a server without a good certificate", n)
	}
	o := rosTopics(strings.Replace(server.url, "wss://", "wss://robot:secret@", 1))
	o.CA = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(o.CA, server.cert, 0o600); err != nil {
		t.Fatal(err)
	}
	_, log, _ = driven(t, o)
	eventually(t, "the robot moves", r.moves)
	if strings.Contains(log.String(), "secret") {
		t.Errorf("the log has the password:\n%s", log)
	}
}

func TestRosbridgeOptions(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(o *RosbridgeOptions){
		`the address is "http://x"`:            func(o *RosbridgeOptions) { o.URL = "http://x" },
		`the address is ""`:                    func(o *RosbridgeOptions) { o.URL = "" },
		`the address is "ws://"`:               func(o *RosbridgeOptions) { o.URL = "ws://" },
		`the image topic is ""`:                func(o *RosbridgeOptions) { o.Image = "" },
		`the action topic is "/a b"`:           func(o *RosbridgeOptions) { o.Action = "/a b" },
		"the episode topic is /a/":             func(o *RosbridgeOptions) { o.Episode = "/a/" },
		"the image topic and the state topic":  func(o *RosbridgeOptions) { o.State = o.Image },
		"has no certificate, want PEM":         func(o *RosbridgeOptions) { o.CA = empty },
		"the certificate: open /no/such/place": func(o *RosbridgeOptions) { o.CA = "/no/such/place" },
	} {
		o := rosTopics("ws://127.0.0.1:9090")
		change(&o)
		s, _ := servedRobot(t, RobotOptions{})
		if err := s.Rosbridge(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	o := rosTopics("wss://robot.local:9090/ros")
	o.Episode = ""
	if err := o.Check(); err != nil {
		t.Error(err)
	}
}
