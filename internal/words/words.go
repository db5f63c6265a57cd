// Package words makes names from other people's files fit for the screen: labels, file names and
// columns may be long or many, or hold characters that a terminal obeys.
package words

import (
	"fmt"
	"strconv"
	"strings"
)

// quoted is the number of characters that Quote shows.
const quoted = 60

// Quote makes a value from an untrusted file safe for messages and logs. It returns at most the
// first 60 characters, with control characters escaped, and in quotes unless they form a plain
// name.
func Quote(s string) string {
	cut := ""
	count := 0
	for i := range s {
		if count == quoted {
			s, cut = s[:i], "..."
			break
		}
		count++
	}
	q := strconv.QuoteToGraphic(s)
	if inner := q[1 : len(q)-1]; inner == s && s != "" && !strings.ContainsAny(s, " ,:;") {
		return s + cut
	}
	return q + cut
}

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

// Screen is Plain for texts of several lines: line breaks and tabs stay.
func Screen(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		cells := strings.Split(line, "\t")
		for k := range cells {
			cells[k] = Plain(cells[k])
		}
		lines[i] = strings.Join(cells, "\t")
	}
	return strings.Join(lines, "\n")
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

// Nearest returns the name closest to the typed one: one that shares its beginning, or one that is
// a few edits away. It returns "" if no name is close.
func Nearest(typed string, names []string) string {
	key := func(s string) string {
		return strings.ToLower(strings.Map(func(c rune) rune {
			if strings.ContainsRune("-_. ", c) {
				return -1
			}
			return c
		}, s))
	}
	want := key(typed)
	if want == "" || len(want) > 64 {
		return ""
	}
	// With more errors than this, the word is no longer recognisable.
	best, least := "", max(1, len(want)/3)
	for _, n := range names {
		k := key(n)
		d := edits(want, k)
		if len(want) >= 3 && strings.HasPrefix(k, want) || len(k) >= 3 && strings.HasPrefix(want, k) {
			d = min(d, 1)
		}
		if d < least || d == least && best == "" {
			best, least = n, d
		}
	}
	return best
}

// DidYouMean returns "did you mean NAME? " for the nearest of the names, for the start of an
// advice; "" if none is close.
func DidYouMean(typed string, names []string) string {
	if n := Nearest(typed, names); n != "" {
		return fmt.Sprintf("did you mean %s? ", n)
	}
	return ""
}

// edits counts the insertions, deletions, replacements and swaps of neighbours between two words.
func edits(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := range x {
		row[0] = i + 1
		for j := range y {
			cost := last[j]
			if x[i] != y[j] {
				cost++
			}
			row[j+1] = min(cost, row[j]+1, last[j+1]+1)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
