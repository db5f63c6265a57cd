package card

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
)

// HTML returns the card as one HTML file, which needs no other file, no script and no network.
func (c *Card) HTML() ([]byte, error) {
	type section struct {
		Title  string
		Blocks []htmlBlock
	}
	page := struct {
		Title, Summary, Marker string
		Warnings               []string
		Key                    []Fact
		Sections               []section
	}{Title: plain(c.Title), Summary: plain(c.Summary), Marker: marker}
	for _, w := range c.Warnings {
		page.Warnings = append(page.Warnings, plain(w))
	}
	page.Key = Facts(c.Key).plain()
	for _, s := range c.Sections {
		out := section{Title: plain(s.Title)}
		for _, b := range s.Blocks {
			out.Blocks = append(out.Blocks, b.html())
		}
		page.Sections = append(page.Sections, out)
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, page); err != nil {
		return nil, fmt.Errorf("card: %w", err)
	}
	return b.Bytes(), nil
}

//go:embed card.html.tmpl
var pageText string

var pageTemplate = template.Must(template.New("card").Funcs(template.FuncMap{
	"percent": func(v float64) string { return fmt.Sprintf("%.2f%%", 100*min(max(v, 0), 1)) },
	"width":   func(r Range) float64 { return r.High - r.Low },
}).Parse(pageText))

// htmlBlock is a block as the template shows it: one of its fields is set.
type htmlBlock struct {
	Text    string
	List    []string
	Facts   []Fact
	Table   *htmlTable
	Picture *htmlPicture
	Code    string
}

type htmlTable struct {
	Table
	Rows   []htmlRow
	Folded bool
}

type htmlRow struct {
	Name  string
	Cells []string
	Range *Range
}

type htmlPicture struct {
	Source  template.URL
	Alt     string
	Numbers *htmlTable
}

func (t Text) html() htmlBlock { return htmlBlock{Text: plain(string(t))} }

func (l List) html() (b htmlBlock) {
	for _, item := range l {
		b.List = append(b.List, plain(item))
	}
	return b
}

func (f Facts) plain() (out []Fact) {
	for _, fact := range f {
		out = append(out, Fact{plain(fact.Name), plain(fact.Value), plain(fact.Note), fact.Link && isLink(plain(fact.Value))})
	}
	return out
}

func (f Facts) html() htmlBlock { return htmlBlock{Facts: f.plain()} }

func (t Table) forHTML() *htmlTable {
	out := &htmlTable{Table: Table{Title: plain(t.Title)}, Folded: t.folded()}
	for _, h := range t.Header {
		out.Header = append(out.Header, plain(h))
	}
	for i, row := range t.Rows {
		r := htmlRow{Name: plain(row[0])}
		for _, cell := range row[1:] {
			r.Cells = append(r.Cells, plain(cell))
		}
		if t.Ranges != nil {
			r.Range = &t.Ranges[i]
			out.Ranges = t.Ranges
		}
		out.Rows = append(out.Rows, r)
	}
	return out
}

func (t Table) html() htmlBlock { return htmlBlock{Table: t.forHTML()} }

func (p Picture) html() htmlBlock {
	out := &htmlPicture{Source: template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(p.PNG)), Alt: plain(p.Alt)}
	if len(p.PNG) == 0 {
		out.Source = ""
	}
	if len(p.Numbers.Rows) > 0 {
		out.Numbers = p.Numbers.forHTML()
	}
	return htmlBlock{Picture: out}
}

func (c Code) html() htmlBlock { return htmlBlock{Code: c.plain()} }
