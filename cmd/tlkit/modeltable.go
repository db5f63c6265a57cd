package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/tlkit/transfer-learning/tlkit/show"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// marks are what stands behind the name of a network, with their meaning.
var marks = []struct {
	sign, means string
	set         func(modelRow) bool
}{
	{"*", "its file could not be had here: only the architecture was compared", func(m modelRow) bool { return !m.Verified }},
	{"$", "not for commercial use: --noncommercial", func(m modelRow) bool { return m.NonCommercial }},
	{"~", "since trained for something else; its card says for what", func(m modelRow) bool { return m.Special }},
	{"g", "gated: accept its licence on its page first", func(m modelRow) bool { return m.Gated }},
}

func (m modelRow) marks() (all string) {
	for _, mark := range marks {
		if mark.set(m) {
			all += mark.sign
		}
	}
	return all
}

// cells are those of a network's line.
func (m modelRow) cells() []string {
	top1, where := "-", "here"
	if m.Top1 > 0 {
		top1 = fmt.Sprintf("%.1f", m.Top1)
	}
	if !m.Cached {
		where = "yours: --weights FILE"
		if len(m.Sources) > 0 {
			where = host(m.Sources[0])
		}
	}
	licence, _, _ := strings.Cut(m.Licence, ",")
	size := fmt.Sprint(m.Size)
	if m.TestSize > 0 {
		size += "→" + fmt.Sprint(m.TestSize)
	}
	return []string{m.marks(), licence, where, size, millions(m.Parameters), top1, fmt.Sprint(m.Features)}
}

func millions(n int) string {
	if n < 10_000_000 {
		return fmt.Sprintf("%.1fM", float64(n)/1e6)
	}
	return fmt.Sprintf("%.0fM", float64(n)/1e6)
}

var modelColumns = []string{"", "licence", "weights", "pixels", "params", "top-1", "features"}

// listModels prints the first choice of each family, or all networks that were asked for.
func (c *command) listModels(rows []modelRow, q modelQuery) {
	first := len(q.Words) == 0 && !q.filters()
	t := show.Table{Header: append([]string{"model"}, modelColumns...), Left: 4}
	if first {
		t.Header, t.Left = append([]string{"family", "first choice"}, modelColumns...), 5
	}
	t.Header = append(t.Header, map[bool][]string{true: {"more"}, false: nil}[first]...)
	for i, family := range familiesOf(rows, q.sort != "") {
		for k, m := range family {
			switch {
			case first && k == choiceOf(family):
				line := append([]string{m.Family, m.Name}, m.cells()...)
				if !m.Recommended {
					line[1] = "(" + m.Name + ")"
				}
				more := ""
				if len(family) > 1 {
					more = fmt.Sprint(len(family) - 1)
				}
				t.Rows = append(t.Rows, append(line, more))
			case first:
			case q.sort != "":
				t.Rows = append(t.Rows, append([]string{m.Name}, m.cells()...))
			default:
				if k == 0 {
					if i > 0 {
						t.Rows = append(t.Rows, []string{""})
					}
					t.Rows = append(t.Rows, []string{m.Family})
				}
				name := "  " + m.Name
				if m.Recommended {
					name = "• " + m.Name
				}
				t.Rows = append(t.Rows, append([]string{name}, m.cells()...))
			}
		}
	}
	for i, row := range t.Rows { // headings have one cell
		t.Rows[i] = append(row, make([]string, len(t.Header)-len(row))...)
	}
	c.sayTable(t, "weights", "licence", "features", "more", "pixels", "top-1")
	for _, mark := range marks {
		if slices.ContainsFunc(rows, mark.set) {
			c.say("%s  %s", mark.sign, mark.means)
		}
	}
	switch {
	case first:
		c.say("%d networks in %d families; in brackets: since trained for something else", len(rows), len(t.Rows))
		c.say("all   tlkit models --all")
		c.say("one   tlkit models NAME")
	case q.sort == "":
		c.say("•  the first choice of its family")
	}
}

// familiesOf puts the rows of a family together; sorted rows stay as they are, one after another.
func familiesOf(rows []modelRow, sorted bool) (groups [][]modelRow) {
	for _, m := range rows {
		i := slices.IndexFunc(groups, func(g []modelRow) bool { return !sorted && g[0].Family == m.Family })
		if i < 0 {
			groups = append(groups, []modelRow{m})
		} else {
			groups[i] = append(groups[i], m)
		}
	}
	return groups
}

// choiceOf is the place of a family's first choice.
func choiceOf(family []modelRow) int {
	return max(0, slices.IndexFunc(family, func(m modelRow) bool { return m.Recommended }))
}

// width is that of the terminal, 0 without one.
func (c *command) width() int {
	if f, ok := c.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		w, _, _ := term.GetSize(int(f.Fd()))
		return w
	}
	return 0
}

