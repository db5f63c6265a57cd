package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/inventory"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/show"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// mostEntries is how many entries cache lists without --all.
const mostEntries = 20

func (c *command) cache() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "List what lies in the cache: how large, how old, for which network and run",
		Long: `List what lies in the cache: by kind, then the largest entries, each with its size on the
disk, its last use, and the network and runs that it belongs to, as far as known. A run is known
when it was trained with this version or a later one, and its folder still exists.

Everything in the cache can be fetched or computed again. tlkit cache prune removes part of it.
$TLKIT_CACHE says where it is.`,
		Example: `  tlkit cache
  tlkit cache --all
  tlkit cache prune --older-than 30d --dry-run`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return advice.New(fmt.Errorf("cache: there is no command %q", args[0]), "%suse tlkit cache or tlkit cache prune", words.DidYouMean(args[0], []string{"prune"}))
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error {
			l, err := inventory.Read(cachedName)
			if err != nil {
				return err
			}
			c.result = map[string]any{"folder": l.Root, "bytes": inventory.Total(l.Entries), "kinds": byKind(l), "entries": l.Entries}
			if !c.json {
				c.sayCache(l, all)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "list every entry, compiled programs too")
	cmd.AddCommand(c.prune())
	return cmd
}

// cachedName says what a file of the downloads is.
func cachedName(file string) (inventory.Kind, string) {
	var networks []string
	for _, r := range zoo.Rows() {
		if r.FileName() == file {
			networks = append(networks, r.Name)
		}
	}
	if len(networks) > 0 {
		return inventory.Weights, words.Some(networks)
	}
	set := "" // of which the folder is one: the longest name that fits
	for _, s := range data.Sets() {
		if strings.HasPrefix(file, s.Name+"-") && len(s.Name) > len(set) {
			set = s.Name
		}
		if p := s.Package; p != nil && strings.HasSuffix(file, filepath.Base(p.Name)+"-"+p.Version+".tgz") {
			return inventory.Data, s.Name
		}
	}
	if set != "" {
		return inventory.Data, set
	}
	return "", ""
}

// kindSum is what the entries of one kind come to.
type kindSum struct {
	Kind    inventory.Kind `json:"kind"`
	Entries int            `json:"entries"`
	Bytes   int64          `json:"bytes"`
	Used    time.Time      `json:"last_used"`
}

func byKind(l *inventory.List) []kindSum {
	out := []kindSum{}
	for _, kind := range inventory.Kinds() {
		var some []inventory.Entry
		var used time.Time
		for _, e := range l.Entries {
			if e.Kind != kind {
				continue
			}
			some = append(some, e)
			if e.Used.After(used) {
				used = e.Used
			}
		}
		if len(some) > 0 {
			out = append(out, kindSum{kind, len(some), inventory.Total(some), used})
		}
	}
	return out
}

func (c *command) sayCache(l *inventory.List, all bool) {
	kinds := show.Table{Header: []string{"kind", "size", "entries", "last used"}, Left: 1}
	for _, k := range byKind(l) {
		kinds.Rows = append(kinds.Rows, []string{string(k.Kind), bytesOf(k.Bytes), strconv.Itoa(k.Entries), age(k.Used)})
	}
	kinds.Rows = append(kinds.Rows, []string{"together", bytesOf(inventory.Total(l.Entries)), strconv.Itoa(len(l.Entries)), ""})
	c.say("%s", l.Root)
	c.sayTable(kinds)
	listed := slices.DeleteFunc(slices.Clone(l.Entries), func(e inventory.Entry) bool {
		return !all && (e.Kind == inventory.Compiled || e.Kind == inventory.Notes)
	})
	more := 0
	if !all && len(listed) > mostEntries {
		slices.SortStableFunc(listed, func(a, b inventory.Entry) int { return cmp.Compare(b.Bytes, a.Bytes) })
		listed, more = listed[:mostEntries], len(listed)-mostEntries
	}
	if len(listed) > 0 {
		c.sayEntries(listed)
	}
	if more > 0 {
		c.say("and %d smaller ones: tlkit cache --all", more)
	}
	var idle []inventory.Entry
	for _, e := range l.Entries {
		if e.Kind == inventory.Features && len(e.Runs) == 0 && !e.InUse && time.Since(e.Used) > 24*time.Hour {
			idle = append(idle, e)
		}
	}
	if len(idle) > 0 {
		c.say("%s of features belong to no run any more; tlkit cache prune removes them", bytesOf(inventory.Freed(idle)))
	}
}

