package words

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestShorten(t *testing.T) {
	for s, want := range map[string]string{
		"ants": "ants", "éclairs": "éclairs", "caterpillars": "cate…ars",
		"a\x1b[2J": "a?[2J", "\u202egnp": "?gnp", "\u009bm": "?m",
	} {
		if got := Shorten(s, 8); got != want || utf8.RuneCountInString(got) > 8 {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

func TestSome(t *testing.T) {
	names := strings.Split(strings.Repeat("label\n,", 300), ",")[:300]
	if got := Some(names); !strings.HasSuffix(got, " and 280 more") || strings.Contains(got, "\n") {
		t.Errorf("of 300: %q", got)
	}
	if got := Some([]string{"ants", "bees"}); got != "ants, bees" {
		t.Errorf("of two: %q", got)
	}
}
