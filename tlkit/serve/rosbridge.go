package serve

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/serve/internal/rosbridge"
)

// RosbridgeOptions are where a robot with ROS is, and its topics.
type RosbridgeOptions struct {
	URL string // of rosbridge_server: ws://HOST:PORT, or wss://HOST:PORT with TLS
	CA  string // PEM file of the authority behind the server's certificate; "" = the system's

	Image   string // topic of sensor_msgs/CompressedImage, the contract's first camera
	State   string // topic of sensor_msgs/JointState, with the names of the contract's state
	Action  string // topic of std_msgs/Float64MultiArray, with the numbers of the contract's action
	Episode string // topic of std_msgs/Empty, each message of which begins an episode; "" = none

	// NoStamps judges how old pictures are by their arrival alone, for robots whose clock does not run
	// at the speed of this machine's, such as simulated ones.
	NoStamps bool
}

// The types of the topics. ROS 2 reads this form of the names, too.
const (
	imageType   = "sensor_msgs/CompressedImage"
	stateType   = "sensor_msgs/JointState"
	actionType  = "std_msgs/Float64MultiArray"
	episodeType = "std_msgs/Empty"
)

// Rosbridge drives a robot with ROS until ctx ends: it connects to its rosbridge_server, hears pictures
// and states, and publishes one action for each step of the contract's rate. What is seen and felt goes
// the way of POST /act. A lost connection comes back, and begins a new episode.
//
// While the robot has to hold, the action that keeps it where it is is published at every step. While
// no state comes, none is known: when the state is older than two steps, that action is published
// once more, and then nothing, so that the robot's controller has to stop by itself. When ctx ends, the
// last thing published is that action.
func (s *Robot) Rosbridge(ctx context.Context, o RosbridgeOptions) error {
	d, err := s.newRosDriver(o)
	if err != nil {
		return err
	}
	link, unlink := context.WithCancel(context.WithoutCancel(ctx))
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		d.client.Run(link)
	}()
	tick := time.NewTicker(d.period)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			d.step(link) // not ctx: a write that ctx ends would end the connection before the last action
		}
	}
	d.rest(link)
	unlink()
	<-gone
	d.robot.ros.connected.Set(0)
	return nil
}

// rosDriver drives a robot with ROS.
type rosDriver struct {
	robot  *Robot
	o      RosbridgeOptions
	client *rosbridge.Client
	period time.Duration // of a step
	state  []string      // names of the contract
	label  string        // of the actions
	log    *quietLog

	heard rosSenses

	// Of the steps alone.
	begun   int         // the episode that the fields below are of
	episode string      // its ID
	looked  int         // the number of the last picture that was looked at
	fault   string      // what was wrong with that picture
	pending [][]float32 // actions of the last look
	holding string      // why these hold the robot; "" = they do not
	rested  bool        // the robot was told to hold since the state became old
}

// partsOfState is how many messages may wait for each other: several nodes may publish a state in parts.
const partsOfState = 10

// topicName is how topics are called.
var topicName = regexp.MustCompile(`^/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*$`)

// Check reports what is wrong with the options. It does not connect.
func (o RosbridgeOptions) Check() error {
	topics := []struct{ what, name string }{{"image", o.Image}, {"state", o.State}, {"action", o.Action}, {"episode", o.Episode}}
	for i, t := range topics {
		if t.name == "" && t.what == "episode" {
			continue
		}
		if !topicName.MatchString(t.name) || len(t.name) > 255 {
			return advice.New(fmt.Errorf("serve: the %s topic is %s", t.what, words.Quote(t.name)), "want a name such as /camera/image/compressed; ros2 topic list shows what there is")
		}
		for _, other := range topics[:i] {
			if other.name == t.name {
				return advice.New(fmt.Errorf("serve: %s is the %s topic and the %s topic", t.name, other.what, t.what), "name a topic for each")
			}
		}
	}
	_, err := o.client(rosbridge.Options{})
	return err
}

// client completes the options of a client, and makes it.
func (o RosbridgeOptions) client(r rosbridge.Options) (*rosbridge.Client, error) {
	r.URL, r.CA = o.URL, o.CA
	r.Advertise = []rosbridge.Topic{{Name: o.Action, Type: actionType}}
	return rosbridge.New(r)
}

