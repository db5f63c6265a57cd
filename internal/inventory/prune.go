package inventory

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tlkit/transfer-learning/internal/cachedir"
)

// Choice says what to remove. The zero Choice stands for features that no run uses any more and
// leftovers of downloads, both unless they were used in the last day: an interrupted job goes on from
// them.
type Choice struct {
	Kinds     []Kind        // only these; nil = those that are Removable
	OlderThan time.Duration // only what was not used for so long; 0 = any age
	To        int64         // only until the cache is no larger, least recently used first; 0 = no limit
	Run       string        // only what this run alone uses: its name or its folder; "" = any
	Unused    bool          // only what no run uses
}

// Kept is an entry that was chosen and stays, with the reason.
type Kept struct {
	Entry
	Why string `json:"why"`
}

// Plan is what a choice comes to.
type Plan struct {
	Remove []Entry
	Keep   []Kept
}

// Choose returns what the choice removes, and what it spares.
func (l *List) Choose(c Choice) (Plan, error) {
	if len(c.Kinds) == 0 && c.OlderThan == 0 && c.To == 0 && c.Run == "" && !c.Unused {
		c.Kinds, c.Unused, c.OlderThan = []Kind{Features, Partial}, true, settled
	}
	p := Plan{Remove: []Entry{}, Keep: []Kept{}}
	known := false
	for _, e := range l.Entries {
		mine := c.Run == "" || slices.ContainsFunc(e.Runs, c.named)
		known = known || mine
		if !mine || !c.takes(e) {
			continue
		}
		others := 0
		for _, r := range e.Runs {
			if !c.named(r) {
				others++
			}
		}
		switch {
		case e.InUse:
			p.Keep = append(p.Keep, Kept{e, "in use"})
		case c.Run != "" && others > 0:
			p.Keep = append(p.Keep, Kept{e, fmt.Sprintf("%d other run(s) use it too", others)})
		default:
			p.Remove = append(p.Remove, e)
		}
	}
	if c.Run != "" && !known {
		return p, fmt.Errorf("inventory: nothing in the cache is known to belong to a run %q", c.Run)
	}
	if c.To > 0 {
		p.Remove = l.downTo(c.To, p.Remove)
	}
	return p, nil
}

func (c Choice) takes(e Entry) bool {
	if len(c.Kinds) > 0 && !slices.Contains(c.Kinds, e.Kind) || len(c.Kinds) == 0 && !e.Kind.Removable() {
		return false
	}
	return time.Since(e.Used) >= c.OlderThan && !(c.Unused && len(e.Runs) > 0)
}

// named reports whether the folder of a run is the one that the choice names.
func (c Choice) named(folder string) bool {
	if filepath.Base(folder) == c.Run {
		return true
	}
	abs, err := filepath.Abs(c.Run)
	return err == nil && abs == folder
}

// downTo returns those of some entries, the least recently used first, without which the cache has
// no more than so many bytes.
func (l *List) downTo(limit int64, some []Entry) []Entry {
	some = slices.Clone(some)
	slices.SortStableFunc(some, func(a, b Entry) int { return a.Used.Compare(b.Used) })
	total := Total(l.Entries)
	n := 0
	for n < len(some) && total-Freed(some[:n]) > limit {
		n++
	}
	return some[:n]
}

// Remove removes entries that no process uses at this moment, and returns those that it removed and
// those that stay.
func (l *List) Remove(some []Entry) (gone []Entry, kept []Kept) {
	gone, kept = []Entry{}, []Kept{}
	for _, e := range some {
		var failed error
		free := l.guarded(e, func() error {
			failed = l.remove(e)
			return failed
		})
		switch {
		case failed != nil:
			kept = append(kept, Kept{e, failed.Error()})
		case !free:
			kept = append(kept, Kept{e, "in use"})
		default:
			gone = append(gone, e)
		}
	}
	return gone, kept
}

// remove moves an entry aside, so that nobody finds half of it, and deletes it.
func (l *List) remove(e Entry) error {
	tmp, err := cachedir.Dir("tmp")
	if err != nil {
		return err
	}
	aside, err := os.MkdirTemp(tmp, "removed-*")
	if err != nil {
		return fmt.Errorf("inventory: %w", err)
	}
	for i, rel := range append([]string{e.Path}, e.also...) {
		from := filepath.Join(l.Root, filepath.FromSlash(rel))
		if err := os.Rename(from, filepath.Join(aside, fmt.Sprint(i))); err != nil && !errors.Is(err, os.ErrNotExist) {
			// It may lie on another disk.
			if err := os.RemoveAll(from); err != nil {
				return fmt.Errorf("inventory: %w", err)
			}
		}
	}
	if err := os.RemoveAll(aside); err != nil {
		return fmt.Errorf("inventory: %w", err)
	}
	return nil
}
