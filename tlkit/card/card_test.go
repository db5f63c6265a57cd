package card

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/hostile"
)

var update = flag.Bool("update", false, "write the files of testdata")

// example is a card with every kind of block, in which label stands wherever a user's text may.
func example(t *testing.T, label string) *Card {
	t.Helper()
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 4, 3))); err != nil {
		t.Fatal(err)
	}
	table := Table{Header: []string{"label", label}, Rows: [][]string{{label, "1 of 2"}, {"bees", label}}, Title: label, Ranges: []Range{{0.1, 0.5, 0.9}, {-1, 0, 2}}}
	long := Table{Header: []string{"label", "pictures"}, Title: "21 labels"}
	for i := range 21 {
		long.Rows = append(long.Rows, []string{fmt.Sprintf("%s %d", label, i), "5"})
	}
	return &Card{
		Title: label, Summary: "It says " + label, Warnings: []string{"For non-commercial use only: " + label},
		Key: []Fact{{Name: "accuracy on " + label, Value: "95.4 %", Note: "95 %: 90.9-97.8, 146 of 153 pictures"}, {Name: "network", Value: label}},
		Sections: []Section{
			{Title: "Labels of " + label, Blocks: []Block{Text(label), List{label, "bees"}, table, long}},
			{Title: Checks, Blocks: []Block{
				Facts{{Name: "name", Value: label, Note: label}, {Name: "from", Value: "https://example.org/a_b?c=d", Link: true}, {Name: label, Value: "https://example.org/\"onclick=" + label, Link: true}},
				Picture{PNG: picture.Bytes(), Alt: "A matrix of " + label, Numbers: table},
			}},
			{Title: Usage, Blocks: []Block{Code{Language: "sh", Text: "tlkit predict my.head.safetensors PICTURE…\n# " + strings.ReplaceAll(label, "\n", " ")}}},
		},
		Hub: Hub{
			Library: "tlkit", Pipeline: "image-classification", License: "mit", Base: "timm/resnet18.a1_in1k", Tags: []string{"transfer-learning", label}, Name: label,
			Results: []Result{{Dataset: label, Split: "valid", Metric: "accuracy", Title: label, Value: 0.954248}},
		},
	}
}

func TestGolden(t *testing.T) {
	c := example(t, "ants & \"bees\" <or> wasps_1*2")
	for file, form := range map[string]func() ([]byte, error){
		"card.md":   func() ([]byte, error) { return c.Markdown(), nil },
		"card.html": c.HTML,
	} {
		got, err := form()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", file)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not as in testdata; if it should have changed: go test ./tlkit/card -update\n%s", file, got)
		}
	}
}

// strange are labels that would be markup if they were not escaped.
var strange = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</td></tr></table><h1>x</h1>`, `--><b>x</b><!--`,
	`]]>`, `&lt;b&gt;`, `javascript:alert(1)`, `[x](javascript:alert(1))`, `![x](https://example.org/x.png)`, `<https://example.org>`, `https://example.org`, `www.example.org`,
	"`code`", "```\nfence", `a | b`, `\| a`, `\\`, `**bold** __bold__ ~~gone~~`, `$x^2$`, `# heading`, `- item`, `1. item`, `> quote`, `---`, `===`, "two\nlines\n\n# three", "a\r\nb",
	`{{.Title}}`, `{% raw %}`, "bell\a escape\x1b[31m", "turned\u202eround", "bad\xffbytes", "\u2028", "ants: {a: [b, 'c', \"d\"]} # e", `!!python/object:os.system`, "\ttab", "'", `\`, "   ", "\U0001F41C\U0001F41D",
	`a@example.org`, `- [ ] task`, `[^1]`, `:bee:`, `<details open ontoggle=alert(1)>`, `</summary></details>`, "null", "true", "1e3", "",
}

var tags = regexp.MustCompile(`<[^>]*>`)

// shape is the tags of a page, without the values of attributes that hold texts.
func shape(page []byte) []string {
	texts := regexp.MustCompile(`( alt| href)="[^"]*"`)
	var out []string
	for _, tag := range tags.FindAllString(string(page), -1) {
		out = append(out, texts.ReplaceAllString(tag, "$1"))
	}
	return out
}

