// Package hostile tests that texts from elsewhere, such as labels and the names of files, never become
// markup: with any of them, what is shown has the same elements as with a harmless one.
//
// A new output gets a line in a test of its package:
//
//	hostile.HTML(t, "table", func(name string) []byte { return []byte(tableOf(name).HTML()) })
package hostile

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	goldhtml "github.com/yuin/goldmark/renderer/html"
	"golang.org/x/net/html"
)

// Harmless is the name that others are compared with. It takes part in no markup, and no output drops it.
const Harmless = "harmlessname"

// HTML tests that an output in HTML has the same tree with every name of [Names].
func HTML(t testing.TB, what string, output func(name string) []byte) {
	t.Helper()
	compare(t, what, output, htmlTree)
}

// Markdown tests the same of an output in GitHub's Markdown, in which HTML is allowed.
func Markdown(t testing.TB, what string, output func(name string) []byte) {
	t.Helper()
	parser := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(goldhtml.WithUnsafe()))
	compare(t, what, output, func(page []byte) ([]string, error) {
		var b bytes.Buffer
		if err := parser.Convert(page, &b); err != nil {
			return nil, err
		}
		return htmlTree(b.Bytes())
	})
}

// Inert tests that an output in XML, such as SVG, can be read with every name, and contains nothing that
// runs or is loaded. The elements of a drawing change with the width of a name.
func Inert(t testing.TB, what string, output func(name string) []byte) {
	t.Helper()
	for _, name := range append([]string{Harmless}, Names()...) {
		if err := inert(output(name)); err != nil {
			t.Errorf("%s of %q: %v", what, name, err)
		}
	}
}

// Terminal tests that a text for a terminal holds no character that moves the cursor or turns the direction of
// the text, whatever the name.
func Terminal(t testing.TB, what string, output func(name string) string) {
	t.Helper()
	if text := output(Harmless); !strings.Contains(text, Harmless) {
		t.Fatalf("%s does not show a harmless name, so that it proves nothing:\n%.500s", what, text)
	}
	for _, name := range Names() {
		for _, c := range output(name) {
			if c < ' ' && c != '\n' && c != '\t' || c >= 0x7f && c <= 0x9f || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
				t.Errorf("%s of %q has the character %U", what, name, c)
				break
			}
		}
	}
}

func compare(t testing.TB, what string, output func(name string) []byte, tree func([]byte) ([]string, error)) {
	t.Helper()
	harmless := output(Harmless)
	if !bytes.Contains(harmless, []byte(Harmless)) {
		t.Fatalf("%s does not show a harmless name, so that it proves nothing:\n%.500s", what, harmless)
	}
	want, err := tree(harmless)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	for _, name := range Names() {
		got, err := tree(output(name))
		if err != nil {
			t.Errorf("%s of %q: %v", what, name, err)
		} else if !slices.Equal(got, want) {
			t.Errorf("%s of %q has other elements: %s", what, name, firstDifference(got, want))
		}
	}
}

func firstDifference(got, want []string) string {
	for i, w := range want {
		if i >= len(got) || got[i] != w {
			return fmt.Sprintf("number %d is %q, want %q", i, append(got, "missing")[min(i, len(got))], w)
		}
	}
	return fmt.Sprintf("%q more", got[len(want):])
}

// htmlTree lists the elements of a page with their depth and attributes. Values of attributes count too,
// except where they hold the name.
func htmlTree(page []byte) (tree []string, err error) {
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		return nil, err
	}
	var walk func(n *html.Node, depth int)
	walk = func(n *html.Node, depth int) {
		switch n.Type {
		case html.ElementNode:
			node := fmt.Sprintf("%d %s", depth, n.Data)
			for _, a := range n.Attr {
				node += " " + a.Key
				if !textual[a.Key] {
					node += "=" + a.Val
				} else if scheme := strings.ToLower(strings.TrimSpace(a.Val)); a.Key == "href" && strings.HasPrefix(scheme, "javascript:") {
					node += " (a script)"
				}
			}
			tree = append(tree, node)
		case html.CommentNode, html.DoctypeNode:
			tree = append(tree, fmt.Sprintf("%d <!", depth))
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c, depth+1)
		}
	}
	walk(root, 0)
	return tree, nil
}

// textual are the attributes that may hold a name.
var textual = map[string]bool{"title": true, "alt": true, "aria-label": true, "value": true, "content": true, "href": true}

// inert returns an error unless XML is well formed and holds only what draws.
func inert(drawing []byte) error {
	d := xml.NewDecoder(bytes.NewReader(drawing))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if slices.Contains([]string{"script", "foreignObject", "iframe", "a", "animate", "set", "use", "style"}, e.Name.Local) {
			return fmt.Errorf("element %s", e.Name.Local)
		}
		for _, a := range e.Attr {
			if strings.HasPrefix(strings.ToLower(a.Name.Local), "on") || a.Name.Local == "href" && !strings.HasPrefix(a.Value, "data:image/png;base64,") {
				return fmt.Errorf("element %s with %s=%.40q", e.Name.Local, a.Name.Local, a.Value)
			}
		}
	}
}