func (c *command) sayEntries(entries []inventory.Entry) {
	t := show.Table{Header: []string{"entry", "kind", "for", "runs", "last used", "size"}, Left: 4}
	for _, e := range entries {
		var runs []string
		for _, folder := range e.Runs {
			runs = append(runs, filepath.Base(folder))
		}
		used := age(e.Used)
		if e.InUse {
			used = "in use"
		}
		t.Rows = append(t.Rows, []string{shortPath(e.Path), string(e.Kind), words.Shorten(cmp.Or(e.About, "-"), 40), words.Shorten(cmp.Or(words.Some(runs), "-"), 40), used, bytesOf(e.Bytes)})
	}
	c.sayTable(t, "runs", "for")
}

// shortPath writes a hash in a path with its first digits.
func shortPath(p string) string {
	parts := strings.Split(p, "/")
	for i, part := range parts {
		stem, rest, _ := strings.Cut(part, ".")
		if len(stem) >= 32 && strings.Trim(stem, "0123456789abcdef") == "" {
			parts[i] = stem[:12] + "…"
			if rest != "" {
				parts[i] += "." + rest
			}
		}
	}
	return strings.Join(parts, "/")
}

func (c *command) prune() *cobra.Command {
	var choice inventory.Choice
	var older, limit string
	var kinds []string
	var dry, yes bool
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove part of the cache: by age, size, kind or run",
		Long: `Remove part of the cache. Without a choice: features that no run uses any more, and
leftovers of downloads, both unless they were used in the last day. Several flags together remove what fits them all. XLA, ONNX Runtime, the
tools of notebooks and what you have put there yourself are removed only when --kind names
them. What a process uses at this moment always stays.

It asks first; --yes does not ask, --dry-run only lists. Trained heads, in .tlkit folders, are
never touched.`,
		Example: `  tlkit cache prune --dry-run
  tlkit cache prune --older-than 30d
  tlkit cache prune --to 5GB --yes
  tlkit cache prune --kind features,compiled --older-than 2w
  tlkit cache prune --run ants-and-bees`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := errors.Join(parseAge(older, &choice.OlderThan), parseSize(limit, &choice.To), parseKinds(kinds, &choice.Kinds))
			if err != nil {
				return err
			}
			return c.runPrune(choice, dry, yes)
		},
	}
	f := cmd.Flags()
	f.StringVar(&older, "older-than", "", "only what was not used for so long: 12h, 30d, 8w")
	f.StringVar(&limit, "to", "", "only until the cache is no larger, as in 5GB; what was used least recently goes first")
	f.StringVar(&choice.Run, "run", "", "only what this run alone uses: its name or folder")
	f.BoolVar(&choice.Unused, "unused", false, "only what no known run uses")
	f.StringSliceVar(&kinds, "kind", nil, "only these kinds: "+strings.Join(kindNames(), ","))
	f.BoolVar(&dry, "dry-run", false, "only list what would be removed")
	f.BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func (c *command) runPrune(choice inventory.Choice, dry, yes bool) error {
	l, err := inventory.Read(cachedName)
	if err != nil {
		return err
	}
	plan, err := l.Choose(choice)
	if err != nil {
		return advice.New(err, "tlkit cache lists what is there")
	}
	gone, kept := plan.Remove, plan.Keep
	freed := inventory.Freed(gone)
	if !c.json && len(gone) > 0 {
		c.sayEntries(gone)
	}
	if !dry && len(gone) > 0 {
		if err := c.confirm(fmt.Sprintf("Remove %d entries (%s)?", len(gone), bytesOf(freed)), yes); err != nil {
			return err
		}
		removed, more := l.Remove(gone)
		gone, kept = removed, append(kept, more...)
		freed = inventory.Freed(gone)
	}
	c.result = map[string]any{"folder": l.Root, "removed": gone, "kept": kept, "freed": freed, "dry_run": dry}
	for _, k := range kept {
		c.say("kept     %s: %s", shortPath(k.Path), k.Why)
	}
	switch {
	case len(gone) == 0:
		c.say("nothing to remove: the cache has %s", bytesOf(inventory.Total(l.Entries)))
	case dry:
		c.say("would free %s of %s", bytesOf(freed), bytesOf(inventory.Total(l.Entries)))
	default:
		c.say("freed    %s of %s", bytesOf(freed), bytesOf(inventory.Total(l.Entries)))
	}
	return nil
}

