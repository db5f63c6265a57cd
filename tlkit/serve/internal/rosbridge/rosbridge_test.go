package rosbridge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// listener keeps what it hears.
type listener struct{ heard, status []string }

func (l *listener) Up()                                   {}
func (l *listener) Down(error, time.Duration)             {}
func (l *listener) Heard(topic string, m json.RawMessage) { l.heard = append(l.heard, topic+string(m)) }
func (l *listener) Refused(error)                         {}
func (l *listener) Status(level, text string)             { l.status = append(l.status, level+text) }

func fragment(id any, data string, num int, total float64) []byte {
	raw, err := json.Marshal(map[string]any{"op": "fragment", "id": id, "data": data, "num": num, "total": total})
	if err != nil {
		panic(err)
	}
	return raw
}

func client(t *testing.T) (*Client, *listener) {
	t.Helper()
	l := new(listener)
	c, err := New(Options{URL: "ws://127.0.0.1:9090", Subscribe: []Topic{{Name: "/a", Type: "std_msgs/String"}}, Most: 1000, Events: l})
	if err != nil {
		t.Fatal(err)
	}
	return c, l
}

const whole = `{"op":"publish","topic":"/a","msg":{"data":"a long text"}}`

// Fragments come in any order, and those of several messages between each other.
func TestFragments(t *testing.T) {
	c, l := client(t)
	parts := assembly{most: 1000}
	for _, m := range [][]byte{
		fragment("x", whole[40:], 2, 3), fragment(7, whole[:30], 0, 2.9), fragment("x", whole[:20], 0, 3), fragment(7, whole[30:], 1, 2.9), fragment("x", whole[20:40], 1, 3),
		fragment("y", `{"op":"status","level":"warning","msg":"b\u001b"}`, 0, 1),
	} {
		if err := c.take(m, &parts); err != nil {
			t.Error(err)
		}
	}
	if want := `/a{"data":"a long text"}`; len(l.heard) != 2 || l.heard[0] != want || l.heard[1] != want || len(l.status) != 1 || l.status[0] != "warningb?" {
		t.Errorf("heard %q and %q", l.heard, l.status)
	}
	if len(parts.open) > 0 {
		t.Errorf("%d messages are left", len(parts.open))
	}
}

// Fragments that never come, too many or too long ones are given up, and say so.
func TestFragmentsAreBounded(t *testing.T) {
	now := time.Now()
	parts := assembly{most: 1000}
	add := func(id string, num, total float64, data string) error {
		whole, err := parts.add(&message{ID: json.RawMessage(id), Num: num, Total: total, Data: data}, now)
		if whole != nil {
			t.Errorf("%s is whole", id)
		}
		return err
	}
	for i := range mostOpen {
		if err := add(fmt.Sprint(i), 0, 3, "x"); err != nil {
			t.Error(err)
		}
	}
	for want, err := range map[string]error{
		"2 of 3 fragments never came": add("new", 0, 2, ""),
		"came twice":                  add("new", 0, 2, ""),
		"where the one before was of": add("1", 1, 4, ""),
		"more than 1000 bytes":        add("2", 1, 3, strings.Repeat("x", 1000)),
		"at most 200":                 add(strings.Repeat("i", 201), 0, 2, ""),
		"fragment 0 of 20000":         add("z", 0, 20_000, ""),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	now = now.Add(mostWait + 1)
	if err := add("last", 0, 2, ""); err == nil || len(parts.open) != 1 {
		t.Errorf("%v, and %d messages are left, want 1", err, len(parts.open))
	}
}

// Whatever comes is a message or an error.
func TestMutatedMessages(t *testing.T) {
	c, l := client(t)
	parts := assembly{most: 1000}
	r := rand.New(rand.NewPCG(1, 2))
	seeds := [][]byte{[]byte(whole), fragment("x", whole, 0, 1), fragment("x", whole[:20], 0, 2), []byte(`{"op":"status","level":"error","msg":"x"}`)}
	words := []string{`"`, "{", "}", "[", ",", ":", "null", "1e999", "-1", "1e308", `\u0000`, "\xff", `"total":`, `"num":`, "9007199254740993"}
	refused := 0
	for range 20_000 {
		m := bytes.Clone(seeds[r.IntN(len(seeds))])
		for range 1 + r.IntN(3) {
			at := r.IntN(len(m))
			switch r.IntN(3) {
			case 0:
				m[at] = byte(r.Uint32())
			case 1:
				m = append(m[:at], append([]byte(words[r.IntN(len(words))]), m[at:]...)...)
			case 2:
				m = append(m[:at:at], m[min(at+1+r.IntN(5), len(m)-1):]...)
			}
		}
		if c.take(m, &parts) != nil {
			refused++
		}
	}
	if refused < 1000 || len(l.heard) < 100 || len(parts.open) > mostOpen {
		t.Errorf("%d messages were refused, %d heard, %d are open", refused, len(l.heard), len(parts.open))
	}
}
