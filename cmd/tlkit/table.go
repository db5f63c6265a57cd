package main

import (
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/tlkit/transfer-learning/tlkit/show"
)

// sayTable prints a table. On a terminal that is too narrow for it, it leaves out the columns named
// in spare, one after another until the rest fits, and says which.
func (c *command) sayTable(t show.Table, spare ...string) {
	width := 0 // any
	if f, ok := c.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		width, _, _ = term.GetSize(int(f.Fd()))
	}
	t, left := narrowed(t, width, spare)
	c.say("%s", strings.TrimRight(t.Text(), "\n"))
	if len(left) > 0 {
		c.say("(no room for %s; a wider window or --json shows them)", strings.Join(left, ", "))
	}
	c.say("")
}

// narrowed returns the table without as many of the spare columns as it takes to fit into width, and
// which those are. A width of 0 fits everything.
func narrowed(t show.Table, width int, spare []string) (show.Table, []string) {
	var left []string
	for _, name := range spare {
		if width <= 0 || widest(t) <= width {
			break
		}
		i := slices.Index(t.Header, name)
		if i < 0 {
			continue
		}
		left = append(left, name)
		if i < t.Left {
			t.Left--
		}
		t.Header = slices.Delete(slices.Clone(t.Header), i, i+1)
		rows := make([][]string, len(t.Rows))
		for k, r := range t.Rows {
			rows[k] = slices.Delete(slices.Clone(r), i, i+1)
		}
		t.Rows = rows
	}
	return t, left
}

// widest returns the width of a table in characters.
func widest(t show.Table) int {
	w := 0
	for line := range strings.Lines(t.Text()) {
		w = max(w, utf8.RuneCountInString(strings.TrimRight(line, "\n")))
	}
	return w
}