// No label changes the structure of the page, and all of them are shown as they are.
func TestHTMLEscapes(t *testing.T) {
	page, err := example(t, "ants").HTML()
	if err != nil {
		t.Fatal(err)
	}
	want := shape(page)
	for _, label := range strange {
		page, err := example(t, label).HTML()
		if err != nil {
			t.Fatal(err)
		}
		if got := shape(page); !slices.Equal(got, want) && plain(label) != "" { // an empty text leaves its paragraph out
			t.Errorf("%q changes the page", label)
		}
		text := html.UnescapeString(tags.ReplaceAllString(string(page), "\n"))
		if !strings.Contains(text, plain(label)) {
			t.Errorf("%q is not in the page", label)
		}
		if strings.Contains(text, "ZgotmplZ") {
			t.Errorf("%q was taken for something unsafe", label)
		}
	}
}

// No name of any kind changes the tree of either form.
func TestHostileNames(t *testing.T) {
	hostile.HTML(t, "card", func(name string) []byte {
		page, err := example(t, name).HTML()
		if err != nil {
			t.Fatal(err)
		}
		return page
	})
	hostile.Markdown(t, "card", func(name string) []byte {
		_, text, _ := bytes.Cut(example(t, name).Markdown(), []byte("\n---\n")) // after the metadata
		return text
	})
}

// The page needs nothing from elsewhere.
func TestHTMLIsSelfContained(t *testing.T) {
	page, err := example(t, "ants").HTML()
	if err != nil {
		t.Fatal(err)
	}
	if found := regexp.MustCompile(`(?i)<script|<link|@import|url\(|src="(?:[^d]|d[^a])`).FindAll(page, -1); found != nil {
		t.Errorf("%q", found)
	}
	if n := bytes.Count(page, []byte("prefers-color-scheme: dark")); n != 1 {
		t.Errorf("%d dark schemes", n)
	}
}

