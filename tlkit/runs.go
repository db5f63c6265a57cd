//go:build !tlkit_worker

package tlkit

import (
	"context"
	"maps"
	"slices"

	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/runs"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// Runs lists the finished runs of this folder, the newest first, as a table. With the names of two or
// more, it compares each with the first: the difference of their scores on the pictures
// that both have held back, with the interval of that difference, and their curves in one figure. Package runs has them as data.
func Runs(names ...string) {
	verb("Runs", func(context.Context) error {
		all, unread, err := runs.List(place("").Folder)
		if err != nil {
			return err
		}
		if len(names) > 0 {
			if all, err = runs.Named(all, names...); err != nil {
				return err
			}
		}
		if len(names) > 1 {
			return compareRuns(all)
		}
		t := runs.Table(all)
		show.Default.Table(show.Table{Header: t.Header, Rows: t.Rows, Left: 5})
		if len(names) == 0 {
			for _, name := range slices.Sorted(maps.Keys(unread)) {
				show.Default.Text("left out: " + words.Plain(name) + ", " + words.Plain(unread[name]))
			}
		}
		return nil
	})
}

// compareRuns shows runs beside the first of them.
func compareRuns(all []runs.Run) error {
	c, err := runs.Compare(all)
	if err != nil {
		return err
	}
	t := c.Table()
	show.Default.Table(show.Table{Header: t.Header, Rows: t.Rows, Left: 3})
	if f := c.Figure(); f != nil {
		if err := show.Default.Figure("runs", f); err != nil {
			return err
		}
	}
	f, err := c.Curves()
	if err != nil {
		return err
	}
	if f != nil {
		if err := show.Default.Figure("runs-curves", f); err != nil {
			return err
		}
	}
	for _, sentence := range c.Sentences() {
		show.Default.Text(words.Plain(sentence))
	}
	return nil
}
