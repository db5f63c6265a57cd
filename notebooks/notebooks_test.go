// Package notebooks holds the tutorials, and the tests that keep them true.
package notebooks

import (
	"bytes"
	"encoding/json"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/sim"
	_ "github.com/tlkit/transfer-learning/tlkit/sim/mujoco/arms" // registers its tasks
)

// notebook is the part of the format that is looked at.
type notebook struct {
	Cells []struct {
		Type    string   `json:"cell_type"`
		Source  []string `json:"source"`
		Outputs []struct {
			Type     string                     `json:"output_type"`
			Name     string                     `json:"ename"`
			Data     map[string]json.RawMessage `json:"data"`
			Metadata struct {
				Tlkit struct{ Pictures string }
			}
		}
	}
	Metadata struct {
		Kernel struct{ Name string } `json:"kernelspec"`
	}
}

func open(t *testing.T, path string) notebook {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var n notebook
	if err := json.Unmarshal(raw, &n); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return n
}

func all(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("*.ipynb")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no notebooks here: %v", err)
	}
	return paths
}

var active = regexp.MustCompile(`(?i)<script|<iframe|<object|\son[a-z]+\s*=|(?:src|href|srcset|action|data)\s*=\s*["']?\s*(?:https?:)?//|url\(\s*["']?(?:https?:)?//|@import|javascript:`)

// check looks at outputs: each must be the same trusted and untrusted, online and offline,
// and no picture of others may be kept.
func check(t *testing.T, path string, kept bool) {
	t.Helper()
	n := open(t, path)
	if n.Metadata.Kernel.Name != "tlkit" {
		t.Errorf("%s is for kernel %q", path, n.Metadata.Kernel.Name)
	}
	for i, c := range n.Cells {
		for _, o := range c.Outputs {
			if o.Type == "error" {
				t.Errorf("%s: cell %d failed with %s", path, i, o.Name)
			}
			if o.Data != nil && o.Data["text/plain"] == nil {
				t.Errorf("%s: cell %d has an output without words", path, i)
			}
			if words := string(o.Data["text/plain"]); o.Data["text/html"] == nil && (words == `""` || words == "[]") {
				t.Errorf("%s: cell %d has an empty output", path, i)
			}
			if html := o.Data["text/html"]; active.Match(html) {
				t.Errorf("%s: cell %d has active or distant HTML: %.200s", path, i, html)
			}
			for mime := range o.Data {
				if mime == "image/svg+xml" || mime == "text/javascript" {
					t.Errorf("%s: cell %d has an output of type %s", path, i, mime)
				}
			}
			if o.Data["image/png"] != nil || o.Data["image/jpeg"] != nil {
				if kind := o.Metadata.Tlkit.Pictures; kind != "chart" && kind != "drawn" && (kept || kind == "") {
					t.Errorf("%s: cell %d shows a picture of kind %q, want chart or drawn: run it with TLKIT_PICTURES=drawn", path, i, kind)
				}
			}
		}
	}
}

func TestActiveHTMLIsSeen(t *testing.T) {
	for html, want := range map[string]bool{
		`<b>licence MIT, https://example.org/x</b>`: false, `<details><summary>a = 1</summary></details>`: false,
		`<img src="https://example.org/x.png">`: true, `<img src=//example.org/x>`: true, `<a href='http://example.org'>`: true,
		`<p style="background: url(https://example.org/x)">`: true, `<script>`: true, `<p onclick = "x()">`: true,
	} {
		if got := active.MatchString(html); got != want {
			t.Errorf("%s: %v", html, got)
		}
	}
}

func TestShippedNotebooks(t *testing.T) {
	for _, path := range all(t) {
		check(t, path, true)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 1_000_000 {
			t.Errorf("%s has %d bytes, want at most a million", path, info.Size())
		}
		n := open(t, path)
		outputs := 0
		for i, c := range n.Cells {
			outputs += len(c.Outputs)
			lines := 0
			for _, l := range c.Source {
				if strings.TrimSpace(l) != "" {
					lines++
				}
			}
			if c.Type == "code" && lines > 12 {
				t.Errorf("%s: cell %d has %d lines, want at most 12: one idea a step", path, i, lines)
			}
		}
		if outputs == 0 {
			t.Errorf("%s is kept without its outputs", path)
		}
		first, last := strings.Join(n.Cells[0].Source, ""), strings.Join(n.Cells[len(n.Cells)-1].Source, "")
		for _, word := range []string{"**Goal.**", "**Time.**", "**You will see**"} {
			if !strings.Contains(first, word) {
				t.Errorf("%s does not begin with %s", path, word)
			}
		}
		if !strings.Contains(last, "## Try") {
			t.Errorf("%s does not end with something to try", path)
		}
	}
}

