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

// rank sorts the backbones and compares each with the first.
func (c *Comparison) rank(t task.Task, truth head.Samples) error {
	slices.SortStableFunc(c.Ranked, func(a, b Ranked) int {
		return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(a.Seconds, b.Seconds))
	})
	for i := range c.Ranked {
		r := &c.Ranked[i]
		if i == 0 {
			r.Gap = nil
			continue
		}
		d, err := t.Compare(truth, c.Ranked[0].logits, r.logits)
		if err != nil {
			return fmt.Errorf("compare: %w", err)
		}
		r.Gap = &Gap{Difference: d.Value, Interval: d.Interval, Clear: !d.Interval.Contains(0)}
		if t.Metric().Counts() {
			exact, err := metrics.Compare(truth.Y, head.Classes(c.Ranked[0].logits, truth.Classes), head.Classes(r.logits, truth.Classes))
			if err != nil {
				return fmt.Errorf("compare: %w", err)
			}
			r.Gap.P = exact.P
		}
	}
	return nil
}

// Sentence returns a sentence for the reader: which backbones are not distinguishable from the
// first of the ranking, so that the first is not clearly the best; or that it is better than all
// others.
func (c *Comparison) Sentence() string {
	switch len(c.Ranked) {
	case 0:
		return "nothing was compared"
	case 1:
		return fmt.Sprintf("%s is the only one here", c.Ranked[0].Model)
	}
	first := c.Ranked[0]
	cheapest, others := first, []string{}
	for _, r := range c.Ranked[1:] {
		if r.Gap.Clear {
			continue
		}
		others = append(others, r.Model)
		if r.Seconds < cheapest.Seconds {
			cheapest = r
		}
	}
	pictures := fmt.Sprintf("%d pictures", first.Total)
	if len(others) == 0 {
		return fmt.Sprintf("%s is better than every other one here (paired differences on %s, 95 %%)", first.Model, pictures)
	}
	out := fmt.Sprintf("not distinguishable from %s on %s (paired differences, 95 %%): %s", first.Model, pictures, strings.Join(others, ", "))
	if cheapest.Model != first.Model {
		out += fmt.Sprintf("; the fastest of them is %s", cheapest.Model)
	}
	return out
}

// Pick returns the backbone to build on, by a rule against luck: of those whose score is within one
// standard error of the best, paired on the same pictures, the fastest. Ranked must not be empty.
func (c *Comparison) Pick() Ranked {
	picked := c.Ranked[0]
	for _, r := range c.Ranked[1:] {
		i := r.Gap.Interval
		if !i.Known() || -r.Gap.Difference > (i.High-i.Low)/2/normal95 || r.Seconds >= picked.Seconds {
			continue
		}
		picked = r
	}
	return picked
}

// normal95 is half the width of a 95 % interval in standard errors.
const normal95 = 1.96

// Table returns the ranking as rows, the header first.
func (c *Comparison) Table() [][]string {
	metric := c.metric()
	out := [][]string{{"model", "licence", metric.Title(), "95 %", "right", "behind the first", "ms/picture", "weights"}}
	for _, r := range c.Ranked {
		gap := "-"
		if r.Gap != nil {
			gap = metrics.Gain{Value: r.Gap.Difference, Interval: r.Gap.Interval}.Brief(metric)
		}
		out = append(out, []string{r.Model, r.Licence, r.Metric.Format(r.Value), metric.FormatInterval(r.Interval),
			fmt.Sprintf("%d of %d", r.Correct, r.Total), gap, fmt.Sprintf("%.1f", 1000*r.Seconds), fmt.Sprintf("%.1f MB", float64(r.Bytes)/1e6)})
	}
	if !metric.Counts() { // no picture is simply right or wrong
		for i, row := range out {
			out[i] = slices.Delete(row, 4, 5)
		}
	}
	return out
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
// beats in both.
func (c *Comparison) Figure() plots.Figure {
	dots := make([]plots.Dot, len(c.Ranked))
	for i, r := range c.Ranked {
		dots[i] = plots.Dot{Label: r.Model, X: 1000 * r.Seconds, Y: r.Value, Interval: r.Interval}
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
	text.WriteString(c.Sentence() + "\n")
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