func (s *Robot) newRosDriver(o RosbridgeOptions) (*rosDriver, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if !(s.spec.Rate > 0 && s.spec.Rate <= 1000) || len(s.spec.Cameras) == 0 {
		return nil, fmt.Errorf("serve: the contract has %g steps a second and %d cameras, want more than 0 and at most 1000, and 1 or more", s.spec.Rate, len(s.spec.Cameras))
	}
	period := time.Duration(float64(time.Second) / s.spec.Rate)
	d := &rosDriver{robot: s, o: o, period: period, state: names(s.spec.State), label: strings.Join(names(s.spec.Action), ","), log: &quietLog{to: s.log}}
	d.heard.felt = map[string]feltValue{}
	hear := []rosbridge.Topic{{Name: o.Image, Type: imageType, Every: period / 2, Queue: 1}, {Name: o.State, Type: stateType, Queue: partsOfState}}
	if o.Episode != "" {
		hear = append(hear, rosbridge.Topic{Name: o.Episode, Type: episodeType, Queue: 1})
	}
	var err error
	d.client, err = o.client(rosbridge.Options{Subscribe: hear, Most: withRoom(s.limits.Bytes), Events: d})
	return d, err
}

// step publishes the action of one step.
func (d *rosDriver) step(ctx context.Context) {
	now := d.heard.now(d.state)
	if now.epoch != d.begun {
		d.begin(now.epoch)
	}
	if !now.up {
		return // and Down has said so
	}
	action, why := d.choose(ctx, now)
	if why != "" {
		d.log.say("hold "+kindOf(why), slog.LevelWarn, "the robot holds", "why", why)
	}
	kind := "act"
	if why != "" {
		kind = "hold"
	}
	d.publish(ctx, kind, action)
}

// begin forgets what belonged to the episode before.
func (d *rosDriver) begin(epoch int) {
	d.robot.episodes.forget(d.episode)
	d.begun, d.episode = epoch, "rosbridge "+rand.Text()
	d.looked, d.fault, d.pending, d.holding, d.rested = 0, "", nil, "", false
}

// mostAge is how old a state, and a picture, may be.
func (d *rosDriver) mostAge() time.Duration { return 2 * d.period }

// choose returns the action of a step, nil for none, and why the robot has to hold; "" = it does not.
func (d *rosDriver) choose(ctx context.Context, now rosNow) (action []float32, why string) {
	if why := now.blind(d.state); why != "" {
		return nil, why
	}
	still := d.robot.guard.Still(now.vector(d.state))
	if now.stateAge > d.mostAge() {
		d.pending = nil
		if d.rested {
			still = nil
		}
		d.rested = true
		return still, "the state is older than two steps; its topic is silent"
	}
	d.rested = false
	switch {
	case now.image.data == "":
		d.pending = nil
		return still, "no picture yet: topic " + d.o.Image + " is silent"
	case now.imageAge() > d.mostAge():
		d.pending = nil
		return still, "the pictures are older than two steps"
	case len(d.pending) > 0:
	case now.image.number == d.looked:
		return still, orElse(d.fault, "no new picture since the last look")
	default:
		d.looked = now.image.number
		if d.fault = d.look(ctx, now); d.fault != "" {
			return still, d.fault
		}
	}
	action, d.pending = d.pending[0], d.pending[1:]
	return action, d.holding
}

func orElse(text, otherwise string) string {
	if text != "" {
		return text
	}
	return otherwise
}

// kindOf is a reason without its numbers, so that the log does not repeat it with others.
func kindOf(why string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r == '.' || r == '-' {
			return -1
		}
		return r
	}, why[:min(len(why), 48)])
}

// look has the policy decide what to do next, the way POST /act does. It returns what is wrong; "" = nothing.
func (d *rosDriver) look(ctx context.Context, now rosNow) (fault string) {
	defer func() {
		if e := recover(); e != nil { // as for requests: one picture must not stop the robot's watchdog
			d.robot.log.Error("a look failed", "panic", e, "stack", string(debug.Stack()))
			d.pending, fault = nil, "the look failed; the log says why"
		}
	}()
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, d.robot.limits.Answer)
	defer cancel()
	look := &Look{
		State: now.state, Images: map[string]string{d.robot.spec.Cameras[0].Name: now.image.data},
		Episode: d.episode, Age: now.imageAge().Seconds(),
	}
	out, err := d.robot.decide(ctx, look)
	if err != nil {
		p := problemOf(err)
		if p.Status >= 500 {
			d.log.say("look", slog.LevelError, "a look failed", "error", err)
		} else {
			d.robot.ros.messages.WithLabelValues("image", "refused").Inc()
		}
		return p.Detail
	}
	if now.imageAge() > d.mostAge() { // in the meantime
		return fmt.Sprintf("the policy took %.2f s, and the picture is older than two steps now", time.Since(began).Seconds())
	}
	if len(out.Actions) == 0 {
		return "the policy gave no action"
	}
	d.pending, d.holding = out.Actions, ""
	if out.Hold {
		d.holding = orElse(out.Note, "what is seen is not familiar")
	}
	return ""
}

