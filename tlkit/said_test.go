//go:build !tlkit_worker

package tlkit

import "testing"

// Licences and hashes are shown once in a kernel, and again when they are others.
func TestSaid(t *testing.T) {
	room := t.TempDir()
	a, b := []string{"a", "x"}, []string{"a", "y"}
	for i, c := range []struct {
		room string
		what []string
		want bool
	}{{room, a, false}, {room, a, true}, {room, b, false}, {room, b, true}, {room, a, true}, {t.TempDir(), a, false}, {"", a, false}, {"/no/where", a, false}} {
		if got := said(c.room, c.what); got != c.want {
			t.Errorf("%d: said is %v", i, got)
		}
	}
}