var errNotConfirmed = errors.New("cache: nothing was removed")

// confirm asks a question on the terminal. Without one, only yes counts.
func (c *command) confirm(question string, yes bool) error {
	if yes {
		return nil
	}
	if !c.canAsk() {
		return advice.New(fmt.Errorf("%w, because nobody can be asked here", errNotConfirmed), "add --yes, or --dry-run to see what would be removed")
	}
	if !c.ask(question) {
		return errNotConfirmed
	}
	return nil
}

func kindNames() []string {
	var names []string
	for _, k := range inventory.Kinds() {
		if k != inventory.Notes { // locks are no use to anybody who wants space
			names = append(names, string(k))
		}
	}
	return names
}

func parseKinds(names []string, kinds *[]inventory.Kind) error {
	for _, n := range names {
		n = strings.ToLower(strings.TrimSpace(n))
		if !slices.Contains(kindNames(), n) {
			return advice.New(fmt.Errorf("cache: there is no kind %q", n), "%suse %s", words.DidYouMean(n, kindNames()), strings.Join(kindNames(), ", "))
		}
		*kinds = append(*kinds, inventory.Kind(n))
	}
	return nil
}

// parseAge reads an age such as 30d; "" leaves it as it is.
func parseAge(text string, age *time.Duration) error {
	if text == "" {
		return nil
	}
	const day = 24 * time.Hour
	units := map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": day, "w": 7 * day, "y": 365 * day}
	n, unit := number(text)
	u, ok := units[strings.TrimSuffix(unit, "s")]
	if !ok || n < 0 || n*u.Hours() > 1e6 {
		return advice.New(fmt.Errorf("cache: --older-than %q is no age", text), "write a number with m, h, d, w or y, as in 30d")
	}
	*age = time.Duration(n * float64(u))
	return nil
}

// parseSize reads a size such as 5GB; "" leaves it as it is. It is never 0, which stands for none.
func parseSize(text string, size *int64) error {
	if text == "" {
		return nil
	}
	units := map[string]float64{"": 1, "b": 1, "k": 1e3, "kb": 1e3, "m": 1e6, "mb": 1e6, "g": 1e9, "gb": 1e9, "t": 1e12, "tb": 1e12,
		"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}
	n, unit := number(text)
	u, ok := units[unit]
	if !ok || n < 0 || n*u > 1e18 {
		return advice.New(fmt.Errorf("cache: --to %q is no size", text), "write a number of bytes, or with kB, MB or GB, as in 5GB")
	}
	*size = max(int64(n*u), 1)
	return nil
}

// number splits a text such as "1.5 GB" into its number and its unit in lower case. The number is
// negative if there is none.
func number(text string) (n float64, unit string) {
	text = strings.ToLower(strings.TrimSpace(text))
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz ")
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		n = -1
	}
	return n, strings.TrimSpace(text[len(digits):])
}

// bytesOf writes a number of bytes for a person.
func bytesOf(n int64) string {
	switch f := float64(n); {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", f/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.0f MB", f/1e6)
	}
	return fmt.Sprintf("%.0f kB", float64(n)/1e3)
}

// age says how long ago something was.
func age(at time.Time) string {
	switch d := time.Since(at); {
	case at.IsZero():
		return "-"
	case d < time.Hour:
		return "just now"
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f h ago", d.Hours())
	default:
		return fmt.Sprintf("%.0f days ago", d.Hours()/24)
	}
}
