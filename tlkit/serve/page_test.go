package serve

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
)

// browser is a page of a browser without a window, and what it complained about.
type browser struct {
	t    *testing.T
	tab  context.Context
	said *logged
}

// openBrowser opens a page, or skips the test where there is no browser.
func openBrowser(t *testing.T, url string) *browser {
	t.Helper()
	found := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil && found == "" {
			found = p
		}
	}
	if found == "" {
		t.Skip("no Chromium here (on Debian: apt-get install chromium), so the page is not driven")
	}
	ctx, stop := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(stop)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(found), chromedp.NoSandbox, chromedp.WSURLReadTimeout(2*time.Minute), chromedp.WindowSize(900, 1100),
		chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true))
	within, closeBrowser := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(closeBrowser)
	tab, closeTab := chromedp.NewContext(within)
	t.Cleanup(closeTab)
	b := &browser{t: t, tab: tab, said: &logged{}}
	chromedp.ListenTarget(tab, func(e any) {
		switch e := e.(type) {
		case *log.EventEntryAdded:
			fmt.Fprintln(b.said, e.Entry.Level, e.Entry.Text, e.Entry.URL)
		case *runtime.EventExceptionThrown:
			fmt.Fprintln(b.said, "exception", e.ExceptionDetails.Error())
		}
	})
	b.do("the page", chromedp.Navigate(url))
	return b
}

func (b *browser) do(what string, actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.tab, actions...); err != nil {
		text := ""
		_ = chromedp.Run(b.tab, chromedp.Evaluate(`document.body.innerText`, &text))
		b.t.Fatalf("%s: %v\n%s\n%s", what, err, text, b.said)
	}
}

// sees waits until a JavaScript condition holds.
func (b *browser) sees(condition string) {
	b.t.Helper()
	b.do(condition, chromedp.Poll("(() => "+condition+")()", nil, chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(30*time.Second)))
}

func (b *browser) value(expression string) string {
	b.t.Helper()
	v := ""
	b.do(expression, chromedp.Evaluate("String("+expression+")", &v))
	return v
}

// keep writes what the browser shows, light and dark, with go test -artifacts.
func (b *browser) keep(name string) {
	b.t.Helper()
	if f := flag.Lookup("test.artifacts"); f == nil || f.Value.String() != "true" {
		return
	}
	for _, scheme := range []string{"light", "dark"} {
		var picture []byte
		b.do("a screenshot", emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}), chromedp.Sleep(400*time.Millisecond), chromedp.FullScreenshot(&picture, 100))
		path := filepath.Join(b.t.ArtifactDir(), name+"_"+scheme+".png")
		if err := os.WriteFile(path, picture, 0o644); err != nil {
			b.t.Fatal(err)
		}
		b.t.Log(path)
	}
}