// multiArray is std_msgs/Float64MultiArray, what forward_command_controller and its kind hear.
type multiArray struct {
	Layout struct {
		Dim    []arrayDim `json:"dim"`
		Offset int        `json:"data_offset"`
	} `json:"layout"`
	Data []float32 `json:"data"`
}

type arrayDim struct {
	Label  string `json:"label"` // the names, in order
	Size   int    `json:"size"`
	Stride int    `json:"stride"`
}

// publish sends an action; nil = none.
func (d *rosDriver) publish(ctx context.Context, kind string, action []float32) {
	if action == nil {
		d.robot.ros.actions.WithLabelValues("none").Inc()
		return
	}
	m := multiArray{Data: action}
	m.Layout.Dim = []arrayDim{{d.label, len(action), len(action)}}
	if err := d.client.Publish(ctx, d.o.Action, m); err != nil {
		d.log.say("publish", slog.LevelWarn, "an action was not published", "error", err)
		return
	}
	d.robot.ros.actions.WithLabelValues(kind).Inc()
}

// rest leaves the robot where it is, as the last thing that is published.
func (d *rosDriver) rest(ctx context.Context) {
	d.robot.episodes.forget(d.episode)
	now := d.heard.now(d.state)
	if now.up && now.blind(d.state) == "" && now.stateAge <= d.mostAge() {
		d.publish(ctx, "hold", d.robot.guard.Still(now.vector(d.state)))
	}
}

// Up implements rosbridge.Events.
func (d *rosDriver) Up() {
	d.heard.connected(true)
	d.robot.ros.connected.Set(1)
	d.robot.ros.connections.Inc()
	d.robot.log.Info("rosbridge connected: a new episode begins", "url", d.address(), "image", d.o.Image, "state", d.o.State, "action", d.o.Action)
}

// Down implements rosbridge.Events.
func (d *rosDriver) Down(why error, again time.Duration) {
	d.heard.connected(false)
	d.robot.ros.connected.Set(0)
	d.robot.log.Warn("rosbridge is not connected", "url", d.address(), "error", why, "again_in", again.Round(time.Millisecond))
}

// address is the URL without a password.
func (d *rosDriver) address() string {
	u, err := url.Parse(d.o.URL)
	if err != nil {
		return ""
	}
	return u.Redacted()
}

// Heard implements rosbridge.Events.
func (d *rosDriver) Heard(topic string, m json.RawMessage) {
	what, err := "episode", error(nil)
	switch topic {
	case d.o.Image:
		what = "image"
		err = d.heard.hearImage(m, d.o.NoStamps)
	case d.o.State:
		what = "state"
		err = d.heard.hearState(m, d.state)
	default:
		d.heard.restart()
		d.robot.log.Info("a new episode begins", "topic", topic)
	}
	if err != nil {
		d.refuse(what, fmt.Errorf("topic %s: %w", topic, err))
		return
	}
	d.robot.ros.messages.WithLabelValues(what, "used").Inc()
}

// Refused implements rosbridge.Events.
func (d *rosDriver) Refused(why error) { d.refuse("other", why) }

func (d *rosDriver) refuse(what string, why error) {
	d.robot.ros.messages.WithLabelValues(what, "refused").Inc()
	d.log.say("refused "+what, slog.LevelWarn, "a message was refused", "why", why)
}

// Status implements rosbridge.Events.
func (d *rosDriver) Status(level, text string) {
	at := slog.LevelInfo
	if level == "error" || level == "warning" {
		at = slog.LevelWarn
	}
	d.log.say("status", at, "rosbridge says", "level", level, "text", text)
}
