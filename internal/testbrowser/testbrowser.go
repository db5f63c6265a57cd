// Package testbrowser opens Chromium for tests.
package testbrowser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Tab is a tab of a browser without a window.
type Tab struct {
	t   testing.TB
	ctx context.Context
}

// Options say what kind of screen a tab has.
type Options struct {
	Width, Height int // of the window; 0 = 1200 x 900
	Dark          bool
	Phone         bool          // a touch screen with two pixels a point
	Camera        bool          // there is a camera, which shows a moving pattern
	Patience      time.Duration // for everything that is done in the tab; 0 = 10 minutes
}

// Open opens a tab. It skips the test where there is no Chromium.
func Open(t testing.TB, o Options) *Tab {
	t.Helper()
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil && browser == "" {
			browser = p
		}
	}
	if browser == "" {
		t.Skip("no Chromium here (on Debian: apt-get install chromium), so no page is driven")
	}
	if o.Width == 0 {
		o.Width, o.Height = 1200, 900
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Minute
	}
	// Not the test's context, which ends before the clean-ups that close the browser.
	ctx, stop := context.WithTimeout(context.Background(), o.Patience)
	t.Cleanup(stop)
	flags := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browser), chromedp.NoSandbox, chromedp.WSURLReadTimeout(2*time.Minute), chromedp.WindowSize(o.Width, o.Height))
	if o.Camera {
		flags = append(flags, chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true))
	}
	within, closeBrowser := chromedp.NewExecAllocator(ctx, flags...)
	t.Cleanup(closeBrowser)
	ctx, closeTab := chromedp.NewContext(within)
	t.Cleanup(closeTab)
	tab := &Tab{t, ctx}
	scheme := "light"
	if o.Dark {
		scheme = "dark"
	}
	actions := []chromedp.Action{
		chromedp.Navigate("about:blank"),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
	}
	if o.Phone {
		actions = append(actions, chromedp.EmulateViewport(int64(o.Width), int64(o.Height), chromedp.EmulateScale(2), chromedp.EmulateMobile, chromedp.EmulateTouch))
	}
	tab.Run(actions...)
	return tab
}

// For returns the tab for a part of the test.
func (b *Tab) For(t testing.TB) *Tab { return &Tab{t, b.ctx} }

// Run runs actions, and ends the test where one fails.
func (b *Tab) Run(actions ...chromedp.Action) {
	b.t.Helper()
	for i, a := range actions {
		if err := chromedp.Run(b.ctx, a); err != nil {
			b.t.Fatalf("in the browser, action %d: %v", i+1, err)
		}
	}
}

// Early runs JavaScript in each page that is opened, before its own.
func (b *Tab) Early(script string) {
	b.t.Helper()
	b.Run(chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := page.AddScriptToEvaluateOnNewDocument(script).Do(ctx)
		return err
	}))
}

// Value returns what a JavaScript expression is, through JSON. Promises are waited for.
func Value[T any](b *Tab, expression string) T {
	b.t.Helper()
	var text string
	var out T
	b.Run(chromedp.Evaluate(fmt.Sprintf(`(async () => JSON.stringify(await (%s)) ?? 'null')()`, expression), &text, awaited))
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		b.t.Fatalf("in the browser, %s: %v", expression, err)
	}
	return out
}

// Wait waits until a JavaScript expression is true, and fails the test after the patience is over, with
// what the page then says.
func (b *Tab) Wait(patience time.Duration, expression string) {
	b.t.Helper()
	var err error
	for begin := time.Now(); time.Since(begin) < patience && b.ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		is := false
		// An error is that of a page which another one just replaces, or of what is not there yet.
		if err = chromedp.Run(b.ctx, chromedp.Evaluate("!!("+expression+")", &is)); is {
			return
		}
	}
	b.t.Fatalf("in the browser, not seen after %v: %s: %v\nThe page says:\n%s", patience, expression, err, Value[string](b, "document.body.innerText.slice(0, 2000)"))
}

// Picture writes a screenshot of the whole page as NAME.png into the folder that the environment
// variable TLKIT_GALLERY names, to look at; it does nothing if that is not set.
func (b *Tab) Picture(name string) {
	b.t.Helper()
	dir := os.Getenv("TLKIT_GALLERY")
	if dir == "" {
		return
	}
	var data []byte
	b.Run(chromedp.FullScreenshot(&data, 100))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), data, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }
