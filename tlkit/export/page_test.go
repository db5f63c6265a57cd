package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/internal/testbrowser"
	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/card"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// watch counts in the pages that are opened what a policy forbids, and errors.
const watch = `window.wrong = [];
addEventListener('securitypolicyviolation', e => wrong.push(e.violatedDirective + ' ' + e.blockedURI));
addEventListener('error', e => wrong.push(e.message));
addEventListener('unhandledrejection', e => wrong.push(String(e.reason)));`

const (
	pageReady    = `document.documentElement.dataset.ready === 'yes'`
	pageRefused  = `document.documentElement.dataset.ready === 'refused'`
	pageAnswered = `answers.length > 0 && answers.every(a => a.out || a.error)`
	pageSays     = `document.getElementById('check').textContent`
)

// server is a static server, and what was asked of it.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func served(t *testing.T, dir string) *server {
	t.Helper()
	s := &server{}
	files := http.FileServer(http.Dir(dir))
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.URL.Path)
		s.mu.Unlock()
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// writtenPage opens a head and writes its page.
func writtenPage(t *testing.T, e *engine.Engine, h *Head) (*Classifier, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "page")
	c := opened(t, e, h)
	f, err := c.WritePage(t.Context(), dir, PageOptions{Title: "Ants & <bees>", ONNXOptions: ONNXOptions{Card: &card.Card{Title: "<b>"}}})
	if errors.Is(err, fetch.ErrUnreachable) {
		t.Skipf("ONNX Runtime for browsers cannot be fetched here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if f.Single != "single-file.html" || f.Bytes < 15<<20 {
		t.Errorf("%+v", f)
	}
	return c, dir
}

// pngs writes pictures of several shapes as PNG files.
func pngs(t *testing.T) (paths []string) {
	t.Helper()
	dir := t.TempDir()
	for k, size := range [][2]int{{40, 30}, {18, 18}, {25, 61}, {200, 90}} {
		pic := &transforms.Picture{Width: size[0], Height: size[1], Pix: golden.Picture(size[0], size[1], k)}
		m := image.NewNRGBA(pic.Bounds())
		for y := range size[1] {
			for x := range size[0] {
				m.Set(x, y, pic.At(x, y))
			}
		}
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, fmt.Sprintf("<b>%d&amp;.png", k))
		testpictures.Write(t, path, b.Bytes())
		paths = append(paths, path)
	}
	return paths
}

func withEngine(t *testing.T) *engine.Engine {
	t.Helper()
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// fromPage is what a page says about a picture.
type fromPage struct {
	Name, Words, Error    string
	Logits, Probabilities []float64
}

const fromPageJS = `answers.map(({file, out, error}) => ({Name: file.name, Words: out ? verdict(out).words : '', Error: error,
	Logits: out && [...out.logits], Probabilities: out?.probabilities && [...out.probabilities]}))`

// The page of a head of each task, with each kind of preset, predicts in the browser what the head
// predicts here, from a server and as a file, without a request to elsewhere.
func TestPage(t *testing.T) {
	tab := testbrowser.Open(t, testbrowser.Options{})
	tab.Early(watch)
	e := withEngine(t)
	paths := pngs(t)
	for _, c := range []struct {
		task   datasets.Task
		preset string
		file   bool
	}{{datasets.Classes, "torch", false}, {datasets.Labels, "caffe", false}, {datasets.Values, "grey", false}, {datasets.Classes, "widely", true}} {
		t.Run(fmt.Sprint(c.task, " ", c.preset, " ", c.file), func(t *testing.T) {
			tab := tab.For(t)
			opened, dir := writtenPage(t, e, onMobile(t, c.task, presets[c.preset]))
			s := served(t, dir)
			url := s.URL
			if c.file {
				url = "file://" + dir + "/index.html"
			}
			tab.Run(chromedp.Navigate(url))
			tab.Wait(time.Minute, pageReady)
			if says := testbrowser.Value[string](tab, pageSays); !strings.HasPrefix(says, "✓ verified here: largest difference ") {
				t.Error(says)
			}
			tab.Run(chromedp.SetUploadFiles("#files", paths, chromedp.ByQuery))
			tab.Wait(time.Minute, pageAnswered)
			want, err := opened.Classify(t.Context(), paths)
			if err != nil {
				t.Fatal(err)
			}
			got := testbrowser.Value[[]fromPage](tab, fromPageJS)
			for i, w := range want {
				comparePage(t, opened.Head, got[i], w)
			}
			if wrong := testbrowser.Value[[]string](tab, "wrong"); len(wrong) > 0 {
				t.Error(wrong)
			}
			slices.Sort(s.asked)
			if want := []string{"/", "/" + pageModel, "/" + webWASM}; !c.file && !slices.Equal(s.asked, want) {
				t.Errorf("asked for %q, want %q", s.asked, want)
			}
			if title := testbrowser.Value[string](tab, "document.title"); title != "Ants & <bees>" {
				t.Errorf("title %q", title)
			}
			tab.Picture(fmt.Sprint("page-", c.task, "-", c.preset))
		})
	}
}

func comparePage(t *testing.T, h *Head, got fromPage, want Prediction) {
	t.Helper()
	if got.Name != filepath.Base(want.Path) || got.Error != "" {
		t.Fatalf("%+v about %s", got, want.Path)
	}
	words := want.Label
	switch h.Task {
	case datasets.Labels:
		if words = strings.Join(want.Labels, ", "); words == "" {
			words = "None of the labels"
		}
	case datasets.Values:
		words = got.Words
	default:
		if want.Probability < pageThreshold {
			words = "I don’t know"
		}
	}
	if got.Words != words {
		t.Errorf("%s: the page says %q, want %q", got.Name, got.Words, words)
	}
	for k, l := range h.Labels {
		if h.Task == datasets.Values {
			if s := h.Scales[k]; math.Abs(got.Logits[k]-want.Values[l]) > 1e-4*max(s.SD, math.Abs(want.Values[l]-s.Mean))+1e-3 {
				t.Errorf("%s: %s is %v, want %v", got.Name, l, got.Logits[k], want.Values[l])
			}
		} else if math.Abs(got.Probabilities[k]-want.Probabilities[l]) > 1e-5 {
			t.Errorf("%s: %s is %v, want %v", got.Name, l, got.Probabilities[k], want.Probabilities[l])
		}
	}
}

// A page whose network computes something else, or that prepares other pixels, answers nothing and says
// why.
func TestPageRefuses(t *testing.T) {
	tab := testbrowser.Open(t, testbrowser.Options{})
	e := withEngine(t)
	_, dir := writtenPage(t, e, onMobile(t, datasets.Classes, presets["torch"]))
	replaced := func(name, old, new string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			data, err := os.ReadFile(path)
			if err != nil || !strings.Contains(string(data), old) {
				t.Fatal(err, "no ", old)
			}
			testpictures.Write(t, path, []byte(strings.Replace(string(data), old, new, 1)))
		}
	}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		want  string
		file  bool
	}{
		"other numbers": {replaced("index.html", `"parity":[`, `"parity":[3`), "differ from what tlkit computed by", false},
		"other pixels":  {replaced("index.html", `"crc":`, `"crc":1`), "prepares the test pictures in another way", false},
		"other weights": {func(t *testing.T, dir string) {
			path := filepath.Join(dir, pageModel)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for at := bytes.Index(data, []byte("head.weight")) + 64; at < len(data)-64; at += 997 {
				data[at] ^= 1
			}
			testpictures.Write(t, path, data)
		}, "This page gives no answers in this browser", false},
		"half a network": {func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, pageModel), 1000); err != nil {
				t.Fatal(err)
			}
		}, "it is damaged or of another export", false},
		"no runtime": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, webWASM)); err != nil {
				t.Fatal(err)
			}
		}, "cannot be loaded: 404", false},
		"a file alone": {replaced("index.html", `"single":"single-file.html"`, `"single":""`), "python3 -m http.server", true},
	} {
		t.Run(name, func(t *testing.T) {
			tab, own := tab.For(t), t.TempDir()
			if err := os.CopyFS(own, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			c.spoil(t, own)
			url := served(t, own).URL
			if c.file {
				url = "file://" + own + "/index.html"
			}
			tab.Run(chromedp.Navigate(url))
			tab.Run(chromedp.SetUploadFiles("#files", pngs(t)[:1], chromedp.ByQuery)) // before it is ready
			tab.Wait(time.Minute, pageRefused)
			if says := testbrowser.Value[string](tab, pageSays); !strings.Contains(says, c.want) {
				t.Errorf("it says %q, want %q in it", says, c.want)
			}
			tab.Run(chromedp.SetUploadFiles("#files", pngs(t)[:1], chromedp.ByQuery))
			if n := testbrowser.Value[int](tab, "answers.filter(a => a.out).length"); n != 0 {
				t.Errorf("%d answers", n)
			}
			if seen := testbrowser.Value[bool](tab, "document.getElementById('results').checkVisibility()"); seen {
				t.Error("there is room for answers")
			}
		})
	}
}

// Pictures come by drop and paste, the threshold is moved with the keyboard, unreadable files are said,
// and clearing in the middle mixes nothing up.
func TestPageUse(t *testing.T) {
	tab := testbrowser.Open(t, testbrowser.Options{Camera: true})
	tab.Early(watch)
	_, dir := writtenPage(t, withEngine(t), onMobile(t, datasets.Classes, presets["torch"]))
	tab.Run(chromedp.Navigate(served(t, dir).URL))
	tab.Wait(time.Minute, pageReady)
	const events = `async function made(name) {
		const c = new OffscreenCanvas(30, 20);
		c.getContext('2d').fillRect(3, 4, 5, 6);
		return new File([await c.convertToBlob()], name);
	}
	async function carried(...names) {
		const d = new DataTransfer();
		for (const n of names) d.items.add(n === 'bad' ? new File(['no picture'], n) : await made(n));
		return d;
	}`
	tab.Run(chromedp.Evaluate(events, nil))
	do := func(what string) { testbrowser.Value[any](tab, "(async () => {"+what+"})()") }
	said := func() (names []string) {
		tab.Wait(time.Minute, pageAnswered)
		for _, a := range testbrowser.Value[[]fromPage](tab, fromPageJS) {
			names = append(names, a.Name+" "+a.Error)
		}
		return names
	}

	do(`dispatchEvent(new DragEvent('drop', {dataTransfer: await carried('dropped', 'bad'), cancelable: true}))`)
	do(`dispatchEvent(new ClipboardEvent('paste', {clipboardData: await carried('pasted')}))`)
	if got, want := said(), []string{"dropped ", "bad this browser cannot read it as a picture", "pasted "}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := testbrowser.Value[string](tab, "$('count').textContent"); got != "3 pictures, 1 unreadable" {
		t.Error(got)
	}

	tab.Run(chromedp.Focus("#threshold", chromedp.ByQuery), chromedp.KeyEvent(kb.End))
	if got := testbrowser.Value[[]string](tab, "[$('shown').textContent, answers[0].card.querySelector('.answer').textContent, $('threshold').getAttribute('aria-valuetext')]"); !slices.Equal(got, []string{"100 %", "I don’t know", "100 percent"}) {
		t.Errorf("%q", got)
	}
	tab.Run(chromedp.KeyEvent(kb.Home))
	if got := testbrowser.Value[string](tab, "answers[0].card.querySelector('.answer').textContent"); !slices.Contains(onMobile(t, datasets.Classes, presets["torch"]).Labels, got) {
		t.Errorf("at 0 %% it says %q", got)
	}
	if got := testbrowser.Value[string](tab, "csv()"); !strings.HasPrefix(got, "path,answer,ants,\"be\"\"es\",фы,error\r\ndropped,") || !strings.Contains(got, "\r\nbad,,,,,this browser") {
		t.Errorf("%q", got)
	}

	// Cleared while the first is computed.
	do(`const d = await carried('a', 'b', 'c'); give(d.files); $('clear').click(); give((await carried('new')).files)`)
	if got := said(); !slices.Equal(got, []string{"new "}) {
		t.Errorf("after clearing: %q", got)
	}
	if got := testbrowser.Value[string](tab, "document.activeElement.id"); got != "files" {
		t.Errorf("after clearing, the focus is on %q", got)
	}

	// The camera, with the keyboard.
	tab.Run(chromedp.Focus("#camera", chromedp.ByQuery), chromedp.KeyEvent(kb.Enter))
	tab.Wait(time.Minute, "document.querySelector('#liveAnswer .rows')")
	tab.Run(chromedp.Focus("#keep", chromedp.ByQuery), chromedp.KeyEvent(" "))
	tab.Wait(time.Minute, "answers.length === 2 && answers[1].out")
	tab.Run(chromedp.Focus("#stop", chromedp.ByQuery), chromedp.KeyEvent(kb.Enter))
	tab.Wait(time.Minute, "!stream && $('live').hidden")

	if unnamed := testbrowser.Value[[]string](tab, `[...document.querySelectorAll('button, input, a, section, progress')]
		.filter(e => !(e.ariaLabel || e.labels?.length || e.textContent.trim())).map(e => e.outerHTML)`); len(unnamed) > 0 {
		t.Errorf("without a name for screen readers: %q", unnamed)
	}
	if wrong := testbrowser.Value[[]string](tab, "wrong"); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// A folder with other files keeps them; files of the page's names that are not a page's are replaced only
// by force, and never in part.
func TestPageFolder(t *testing.T) {
	e := withEngine(t)
	c, dir := writtenPage(t, e, onMobile(t, datasets.Classes, presets["torch"]))
	write := func(name, text string) {
		t.Helper()
		testpictures.Write(t, filepath.Join(dir, name), []byte(text))
	}
	by := func(force bool) PageOptions {
		return PageOptions{Offline: true, ONNXOptions: ONNXOptions{Force: force, Card: &card.Card{Title: "insects"}}}
	}
	write("mine.txt", "mine")
	if _, err := c.WritePage(t.Context(), dir, by(false)); err != nil {
		t.Errorf("a page over a page: %v", err)
	}
	for _, name := range (PageOptions{}).Files() {
		before, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		write(name, "mine")
		_, err = c.WritePage(t.Context(), dir, by(false))
		if ours := name == webWASM || name == pageLicences; ours != (err == nil) {
			t.Errorf("over a %s that is not ours: %v", name, err)
		} else if !ours && !strings.Contains(err.Error(), "--force") {
			t.Errorf("%s: %v", name, err)
		}
		write(name, string(before))
	}
	write(pageIndex, "mine")
	write(pageSingle, "mine")
	write(webWASM, "mine")
	if _, err := c.WritePage(t.Context(), dir, by(false)); err == nil {
		t.Error("files that are not a page's were replaced")
	}
	if _, err := c.WritePage(t.Context(), dir, by(true)); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "mine.txt")); err != nil || string(data) != "mine" {
		t.Errorf("mine.txt: %q, %v", data, err)
	}
	file := filepath.Join(dir, "mine.txt")
	if _, err := c.WritePage(t.Context(), file, by(true)); err == nil || !strings.Contains(err.Error(), "not a folder") {
		t.Errorf("a file as folder: %v", err)
	}
	// Another head without a card takes the place of one with a card.
	if _, err := c.WritePage(t.Context(), dir, PageOptions{Offline: true}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, pageCard)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the card of the head before is still there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.WritePage(ctx, filepath.Join(dir, "new"), by(false)); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".tlkit*")); err != nil || left != nil {
		t.Errorf("left behind: %q", left)
	}
	if data, err := os.ReadFile(filepath.Join(dir, pageLicences)); err != nil || !strings.Contains(string(data), "Microsoft") {
		t.Errorf("%s: %v\n%s", pageLicences, err, data)
	}
}

func TestClassic(t *testing.T) {
	got, err := classic([]byte("let a=1,$b=import.meta.url;export{a as Tensor,$b as default};\n//# sourceMappingURL=x.map\n"))
	if want := "let a=1,$b=self.location.href;const ort={Tensor:a,default:$b,};\n"; err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if _, err := classic([]byte("let a=1")); err == nil {
		t.Error("a module without exports passed")
	}
}
