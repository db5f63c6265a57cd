// Package words makes a stranger's names fit for a person's screen: labels, files and
// columns may be long, many, or hold what a terminal would obey.
package words

import (
	"fmt"
	"strings"
)

// Plain puts a question mark where a character would move the cursor or turn the direction
// of the text.
func Plain(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c <= 0x9f || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
			return '?'
		}
		return c
	}, s)
}

// Shorten is the name, plain, in at most n characters (3 or more): the middle of a long one
// is cut out, because both ends tell names apart.
func Shorten(s string, n int) string {
	r := []rune(Plain(s))
	if len(r) <= n {
		return string(r)
	}
	half := (n - 1) / 2
	return string(r[:n-1-half]) + "…" + string(r[len(r)-half:])
}

// Some lists at most twenty names: a head of 300 labels must not fill the screen.
func Some(names []string) string {
	const shown = 20
	if len(names) <= shown {
		return Plain(strings.Join(names, ", "))
	}
	return Plain(fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown))
}
