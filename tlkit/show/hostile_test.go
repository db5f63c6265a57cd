package show

import (
	"testing"

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
}
