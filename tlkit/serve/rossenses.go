package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tlkit/transfer-learning/internal/words"
)

// rosSenses are what was heard from a robot.
type rosSenses struct {
	mu     sync.Mutex
	up     bool
	epoch  int // counts episodes
	image  heardImage
	clock  stampClock
	felt   map[string]feltValue
	others []string // some names that the contract does not have
}

// heardImage is the newest picture.
type heardImage struct {
	data   string // base64; "" = none
	number int
	at     time.Time
	behind time.Duration // how much longer it took to come than others
}

// feltValue is the newest value of a name.
type feltValue struct {
	value float64
	at    time.Time
}

// rosNow is what is known at a moment.
type rosNow struct {
	up       bool
	epoch    int
	image    heardImage
	state    map[string]float64
	stateAge time.Duration // of its oldest value
	others   []string
}

func (h *rosSenses) now(want []string) rosNow {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := rosNow{up: h.up, epoch: h.epoch, image: h.image, state: map[string]float64{}, others: slices.Clone(h.others)}
	for _, name := range want {
		if v, ok := h.felt[name]; ok {
			n.state[name] = v.value
			n.stateAge = max(n.stateAge, time.Since(v.at))
		}
	}
	return n
}

// imageAge is how old the picture is.
func (n rosNow) imageAge() time.Duration { return time.Since(n.image.at) + n.image.behind }

// blind says what of the state was never heard; "" = nothing.
func (n rosNow) blind(want []string) string {
	var missing []string
	for _, name := range want {
		if _, ok := n.state[name]; !ok {
			missing = append(missing, name)
		}
	}
	if missing == nil {
		return ""
	}
	why := "nothing was felt yet of " + strings.Join(missing, ", ")
	if len(n.others) > 0 {
		why += "; the state's topic has " + words.Some(n.others)
	}
	return why
}

// vector is the state in the contract's order.
func (n rosNow) vector(want []string) (out []float32) {
	for _, name := range want {
		out = append(out, float32(n.state[name]))
	}
	return out
}

// connected notes that the connection is here or lost. What was heard over another one counts no more.
func (h *rosSenses) connected(up bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.up = up
	h.felt, h.others, h.clock = map[string]feltValue{}, nil, stampClock{}
	h.newEpisode()
}

// restart begins a new episode, with a picture that is yet to come.
func (h *rosSenses) restart() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.newEpisode()
}

func (h *rosSenses) newEpisode() {
	h.epoch++
	h.image = heardImage{number: h.image.number}
}

// compressedImage is sensor_msgs/CompressedImage.
type compressedImage struct {
	Header struct {
		Stamp rosStamp `json:"stamp"`
	} `json:"header"`
	Format string `json:"format"`
	Data   string `json:"data"`
}

// rosStamp is a time of ROS 2, or of ROS 1.
type rosStamp struct {
	Sec     int64 `json:"sec"`
	Nanosec int64 `json:"nanosec"`
	Secs    int64 `json:"secs"`
	Nsecs   int64 `json:"nsecs"`
}

// time is the stamp since its epoch; 0 = none.
func (t rosStamp) time() (time.Duration, error) {
	sec, nano := t.Sec+t.Secs, t.Nanosec+t.Nsecs
	if t.Sec < 0 || t.Secs < 0 || sec < 0 || sec >= 1<<33 || nano < 0 || nano >= int64(time.Second) {
		return 0, fmt.Errorf("a stamp of %d s and %d ns", sec, nano)
	}
	return time.Duration(sec)*time.Second + time.Duration(nano), nil
}

// hearImage notes the picture of a message.
func (h *rosSenses) hearImage(raw json.RawMessage, noStamps bool) error {
	var m compressedImage
	if err := json.Unmarshal(raw, &m); err != nil {
		return notOfType(imageType, err)
	}
	stamp, err := m.Header.Stamp.time()
	switch {
	case err != nil:
		return err
	case m.Data == "":
		return errors.New("a picture without data")
	case strings.Contains(m.Format, "compressedDepth"):
		return errors.New("a depth image, want colours")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if noStamps {
		stamp = 0
	}
	behind, again := h.clock.see(now, stamp)
	if again {
		return nil // the one before, which does not become younger by being sent again
	}
	h.image = heardImage{data: m.Data, number: h.image.number + 1, at: now, behind: behind}
	return nil
}

// stampClock tells by their stamps which pictures took longer to come than others, such as those from
// a queue. The two clocks need not agree: what counts is the difference to the fastest picture.
type stampClock struct {
	start   time.Time
	stamp   time.Duration // of the picture before
	arrived time.Time     // the same
	least   time.Duration // arrival less stamp of the fastest picture
}

// see says how much longer a picture took than the fastest one, and whether it came before.
func (c *stampClock) see(now time.Time, stamp time.Duration) (behind time.Duration, again bool) {
	if stamp == 0 {
		return 0, false
	}
	if stamp == c.stamp {
		return 0, true
	}
	if c.start.IsZero() {
		c.start = now
	}
	offset := now.Sub(c.start) - stamp
	if c.stamp == 0 || stamp < c.stamp { // the first one, or the clock was set back
		c.least = offset
	} else {
		c.least += now.Sub(c.arrived) / 1000 // clocks drift apart, though not as fast as this
	}
	c.least = min(c.least, offset)
	c.stamp, c.arrived = stamp, now
	return offset - c.least, false
}

// jointState is sensor_msgs/JointState. A number that JSON cannot write is null.
type jointState struct {
	Name     []string   `json:"name"`
	Position []*float64 `json:"position"`
}

// hearState notes the positions of a message. Robots may publish them in parts, and with others.
func (h *rosSenses) hearState(raw json.RawMessage, want []string) error {
	var m jointState
	if err := json.Unmarshal(raw, &m); err != nil {
		return notOfType(stateType, err)
	}
	if len(m.Name) != len(m.Position) {
		return fmt.Errorf("%d names and %d positions", len(m.Name), len(m.Position))
	}
	now := time.Now()
	felt := map[string]feltValue{}
	var others []string
	for i, name := range m.Name {
		if !slices.Contains(want, name) {
			if len(others) < 8 {
				others = append(others, words.Shorten(name, 60))
			}
			continue
		}
		if _, twice := felt[name]; twice {
			return fmt.Errorf("name %s twice", name)
		}
		if m.Position[i] == nil {
			return fmt.Errorf("the position of %s is null: not a number, or infinite", name)
		}
		felt[name] = feltValue{*m.Position[i], now}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.Copy(h.felt, felt)
	if len(felt) == 0 {
		h.others = others
	}
	return nil
}

func notOfType(kind string, err error) error {
	return fmt.Errorf("not a %s: %s", kind, words.Shorten(err.Error(), 120))
}
