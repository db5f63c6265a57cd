package notebooks

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestInJupyterLab is a person's first five minutes: `tlkit lab`, run all cells of 01, and
// the curves are there to be seen. What the browser showed is kept when they are not.
func TestInJupyterLab(t *testing.T) {
	l := openLab(t, bare(t, "01_ants_and_bees.ipynb"))
	l.run(5)
	l.steps([]step{
		{"the predictions, in the last cell", holds(4*time.Minute, `/probability[^]*\d %/.test([...document.querySelectorAll('.jp-Notebook .jp-CodeCell')].at(-1)?.querySelector('.jp-OutputArea')?.innerText)`)},
		{"the accuracy under Evaluate", holds(time.Minute, `[...document.querySelectorAll('.jp-Notebook .jp-CodeCell')].some(c => c.querySelector('.jp-InputArea').textContent.includes('Evaluate') && /accuracy 9\d\.\d %/.test(c.querySelector('.jp-OutputArea')?.innerText))`)},
		{"the curves under ShowCurves", holds(time.Minute, figures+`.some(f => f.closest('.jp-CodeCell').querySelector('.jp-InputArea').textContent.includes('ShowCurves') && drawn(f))`)},
		{"the pictures under ShowBatch", holds(time.Minute, figures+`.some(f => f.closest('.jp-CodeCell').querySelector('.jp-InputArea').textContent.includes('ShowBatch') && drawn(f))`)},
		{"pictures and no other form of a figure", holds(time.Second, noOtherForm)},
		{"no error", holds(time.Second, `!document.querySelector('.jp-Notebook [data-mime-type="application/vnd.jupyter.stderr"]')`)},
		// It asks a second or two after the page is up; the cells took longer.
		{"nobody asking about news", holds(time.Second, `!/official Jupyter news/.test(document.body.innerText)`)},
	})
}

// labPage is a notebook in JupyterLab, in a browser without a window.
type labPage struct {
	t     *testing.T
	tab   context.Context
	url   string
	ended <-chan error // hears when JupyterLab ends too early
}

// openLab opens a notebook in a JupyterLab of its own, or skips the test where that cannot be done.
func openLab(t *testing.T, notebook []byte) *labPage {
	t.Helper()
	if os.Getenv("TLKIT_KERNEL_TEST") != "1" {
		t.Skip("set TLKIT_KERNEL_TEST=1 to drive JupyterLab in a browser")
	}
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil && browser == "" {
			browser = p
		}
	}
	if browser == "" {
		t.Skip("no Chromium here (on Debian: apt-get install chromium), so JupyterLab is not driven")
	}
	page := filepath.Join(t.TempDir(), "01.ipynb")
	if err := os.WriteFile(page, notebook, 0o600); err != nil {
		t.Fatal(err)
	}
	ownJupyter(t)
	t.Setenv("JUPYTER_CONFIG_DIR", t.TempDir()) // nothing that the person chose in JupyterLab
	t.Setenv("TLKIT_QUICK", "1")
	// Not the test's context, which ends before the clean-up that looks at the page.
	ctx, stop := context.WithTimeout(context.Background(), 8*time.Minute+kernelPatience)
	t.Cleanup(stop)
	l := &labPage{t: t}
	l.url, l.ended = startLab(ctx, t, page)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browser), chromedp.NoSandbox, chromedp.WSURLReadTimeout(2*time.Minute),
		// As high as the notebook: JupyterLab draws only the cells that are in the window.
		chromedp.WindowSize(1400, 7000))
	within, closeBrowser := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(closeBrowser)
	tab, closeTab := chromedp.NewContext(within)
	t.Cleanup(closeTab)
	t.Cleanup(func() { keepScreenshot(tab, t) })
	if err := chromedp.Run(tab); err != nil { // the browser lives as long as the context it starts in
		t.Fatal(err)
	}
	l.tab = tab
	return l
}

// step is something that the browser does or waits for.
type step struct {
	what string
	do   chromedp.Action
}