// wrapped breaks a text into lines of at most width characters; 0 = does not.
func wrapped(text string, width int) string {
	if width <= 0 {
		return text
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n")
}

// modelCard describes a network. others is how many more have its name in theirs.
func (c *command) modelCard(r zoo.Row, others int) {
	m := describe(r)
	var lines [][2]string
	add := func(what string, texts ...string) {
		for i, text := range texts {
			if text == "" {
				continue
			}
			if i > 0 {
				what = ""
			}
			lines = append(lines, [2]string{what, text})
		}
	}
	add("family", r.Family+map[bool]string{true: ", its first choice"}[m.Recommended])
	add("also called", strings.Join(r.Aliases, ", "))
	add("trained on", m.TrainedOn)
	p := r.Preset
	tested := ""
	if m.TestSize > 0 {
		tested = fmt.Sprintf("tested by its publisher with %d pixels: --size %d", m.TestSize, m.TestSize)
	}
	add("pictures", p.SquareWords(), fmt.Sprintf("%s, %g to %g, minus %v, divided by %v", p.Channels, p.Range[0], p.Range[1], p.Mean, p.Std), tested)
	add("network", networkWords(r))
	if r.Top1 > 0 {
		add("accuracy", fmt.Sprintf("%.1f %% on %s, as published", r.Top1, r.Classes))
	}
	add("stages", strings.Join(shortened(stagesOf(r), 14), ", "))
	add("licence", r.Licence+map[bool]string{true: ", not for commercial use: --noncommercial"}[r.NonCommercial]+map[bool]string{true: ", to be accepted on its page first; then set HF_TOKEN"}[r.Gated()])
	add("weights", weightsWords(r)...)
	add("page", r.Origin)
	add("also reads", strings.Join(r.Dialects(), ", "))
	compared := r.Compared()
	if !m.Verified {
		compared = append(compared, "the published file could not be had here: its name, hash and accuracy are the publisher's")
	}
	add("compared", compared...)
	add("mind", r.Traps()...)
	add("use", "tlkit train DIR --model "+shortName(r))
	c.say("%s", r.Name)
	width := c.width()
	for _, l := range lines {
		indent := "\n" + strings.Repeat(" ", 14)
		c.say("  %-11s %s", l[0], strings.ReplaceAll(wrapped(l[1], max(0, width-14)), "\n", indent))
	}
	if others > 0 {
		c.say("%d more have %s in their name: tlkit models '*%s*'", others, r.Name, r.Name)
	}
}

// shortName is the shortest name of a network.
func shortName(r zoo.Row) string {
	names := append([]string{r.Name}, r.Aliases...)
	return slices.MinFunc(names, func(a, b string) int { return len(a) - len(b) })
}

func networkWords(r zoo.Row) string {
	classifier := "no classifier"
	if r.Classes != "" {
		classifier = "a classifier for " + r.Classes
	}
	work := ""
	if n := r.Products(); n > 0 {
		work = fmt.Sprintf("%.2g GMACs a picture, ", n/1e9)
	}
	return fmt.Sprintf("%s parameters, %s%d features of a picture, %s", millions(r.Params), work, r.Features, classifier)
}

func weightsWords(r zoo.Row) []string {
	size := ""
	if r.Bytes() > 0 {
		size = fmt.Sprintf(" (%.1f MB)", float64(r.Bytes())/1e6)
	}
	if at, ok := r.Here(); ok {
		return append([]string{r.FileName() + size + ", here: " + at}, r.Sources()...)
	}
	if len(r.Sources()) == 0 {
		return []string{r.FileName() + ", yours to bring with --weights FILE", r.ByHand}
	}
	return append([]string{r.FileName() + size + ", fetched when it is first used, from"}, r.Sources()...)
}

// shortened leaves out the middle of a long list.
func shortened(all []string, most int) []string {
	if len(all) <= most {
		return all
	}
	return slices.Concat(all[:most/2], []string{fmt.Sprintf("%d more", len(all)-most)}, all[len(all)-most/2:])
}

// modelsPage is docs/models.md.
func modelsPage(rows []zoo.Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# All networks\n\nBack to [networks](networks.md).\n\n<!-- Made by: tlkit models --markdown > docs/models.md -->\n\n")
	b.WriteString("All networks of `tlkit models`, by family; `tlkit models NAME` says more of one. In bold is the first\nchoice of a family. Accuracies are as published, in percent on ImageNet-1k or the classifier's own set.\n\n")
	for _, mark := range marks {
		fmt.Fprintf(&b, "* `%s` %s\n", mark.sign, mark.means)
	}
	var all []modelRow
	for _, r := range rows {
		all = append(all, describe(r))
	}
	for _, family := range familiesOf(all, false) {
		fmt.Fprintf(&b, "\n## %s\n\n| model | | pixels | parameters | top-1 | features | trained on | licence |\n|---|---|--:|--:|--:|--:|---|---|\n", family[0].Family)
		for _, m := range family {
			name, top1 := "`"+m.Name+"`", ""
			if m.Recommended {
				name = "**" + name + "**"
			}
			if m.Top1 > 0 {
				top1 = fmt.Sprintf("%.1f", m.Top1)
			}
			marks := strings.ReplaceAll(m.marks(), "*", `\*`)
			fmt.Fprintf(&b, "| %s | %s | %d | %s | %s | %d | %s | %s |\n", name, marks, m.Size, millions(m.Parameters), top1, m.Features, m.TrainedOn, m.Licence)
		}
	}
	return b.String()
}
