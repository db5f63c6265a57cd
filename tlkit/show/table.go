package show

import (
	"bytes"
	"fmt"
	"html/template"
	"strings"
	"unicode/utf8"
)

// Table is text in rows and columns.
type Table struct {
	Caption string
	Header  []string
	Rows    [][]string
	Left    int // the first Left columns are aligned left (words), the others right (numbers)
}

// The largest number of characters shown of a cell; longer cells keep both ends. A page wraps long
// text, a terminal does not.
const (
	longestHTML = 300
	longestText = 80
)

func shorten(s string, longest int) string {
	s = strings.ReplaceAll(clean(s), "\n", " ")
	if utf8.RuneCountInString(s) <= longest {
		return s
	}
	r := []rune(s)
	return string(r[:longest/2-1]) + "…" + string(r[len(r)-longest/2:])
}

func shortHTML(s string) string { return shorten(s, longestHTML) }
func shortText(s string) string { return shorten(s, longestText) }

// Text returns the table for a terminal.
func (t Table) Text() string {
	width := make([]int, len(t.Header))
	lines := append([][]string{t.Header}, t.Rows...)
	for _, l := range lines {
		for i, c := range l {
			if i < len(width) {
				width[i] = max(width[i], utf8.RuneCountInString(shortText(c)))
			}
		}
	}
	var b strings.Builder
	if t.Caption != "" {
		b.WriteString(clean(t.Caption) + "\n")
	}
	for _, l := range lines {
		var row strings.Builder
		for i, c := range l {
			if i >= len(width) {
				break
			}
			c = shortText(c)
			gap := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
			if i > 0 {
				row.WriteString("  ")
			}
			if i < t.Left {
				row.WriteString(c + gap)
			} else {
				row.WriteString(gap + c)
			}
		}
		b.WriteString(strings.TrimRight(row.String(), " ") + "\n")
	}
	return b.String()
}

// tableHTML, like the other templates, escapes every text it is given. No HTML is built in
// any other way.
var tableHTML = template.Must(template.New("table").Funcs(template.FuncMap{"shorten": shortHTML, "clean": clean}).Parse(
	`<table>{{if .Caption}}<caption>{{clean .Caption}}</caption>{{end}}<thead><tr>{{range $i, $h := .Header}}<th scope="col" style="text-align: {{if lt $i $.Left}}left{{else}}right{{end}}">{{shorten $h}}</th>{{end}}</tr></thead><tbody>{{range .Rows}}<tr>{{range $i, $c := .}}<td style="text-align: {{if lt $i $.Left}}left{{else}}right{{end}}">{{shorten $c}}</td>{{end}}</tr>{{end}}</tbody></table>`))

var progressHTML = template.Must(template.New("progress").Funcs(template.FuncMap{"clean": clean}).Parse(
	`<progress{{if .Total}} value="{{.Done}}" max="{{.Total}}"{{end}}></progress> {{clean .Words}}`))

func render(t *template.Template, data any) string {
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return template.HTMLEscapeString(fmt.Sprint(err))
	}
	return b.String()
}

// HTML returns the table for a notebook, without scripts or anything else that a sanitiser
// would change.
func (t Table) HTML() string { return render(tableHTML, t) }
