package card

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/tlkit/transfer-learning/internal/words"
)

// Markdown returns the card in GitHub's Markdown, after the metadata that Hugging Face's hub reads.
func (c *Card) Markdown() []byte {
	w := &markdownWriter{}
	w.WriteString(c.Hub.frontMatter())
	fmt.Fprintf(w, "<!-- %s -->\n\n", marker)
	fmt.Fprintf(w, "# %s\n\n", inline(c.Title))
	if c.Summary != "" {
		fmt.Fprintf(w, "%s\n\n", inline(c.Summary))
	}
	for _, warning := range c.Warnings {
		fmt.Fprintf(w, "> [!WARNING]\n> **%s**\n\n", inline(warning))
	}
	if len(c.Key) > 0 {
		Facts(c.Key).markdown(w)
	}
	for _, s := range c.Sections {
		fmt.Fprintf(w, "## %s\n\n", inline(s.Title))
		for _, b := range s.Blocks {
			b.markdown(w)
		}
	}
	return append(bytes.TrimRight(w.Bytes(), "\n"), '\n')
}

type markdownWriter struct{ bytes.Buffer }

func (t Text) markdown(w *markdownWriter) { fmt.Fprintf(w, "%s\n\n", inline(string(t))) }

func (l List) markdown(w *markdownWriter) {
	for _, item := range l {
		fmt.Fprintf(w, "- %s\n", inline(item))
	}
	w.WriteByte('\n')
}

func (f Facts) markdown(w *markdownWriter) {
	w.WriteString("| | |\n|---|---|\n")
	for _, fact := range f {
		value := inline(fact.Value)
		if fact.Link && isLink(fact.Value) {
			value = "<" + fact.Value + ">"
		}
		if fact.Note != "" {
			value += " (" + inline(fact.Note) + ")"
		}
		fmt.Fprintf(w, "| **%s** | %s |\n", inline(fact.Name), value)
	}
	w.WriteByte('\n')
}

func (t Table) markdown(w *markdownWriter) {
	if t.folded() {
		fmt.Fprintf(w, "<details><summary>%s</summary>\n\n", inline(t.Title))
	} else if t.Title != "" {
		fmt.Fprintf(w, "%s:\n\n", inline(t.Title))
	}
	for i, h := range t.Header {
		if i == 0 && h == "" {
			h = " "
		}
		fmt.Fprintf(w, "| %s ", inline(h))
	}
	w.WriteString("|\n|---|" + strings.Repeat("---:|", max(0, len(t.Header)-1)) + "\n")
	for _, row := range t.Rows {
		for _, cell := range row {
			fmt.Fprintf(w, "| %s ", inline(cell))
		}
		w.WriteString("|\n")
	}
	w.WriteByte('\n')
	if t.folded() {
		w.WriteString("</details>\n\n")
	}
}

// markdown writes the sentence and the numbers: pictures inside a Markdown file are not shown by hubs.
func (p Picture) markdown(w *markdownWriter) {
	if p.Alt != "" {
		Text(p.Alt).markdown(w)
	}
	if len(p.Numbers.Rows) > 0 {
		p.Numbers.markdown(w)
	}
}

func (c Code) markdown(w *markdownWriter) {
	fence, text := "```", c.plain()
	for strings.Contains(text, fence) {
		fence += "`"
	}
	fmt.Fprintf(w, "%s%s\n%s\n%s\n\n", fence, c.Language, text, fence)
}

// plain makes each line of a program fit for a card.
func (c Code) plain() string {
	lines := strings.Split(strings.TrimRight(strings.ToValidUTF8(c.Text, "?"), "\n"), "\n")
	for i, l := range lines {
		lines[i] = words.Plain(strings.ReplaceAll(l, "\t", "    "))
	}
	return strings.Join(lines, "\n")
}

// longTable is the number of rows above which a table is folded away.
const longTable = 20

func (t Table) folded() bool { return len(t.Rows) > longTable && t.Title != "" }

// longest is the number of characters of a text that are shown.
const longest = 2000

// plain makes a text fit for a card: one line, without characters that steer a terminal or the
// direction of text.
func plain(s string) string {
	s = words.Shorten(strings.ToValidUTF8(strings.ReplaceAll(s, "\n", " "), "?"), longest)
	return strings.TrimSpace(s)
}

// special is what Markdown reads in the middle of a line. The last part is what GitHub makes a link
// without being asked.
var special = regexp.MustCompile("[\\\\`*_{}\\[\\]<>&|~$^]|(?i:(https?|ftp|mailto|xmpp):|www\\.|@)")

// opening is what begins a heading, a list, a quotation or a rule at the start of a line.
var opening = regexp.MustCompile(`^(#{1,6}|[+=-]+|[0-9]{1,9}[.)])(?:\s|$)`)

// inline escapes a text for the middle of a line of Markdown: it is shown as it is.
func inline(s string) string {
	last := func(m string) string { return m[:len(m)-1] + `\` + m[len(m)-1:] } // escapes the last character
	s = special.ReplaceAllStringFunc(plain(s), func(m string) string {
		if m == "|" { // tables have their own rule for \|
			return "&#124;"
		}
		return last(m)
	})
	if m := opening.FindStringSubmatch(s); m != nil {
		s = last(m[1]) + s[len(m[1]):]
	}
	return s
}

// isLink reports whether a text is a web address that can stand in the Markdown and in an href as it
// is.
func isLink(s string) bool { return link.MatchString(s) }

var link = regexp.MustCompile(`^https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/%#?=+,-]*)?$`)
