package compare

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// rank sorts the backbones, compares each with the first, and marks them. Those that are slower than was
// asked for come last.
func (c *Comparison) rank(t task.Task, truth head.Samples) error {
	for i := range c.Ranked {
		r := &c.Ranked[i]
		r.TooSlow = c.latency > 0 && r.Seconds > c.latency.Seconds()
	}
	slices.SortStableFunc(c.Ranked, func(a, b Ranked) int {
		if a.TooSlow != b.TooSlow {
			return map[bool]int{true: 1, false: -1}[a.TooSlow]
		}
		return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(a.Seconds, b.Seconds))
	})
	for i := range c.Ranked {
		r := &c.Ranked[i]
		r.Gap, r.Frontier, r.Recommended = nil, onFrontier(c.Ranked, i), false
		r.Tied = noWorse(r)
		if i == 0 {
			continue
		}
		d, err := t.Compare(truth, c.Ranked[0].Logits, r.Logits)
		if err != nil {
			return fmt.Errorf("compare: %w", err)
		}
		r.Gap = &Gap{Difference: d.Value, Interval: d.Interval, Clear: !d.Interval.Contains(0)}
		r.Tied = noWorse(r)
		if t.Metric().Counts() {
			exact, err := metrics.Compare(truth.Y, head.Classes(c.Ranked[0].Logits, truth.Classes), head.Classes(r.Logits, truth.Classes))
			if err != nil {
				return fmt.Errorf("compare: %w", err)
			}
			r.Gap.P = exact.P
		}
	}
	if len(c.Ranked) > 0 {
		c.Ranked[c.pick()].Recommended = true
	}
	return nil
}

// noWorse reports whether a backbone is no worse than the first, as far as the pictures tell.
func noWorse(r *Ranked) bool { return r.Gap == nil || !r.Gap.Clear || r.Gap.Difference > 0 }

// Sentence recommends a backbone, with the reason.
func (c *Comparison) Sentence() string {
	switch len(c.Ranked) {
	case 0:
		return "nothing was compared"
	case 1:
		return fmt.Sprintf("%s is the only one here", c.Ranked[0].Model)
	}
	first, picked := c.Ranked[0], c.Pick()
	within := ""
	if c.latency > 0 && first.TooSlow {
		return fmt.Sprintf("none takes %s a picture or less; the fastest is %s", milliseconds(c.latency), c.fastest().Model)
	} else if c.latency > 0 {
		within = fmt.Sprintf(" of those that take %s a picture or less", milliseconds(c.latency))
	}
	if picked.Model != first.Model {
		return fmt.Sprintf("take %s: within noise of the best%s (%s: %s%s on the same %d pictures), and %s as fast",
			picked.Model, within, first.Model, c.behind(picked), c.points(), first.Total, times(first.Seconds/picked.Seconds))
	}
	var tied []string
	for _, r := range c.Ranked[1:] {
		if noWorse(&r) && !r.TooSlow {
			tied = append(tied, r.Model)
		}
	}
	if len(tied) == 0 {
		return fmt.Sprintf("take %s: better than all others%s (paired differences on %d pictures, 95 %%)", first.Model, within, first.Total)
	}
	return fmt.Sprintf("take %s: the best%s, and none that is within a standard error of it is faster; not clearly worse on %d pictures: %s", first.Model, within, first.Total, listed(tied))
}

// behind is the difference of a backbone to the first, with its interval.
func (c *Comparison) behind(r Ranked) string {
	return metrics.Gain{Value: r.Gap.Difference, Interval: r.Gap.Interval}.Brief(c.metric())
}

// points is the unit of a difference.
func (c *Comparison) points() string {
	if c.metric() == metrics.R2 {
		return ""
	}
	return " points"
}

// fastest returns the backbone that takes the least time. Ranked must not be empty.
func (c *Comparison) fastest() Ranked {
	return slices.MinFunc(c.Ranked, func(a, b Ranked) int { return cmp.Compare(a.Seconds, b.Seconds) })
}

// times writes a ratio of times.
func times(ratio float64) string {
	if ratio >= 10 {
		return fmt.Sprintf("%.0f times", ratio)
	}
	return fmt.Sprintf("%.1f times", ratio)
}

// Pick returns the backbone to build on, by a rule against luck: of those whose score is within one
// standard error of the best, paired on the same pictures, the fastest. Ranked must not be empty.
func (c *Comparison) Pick() Ranked { return c.Ranked[c.pick()] }

func (c *Comparison) pick() (picked int) {
	for k, r := range c.Ranked[1:] {
		i := r.Gap.Interval
		if !i.Known() || -r.Gap.Difference > (i.High-i.Low)/2/normal95 || r.Seconds >= c.Ranked[picked].Seconds {
			continue
		}
		picked = k + 1
	}
	return picked
}

// normal95 is half the width of a 95 % interval in standard errors.
const normal95 = 1.96

