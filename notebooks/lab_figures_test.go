package notebooks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
)

// matrix is what the first figure of the page shows.
var matrix = metrics.Confusion{Labels: []string{"ants", "bees"}, Counts: [][]int{{65, 5}, {3, 80}}}

// figureCells are the cells of a page with a figure of each kind that a person meets.
var figureCells = []struct {
	name, mime, source string
}{
	{"matrix", "image/png", `tlkit.Show(metrics.Confusion{Labels: []string{"ants", "bees"}, Counts: [][]int{{65, 5}, {3, 80}}})`},
	{"curves", "image/png", `run := curves.Run{Name: "fine-tuned", Axis: curves.Iterations, Marks: []curves.Mark{{Kind: curves.Unfreeze, Step: 40, Epoch: 40}}}
for i := 1; i <= 48; i++ {
	p := curves.Point{Step: i, Epoch: float64(i), Phase: curves.Head, Split: curves.Test, Metric: curves.Loss, Value: 0.1 + 1/float64(i*i), N: 0}
	q := p
	q.Metric, q.Value, q.N = curves.Accuracy, 0.95-0.4/float64(i*i), 153
	if i > 40 {
		p.Phase, q.Phase = curves.Finetune, curves.Finetune
		run.Points = append(run.Points, curves.Point{Step: i, Epoch: float64(i), Phase: curves.Finetune, Split: "head", Metric: curves.Rate, Value: 1e-3 / float64(i-39)})
	}
	run.Points = append(run.Points, p, q)
}
tlkit.Show(run)`},
	{"scatter", "image/png", `tlkit.Show(plots.Scatter("Networks", plots.Scale{Name: "time", Unit: "ms"}, plots.Scale{Name: "accuracy", Unit: "%"}, []plots.Dot{{Label: "mobilenetv2", X: 12, Y: 0.94}, {Label: "resnet50", X: 60, Y: 0.96}}))`},
	{"rates", "image/png", `tlkit.Show(&finetune.RateFind{Rates: []float64{1e-5, 1e-4, 1e-3, 1e-2}, Losses: []float64{0.7, 0.69, 0.5, 3}, Suggested: 1e-3})`},
	{"grid", "image/jpeg", `img := image.NewRGBA(image.Rect(0, 0, 300, 200))
for i := range img.Pix {
	img.Pix[i] = uint8(i/4%300) | 3
}
tlkit.ShowDrawn(plots.Grid("Top losses", []plots.Picture{{Image: img, Truth: "ants", Prediction: "bees", Probability: 0.93, Loss: 2.7}, {Image: img, Truth: "bees"}}))`},
	{"film", "image/png", `var clips []show.Clip
for k := range 3 {
	clip := show.Clip{Title: fmt.Sprint("scene ", k+1), End: show.Bad}
	for t := range 12 {
		img := image.NewNRGBA(image.Rect(0, 0, 160, 120))
		draw.Draw(img, img.Rect, image.NewUniform(color.NRGBA{70, 110, 60, 255}), image.Point{}, draw.Src)
		draw.Draw(img, image.Rect(10*t, 20*k, 10*t+30, 20*k+30), image.NewUniform(color.NRGBA{230, 180, 40, 255}), image.Point{}, draw.Src)
		clip.Frames = append(clip.Frames, img)
	}
	clips = append(clips, clip)
}
tlkit.ShowDrawn(show.Film{Clips: clips, Words: "Three squares go to the right.", Rate: 5, Most: 8_000})`},
	{"table", "text/html", `tlkit.Show(tlkit.Learner{Name: "bees", Data: "insects"})`},
}

// TestFiguresInJupyterLab looks at what JupyterLab renders, which need not be what was sent: of an
// output that comes in several forms, it shows the one that it prefers.
func TestFiguresInJupyterLab(t *testing.T) {
	l := openLab(t, figuresPage(t))
	l.run(len(figureCells))
	last := fmt.Sprintf(`document.querySelectorAll('.jp-Notebook .jp-CodeCell')[%d]?.querySelector('.jp-OutputArea table')`, len(figureCells)-1)
	l.steps([]step{
		{"the table, in the last cell", holds(4*time.Minute, `!!(`+last+`)`)},
		{"pictures and no other form of a figure", holds(time.Second, noOtherForm)},
		{"no error", holds(time.Second, `!document.querySelector('.jp-Notebook [data-mime-type="application/vnd.jupyter.stderr"]')`)},
	})
	l.checkFigures("light")
	l.steps([]step{
		{"saved", press(`[data-command="docmanager:save"]`)},
		{"on the disk", holds(30*time.Second, `!document.querySelector('.jp-DocumentTab.jp-mod-dirty, .jp-mod-dirty')`)},
	})
	theme := filepath.Join(os.Getenv("JUPYTER_CONFIG_DIR"), "lab", "user-settings", "@jupyterlab", "apputils-extension")
	if err := os.MkdirAll(theme, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(theme, "themes.jupyterlab-settings"), []byte(`{"theme": "JupyterLab Dark"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	l.steps([]step{
		{"the page again", chromedp.Reload()},
		{"dark", holds(time.Minute, `document.body.dataset.jpThemeLight === 'false'`)},
		{"the saved figures", holds(time.Minute, `!!(`+last+`) && `+figures+`.length >= 5`)},
	})
	l.checkFigures("dark")
}

// checkFigures looks at the output of each cell: its form, its size, that nothing is cut off, and the
// numbers in the matrix, in the pixels on the screen.
func (l *labPage) checkFigures(theme string) {
	l.t.Helper()
	for i, c := range figureCells {
		var seen struct {
			Mimes                         []string
			Width, Height, Natural, Alone float64
			Cut                           bool
		}
		err := chromedp.Run(l.tab, chromedp.Evaluate(fmt.Sprintf(`(() => {
			const cell = document.querySelectorAll('.jp-Notebook .jp-CodeCell')[%d];
			const outputs = [...cell.querySelectorAll('.jp-OutputArea-output')];
			const f = cell.querySelector('.jp-OutputArea-output :is(img, table)'), r = f.getBoundingClientRect();
			return {Mimes: outputs.map(o => o.dataset.mimeType), Width: r.width, Height: r.height, Natural: f.naturalWidth || 0, Alone: outputs.length,
				Cut: outputs.some(o => o.scrollWidth > o.clientWidth + 1)};
		})()`, i), &seen))
		if err != nil {
			l.t.Fatalf("%s, %s: %v", c.name, theme, err)
		}
		l.t.Logf("%s, %s: %+v", c.name, theme, seen)
		if len(seen.Mimes) != 1 || seen.Mimes[0] != c.mime {
			l.t.Errorf("%s, %s: shown as %q, want one %s", c.name, theme, seen.Mimes, c.mime)
		}
		if seen.Width > 1000 || seen.Cut {
			l.t.Errorf("%s, %s: %v pixels wide, cut off: %v; want at most 1000", c.name, theme, seen.Width, seen.Cut)
		}
		times := 2.0 // pixels for one on the page
		if c.name == "film" {
			times = 1
		}
		if c.mime != "text/html" && seen.Natural != times*seen.Width {
			l.t.Errorf("%s, %s: %v pixels for %v on the page, want %v times as many", c.name, theme, seen.Natural, seen.Width, times)
		}
		if c.name == "film" {
			l.checkPlays(i, theme)
		}
	}
	l.keepCells(theme)
	l.checkMatrix(theme)
}

// checkPlays waits until the picture of a cell looks different on the screen.
func (l *labPage) checkPlays(cell int, theme string) {
	l.t.Helper()
	mark := fmt.Sprintf(`document.querySelectorAll('.jp-Notebook .jp-CodeCell')[%d].querySelector('.jp-OutputArea-output img').id = 'film'`, cell)
	if err := chromedp.Run(l.tab, chromedp.Evaluate(mark, nil)); err != nil {
		l.t.Fatal(err)
	}
	var first, shot []byte
	for range 20 {
		if err := chromedp.Run(l.tab, chromedp.Screenshot(`#film`, &shot, chromedp.ByQuery), chromedp.Sleep(200*time.Millisecond)); err != nil {
			l.t.Fatal(err)
		}
		if first == nil {
			first = shot
		}
		if !bytes.Equal(first, shot) {
			return
		}
	}
	l.t.Errorf("%s: the film stands still", theme)
}