// files writes pictures under names that a file can have.
func files(t *testing.T, names ...string) []string {
	t.Helper()
	dir := t.TempDir()
	var paths []string
	for k, name := range names {
		path := filepath.Join(dir, name)
		data := photo(t, k)
		if strings.Contains(name, "broken") {
			data = data[:60]
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// The page shows for each picture what predict says, by choosing, dropping, pasting and the camera.
func TestPage(t *testing.T) {
	e := newEngine(t)
	several, numbers := classes, classes
	several.task, several.seed = datasets.Labels, 3
	numbers.task = datasets.Values
	s := serving(t, Options{Engine: e, Threshold: 0.97, Heads: []Head{
		{Path: headFile(t, "insects", newHead(t, e, classes))}, {Path: headFile(t, "parts", newHead(t, e, several))}, {Path: headFile(t, "place", newHead(t, e, numbers))},
	}})
	b := openBrowser(t, s.url)
	b.sees(`document.querySelectorAll('#heads button').length === 3`)
	names := []string{"a.png", "b.png", "c.png", "broken.png", "e.png", "f.png"}
	b.do("files", chromedp.SetUploadFiles("#file", files(t, names...), chromedp.ByQuery))
	b.sees(`document.querySelectorAll('.result').length === 6 && !document.querySelector('.pending')`)
	unknown := 0
	for k, name := range names {
		card := fmt.Sprintf(`[...document.querySelectorAll('.result')].find(c => c.querySelector('.file').textContent.startsWith(%q))`, name)
		got := b.value(card + `.querySelector('.answer').textContent`)
		if name == "broken.png" {
			if !strings.Contains(got, "truncated") || b.value(card+`.className`) != "result failed" {
				t.Errorf("%s: %q", name, got)
			}
			continue
		}
		want := expected(t, s.Server, 0, photo(t, k))[0]
		words := fmt.Sprintf("%s %.1f %%", want.Label, 100*want.Probability)
		if want.Probability < 0.97 {
			unknown++
			words = "I don’t know"
		}
		if got != words {
			t.Errorf("%s: %q, want %q", name, got, words)
		}
		width, err := strconv.ParseFloat(strings.TrimSuffix(b.value(card+`.querySelector('.bars .fill').style.width`), "%"), 64)
		if err != nil || math.Abs(width-100*want.Probability) > 0.01 {
			t.Errorf("%s: a bar of %v %% for %v", name, width, want.Probability)
		}
	}
	if unknown == 0 || unknown == 5 {
		t.Errorf("%d of 5 are unknown, the threshold shows nothing", unknown)
	}
	b.keep("classes")

	b.do("several labels", chromedp.Click(`#heads button:nth-child(2)`, chromedp.ByQuery))
	drop := `(name => { const d = new DataTransfer(); d.items.add(new File([Uint8Array.from(atob(%q), c => c.charCodeAt(0))], 'g.png')); document.dispatchEvent(new %s); return true })()`
	data := strings.ReplaceAll(string(must(json.Marshal(photo(t, 6)))), `"`, "")
	b.value(fmt.Sprintf(drop, data, `DragEvent('drop', {dataTransfer: d, cancelable: true})`))
	b.sees(`document.querySelectorAll('.result').length === 7 && !document.querySelector('.pending')`)
	want := expected(t, s.Server, 1, photo(t, 6))[0]
	if got := b.value(`[...document.querySelector('.result').querySelectorAll('.chip')].map(c => c.textContent).join()`); got != strings.Join(want.Labels, ",") {
		t.Errorf("labels %q, want %q", got, want.Labels)
	}
	b.do("values", chromedp.Click(`#heads button:nth-child(3)`, chromedp.ByQuery))
	b.value(fmt.Sprintf(drop, data, `ClipboardEvent('paste', {clipboardData: d})`))
	b.sees(`document.querySelectorAll('.result').length === 8 && !document.querySelector('.pending')`)
	if got := b.value(`document.querySelector('.result .values').innerText`); !strings.Contains(got, "ants") || !strings.Contains(got, fmt.Sprintf("%.3g", expected(t, s.Server, 2, photo(t, 6))[0].Values["ants"])) {
		t.Errorf("values %q", got)
	}
	b.do("the camera", chromedp.Click(`#camera`, chromedp.ByQuery))
	b.sees(`document.getElementById('video').videoWidth > 0`)
	b.do("a picture", chromedp.Click(`#shoot`, chromedp.ByQuery))
	b.sees(`document.querySelectorAll('.result').length === 9 && !document.querySelector('.pending') && document.querySelector('.result .values')`)
	b.keep("tasks")
	b.do("closing it", chromedp.Click(`#close`, chromedp.ByQuery))
	b.quiet("422")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// quiet checks that the browser complained about nothing but answers of this status: in particular
// not about its Content-Security-Policy.
func (b *browser) quiet(status string) {
	b.t.Helper()
	for line := range strings.Lines(b.said.String()) {
		if status == "" || !strings.Contains(line, "status of "+status) {
			b.t.Errorf("the browser says: %s", line)
		}
	}
}

// payloads are texts that a page which writes them as HTML would run or be changed by.
var payloads = []string{
	`<script>window.hit=1</script>`, `<img src=x onerror=window.hit=1>`, `"><svg onload=window.hit=1>`, `'onmouseover='window.hit=1`, `</li></ol><iframe src=javascript:parent.hit=1>`,
	`javascript:window.hit=1`, "`${window.hit=1}`", `{{constructor.constructor('window.hit=1')()}}`, `<!--`, `-->`, `]]>`, `&lt;b&gt;`, `<b>bold</b>`, `</title><script>window.hit=1</script>`,
	"\u202egnp.exe", "\u2028window.hit=1", `<style>*{display:none}</style>`, `<base href=//evil.example>`, `<meta http-equiv=refresh content=0>`, `\u003cscript\u003e`, `__proto__`, `constructor`,
	`<math><mtext><script>window.hit=1</script>`, `<template><script>window.hit=1</script></template>`, `%3Cscript%3E`, strings.Repeat("long ", 100),
}

// Labels, names of heads and of files are text on the page: none changes its tree.
func TestPageEscapes(t *testing.T) {
	e := newEngine(t)
	hostile := kind{labels: payloads}
	plain := kind{labels: make([]string, len(payloads))}
	for i := range plain.labels {
		plain.labels[i] = fmt.Sprint("label ", i)
	}
	tree := func(k kind, name string, pictures []string) string {
		s := serving(t, Options{Engine: e, Heads: []Head{{Name: name, Path: headFile(t, "a", newHead(t, e, k))}, {Name: name + "2", Path: headFile(t, "b", newHead(t, e, k))}}})
		b := openBrowser(t, s.url)
		b.sees(`document.querySelectorAll('#heads button').length === 2`)
		b.do("files", chromedp.SetUploadFiles("#file", pictures, chromedp.ByQuery))
		b.sees(fmt.Sprintf(`document.querySelectorAll('.result').length === %d && !document.querySelector('.pending')`, len(pictures)))
		if hit := b.value(`window.hit`); hit != "undefined" {
			t.Errorf("%s: something ran: %s", name, hit)
		}
		shown := b.value(`document.body.innerText`)
		if k.labels[0] == payloads[0] && !strings.Contains(shown, `<`) {
			t.Error("no payload is shown, so nothing was tested")
		}
		b.keep("escaped")
		b.quiet("")
		// Names of elements and of their attributes, without the values.
		return b.value(`(function tree(e) { return '<' + e.tagName + [...e.attributes].map(a => ' ' + a.name).sort().join('') + '>' + [...e.children].map(tree).join('') + '</>' })(document.documentElement)`)
	}
	var odd, even []string
	for i, p := range payloads {
		p = strings.NewReplacer("/", "∕", "\u2028", "").Replace(p)
		odd, even = append(odd, fmt.Sprintf("%d%.100s.png", i, p)), append(even, fmt.Sprintf("%d.png", i))
	}
	got, want := tree(hostile, payloads[0], files(t, odd...)), tree(plain, "head", files(t, even...))
	if got != want {
		t.Errorf("the tree differs:\n%.3000s\nwant\n%.3000s", got, want)
	}
}

// A server with a token asks for it on the page.
func TestPageAsksForTheToken(t *testing.T) {
	s := serving(t, Options{Token: secret})
	b := openBrowser(t, s.url)
	b.sees(`!document.getElementById('ask').hidden`)
	b.do("files", chromedp.SetUploadFiles("#file", files(t, "a.png"), chromedp.ByQuery))
	b.do("a wrong one", chromedp.SendKeys("#token", "nonsense and more\n", chromedp.ByQuery))
	b.sees(`document.getElementById('note').textContent.includes('not the token')`)
	b.do("the token", chromedp.SendKeys("#token", secret+"\n", chromedp.ByQuery))
	b.sees(`document.querySelectorAll('.result').length === 1 && !document.querySelector('.pending, .failed') && document.getElementById('ask').hidden`)
	b.quiet("401")
}

// The page loads nothing from elsewhere, and says so to the browser.
func TestPageIsItsOwn(t *testing.T) {
	s := serving(t, Options{})
	for _, path := range []string{"/", "/page.css", "/page.js"} {
		r, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		status, text := drain(t, r)
		if status != 200 || strings.Contains(text, "https:") || strings.Contains(text, "//cdn") || strings.Contains(text, "innerHTML") {
			t.Errorf("%s: %d", path, status)
		}
		p := r.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} {
			if !strings.Contains(p, part) {
				t.Errorf("%s: policy %q", path, p)
			}
		}
		if strings.Contains(p, "unsafe") || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: policy %q", path, p)
		}
	}
}
