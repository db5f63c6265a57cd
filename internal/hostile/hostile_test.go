package hostile

import (
	"fmt"
	"html"
	"os/exec"
	"slices"
	"strings"
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

// Packages that make HTML say in a test what they make, so that none is forgotten.
func TestAllOutputsAreTested(t *testing.T) {
	raw, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{.Imports}} {{.TestImports}} {{.XTestImports}}", "github.com/tlkit/transfer-learning/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, line := range strings.Split(string(raw), "\n") {
		path, rest, _ := strings.Cut(line, " ")
		imports, tests, _ := strings.Cut(rest, "] [")
		if !strings.Contains(imports, "html/template") {
			continue
		}
		seen++
		if !strings.Contains(tests, "/internal/hostile") {
			t.Errorf("%s makes HTML: call hostile.HTML in a test of it", path)
		}
	}
	if seen < 3 {
		t.Errorf("%d packages make HTML", seen)
	}
}
