// Package card writes model cards: what a trained model predicts, how well, what it was trained on,
// and what it must not be used for, as Markdown for a repository or a hub and as one HTML file.
//
//	c := &card.Card{
//		Title:    "ants or bees",
//		Sections: []card.Section{{Title: "Data", Blocks: []card.Block{card.Text("244 photographs.")}}},
//	}
//	err := c.Write("model.card.md", false)
//
// Both forms say the same. All texts are plain: whatever a label or a file name holds, it is shown
// as it is, and never becomes markup. The Markdown begins with the metadata that Hugging Face's hub
// reads; the HTML needs no other file and no network.
//
// run.HeadSpec.Card makes the card of a trained head.
package card

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
)

// Card describes a trained model.
type Card struct {
	Title    string
	Summary  string   // what it is, in a sentence or two
	Warnings []string // what readers must not miss, such as a licence that forbids commercial use
	Key      []Fact   // the most important figures, at most four
	Sections []Section
	Hub      Hub
}

// Section is a part of a card under a title.
type Section struct {
	Title  string
	Blocks []Block
}

// Block is one of [Text], [List], [Facts], [Table], [Picture] and [Code].
type Block interface {
	markdown(w *markdownWriter)
	html() htmlBlock
}

// Text is a paragraph.
type Text string

// List is a list of sentences.
type List []string

// Fact is a name with its value.
type Fact struct {
	Name, Value string
	Note        string // in smaller letters, after or below the value
	Link        bool   // Value is a web address, to be followed; anything else stays a text
}

// Facts is a table of names and values.
type Facts []Fact

// Table is rows under a header. The first column is the name of the row; the others are set right.
type Table struct {
	Header []string
	Rows   [][]string
	// Ranges has the value of each row, between 0 and 1, with its interval, which the HTML draws;
	// nil = none.
	Ranges []Range
	Title  string // names the table; long tables are folded away behind it
}

// Range is a value with its interval.
type Range struct{ Low, Value, High float64 }

// Picture is a figure.
type Picture struct {
	PNG []byte
	Alt string // what it shows, for those who do not see it; the Markdown has this and the table
	// Numbers are those that the figure draws; the zero value = none.
	Numbers Table
}

// Code is lines of a program.
type Code struct {
	Language string // as Markdown names it: "python", "go", "sh"
	Text     string
}

// Titles of sections that exports replace by what holds for their files.
const (
	Checks = "Checks"
	Usage  = "How to use it"
)

// With returns the card with a section in the place of the one with its title, or at the end.
func (c *Card) With(s Section) *Card {
	out := *c
	out.Sections = slices.Clone(c.Sections)
	at := slices.IndexFunc(out.Sections, func(other Section) bool { return other.Title == s.Title })
	if at < 0 {
		out.Sections = append(out.Sections, s)
	} else {
		out.Sections[at] = s
	}
	return &out
}

// For returns the card for files of a library, by its name on Hugging Face's hub.
func (c *Card) For(library string) *Card {
	out := *c
	out.Hub.Library = library
	return &out
}

// marker is in every file that Write makes, so that it can be replaced.
const marker = "written by tlkit"

// Written reports whether a file of this content is a card that [Card.Write] made.
func Written(content []byte) bool {
	const most = 1 << 16 // the metadata of a card of many labels
	return bytes.Contains(content[:min(len(content), most)], []byte(marker))
}

// Replaceable returns an error unless Write can write file: its name ends in .md, .html or .htm, and
// there is no such file, or it is a card, or force is set.
func Replaceable(file string, force bool) error {
	if _, err := formOf(file); err != nil {
		return err
	}
	err := atomicfile.Replaceable(file, "a card of tlkit", force, func() bool {
		data, err := os.ReadFile(file)
		return err == nil && Written(data)
	})
	if err != nil {
		return fmt.Errorf("card: %w", err)
	}
	return nil
}

// Write writes the card into file, completely or not at all: as Markdown if its name ends in .md, as
// HTML if it ends in .html or .htm. See [Replaceable] for what it replaces.
func (c *Card) Write(file string, force bool) error {
	if err := Replaceable(file, force); err != nil {
		return err
	}
	form, err := formOf(file)
	if err != nil {
		return err
	}
	data, err := form(c)
	if err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(file, data, 0o644); err != nil {
		return fmt.Errorf("card: %w", err)
	}
	return nil
}

// formOf returns what makes the content of a file of that name.
func formOf(file string) (func(*Card) ([]byte, error), error) {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".md":
		return func(c *Card) ([]byte, error) { return c.Markdown(), nil }, nil
	case ".html", ".htm":
		return (*Card).HTML, nil
	}
	return nil, advice.New(fmt.Errorf("card: %s: the form of a card is told by the end of its name", file), "name a file that ends in .md or .html")
}

// Beside returns the names of the two cards of a file: model.card.md and model.card.html beside
// model.onnx.
func Beside(file string) [2]string {
	stem := strings.TrimSuffix(file, filepath.Ext(file))
	return [2]string{stem + ".card.md", stem + ".card.html"}
}
