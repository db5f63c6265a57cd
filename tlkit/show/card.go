package show

import (
	"fmt"
	"html/template"
	"strings"
)

// Card reports that something could not be done.
type Card struct {
	What  string // what was tried: "FitHead of ants-and-bees"
	Where string // the folder or file it concerns; may be empty
	Why   string // the reason; line breaks are kept
	Fix   string // what to type next; may be empty
}

// Text returns the card as plain text.
func (c Card) Text() string {
	text := "✗ " + clean(c.What) + " could not be done\n\n" + clean(c.Why)
	if c.Where != "" {
		text += "\n\nin " + clean(c.Where)
	}
	if c.Fix != "" {
		text += "\n\n→ " + clean(c.Fix)
	}
	return text
}

var cardHTML = template.Must(template.New("card").Funcs(template.FuncMap{"clean": clean}).Parse(
	`<p><strong>✗ {{clean .What}} could not be done</strong></p><pre>{{clean .Why}}</pre>{{if .Where}}<p>in <code>{{clean .Where}}</code></p>{{end}}{{if .Fix}}<p>→ {{clean .Fix}}</p>{{end}}`))

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
