package show

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/internal/hostile"
)

// No text becomes markup in what a notebook shows.
func TestHostileNames(t *testing.T) {
	hostile.HTML(t, "table", func(name string) []byte {
		return []byte(Table{Caption: name, Header: []string{name, "n"}, Rows: [][]string{{name, "1"}, {"x", name}}, Left: 1}.HTML())
	})
	hostile.HTML(t, "table of a value", func(name string) []byte {
		table, ok := tableOf([]struct{ Label string }{{name}, {"x"}})
		if !ok {
			t.Fatal("no table")
		}
		return []byte(table.HTML())
	})
	hostile.HTML(t, "card", func(name string) []byte {
		return []byte(Card{What: name, Where: name, Why: name, Fix: name}.HTML())
	})
	hostile.HTML(t, "folded lines", func(name string) []byte {
		return []byte(render(foldedHTML, map[string]any{"Summary": name, "Lines": []string{name, name}}))
	})
	hostile.HTML(t, "progress", func(name string) []byte {
		return []byte(render(progressHTML, map[string]any{"Done": int64(1), "Total": int64(2), "Words": name}))
	})
	hostile.Terminal(t, "table", func(name string) string {
		return Table{Caption: name, Header: []string{name, "n"}, Rows: [][]string{{name, "1"}, {"x", name}}, Left: 1}.Text()
	})
	hostile.Terminal(t, "card", func(name string) string { return Card{What: name, Where: name, Why: name, Fix: name}.Text() })
	hostile.Terminal(t, "progress", func(name string) string {
		p := progress{what: name}
		return p.words(time.Now())
	})
	hostile.Terminal(t, "screen", func(name string) string {
		var out strings.Builder
		s := New(&out, "")
		s.Text(name)
		s.Folded(name, nil)
		s.Card(Card{What: name})
		s.Table(Table{Header: []string{name}})
		if err := s.Figure("x", said(name)); err != nil {
			t.Fatal(err)
		}
		if err := s.Value(struct{ Label string }{name}); err != nil {
			t.Fatal(err)
		}
		return out.String()
	})
}

// said is a figure that shows a name.
type said string

func (s said) PNG(io.Writer) error { return nil }
func (s said) Text() string        { return string(s) }
