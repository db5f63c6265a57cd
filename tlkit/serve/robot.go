package serve

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/robot"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// RobotOptions are what a [Robot] serves, and how.
type RobotOptions struct {
	Policy *robot.Policy
	Token  string   // as in Options
	Hosts  []string // as in Options
	Limits Limits
	Log    *slog.Logger // nil = slog.Default()

	// Episodes is how many episodes are remembered at the same time; 0 = 64. Idle is after how long one
	// is forgotten that nobody asks about; 0 = 1 minute.
	Episodes int
	Idle     time.Duration
	// NoHold lets the policy act on what is not familiar. The answers say so all the same.
	NoHold bool
}

// Robot is a server that says what a robot should do. It is an [http.Handler]. The routes:
//
//	POST /act           what is seen and felt → actions
//	GET  /contract      the robot, the network and the limits of the policy
//	GET  /health        200 while the process runs; also /healthz
//	GET  /metrics       for Prometheus
//
// The body of /act is {"state": {NAME: NUMBER}, "images": {CAMERA: BASE64}, "episode": ID, "age": SECONDS}.
// The states are all those of the contract, the pictures JPEG, PNG or another format that tlkit reads, as
// large as in the contract. Looks with one episode ID are one episode, whose evidence adds up; without
// an ID, nothing is remembered. The age is that of the pictures, 0 if it is not said.
//
// The answer has the actions for the next steps, in order, and is not for longer than they take. A robot
// that gets no answer in time has to hold by itself. The server lets it hold while what is seen is
// not familiar (see policy.Guard), while a picture is the one before, bit for bit, and while pictures are
// older than two steps.
//
// [Robot.Rosbridge] drives a robot with ROS the same way.
type Robot struct {
	*gate
	policy   *robot.Policy
	spec     sim.Spec
	guard    policy.Guard
	episodes *episodes
	ros      *rosMeters
	onlooker *onlooker
}

// NewRobot makes a server of an opened policy.
func NewRobot(o RobotOptions) (*Robot, error) {
	if o.Policy == nil {
		return nil, errors.New("serve: no policy; see robot.OpenPolicy")
	}
	if err := checkGate(o.Limits, o.Token); err != nil {
		return nil, err
	}
	guard := o.Policy.Guard(!o.NoHold)
	s := &Robot{
		gate: newGate(o.Limits, o.Token, o.Hosts, o.Log), policy: o.Policy, spec: guard.Spec(), guard: guard,
		episodes: &episodes{guard: guard, most: cmp.Or(o.Episodes, 64), idle: cmp.Or(o.Idle, time.Minute), known: map[string]*episode{}},
	}
	s.ros = newROSMeters(s.metrics.registry)
	s.onlooker = onlookerOf(o.Policy.Net, s.log)
	health := func(w http.ResponseWriter, _ *http.Request) error { return writeJSON(w, map[string]bool{"ok": true}) }
	s.handler = s.routes([]route{
		{http.MethodPost, "/act", false, s.act},
		{http.MethodGet, "/contract", false, s.contract},
		{http.MethodGet, "/metrics", false, s.showMetrics},
		{http.MethodGet, "/health", true, health},
		{http.MethodGet, "/healthz", true, health},
	})
	return s, nil
}

// Look is what a robot sees and feels: the body of POST /act.
type Look struct {
	State   map[string]float64 `json:"state"`
	Images  map[string]string  `json:"images"`            // by camera, base64
	Episode string             `json:"episode,omitempty"` // "" = nothing is remembered
	Age     float64            `json:"age,omitempty"`     // of the pictures, in seconds
}

// Act is what a robot should do: the answer of POST /act.
type Act struct {
	Actions  [][]float32 `json:"actions"` // of the next steps; each has the numbers of Names
	Names    []string    `json:"names"`
	Where    [2]float64  `json:"where"`    // of the next event, in shares of the picture
	Sure     float64     `json:"sure"`     // its probability
	Familiar bool        `json:"familiar"` // what is seen is like the demonstrations
	Hold     bool        `json:"hold"`     // the actions keep the robot where it is
	Note     string      `json:"note"`     // what the robot has noticed
}

