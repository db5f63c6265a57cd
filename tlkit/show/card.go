package show

import (
	"fmt"
	"html/template"
	"strings"
)

// Card reports that something could not be done, or was interrupted.
type Card struct {
	What  string // what was tried: "FitHead of ants-and-bees"
	Pause bool   // it was interrupted, and continues when it is run again
	Where string // the folder or file it concerns; may be empty
	Why   string // the reason; line breaks are kept
	Fix   string // what to type next; may be empty
}

// Text returns the card as plain text.
func (c Card) Text() string {
	text := c.title() + "\n\n" + clean(c.Why)
	if c.Where != "" {
		text += "\n\nin " + clean(c.Where)
	}
	if c.Fix != "" {
		text += "\n\n→ " + clean(c.Fix)
	}
	return text
}

func (c Card) title() string {
	if c.Pause {
		return "⏸ " + clean(c.What) + " is paused"
	}
	return "✗ " + clean(c.What) + " could not be done"
}

var cardHTML = template.Must(template.New("card").Funcs(template.FuncMap{"clean": clean, "title": Card.title}).Parse(
	`<p><strong>{{title .}}</strong></p><pre>{{clean .Why}}</pre>{{if .Where}}<p>in <code>{{clean .Where}}</code></p>{{end}}{{if .Fix}}<p>→ {{clean .Fix}}</p>{{end}}`))

// HTML returns the card for a notebook.
func (c Card) HTML() string { return render(cardHTML, c) }

// Card shows a card.
func (s *Screen) Card(c Card) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := strings.TrimRight(c.Text(), "\n")
	if !s.inCell() || s.cell.send(bundle{place: s.take(), text: text, html: c.HTML()}) != nil {
		fmt.Fprintln(s.Out, text)
	}
}

var foldedHTML = template.Must(template.New("folded").Funcs(template.FuncMap{"clean": clean}).Parse(
	`<details><summary>{{clean .Summary}}</summary>{{range .Lines}}<div>{{clean .}}</div>{{end}}</details>`))

// Folded shows a summary line. In a notebook, the line opens to show the others.
func (s *Screen) Folded(summary string, lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	html := render(foldedHTML, map[string]any{"Summary": summary, "Lines": lines})
	if !s.inCell() || s.cell.send(bundle{place: s.take(), text: clean(summary), html: html}) != nil {
		fmt.Fprintln(s.Out, clean(summary))
	}
}
