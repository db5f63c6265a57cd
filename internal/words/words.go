// Package words makes names from other people's files fit for the screen: labels, file names and
// columns may be long or many, or hold characters that a terminal obeys.
package words

import (
	"fmt"
	"strings"
)

// Plain replaces characters that move the cursor or change the direction of the text by a
// question mark.
func Plain(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c <= 0x9f || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
			return '?'
		}
		return c
	}, s)
}

// Shorten returns the name, plain, in at most n characters (3 or more). The middle of a long name
// is cut out, because names often differ at either end.
func Shorten(s string, n int) string {
	r := []rune(Plain(s))
	if len(r) <= n {
		return string(r)
	}
	half := (n - 1) / 2
	return string(r[:n-1-half]) + "…" + string(r[len(r)-half:])
}

// Some lists at most twenty names, so that a head of 300 labels does not fill the screen.
func Some(names []string) string {
	const shown = 20
	if len(names) <= shown {
		return Plain(strings.Join(names, ", "))
	}
	return Plain(fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown))
}