// act answers POST /act.
func (s *Robot) act(w http.ResponseWriter, r *http.Request) error {
	if !s.waiting.TryAcquire(1) {
		return s.busy("too many requests wait for an answer")
	}
	defer s.waiting.Release(1)
	look, release, err := s.readLook(w, r)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), s.limits.Answer)
	defer cancel()
	start := time.Now()
	defer func() { s.usual.add(time.Since(start).Seconds()) }()
	out, err := s.decide(ctx, look)
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// readLook reads the body. What it takes of the server's memory is given back by release.
func (s *Robot) readLook(w http.ResponseWriter, r *http.Request) (look *Look, release func(), err error) {
	if !s.reading.TryAcquire(1) {
		return nil, nil, s.busy("too many requests arrive to read them all")
	}
	defer s.reading.Release(1)
	most := withRoom(s.limits.Bytes)
	r.Body = http.MaxBytesReader(w, r.Body, most)
	b := &body{from: s.memory, said: min(r.ContentLength, most)}
	defer func() {
		if err != nil {
			b.release()
		}
	}()
	if err := b.readAll(r.Body, most); err != nil {
		return nil, nil, broken(err)
	}
	more := 2 * int64(len(b.data))
	if !b.from.TryAcquire(more) {
		return nil, nil, errNoMemory()
	}
	b.taken += more
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // what follows is another request
	const want = `want {"state": {NAME: NUMBER}, "images": {CAMERA: "BASE64"}, "episode": "ID"}; see /contract`
	dec := json.NewDecoder(bytes.NewReader(b.data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&look); err != nil || look == nil {
		if err == nil {
			return nil, nil, badRequest("null; %s", want)
		}
		return nil, nil, badRequest("%.200q; %s", err.Error(), want)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, nil, badRequest("more than one JSON value; %s", want)
	}
	// A null would be taken as 0.
	var given struct{ State map[string]*float64 }
	if err := json.Unmarshal(b.data, &given); err != nil {
		return nil, nil, badRequest("%.200q; %s", err.Error(), want)
	}
	for name, v := range given.State {
		if v == nil {
			return nil, nil, badRequest("the state's %s is null; %s", words.Quote(name), want)
		}
	}
	return look, b.release, nil
}

// decide decides what to do.
func (s *Robot) decide(ctx context.Context, look *Look) (*Act, error) {
	state, err := s.state(look.State)
	if err != nil {
		return nil, err
	}
	if !(look.Age >= 0) || len(look.Episode) > mostID {
		return nil, badRequest("an age of %g, an episode of %d characters: want 0 or more, and at most %d", look.Age, len(look.Episode), mostID)
	}
	picture, err := s.picture(ctx, look.Images)
	if err != nil {
		return nil, err
	}
	e, done, err := s.episodes.take(look.Episode)
	if err != nil {
		return nil, err
	}
	defer done()
	sum := sha256.Sum256(picture.Pix)
	if why := s.stale(e, sum, look.Age); why != "" {
		return s.hold(state, why), nil
	}
	e.last = sum
	seen, err := s.see(ctx, picture)
	if err != nil {
		return nil, err
	}
	if a, ok := e.actor.(interface{ Light(policy.Light) }); ok {
		a.Light(policy.LightOf(picture))
	}
	d, err := e.actor.Act(seen, state)
	if err != nil {
		return nil, err
	}
	strange := d.Strange > 1
	return &Act{Actions: d.Actions, Names: names(s.spec.Action), Where: d.Where, Sure: d.Sure, Familiar: !strange, Hold: strange && s.guard.Hold, Note: d.Note}, nil
}

// mostID is the longest name of an episode.
const mostID = 200

// stale says why pictures must not be acted on; "" = they are fresh.
func (s *Robot) stale(e *episode, sum [sha256.Size]byte, age float64) string {
	switch {
	case age > 2/s.spec.Rate:
		return "the pictures are older than two steps; hold"
	case sum == e.last:
		return "the picture is frozen: it is the one before, bit for bit; hold"
	}
	return ""
}

// hold lets the robot stay where it is.
func (s *Robot) hold(state []float32, why string) *Act {
	return &Act{Actions: [][]float32{s.guard.Still(state)}, Names: names(s.spec.Action), Familiar: false, Hold: true, Note: why}
}

func names(dims []sim.Dimension) (all []string) {
	for _, d := range dims {
		all = append(all, d.Name)
	}
	return all
}

// state puts the numbers of a state in order.
func (s *Robot) state(by map[string]float64) ([]float32, error) {
	all := names(s.spec.State)
	for name := range by {
		if !slices.Contains(all, name) {
			return nil, problemf(http.StatusUnprocessableEntity, "the robot has no state %s, it has %s; see /contract", words.Quote(name), strings.Join(all, ", "))
		}
	}
	out := make([]float32, len(all))
	for i, name := range all {
		v, ok := by[name]
		if !ok {
			return nil, problemf(http.StatusUnprocessableEntity, "the state has no %s, want %s", name, strings.Join(all, ", "))
		}
		if v > 1e30 || v < -1e30 {
			return nil, problemf(http.StatusUnprocessableEntity, "the state's %s is %g", name, v)
		}
		out[i] = float32(v)
	}
	return out, nil
}

// picture decodes the picture of the camera that the policy sees with. Those of other cameras of the
// contract are not looked at.
func (s *Robot) picture(ctx context.Context, by map[string]string) (*transforms.Picture, error) {
	var cameras []string
	for _, c := range s.spec.Cameras {
		cameras = append(cameras, c.Name)
	}
	for name := range by {
		if !slices.Contains(cameras, name) {
			return nil, problemf(http.StatusUnprocessableEntity, "the robot has no camera %s, it has %s; see /contract", words.Quote(name), strings.Join(cameras, ", "))
		}
	}
	camera := s.spec.Cameras[0]
	text, ok := by[camera.Name]
	if !ok || text == "" {
		return nil, problemf(http.StatusUnprocessableEntity, "no picture of camera %s", camera.Name)
	}
	data, err := decodeBase64(text)
	if err != nil {
		return nil, badRequest("the picture of camera %s is not base64: %v", camera.Name, err)
	}
	if int64(len(data)) > s.limits.Bytes {
		return nil, problemf(http.StatusRequestEntityTooLarge, "the picture is larger than %d bytes", s.limits.Bytes)
	}
	if err := s.decoding.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer s.decoding.Release(1)
	most := s.limits.Pixels
	if camera.Side > 0 {
		most = min(most, 4*camera.Side*camera.Side)
	}
	p, err := transforms.Decode(data, transforms.DecodeOptions{MaxPixels: most})
	if err != nil {
		return nil, err
	}
	if camera.Side > 0 && (p.Width != camera.Side || p.Height != camera.Side) {
		return nil, problemf(http.StatusUnprocessableEntity, "the picture of camera %s has %d x %d pixels, want %d x %d", camera.Name, p.Width, p.Height, camera.Side, camera.Side)
	}
	return p, nil
}

// see runs a picture through the network.
func (s *Robot) see(ctx context.Context, p *transforms.Picture) (row []float32, err error) {
	eyes := s.policy.Eyes
	var bad error
	err = features.Forward(ctx, eyes.Backbone, features.Pass{
		Size: eyes.Preset.Size, Pictures: 1,
		Look:    func(_ int, t transforms.Tensor) { s.onlooker.look(t) },
		Prepare: func(int) (transforms.Tensor, error) { return eyes.Preset.Eval().Apply(p, transforms.Rand{}) },
		Use:     func(_ []int, rows []float32) error { row = slices.Clone(rows); return nil },
		Bad:     func(_ int, err error) { bad = err },
	})
	if err == nil {
		err = bad
	}
	return row, err
}

// contractAnswer is the answer of /contract.
type contractAnswer struct {
	Robot    sim.Spec      `json:"robot"`
	Sight    policy.Sight  `json:"sight"`
	Learnt   policy.Learnt `json:"learnt"`
	Parity   float64       `json:"parity"` // of the built-in scenes, as a share of what is allowed
	Hold     bool          `json:"hold"`   // while what is seen is not familiar
	Episodes int           `json:"episodes"`
	SHA256   string        `json:"sha256"` // of the policy file
}

// contract answers /contract.
func (s *Robot) contract(w http.ResponseWriter, _ *http.Request) error {
	p := s.policy
	return writeJSON(w, contractAnswer{s.spec, p.Sight, p.Learnt, p.Parity, s.guard.Hold, s.episodes.most, p.SHA256})
}
