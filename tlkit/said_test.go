package tlkit

import (
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/run"
)

// Licences and hashes are shown once in a kernel, and again when they are others.
func TestSaid(t *testing.T) {
	room := t.TempDir()
	a, b := run.Background{Summary: "a", Lines: []string{"x"}}, run.Background{Summary: "a", Lines: []string{"y"}}
	for i, c := range []struct {
		room string
		what run.Background
		want bool
	}{{room, a, false}, {room, a, true}, {room, b, false}, {room, b, true}, {room, a, true}, {t.TempDir(), a, false}, {"", a, false}, {"/no/where", a, false}} {
		if got := said(c.room, c.what); got != c.want {
			t.Errorf("%d: said is %v", i, got)
		}
	}
}
