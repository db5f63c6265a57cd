package serve

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"image/png"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/robot"
	"github.com/tlkit/transfer-learning/tlkit/rollout"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// colours are eyes that see the mean colour of each of ten by ten cells.
var colours = rollout.Eyes{
	Preset: transforms.Preset{Size: 160, Geometry: transforms.GeometrySquash, Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB"},
	Backbone: features.Backbone{Identity: "colours", Features: 300, Batch: 1, Map: [3]int{10, 10, 3}, Open: func(context.Context, int) (func([]float32) ([]float32, error), error) {
		return func(pixels []float32) ([]float32, error) { return cells(pixels), nil }, nil
	}},
}

func cells(pixels []float32) []float32 {
	out := make([]float32, 300)
	for i, v := range pixels {
		x, y := i/3%160, i/3/160
		out[3*(y/16*10+x/16)+i%3] += v / 256
	}
	return out
}

// taught is a policy on colours, from demonstrations of bench/sort.
var taught = sync.OnceValues(func() (*robot.Policy, error) {
	w, err := sim.Open("bench/sort")
	if err != nil {
		return nil, err
	}
	d := policy.Demonstrations{Spec: w.Spec(), Map: colours.Backbone.Map}
	for scene := range uint64(8) {
		_, err := sim.Demonstrate(context.Background(), w.(sim.Teacher), scene, sim.Lesson{Side: 160, Noise: 0.3}, func(f sim.Frame) error {
			p, err := transforms.FromImage(f.Pictures[0])
			if err != nil {
				return err
			}
			x, err := colours.Preset.Eval().Apply(p, transforms.Rand{})
			d.Frames = append(d.Frames, policy.Frame{Episode: int(scene), State: f.State, Action: f.Action, Seen: cells(x.Data), Light: policy.LightOf(p)})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	p, err := policy.FitWaypoint(context.Background(), d, policy.WaypointOptions{Strengths: []float64{0.1}})
	if err != nil {
		return nil, err
	}
	familiarity, err := policy.FitFamiliarity(context.Background(), d)
	return &robot.Policy{File: &policy.File{Policy: p, Learnt: d.Learnt("bench/sort"), Familiarity: familiarity}, Eyes: colours}, err
})

func servedRobot(t *testing.T, o RobotOptions) (*Robot, string) {
	t.Helper()
	p, err := taught()
	if err != nil {
		t.Fatal(err)
	}
	o.Policy = p
	s, err := NewRobot(o)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return s, h.URL
}

// lookOf is what a robot sees and feels in a world.
func lookOf(t *testing.T, w sim.World, episode string) Look {
	t.Helper()
	drawn, err := w.Draw("top", 160)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, drawn); err != nil {
		t.Fatal(err)
	}
	l := Look{State: map[string]float64{}, Images: map[string]string{"top": base64.StdEncoding.EncodeToString(buf.Bytes())}, Episode: episode}
	for i, v := range w.Feel() {
		l.State[w.Spec().State[i].Name] = float64(v)
	}
	return l
}

func world(t *testing.T, scene uint64) sim.World {
	t.Helper()
	w, err := sim.Open("bench/sort")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Reset(scene); err != nil {
		t.Fatal(err)
	}
	return w
}

func postLook(t *testing.T, url string, l Look) (int, string) {
	t.Helper()
	raw, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	return post(t, url+"/act", "application/json", raw)
}

// A robot that asks the server does what a rollout does, step by step.
func TestActAsInARollout(t *testing.T) {
	_, url := servedRobot(t, RobotOptions{})
	p, err := taught()
	if err != nil {
		t.Fatal(err)
	}
	scenes := rollout.Scenes(2)
	var wheres [][2]float64
	tried, err := rollout.Run(t.Context(), rollout.Job{Task: "bench/sort", Policy: p.Guard(true), Eyes: &p.Eyes, Scenes: scenes[1:], Watch: func(m rollout.Moment) error {
		wheres = append(wheres, m.Decision.Where)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	w := world(t, scenes[1])
	at := 0
	for looks := 0; !w.Done().Over; looks++ {
		status, text := postLook(t, url, lookOf(t, w, "one"))
		if status != 200 {
			t.Fatalf("%d %s", status, text)
		}
		a := decoded[Act](t, text)
		if len(a.Actions) == 0 || len(a.Names) != 3 {
			t.Fatal(text)
		}
		for _, action := range a.Actions {
			if w.Done().Over {
				break
			}
			if a.Where != wheres[at] && !a.Hold {
				t.Fatalf("step %d goes to %v, in the rollout to %v", at, a.Where, wheres[at])
			}
			if err := w.Step(action); err != nil {
				t.Fatal(err)
			}
			at++
		}
		if a.Hold { // a frozen picture: the rollout goes on drawing the same one
			return
		}
	}
	if e := tried.Episodes[0]; w.Done().Success != e.Success || w.Done().Steps != e.Steps {
		t.Errorf("the robot ended with %+v, the rollout with %+v", w.Done(), e)
	}
}

// What must not be acted on: the robot holds, and the answer says why.
func TestHolds(t *testing.T) {
	_, url := servedRobot(t, RobotOptions{})
	w := world(t, rollout.Scenes(1)[0])
	good := lookOf(t, w, "a")
	black, old, away := lookOf(t, w, "b"), lookOf(t, w, "c"), lookOf(t, w, "d")
	var buf bytes.Buffer
	dark, _ := w.Draw("top", 160)
	for i := range dark.Pix {
		if i%4 != 3 {
			dark.Pix[i] = 0
		}
	}
	if err := png.Encode(&buf, dark); err != nil {
		t.Fatal(err)
	}
	black.Images["top"] = base64.StdEncoding.EncodeToString(buf.Bytes())
	old.Age = 0.3
	away.State["x"] = 7
	for i, c := range []struct {
		look Look
		note string
	}{{good, ""}, {good, "frozen"}, {black, "unlike"}, {old, "older than two steps"}, {away, "the state's x is 7"}} {
		status, text := postLook(t, url, c.look)
		a := decoded[Act](t, text)
		if status != 200 || a.Hold != (c.note != "") || a.Familiar == (c.note != "") || !strings.Contains(a.Note, c.note) {
			t.Errorf("%d: %d %s, want %q", i, status, text, c.note)
		}
		for _, action := range a.Actions {
			if a.Hold && (action[0] != 0 || action[1] != 0) {
				t.Errorf("%d: holding moves by %v", i, action)
			}
		}
	}
}

// Looks that cannot be understood get a reason.
func TestActRefuses(t *testing.T) {
	s, url := servedRobot(t, RobotOptions{Limits: Limits{Bytes: 1 << 20}})
	w := world(t, rollout.Scenes(1)[0])
	for want, change := range map[string]func(l *Look){
		"422 the robot has no state z, it has x, y":     func(l *Look) { l.State["z"] = 1 },
		"422 the state has no y":                        func(l *Look) { delete(l.State, "y") },
		"422 the state's y is 1e+39":                    func(l *Look) { l.State["y"] = 1e39 },
		"422 the robot has no camera wrist, it has top": func(l *Look) { l.Images["wrist"] = "" },
		"422 no picture of camera top":                  func(l *Look) { l.Images = nil },
		"400 the picture of camera top is not base64":   func(l *Look) { l.Images["top"] = "***" },
		"415 ": func(l *Look) {
			l.Images["top"] = base64.StdEncoding.EncodeToString([]byte("\x80\x04\x95cos\nsystem\n."))
		},
		"422 the picture of camera top has 72 x 96 pixels, want 160 x 160": func(l *Look) { l.Images["top"] = base64.StdEncoding.EncodeToString(sized(t, 72, 96)) },
		"413 ":                            func(l *Look) { l.Images["top"] = base64.StdEncoding.EncodeToString(bomb(t, 30_000)) },
		"400 an age of -1, an episode of": func(l *Look) { l.Age = -1 },
		"400 an age of 0, an episode of":  func(l *Look) { l.Episode = strings.Repeat("x", 201) },
	} {
		l := lookOf(t, w, "")
		change(&l)
		status, text := postLook(t, url, l)
		if !strings.HasPrefix(fmt.Sprintf("%d %s", status, decoded[problem](t, text).Detail), want) {
			t.Errorf("want %q, got %d %s", want, status, text)
		}
	}
	for body, want := range map[string]int{"": 400, "null": 400, "[]": 400, `{"state":{"x":NaN}}`: 400, `{"state":{"x":null}}`: 400, `{"picture":""}`: 400, `{"state":{}}{}`: 400, strings.Repeat("[", 1<<20): 400, strings.Repeat("x", 3<<20): 413} {
		if status, text := post(t, url+"/act", "application/json", []byte(body)); status != want {
			t.Errorf("%.20q: %d %.300s, want %d", body, status, text, want)
		}
	}
	if status, text := get(t, url+"/contract"); status != 200 || !strings.Contains(text, `"Name":"dx"`) || !strings.Contains(text, `"demonstrations":8`) {
		t.Errorf("%d %s", status, text)
	}
	if status, _ := get(t, url+"/health"); status != 200 {
		t.Errorf("health is %d", status)
	}
	free(t, s)
}

// free checks that requests which are over hold nothing.
func free(t *testing.T, s *Robot) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if s.memory.TryAcquire(s.limits.Memory) {
			s.memory.Release(s.limits.Memory)
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("memory of earlier requests is still taken")
		}
	}
}

func sized(t *testing.T, width, height int) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := png.Encode(&buf, transforms.NewPicture(width, height)); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// So many episodes are remembered, each is forgotten when nobody asks, and a token keeps others out.
func TestEpisodesAreFew(t *testing.T) {
	s, url := servedRobot(t, RobotOptions{Episodes: 2, Idle: 300 * time.Millisecond})
	look := func(scene uint64, episode string) int {
		status, _ := postLook(t, url, lookOf(t, world(t, scene), episode))
		return status
	}
	if a, b, c := look(1, "a"), look(2, "b"), look(3, "c"); a != 200 || b != 200 || c != http.StatusTooManyRequests {
		t.Errorf("%d, %d and %d, want 200, 200 and 429", a, b, c)
	}
	if status := look(4, ""); status != 200 {
		t.Errorf("without an episode: %d", status)
	}
	time.Sleep(400 * time.Millisecond)
	if status := look(3, "c"); status != 200 || len(s.episodes.known) != 1 {
		t.Errorf("%d with %d episodes, want 200 with 1", status, len(s.episodes.known))
	}
	_, closed := servedRobot(t, RobotOptions{Token: "0123456789abcdef"})
	if status, _ := get(t, closed+"/contract"); status != 401 {
		t.Errorf("without the token: %d", status)
	}
	if _, err := NewRobot(RobotOptions{}); err == nil {
		t.Error("no policy passes")
	}
}

var mutations = flag.Int("mutations", 2000, "mutated bodies of /act")

// Bodies with bytes that were changed, cut, doubled or put in get an answer, none panics, and memory
// does not grow.
func TestMutatedLooks(t *testing.T) {
	s, _ := servedRobot(t, RobotOptions{Limits: Limits{Bytes: 1 << 20}})
	good, err := json.Marshal(lookOf(t, world(t, 5), "m"))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	used := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, answers := used(), map[int]int{}
	for range *mutations {
		w := httptest.NewRecorder()
		q := httptest.NewRequest(http.MethodPost, "http://localhost/act", bytes.NewReader(mutated(r, good)))
		s.ServeHTTP(w, q)
		if answers[w.Code]++; w.Code >= 500 && w.Code != 503 || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if answers[200] == 0 || answers[400] == 0 || answers[422] == 0 {
		t.Errorf("answers %v: want some of each kind", answers)
	}
	if after := used(); after > before+64<<20 {
		t.Errorf("%d MiB more than before", (after-before)>>20)
	} else {
		t.Logf("%d bodies, answers %v, %d KiB before and %d KiB after", *mutations, answers, before>>10, after>>10)
	}
	free(t, s)
}

// mutated changes a body in one to four places: mostly in its first bytes and its last ones, where the
// JSON is, or in the header of the picture.
func mutated(r *rand.Rand, good []byte) []byte {
	b := bytes.Clone(good)
	words := []string{`"`, "{", "}", "[", "]", ",", ":", "null", "1e999", "-1e30", `\u0000`, "\xff", `"x"`, `"state"`, `{"state":`, "/", "=", "AAAA", "\x80\x04\x95"}
	for range 1 + r.IntN(4) {
		if len(b) == 0 {
			break
		}
		at := r.IntN(len(b))
		switch r.IntN(3) {
		case 0:
			at = r.IntN(min(len(b), 120))
		case 1:
			at = len(b) - 1 - r.IntN(min(len(b), 120))
		}
		switch r.IntN(5) {
		case 0:
			b[at] = byte(r.Uint32())
		case 1:
			b = b[:at]
		case 2:
			b = append(b[:at], append([]byte(words[r.IntN(len(words))]), b[at:]...)...)
		case 3:
			b = append(b[:at], b[min(at+1+r.IntN(40), len(b)):]...)
		case 4:
			b = append(b[:at], append(bytes.Clone(b[at:min(at+r.IntN(200), len(b))]), b[at:]...)...)
		}
	}
	return b
}
