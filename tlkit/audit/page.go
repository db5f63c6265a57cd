package audit

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"image/jpeg"
	"io"
	"strings"

	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

//go:embed page.html.tmpl
var pageText string

var pageTemplate = template.Must(template.New("audit").Parse(pageText))

// Limits of a page: findings of a kind with pictures, pictures and files of a finding, findings that are only
// named, and the side of a thumbnail in pixels.
const (
	mostShown = 24
	mostTiles = 4
	mostFiles = 8
	mostRest  = 2000
	tileSide  = 268
)

// meanings say what kinds of findings mean for whoever looks at the page.
var meanings = map[Kind]string{
	Unreadable:    "Files that should be pictures and cannot be read. They are lost for training.",
	Leak:          "The same picture, or nearly, in two splits. What is measured on it says nothing about new pictures.",
	GroupLeak:     "Pictures of one patient, video or place in two splits. The score is better than it will be for new ones.",
	Contradiction: "The same picture, or nearly, with different labels. Which of them is right, only a person knows.",
	Shortcut:      "Something beside the content tells the label. A network may learn that instead, and fail elsewhere.",
	WrongLabel:    "Labels that a head disputes which did not learn from the picture. Look before you change one.",
	WrongValue:    "Numbers far from those that a head gives which did not learn from the picture.",
	Copy:          "The same picture, or nearly, twice in a split. It counts twice.",
	Imbalance:     "Labels with far fewer pictures than the most frequent one.",
	Outlier:       "Pictures unlike all others. They may not belong here.",
	Blurred:       "Far less sharp than the other pictures.",
	Dark:          "Hardly anything above black.",
	Bright:        "Hardly anything below white.",
	Empty:         "Nearly one colour.",
	OddSize:       "Far fewer pixels than the other pictures.",
	OddShape:      "Far longer or wider than the other pictures.",
}

// page is a report as the template shows it.
type page struct {
	Title, Folder               string
	Pictures, Findings, Serious int
	Notes                       []string
	Kinds                       []pageKind
}

type pageKind struct {
	Name, Meaning string
	Count         int
	Serious       bool
	Shown         []*pageFinding
	Rest          []string
}

type pageFinding struct {
	Tiles       []pageTile
	Labels, Why string
	Files       []string
}

type pageTile struct {
	Source template.URL // "" = it cannot be read
	Alt    string
	path   string
}

// WritePage writes a report as one HTML page with thumbnails, which needs no other file, no script and no network.
// Of many findings of a kind, the first have pictures and the others their names.
func WritePage(w io.Writer, r *Report) error {
	p := page{Title: "Findings in " + words.Plain(r.Name), Folder: words.Plain(invoke.Quote(r.Name)), Pictures: r.Pictures, Findings: len(r.Findings), Serious: r.Serious()}
	for _, n := range r.Notes {
		p.Notes = append(p.Notes, words.Plain(upper(n))+".")
	}
	var tiles []*pageTile
	for _, kind := range r.Kinds() {
		all := r.Of(kind)
		k := pageKind{Name: string(kind), Meaning: meanings[kind], Count: len(all), Serious: all[0].Serious}
		for i, f := range all {
			switch {
			case i < mostShown:
				shown := shownOf(r, f)
				for t := range shown.Tiles {
					tiles = append(tiles, &shown.Tiles[t])
				}
				k.Shown = append(k.Shown, shown)
			case i < mostShown+mostRest:
				k.Rest = append(k.Rest, fmt.Sprintf("%s: %s", strings.Join(f.Names(mostFiles), ", "), words.Plain(f.Why)))
			}
		}
		p.Kinds = append(p.Kinds, k)
	}
	parallel(len(tiles), func(i int) { tiles[i].take() })
	if err := pageTemplate.Execute(w, p); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// upper begins a sentence.
func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// shownOf is a finding with its pictures, which are not read yet.
func shownOf(r *Report, f Finding) *pageFinding {
	out := &pageFinding{Why: words.Plain(f.Why)}
	if len(f.Files) > 0 {
		out.Files = f.Names(mostFiles)
	}
	if f.Suggested != "" && len(f.Labels) > 0 {
		out.Labels = words.Plain(f.Labels[0]) + " → " + words.Plain(f.Suggested) + "?"
	} else if len(f.Files) == 0 {
		out.Labels = words.Some(f.Labels)
	}
	for _, file := range f.Files[:min(mostTiles, len(f.Files))] {
		out.Tiles = append(out.Tiles, pageTile{Alt: words.Plain(file), path: r.Path(file)})
	}
	return out
}

// take reads the picture of a tile.
func (t *pageTile) take() {
	small := transforms.DecodeOptions{}.Thumbnail(t.path, tileSide)
	if small == nil {
		return
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, small, &jpeg.Options{Quality: 80}); err == nil {
		t.Source = template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(b.Bytes()))
	}
}
