package budget

import (
	"fmt"
	"strings"

	"github.com/tlkit/transfer-learning/internal/invoke"
)

// Table returns a row for everything that was tried, the header first; nil for nothing.
func Table(tried []Tried) [][]string {
	if len(tried) == 0 {
		return nil
	}
	out := [][]string{{"tried", tried[0].Metric.Title() + " on folds", "95 %", "ms/picture", "took", ""}}
	for _, t := range tried {
		out = append(out, t.row())
	}
	return out
}

func (t Tried) row() []string {
	name, verdict := t.Model, ""
	switch {
	case t.Finetune > 0:
		name = fmt.Sprintf("%s, fine-tuned for %d epochs", t.Model, t.Finetune)
		verdict = "does not pay"
		if t.Pays {
			verdict = "pays"
		}
	case t.Picked:
		verdict = "picked"
	}
	score, interval, picture := "-", "-", "-"
	if t.Total > 0 {
		score = t.Metric.Format(t.Value)
		if t.Metric.Counts() {
			score += " (" + t.Brief() + ")"
		}
		if t.Interval.Known() {
			interval = t.Metric.FormatInterval(t.Interval)
		}
	}
	if t.Picture > 0 {
		picture = fmt.Sprintf("%.1f", 1000*t.Picture)
	}
	return []string{name, score, interval, picture, fmt.Sprintf("%.1f s", t.Seconds), verdict}
}

// Lines returns what the table does not say: the rule, what was left, how to repeat the result, and the
// time.
func (r *Record) Lines() []string {
	var out []string
	if r.Rule != "" {
		out = append(out, "picked  "+r.Rule+"; its score on folds is a little too good, because it was picked by it")
	}
	for _, l := range r.Left {
		out = append(out, fmt.Sprintf("left    %s: %s", l.What, l.Why))
	}
	if len(r.Repeat) > 0 {
		out = append(out, "repeat  "+typed(r.Repeat))
	}
	line := fmt.Sprintf("time    %.1f s of %g s", r.Spent, r.Asked)
	if r.Over != "" {
		line += ": " + r.Over
	}
	return append(out, line)
}

// typed returns a command as it has to be typed.
func typed(command []string) string {
	out := make([]string, len(command))
	for i, word := range command {
		out[i] = word
		if !strings.HasPrefix(word, "--") {
			out[i] = invoke.Quote(word)
		}
	}
	return strings.Join(out, " ")
}