// Table returns the ranking as rows, the header first.
func (c *Comparison) Table() [][]string {
	metric := c.metric()
	out := [][]string{{"model", "licence", metric.Title(), "95 %", "right", "behind the first", "ms/picture", "params", "weights", ""}}
	for _, r := range c.Ranked {
		gap := "-"
		if r.Gap != nil {
			gap = c.behind(r)
		}
		out = append(out, []string{r.Model, r.Licence, r.Metric.Format(r.Value), metric.FormatInterval(r.Interval),
			fmt.Sprintf("%d of %d", r.Correct, r.Total), gap, fmt.Sprintf("%.1f", 1000*r.Seconds), millions(r.Parameters), fmt.Sprintf("%.1f MB", float64(r.Bytes)/1e6), marks(&r)})
	}
	if !metric.Counts() { // no picture is simply right or wrong
		for i, row := range out {
			out[i] = slices.Delete(row, 4, 5)
		}
	}
	return out
}

// marks are what stands behind a backbone in the table: = for no worse than the first, ● for the
// frontier, ← for the one to take.
func marks(r *Ranked) string {
	marks := []string{" ", " ", " "}
	for i, set := range []bool{r.Tied && !r.TooSlow, r.Frontier, r.Recommended} {
		if set {
			marks[i] = []string{"=", "●", "←"}[i]
		}
	}
	if r.TooSlow {
		return "too slow"
	}
	return strings.Join(marks, "")
}

// Legend explains the marks of the table.
func (c *Comparison) Legend() string {
	if len(c.Ranked) < 2 {
		return ""
	}
	return "=  no worse than the first, as far as these pictures tell    ●  on the frontier: none is as good and faster    ←  the one to take"
}

func millions(n int) string {
	switch {
	case n == 0:
		return "-"
	case n < 10_000_000:
		return fmt.Sprintf("%.1fM", float64(n)/1e6)
	}
	return fmt.Sprintf("%.0fM", float64(n)/1e6)
}

// Title returns the name of the score that the backbones are ranked by.
func (c *Comparison) Title() string { return c.metric().Title() }

// metric returns what the backbones are ranked by.
func (c *Comparison) metric() metrics.Metric {
	if len(c.Ranked) == 0 {
		return metrics.Accuracy
	}
	return c.Ranked[0].Metric
}

// Figure draws the score against time per picture. A line joins the backbones that no other one
// beats in both, and the recommended one has a ring.
func (c *Comparison) Figure() plots.Figure {
	dots := make([]plots.Dot, len(c.Ranked))
	for i, r := range c.Ranked {
		dots[i] = plots.Dot{Label: r.Model, X: 1000 * r.Seconds, Y: r.Value, Interval: r.Interval, Picked: r.Recommended && len(c.Ranked) > 1}
	}
	score := plots.Scale{Name: c.metric().Title(), Unit: "%"}
	if c.metric() == metrics.R2 {
		score.Unit = ""
	}
	return plots.Scatter("Backbones on "+c.Data, plots.Scale{Name: "time per picture", Unit: "ms"}, score, dots)
}

// List returns everything for JSON: the ranking, then the skipped backbones with null for unknown
// numbers.
func (c *Comparison) List() []any {
	type unknown struct {
		Model    string `json:"model"`
		Accuracy any    `json:"accuracy"`
		Interval any    `json:"interval"`
		Seconds  any    `json:"seconds_per_picture"`
		Bytes    any    `json:"bytes"`
		Skipped  string `json:"skipped"`
	}
	out := []any{} // never null
	for _, r := range c.Ranked {
		out = append(out, r)
	}
	for _, s := range c.Skipped {
		out = append(out, unknown{Model: s.Model, Skipped: s.Skipped})
	}
	return out
}

// write writes the list, the table and the figure into .tlkit/compare-DATA, or, of training pictures
// alone, into .tlkit/compare-training-DATA.
func (c *Comparison) write(folder string, onTraining bool, uses *cachedir.Uses) error {
	name := "compare-"
	if onTraining {
		name += "training-"
	}
	c.Folder = filepath.Join(folder, run.Home, name+run.SafeName(c.Data))
	if err := os.MkdirAll(c.Folder, 0o755); err != nil {
		return advice.New(fmt.Errorf("compare: %w", err), "change to a folder that you can write to")
	}
	if err := uses.Keep(filepath.Dir(c.Folder), c.Folder); err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	var text strings.Builder
	for _, row := range c.Table() {
		text.WriteString(strings.Join(row, "\t") + "\n")
	}
	for _, line := range []string{c.Legend(), c.Sentence()} {
		if line != "" {
			text.WriteString(line + "\n")
		}
	}
	if w := c.Warning(); w != "" {
		text.WriteString(w + "\n")
	}
	for _, r := range c.Reasons() {
		fmt.Fprintf(&text, "skipped: %s\n", r)
	}
	list, err := json.MarshalIndent(c.List(), "", "  ")
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	if err := atomicfile.WriteBytes(filepath.Join(c.Folder, "compare.json"), append(list, '\n'), 0o644); err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	if err := atomicfile.WriteBytes(filepath.Join(c.Folder, "compare.txt"), []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	if err := atomicfile.Write(filepath.Join(c.Folder, "compare.png"), 0o644, c.Figure().PNG); err != nil {
		return fmt.Errorf("compare: compare.png: %w", err)
	}
	return nil
}