func (l *labPage) steps(steps []step) {
	l.t.Helper()
	for _, s := range steps {
		begin := time.Now()
		err, how := l.do(s.do)
		if how != nil {
			l.t.Fatalf("JupyterLab ended while the browser waited for %s: %v", s.what, *how)
		}
		if err != nil {
			l.t.Fatalf("%s: not seen after %.0f s: %v", s.what, time.Since(begin).Seconds(), err)
		}
		l.t.Logf("%-34s %5.1f s", s.what, time.Since(begin).Seconds())
	}
}

// do does something in the browser, and gives up when JupyterLab ends; how says how it ended.
func (l *labPage) do(what chromedp.Action) (err error, how *error) {
	ctx, stop := context.WithCancel(l.tab)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- chromedp.Run(ctx, what) }()
	select {
	case err = <-done:
		return err, nil
	case e := <-l.ended:
		return nil, &e
	}
}

// kernelPatience is how long a kernel may take until it waits for work. A kernel says nothing while it
// starts, so there is nothing to tell a slow machine from a broken kernel by; one that ends, ends the
// wait.
const kernelPatience = 6 * time.Minute

// idle is JavaScript that says whether the kernel waits for work.
const idle = `document.querySelector('.jp-NotebookPanel .jp-Toolbar-kernelName')?.textContent.includes('Go (tlkit)') && document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status === 'idle'`

// connected waits for the kernel, and loads the page again where JupyterLab goes on showing that it
// connects: on a busy machine its first connection sometimes stays silent, with the kernel running.
func connected(ctx context.Context) error {
	soon, stop := context.WithTimeout(ctx, 90*time.Second)
	err := holds(90*time.Second, idle).Do(soon)
	stop()
	if err == nil || ctx.Err() != nil {
		return err
	}
	if err := chromedp.Reload().Do(ctx); err != nil {
		return err
	}
	return holds(kernelPatience, idle).Do(ctx)
}

// run opens the notebook, which has at least so many code cells, and runs all of it.
func (l *labPage) run(cells int) {
	l.t.Helper()
	l.steps([]step{
		{"the page", chromedp.Navigate(l.url)},
		{"the notebook's cells", holds(time.Minute, fmt.Sprintf(`document.querySelectorAll('.jp-Notebook .jp-CodeCell').length >= %d`, cells))},
		{"the kernel, waiting for work", chromedp.ActionFunc(connected)},
		{"no figure before it runs", holds(time.Second, figures+`.length === 0`)},
		{"the button that runs all", press(`[data-command="notebook:restart-run-all"]`)},
		{"its question", press(`.jp-Dialog .jp-mod-accept`)},
	})
}

// noOtherForm is JavaScript that says whether every figure is a picture: JupyterLab would show a
// chart for its Vega renderer rather than the picture beside it.
const noOtherForm = `!document.querySelector('.vega-embed') && [...document.querySelectorAll('.jp-Notebook .jp-OutputArea-output img')].every(i => ['image/png', 'image/jpeg'].includes(i.closest('[data-mime-type]').dataset.mimeType))`

// figures is JavaScript for the figures that take room in the notebook: a picture, or the
// canvas that JupyterLab draws a Vega-Lite chart on.
const figures = `[...document.querySelectorAll('.jp-Notebook .jp-OutputArea :is(img, .vega-embed canvas, .vega-embed svg)')].filter(f => { const r = f.getBoundingClientRect(); return r.width > 250 && r.height > 80 })`

// drawn says in JavaScript that a figure has more on it than one colour.
const drawn = `function drawn(f) {
	let c = f;
	if (f.tagName === 'IMG') {
		if (!f.complete || f.naturalWidth === 0) return false;
		c = document.createElement('canvas');
		c.width = f.naturalWidth; c.height = f.naturalHeight;
		c.getContext('2d').drawImage(f, 0, 0);
	}
	if (c.tagName !== 'CANVAS') return true;
	const p = new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer);
	return new Set(p).size > 10;
}`

// holds waits until a JavaScript condition is true.
func holds(patience time.Duration, condition string) chromedp.Action {
	return chromedp.Poll(`(() => { `+drawn+`; return `+condition+` })()`, nil,
		chromedp.WithPollingInterval(300*time.Millisecond), chromedp.WithPollingTimeout(patience))
}

