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

func TestScreen(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "a\tb\nc\n": "a\tb\nc\n", "a\x1b[2J\nb\u202e": "a?[2J\nb?", "a\r\nb": "a?\nb",
	} {
		if got := Screen(s); got != want {
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

func TestNearest(t *testing.T) {
	names := []string{"train", "evaluate", "predict", "insects", "insects-hard", "pytorch_tutorial", "keras_guide", "--min-per-label"}
	for typed, want := range map[string]string{
		"trian": "train", "tran": "train", "eval": "evaluate", "pedict": "predict", "insect": "insects", "insects_hard": "insects-hard", "INSECTS": "insects",
		"pytorch": "pytorch_tutorial", "pytorch-tutorial": "pytorch_tutorial", "kears_guide": "keras_guide", "--min-per-lable": "--min-per-label",
		"x": "", "": "", "banana": "", "trainer": "train", "paln": "", strings.Repeat("train", 1000): "",
	} {
		if got := Nearest(typed, names); got != want {
			t.Errorf("%.20q: %q, want %q", typed, got, want)
		}
	}
	if got := DidYouMean("trian", names); got != "did you mean train? " {
		t.Errorf("%q", got)
	}
}

func TestQuote(t *testing.T) {
	long := strings.Repeat("é", 1_000_000)
	for s, want := range map[string]string{
		"layer1.0.conv1.weight": "layer1.0.conv1.weight", "": `""`, "two words": `"two words"`,
		"\x1b]0;title\a": `"\x1b]0;title\a"`, "\x1b[2J": `"\x1b[2J"`, "\u202egnp": `"\u202egnp"`, "\xff": `"\xff"`, "a\x00b": `"a\x00b"`,
		long: strings.Repeat("é", 60) + "...", long[:120]: long[:120],
	} {
		if got := Quote(s); got != want {
			t.Errorf("%.20q: %s, want %s", s, got, want)
		}
	}
}
