package hostile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// recorder is a test that notes whether it failed.
type recorder struct {
	testing.TB
	failures int
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failures++ }
func (r *recorder) Fatalf(string, ...any) { r.failures++ }

func TestNames(t *testing.T) {
	names := Names()
	if len(names) < 120 {
		t.Errorf("%d names, want at least 120", len(names))
	}
	slices.Sort(names)
	if n := len(slices.Compact(slices.Clone(names))); n != len(names) {
		t.Errorf("%d of %d names are different", n, len(names))
	}
}

// What escapes passes, and what forgets it anywhere is found.
func TestFinds(t *testing.T) {
	for what, c := range map[string]struct {
		test   func(testing.TB, string, func(string) []byte)
		output string
		escape func(string) string
		fails  bool
	}{
		"escaped":          {HTML, `<p title="%[1]s">%[1]s</p>`, html.EscapeString, false},
		"text":             {HTML, `<p>%s</p>`, func(s string) string { return s }, true},
		"attribute":        {HTML, `<p title="%s">x</p>`, func(s string) string { return s }, true},
		"unquoted":         {HTML, `<p title=%s>x</p>`, html.EscapeString, true},
		"address":          {HTML, `<a href="%s">x</a>`, html.EscapeString, true},
		"style":            {HTML, `<p style="%[1]s">%[1]s</p>`, html.EscapeString, true},
		"element":          {HTML, `<script>"%s"</script>`, func(s string) string { return s }, true},
		"nothing to see":   {HTML, `<p></p>%.0s`, html.EscapeString, true},
		"Markdown":         {Markdown, "*x* %s", html.EscapeString, true},
		"drawing":          {Inert, `<svg><title>%s</title></svg>`, func(s string) string { return s }, true},
		"a drawing's link": {Inert, `<svg><a href="x"><title>x</title></a></svg>%.0s`, func(string) string { return "" }, true},
		"a good drawing":   {Inert, `<svg><title>%s</title></svg>`, func(s string) string { return fmt.Sprintf("%x", s) }, false},
	} {
		r := &recorder{TB: t}
		c.test(r, what, func(name string) []byte { return fmt.Appendf(nil, c.output, c.escape(name)) })
		if (r.failures > 0) != c.fails {
			t.Errorf("%s: %d failures", what, r.failures)
		}
	}
}

func TestTerminal(t *testing.T) {
	for what, c := range map[string]struct {
		output func(string) string
		fails  bool
	}{
		"as it is":       {func(s string) string { return s }, true},
		"quoted":         {func(s string) string { return fmt.Sprintf("%+q", s) }, false},
		"nothing to see": {func(string) string { return "" }, true},
	} {
		r := &recorder{TB: t}
		Terminal(r, what, c.output)
		if (r.failures > 0) != c.fails {
			t.Errorf("%s: %d failures", what, r.failures)
		}
	}
}

// A package that makes pages or markup tests what it makes with the names of this package, so that none is
// forgotten: one that uses html/template, embeds a page or a template, or has elements in a string. The scripts of
// a page put no text into it as markup, which would undo that.
func TestAllOutputsAreTested(t *testing.T) {
	raw, err := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports,TestImports,XTestImports,EmbedFiles", "github.com/tlkit/transfer-learning/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	const here = "github.com/tlkit/transfer-learning/internal/hostile"
	seen := 0
	for d := json.NewDecoder(bytes.NewReader(raw)); d.More(); {
		var p struct {
			ImportPath, Dir                                         string
			GoFiles, Imports, TestImports, XTestImports, EmbedFiles []string
		}
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		why := ""
		if slices.Contains(p.Imports, "html/template") {
			why = "html/template"
		}
		for _, file := range p.EmbedFiles {
			switch filepath.Ext(file) {
			case ".html", ".tmpl":
				why = file
			case ".js":
				if bad := putsMarkup.FindString(read(t, p.Dir, file)); bad != "" {
					t.Errorf("%s: %s: %s makes markup of a text; set textContent", p.ImportPath, file, bad)
				}
			}
		}
		for _, file := range p.GoFiles {
			if literal := elementIn(t, filepath.Join(p.Dir, file)); literal != "" {
				why = fmt.Sprintf("%s has %.60q", file, literal)
			}
		}
		if why == "" || p.ImportPath == here {
			continue
		}
		seen++
		if !slices.Contains(p.TestImports, here) && !slices.Contains(p.XTestImports, here) {
			t.Errorf("%s makes markup (%s): call hostile.HTML or hostile.Markdown in a test of it", p.ImportPath, why)
		}
	}
	if seen < 4 {
		t.Errorf("%d packages make markup", seen)
	}
}

var (
	putsMarkup = regexp.MustCompile(`\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function)`)
	element    = regexp.MustCompile(`<(table|tr|td|th|div|p|pre|code|img|svg|html|span|ul|li|h[1-6]|details|strong|a href)[ />]`)
)

func read(t *testing.T, dir, file string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// elementIn returns a string of a Go file that has the beginning of an HTML element; "" = there is none.
func elementIn(t *testing.T, file string) (literal string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING && element.MatchString(l.Value) {
			literal = l.Value
		}
		return literal == ""
	})
	return literal
}