// checkMatrix compares the screen with the figure: in the dark cell of the matrix there are the light
// strokes of its numbers.
func (l *labPage) checkMatrix(theme string) {
	l.t.Helper()
	want, err := plots.Confusion(matrix).Image(1)
	if err != nil {
		l.t.Fatal(err)
	}
	var shot []byte
	if err := chromedp.Run(l.tab, chromedp.Screenshot(`.jp-Notebook .jp-CodeCell .jp-OutputArea-output img`, &shot, chromedp.ByQuery)); err != nil {
		l.t.Fatal(err)
	}
	got, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		l.t.Fatal(err)
	}
	if dx, dy := got.Bounds().Dx()-want.Bounds().Dx(), got.Bounds().Dy()-want.Bounds().Dy(); dx*dx > 4 || dy*dy > 4 {
		l.t.Fatalf("%s: the matrix on the screen measures %v, drawn %v", theme, got.Bounds(), want.Bounds())
	}
	dark := darkCell(want)
	light, strokes := 0, 0
	for y := dark.Min.Y + 4; y < dark.Max.Y-4; y++ {
		for x := dark.Min.X + 4; x < dark.Max.X-4; x++ {
			if r, _, _, _ := want.At(x, y).RGBA(); r > 0xb000 {
				strokes++
			}
			if r, _, _, _ := got.At(x, y).RGBA(); r > 0xb000 {
				light++
			}
		}
	}
	if strokes < 50 || light < strokes/2 {
		l.t.Errorf("%s: %d light pixels in the cell %v of the matrix, the drawing has %d: its numbers are not there", theme, light, dark, strokes)
	}
}

// darkCell returns the part of the picture that has its darkest blue: a cell of the matrix.
func darkCell(img *image.RGBA) image.Rectangle {
	var cell image.Rectangle
	count := map[[3]uint8]int{}
	at := func(x, y int) [3]uint8 { c := img.RGBAAt(x, y); return [3]uint8{c.R, c.G, c.B} }
	b := img.Bounds()
	for y := range b.Dy() {
		for x := range b.Dx() {
			if c := at(x, y); c[0] < 60 && c[2] > c[0]+60 {
				count[c]++
			}
		}
	}
	most, fill := 0, [3]uint8{}
	for c, n := range count {
		if n > most {
			most, fill = n, c
		}
	}
	for y := range b.Dy() {
		for x := range b.Dx() {
			if at(x, y) == fill {
				cell = cell.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return cell
}

// keepCells keeps what the page looks like in a theme, with go test -artifacts.
func (l *labPage) keepCells(theme string) {
	if !artifacts() {
		return
	}
	var shot []byte
	if err := chromedp.Run(l.tab, chromedp.CaptureScreenshot(&shot)); err != nil {
		l.t.Error(err)
		return
	}
	if err := os.WriteFile(filepath.Join(l.t.ArtifactDir(), "figures-"+theme+".png"), shot, 0o644); err != nil {
		l.t.Error(err)
	}
}

// figuresPage is a notebook with the cells above.
func figuresPage(t *testing.T) []byte {
	t.Helper()
	cells := []any{}
	for i, c := range figureCells {
		cells = append(cells, map[string]any{"cell_type": "code", "id": fmt.Sprint("cell", i), "metadata": map[string]any{}, "outputs": []any{}, "execution_count": nil,
			"source": "%%\n" + strings.TrimSpace(c.source)})
	}
	raw, err := json.Marshal(map[string]any{"cells": cells, "nbformat": 4, "nbformat_minor": 5,
		"metadata": map[string]any{"kernelspec": map[string]any{"name": "tlkit", "display_name": "Go (tlkit)", "language": "go"}}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
