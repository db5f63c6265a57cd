package compare

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// Watcher is a Progress that shows a comparison while it grows. [Run] calls Watch after each backbone,
// instead of Say.
type Watcher interface{ Watch(Growing) }

// Growing is a comparison that is not finished.
type Growing struct {
	Done    []Ranked // the fastest first
	Skipped []Skipped
	Waiting []string // the backbones still to come, in this order
	Said    string   // one sentence about the last backbone, with the time left
	Left    string   // how many are done, and the time left: "3 of 9, about 2 min left"

	data string
}

// Table returns a row for each backbone, the header first. Those on the frontier are marked: no other
// one is better and as fast, or faster and as good.
func (g Growing) Table() [][]string {
	c := Comparison{Ranked: g.Done}
	out := [][]string{{"model", c.Title(), "95 %", "ms/picture", "frontier"}}
	for i, r := range g.Done {
		mark := ""
		if onFrontier(g.Done, i) {
			mark = "●"
		}
		out = append(out, []string{r.Model, r.Metric.Format(r.Value), c.metric().FormatInterval(r.Interval), fmt.Sprintf("%.1f", 1000*r.Seconds), mark})
	}
	for _, s := range g.Skipped {
		out = append(out, []string{s.Model, "skipped", "", "", ""})
	}
	for _, name := range g.Waiting {
		out = append(out, []string{name, "…", "", "", ""})
	}
	return out
}

// Figure draws the score against the time of the backbones that are done.
func (g Growing) Figure() plots.Figure {
	c := Comparison{Data: g.data, Ranked: g.Done}
	return c.Figure()
}

// onFrontier reports whether no other backbone is at least as good and as fast as backbone i, and
// better in one of them.
func onFrontier(all []Ranked, i int) bool {
	r := all[i]
	return !slices.ContainsFunc(all, func(o Ranked) bool {
		return o.Value >= r.Value && o.Seconds <= r.Seconds && (o.Value > r.Value || o.Seconds < r.Seconds)
	})
}

// tell reports a backbone that is done or was skipped.
func (c *Comparison) tell(p run.Progress, sentence string, f *forecast, i int) {
	sentence += f.after(i)
	w, ok := p.(Watcher)
	if !ok {
		p.Say(sentence)
		return
	}
	g := Growing{Done: slices.Clone(c.Ranked), Skipped: slices.Clone(c.Skipped), Said: sentence, Left: strings.TrimPrefix(f.after(i), " · "), data: c.Data}
	slices.SortStableFunc(g.Done, func(a, b Ranked) int { return cmp.Compare(a.Seconds, b.Seconds) })
	for _, row := range f.rows[i+1:] {
		g.Waiting = append(g.Waiting, row.Name)
	}
	w.Watch(g)
}
