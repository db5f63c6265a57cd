package rosbridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/words"
)

// message is what a server sends. Which fields it has depends on the operation.
type message struct {
	Op    string          `json:"op"`
	Topic string          `json:"topic"`
	Msg   json.RawMessage `json:"msg"` // an object; of a status, a string
	Level string          `json:"level"`

	ID    json.RawMessage `json:"id"` // a string or a number
	Data  string          `json:"data"`
	Num   float64         `json:"num"`
	Total float64         `json:"total"` // some servers divide without rounding down
}

// take does what a message says. Those of fragments are put together first.
func (c *Client) take(data []byte, parts *assembly) error {
	m, err := parse(data)
	if err != nil {
		return err
	}
	if m.Op == "fragment" {
		whole, err := parts.add(m, time.Now())
		if err != nil || whole == nil {
			return err
		}
		if m, err = parse(whole); err != nil {
			return fmt.Errorf("fragments: %w", err)
		}
	}
	switch m.Op {
	case "publish":
		if !slices.ContainsFunc(c.o.Subscribe, func(t Topic) bool { return t.Name == m.Topic }) {
			return fmt.Errorf("a message of topic %s, which was not asked for", words.Quote(m.Topic))
		}
		if len(m.Msg) == 0 {
			return fmt.Errorf("topic %s: no msg", words.Quote(m.Topic))
		}
		c.o.Events.Heard(m.Topic, m.Msg)
		return nil
	case "status":
		var text string
		if err := json.Unmarshal(m.Msg, &text); err != nil {
			return errors.New("a status without a text")
		}
		c.o.Events.Status(words.Shorten(m.Level, 20), words.Shorten(text, 300))
		return nil
	}
	return fmt.Errorf("op %s, want publish, fragment or status", words.Quote(m.Op))
}

func parse(data []byte) (*message, error) {
	m := new(message)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("not a rosbridge message: %s", words.Shorten(err.Error(), 120))
	}
	if m.Op == "" {
		return nil, errors.New("not a rosbridge message: it has no op")
	}
	return m, nil
}

// The limits of fragments: of one message, of messages at a time, and of the wait for the last.
const (
	mostFragments = 1 << 14
	mostOpen      = 4
	mostWait      = 10 * time.Second
)

// assembly puts messages together from their fragments.
type assembly struct {
	most int64     // bytes of a message
	open []*pieces // oldest first
}

// pieces are the fragments of one message.
type pieces struct {
	id      string
	parts   []*string
	missing int
	bytes   int64
	began   time.Time
}

// add returns the whole message with its last fragment, and nil before.
func (a *assembly) add(m *message, now time.Time) ([]byte, error) {
	m.Total = math.Floor(m.Total)
	if !(m.Total >= 1 && m.Total <= mostFragments) || !(m.Num >= 0 && m.Num < m.Total) || m.Num != math.Floor(m.Num) {
		return nil, fmt.Errorf("fragment %g of %g, want 0 and more of 1 to %d", m.Num, m.Total, mostFragments)
	}
	if len(m.ID) > 200 {
		return nil, fmt.Errorf("the id of a fragment has %d bytes, want at most 200", len(m.ID))
	}
	at, total := int(m.Num), int(m.Total)
	p, given := a.find(string(m.ID), total, now)
	if total != len(p.parts) {
		a.drop(p)
		return nil, fmt.Errorf("a fragment of %d, where the one before was of %d", total, len(p.parts))
	}
	if p.parts[at] != nil {
		return nil, fmt.Errorf("fragment %d of %d came twice", at, total)
	}
	p.parts[at], p.missing, p.bytes = &m.Data, p.missing-1, p.bytes+int64(len(m.Data))
	if p.bytes > a.most {
		a.drop(p)
		return nil, fmt.Errorf("fragments of more than %d bytes", a.most)
	}
	if p.missing > 0 {
		return nil, given
	}
	a.drop(p)
	var whole strings.Builder
	whole.Grow(int(p.bytes))
	for _, part := range p.parts {
		whole.WriteString(*part)
	}
	return []byte(whole.String()), nil
}

// find returns the message of an id, a new one if need be. The error says which others were given up.
func (a *assembly) find(id string, total int, now time.Time) (_ *pieces, given error) {
	for len(a.open) > 0 && now.Sub(a.open[0].began) > mostWait {
		given = a.giveUp()
	}
	for _, p := range a.open {
		if p.id == id {
			return p, given
		}
	}
	if len(a.open) == mostOpen {
		given = a.giveUp()
	}
	p := &pieces{id: id, parts: make([]*string, total), missing: total, began: now}
	a.open = append(a.open, p)
	return p, given
}

// giveUp drops the oldest message.
func (a *assembly) giveUp() error {
	old := a.open[0]
	a.drop(old)
	return fmt.Errorf("a message of which %d of %d fragments never came", old.missing, len(old.parts))
}

func (a *assembly) drop(p *pieces) {
	a.open = slices.DeleteFunc(a.open, func(other *pieces) bool { return other == p })
}