// TestNotebooksRun executes every notebook through the real kernel, as `tlkit run` does for
// a person, with the drawn pictures.
func TestNotebooksRun(t *testing.T) {
	if os.Getenv("TLKIT_KERNEL_TEST") != "1" {
		t.Skip("set TLKIT_KERNEL_TEST=1: it sets up JupyterLab and GoNB in the cache first, a minute or two")
	}
	readme(t) // before anything slow
	bin := build(t)
	// Not by Setenv, which parallel tests may not use: a notebook uses one core most of the time.
	env := append(os.Environ(), "TLKIT_QUICK=1", "TLKIT_PICTURES=drawn")
	for name, dir := range jupyterFolders(t) {
		env = append(env, name+"="+dir)
	}
	for _, path := range append(all(t), "README.ipynb") {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			raw := readme(t)
			if path != "README.ipynb" {
				var err error
				if raw, err = os.ReadFile(path); err != nil {
					t.Fatal(err)
				}
			}
			fetchWorlds(t, raw)
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, path), raw, 0o600); err != nil {
				t.Fatal(err)
			}
			// From the checkout, so that cells compile against it.
			cmd := exec.Command(bin, "run", "--json", "--out", dir+"/out", filepath.Join(dir, path))
			cmd.Env = env
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s\n%s", err, out.String(), errs.String())
			}
			check(t, filepath.Join(dir, "out", path), false)
			if strings.HasPrefix(path, "01") {
				n := open(t, filepath.Join(dir, "out", path))
				pictures, words := 0, ""
				for _, c := range n.Cells {
					for _, o := range c.Outputs {
						if o.Data["image/png"] != nil || o.Data["image/jpeg"] != nil {
							pictures++
						}
						words += string(o.Data["text/plain"])
					}
				}
				if pictures < 2 || !regexp.MustCompile(`accuracy 9\d\.\d % \(\d+ of \d+, 95 % `).MatchString(words) || !strings.Contains(words, "probability") {
					t.Errorf("%d pictures, words %s", pictures, words)
				}
			}
		})
	}
}

// world finds the simulated tasks of a notebook that need files from elsewhere.
var world = regexp.MustCompile(`"(mujoco/[a-z-]+)`)

// fetchWorlds fetches what the tasks of a notebook need, and skips the test where that cannot be had.
func fetchWorlds(t *testing.T, notebook []byte) {
	t.Helper()
	for _, m := range world.FindAllSubmatch(bytes.ReplaceAll(notebook, []byte(`\"`), []byte(`"`)), -1) {
		if err := sim.Install(t.Context(), string(m[1]), sim.Downloads{}); err != nil {
			t.Skipf("%s: %v", m[1], err)
		}
	}
}

// Each tutorial has a thumbnail in the README that leads to it, small enough for a page of nine.
func TestReadmeShowsEveryTutorial(t *testing.T) {
	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all(t) {
		thumbnail := "docs/gallery/" + path[:2] + ".png"
		if !strings.Contains(string(page), "]("+thumbnail+")](notebooks/"+path+")") {
			t.Errorf("README.md does not show %s as a link to %s", thumbnail, path)
		}
		raw, err := os.ReadFile("../" + thumbnail)
		if err != nil {
			t.Errorf("%v: python3 docs/gallery/make.py makes it", err)
			continue
		}
		size, err := png.DecodeConfig(bytes.NewReader(raw))
		if err != nil || size.Width > 320 || len(raw) >= 40_000 {
			t.Errorf("%s: %d pixels wide, %d bytes, %v; want at most 320 and less than 40,000", thumbnail, size.Width, len(raw), err)
		}
	}
}

// readme is the README's first cell as a notebook: what is promised there runs.
func readme(t *testing.T) []byte {
	t.Helper()
	raw, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(raw), "```go\n")
	cell, _, closed := strings.Cut(rest, "```")
	if !found || !closed || !strings.Contains(cell, "%%") {
		t.Fatal("the README does not open with a cell")
	}
	n, err := json.Marshal(map[string]any{
		"cells":    []any{map[string]any{"cell_type": "code", "id": "readme", "metadata": map[string]any{}, "source": cell, "outputs": []any{}, "execution_count": nil}},
		"metadata": map[string]any{"kernelspec": map[string]any{"name": "tlkit", "display_name": "Go (tlkit)", "language": "go"}},
		"nbformat": 4, "nbformat_minor": 5,
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
