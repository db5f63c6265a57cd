package compare

import (
	"reflect"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// watched is a Progress that sees a comparison grow.
type watched struct {
	seen []Growing
	said []string
}

func (w *watched) State(string, int64, int64) {}
func (w *watched) Say(s string)               { w.said = append(w.said, s) }
func (w *watched) Watch(g Growing)            { w.seen = append(w.seen, g) }

func TestAComparisonGrows(t *testing.T) {
	row := func(name string, score, seconds float64) Ranked {
		return Ranked{Model: name, Seconds: seconds, Score: metrics.Score{Metric: metrics.Accuracy, Value: score}}
	}
	rows := []zoo.Row{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	f := &forecast{rows: rows, cost: make([]float64, 3), timed: make([]bool, 3)}
	c, w := &Comparison{Data: "x"}, &watched{}
	c.Ranked = append(c.Ranked, row("a", 0.9, 0.02))
	c.tell(w, "a is done", f, 0)
	c.Ranked = append(c.Ranked, row("b", 0.9, 0.01))
	c.tell(w, "b is done", f, 1)
	c.Ranked = append(c.Ranked, row("c", 0.95, 0.03))
	c.tell(w, "c is done", f, 2)
	if len(w.said) > 0 || len(w.seen) != 3 || w.seen[1].Said != "b is done · 2 of 3" || w.seen[1].Left != "2 of 3" {
		t.Fatalf("said %q, %d times watched", w.said, len(w.seen))
	}
	var marks [][]string
	for _, g := range w.seen {
		var one []string
		for _, r := range g.Table()[1:] {
			one = append(one, r[0]+r[4])
		}
		marks = append(marks, one)
	}
	// b is as good as a and faster.
	if want := [][]string{{"a●", "b", "c"}, {"b●", "a", "c"}, {"b●", "a", "c●"}}; !reflect.DeepEqual(marks, want) {
		t.Errorf("%q, want %q", marks, want)
	}
	if c.Ranked[0].Model != "a" {
		t.Error("watching changed the order of the comparison")
	}
}