// press clicks with the mouse: JupyterLab's buttons do not hear element.click().
func press(selector string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		ctx, stop := context.WithTimeout(ctx, time.Minute)
		defer stop()
		return chromedp.Click(selector, chromedp.ByQuery, chromedp.NodeVisible).Do(ctx)
	})
}

// startLab runs `tlkit lab` on a notebook and gives the address that it prints. It is ended
// with the test, by the signal that a terminal's end sends; ended hears when it ends before.
func startLab(ctx context.Context, t *testing.T, page string) (url string, ended <-chan error) {
	t.Helper()
	bin := build(t)
	ctx, stop := context.WithCancel(ctx)
	lab := exec.CommandContext(ctx, bin, "lab", "--browser=false", page)
	lab.Cancel = func() error { return lab.Process.Signal(syscall.SIGTERM) }
	lab.WaitDelay = time.Minute // it ends its kernels first, and has patience of its own
	said := &lockedBuffer{}
	lab.Stderr = said
	out, err := lab.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := lab.Start(); err != nil {
		t.Fatal(err)
	}
	address, over := make(chan string, 1), make(chan error, 1)
	go func() {
		sent := false
		for s := bufio.NewScanner(out); s.Scan(); {
			if u := regexp.MustCompile(`http://\S+`).FindString(s.Text()); u != "" && !sent {
				sent = true
				address <- u
			}
		}
		close(address)
		over <- lab.Wait()
		close(over)
	}()
	t.Cleanup(func() {
		stop()
		<-over
		if t.Failed() {
			t.Logf("tlkit lab said:\n%s", said)
		}
	})
	url, ok := <-address
	if !ok {
		t.Fatalf("tlkit lab printed no address:\n%s", said)
	}
	return url, over
}

// lockedBuffer is read while a program still writes to it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// artifacts reports whether the test was started with -artifacts.
func artifacts() bool {
	f := flag.Lookup("test.artifacts")
	return f != nil && f.Value.String() == "true"
}

// keepScreenshot writes what the browser shows: into the folder of go test -artifacts, or,
// when the test failed without that flag, into .tlkit here.
func keepScreenshot(tab context.Context, t *testing.T) {
	asked := artifacts()
	if !asked && !t.Failed() {
		return
	}
	dir := ".tlkit"
	if asked {
		dir = t.ArtifactDir()
	}
	ctx, stop := context.WithTimeout(tab, 30*time.Second)
	defer stop()
	var picture []byte
	if err := chromedp.Run(ctx, chromedp.CaptureScreenshot(&picture)); err != nil {
		t.Logf("no screenshot: %v", err)
		return
	}
	_ = os.MkdirAll(dir, 0o755)
	path, _ := filepath.Abs(filepath.Join(dir, "lab.png"))
	if err := os.WriteFile(path, picture, 0o644); err != nil {
		t.Logf("no screenshot: %v", err)
		return
	}
	t.Logf("what the browser showed: %s", path)
}

// bare is a notebook without its outputs, so that what is seen was made just now.
func bare(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var n map[string]any
	if err := json.Unmarshal(raw, &n); err != nil {
		t.Fatal(err)
	}
	for _, c := range n["cells"].([]any) {
		if c := c.(map[string]any); c["cell_type"] == "code" {
			c["outputs"], c["execution_count"] = []any{}, nil
		}
	}
	if raw, err = json.Marshal(n); err != nil || strings.Contains(string(raw), "image/png") {
		t.Fatalf("outputs are left: %v", err)
	}
	return raw
}

// ownJupyter leaves the person's list of kernels alone, and the program that it names: set-up
// throws away the copies that its own list does not need.
func ownJupyter(t *testing.T) {
	t.Helper()
	for name, dir := range jupyterFolders(t) {
		t.Setenv(name, dir)
	}
}

// jupyterFolders are the variables that name the folders of ownJupyter.
func jupyterFolders(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{"JUPYTER_DATA_DIR": t.TempDir(), "XDG_DATA_HOME": t.TempDir()}
}

// build makes the command.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "tlkit")
	if out, err := exec.Command("go", "build", "-o", bin, "../cmd/tlkit").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}