// The same in Markdown, whose structure is that of its lines: no text begins a line that is another block.
func TestMarkdownEscapes(t *testing.T) {
	lines := func(label string) int { return bytes.Count(example(t, label).Markdown(), []byte("\n")) }
	for _, label := range strange {
		if got, want := lines(label), lines("ants"); got != want && plain(label) != "" {
			t.Errorf("%q: %d lines, want %d", label, got, want)
		}
	}
	for text, want := range map[string]string{
		"95.4 % of 153": "95.4 % of 153", "1. a": `1\. a`, "# a": `\# a`, "- a": `\- a`, "---": `--\-`, "#1": "#1", "a|b": "a&#124;b", `\|`: `\\&#124;`,
		"<b>": `\<b\>`, "https://a.b": `https\://a.b`, "www.a.b": `www\.a.b`, "a@b.c": `a\@b.c`, "a\nb": "a b", "a_b*c": `a\_b\*c`,
	} {
		if got := inline(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Hugging Face's own reader and a Markdown parser see what was meant, whatever the labels are. Run
// with TLKIT_HUB_PYTHON=PY, a Python with huggingface_hub and markdown-it-py.
func TestHubReferee(t *testing.T) {
	python := os.Getenv("TLKIT_HUB_PYTHON")
	if python == "" {
		t.Skip("TLKIT_HUB_PYTHON names no Python with huggingface_hub and markdown-it-py")
	}
	const program = `
import json, sys
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
out = []
for path in sys.argv[1:]:
    card = ModelCard.load(path)
    d = card.data
    r = d.eval_results[0]
    tree, texts = [], []
    def walk(tokens):
        for t in tokens:
            if t.children:
                walk(t.children)
            elif t.type in ("text", "text_special"):
                texts.append(t.content)
            elif t.type == "fence":
                tree.append(t.type)
            elif t.type not in ("inline", "softbreak"):
                tree.append(t.type + " " + t.tag)
    walk(MarkdownIt("gfm-like", {"linkify": False}).parse(card.text))
    out.append(dict(library=d.library_name, pipeline=d.pipeline_tag, license=d.license, base=d.base_model, tags=d.tags, name=d.model_name,
        dataset=r.dataset_name, split=r.dataset_split, metric=r.metric_type, title=r.metric_name, value=r.metric_value, tree=tree, text="".join(texts)))
print(json.dumps(out))
`
	type seen struct {
		Library, Pipeline, License, Base, Name, Dataset, Split, Metric, Title string
		Tags, Tree                                                            []string
		Text                                                                  string
		Value                                                                 float64
	}
	labels := append([]string{"ants"}, slices.DeleteFunc(slices.Clone(strange), func(l string) bool { return plain(l) == "" })...)
	dir, args := t.TempDir(), []string{"-c", program}
	for i, label := range labels {
		file := filepath.Join(dir, fmt.Sprintf("%d.md", i))
		if err := example(t, label).Write(file, false); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	raw, err := exec.Command(python, args...).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, err.(*exec.ExitError).Stderr)
	}
	var all []seen
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	for i, s := range all {
		label := labels[i]
		yaml := strings.ToValidUTF8(label, "ÿ") // a byte that is no text is read as that character
		if s.Library != "tlkit" || s.Pipeline != "image-classification" || s.License != "mit" || s.Base != "timm/resnet18.a1_in1k" || s.Split != "valid" || s.Metric != "accuracy" || s.Value != 0.954248 {
			t.Errorf("%q: %+v", label, s)
		}
		if s.Name != yaml || s.Dataset != yaml || s.Title != yaml || s.Tags[1] != yaml {
			t.Errorf("%q: name %q, data %q, title %q, tags %q", label, s.Name, s.Dataset, s.Title, s.Tags)
		}
		if !slices.Equal(s.Tree, all[0].Tree) {
			t.Errorf("%q changes the document: %q", label, s.Tree)
		}
		if !strings.Contains(s.Text, plain(label)) {
			t.Errorf("%q is not in the text", label)
		}
	}
}

// Only cards are replaced, and the name tells the form.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	c := example(t, "ants")
	for _, name := range []string{"a.md", "a.html", "a.HTM"} {
		file := filepath.Join(dir, name)
		for range 2 {
			if err := c.Write(file, false); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := os.WriteFile(file, []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := c.Write(file, false); err == nil || !strings.Contains(err.Error(), "--force") {
			t.Errorf("%s of somebody else: %v", name, err)
		}
		if err := c.Write(file, true); err != nil {
			t.Error(err)
		}
	}
	if err := c.Write(filepath.Join(dir, "a.pdf"), false); err == nil || !strings.Contains(err.Error(), ".md or .html") {
		t.Errorf("another form: %v", err)
	}
	if err := c.Write(filepath.Join(dir, "folder.md"), false); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "d.md"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.Write(filepath.Join(dir, "d.md"), true); err == nil || !strings.Contains(err.Error(), "not an ordinary file") {
		t.Errorf("a folder: %v", err)
	}
}

// With replaces a section of the same title, and leaves the card itself as it is.
func TestWith(t *testing.T) {
	c := example(t, "ants")
	changed := c.With(Section{Title: Checks}).With(Section{Title: "New"}).For("onnx")
	if len(c.Sections) != 3 || len(c.Sections[1].Blocks) != 2 || c.Hub.Library != "tlkit" {
		t.Errorf("the card has changed: %+v", c.Sections)
	}
	if len(changed.Sections) != 4 || changed.Sections[1].Blocks != nil || changed.Sections[3].Title != "New" || changed.Hub.Library != "onnx" {
		t.Errorf("%+v", changed.Sections)
	}
}
