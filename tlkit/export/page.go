package export

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"html/template"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/card"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/onnx/write"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

//go:embed page
var pageFiles embed.FS

// The files of a page, in the order in which they take their places.
const (
	pageReadme   = "README.md"
	pageCard     = "card.html"
	pageLicences = "LICENSES.md"
	pageModel    = "model.onnx"
	pageSingle   = "single-file.html"
	pageIndex    = "index.html"
)

var pageNames = []string{pageReadme, pageCard, pageLicences, webWASM, pageModel, pageSingle, pageIndex}

// Files returns the names of the files that [Classifier.WritePage] writes.
func (PageOptions) Files() []string { return slices.Clone(pageNames) }

const (
	pageMarker = "<!doctype html>\n<!-- written by tlkit export --page -->"
	// pageThreshold is the probability below which a page says that it does not know, until its user
	// moves the slider: the answer is then less likely than all others together.
	pageThreshold = 0.5
	// largestSingle is the largest network that is put into a file of HTML. A browser holds it several
	// times while it loads the page.
	largestSingle = 256 << 20
)

// PageOptions are the options of [Classifier.WritePage].
type PageOptions struct {
	ONNXOptions        // how the network is checked; Force is for all files
	Title       string // the heading; "" = the name of the data
	Offline     bool   // ONNX Runtime for browsers must be in the cache
	// Report gets the progress of its download: what is being done, with the bytes done and in total
	// (0 = unknown). It may be nil.
	Report func(what string, done, total int64)
	// Note gets a sentence about a damaged file in the cache. It may be nil.
	Note func(sentence string)
}

// PageFolder is what [Classifier.WritePage] has written.
type PageFolder struct {
	Model  *ONNXFile
	Bytes  int    // of all files
	Single string // the page that is one file; "" = the network is too large for it
}

// WritePage writes a page into the folder dir that predicts in the browser: pictures are dropped,
// pasted, chosen or taken with the camera, and never leave the device.
//
//	index.html                   the page, for any static server, such as python3 -m http.server
//	model.onnx                   see [Classifier.ONNX]
//	ort-wasm-simd-threaded.wasm  ONNX Runtime for browsers
//	single-file.html             all of these in one file, which opens without a server
//	LICENSES.md                  the licences of what is in the folder
//	README.md, card.html         the card, if there is one
//
// Opened as a file, index.html goes on to single-file.html, because browsers do not let it load the
// network then. It is not written if the network is larger than 256 MB.
//
// A page prepares pictures as [transforms.Preset.Square] does. When it is opened, it computes the test
// pictures, and gives no answers if its logits differ from tlkit's by more than 1e-4 of the
// largest, or one byte of a prepared picture differs. It says how far JPEG files are read differently.
//
// New folders, and folders with other files, are treated as by [Classifier.WriteTorch].
func (c *Classifier) WritePage(ctx context.Context, dir string, o PageOptions) (*PageFolder, error) {
	if err := replaceableFolder(dir, pageNames, o.Force, ofPage); err != nil {
		return nil, err
	}
	runtime, err := o.webRuntime(ctx)
	if err != nil {
		return nil, err
	}
	model, err := c.onnx(ctx)
	if err != nil {
		return nil, err
	}
	if err := o.replay(ctx, model); err != nil {
		return nil, fmt.Errorf("%w; %s was not written", err, dir)
	}
	if o.Title == "" {
		o.Title = c.Head.Data.Name
	}
	p := &page{title: o.Title, model: model, runtime: runtime, card: model.card(o.Card, pageModel)}
	files, err := p.files()
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if err := writeTogether(dir, pageNames, files); err != nil {
		return nil, fmt.Errorf("export: cannot write the page: %w", err)
	}
	out := &PageFolder{Model: model}
	for name, data := range files {
		out.Bytes += len(data)
		if name == pageSingle {
			out.Single = pageSingle
		}
	}
	return out, nil
}

// ofPage reports whether a file is one that WritePage has written.
func ofPage(file string) bool {
	ours := func(name string) bool {
		data, err := os.ReadFile(filepath.Join(filepath.Dir(file), name))
		return err == nil && bytes.HasPrefix(data, []byte(pageMarker))
	}
	switch name := filepath.Base(file); name {
	case pageIndex, pageSingle:
		return ours(name)
	case pageReadme, pageCard:
		data, err := os.ReadFile(file)
		return err == nil && card.Written(data)
	case pageModel:
		data, err := os.ReadFile(file)
		if err != nil {
			return false
		}
		about, err := write.Metadata(data)
		return err == nil && about[headKey] != ""
	}
	return ours(pageIndex) || ours(pageSingle)
}

// page is what a page is made of.
type page struct {
	title   string
	model   *ONNXFile
	runtime *webFiles
	card    *card.Card // nil = none
}

// files makes the files.
func (p *page) files() (map[string][]byte, error) {
	out := map[string][]byte{
		pageLicences: []byte(p.licences()),
		webWASM:      p.runtime.wasm,
		pageModel:    p.model.data,
	}
	if p.card != nil {
		made, err := p.card.HTML()
		if err != nil {
			return nil, err
		}
		out[pageReadme], out[pageCard] = p.card.Markdown(), made
	}
	about, err := p.about()
	if err != nil {
		return nil, err
	}
	if len(p.model.data) <= largestSingle {
		about.Single = pageSingle
		inside, err := p.inside()
		if err != nil {
			return nil, err
		}
		if out[pageSingle], err = p.html(about, inside); err != nil {
			return nil, err
		}
	}
	out[pageIndex], err = p.html(about, "")
	return out, err
}

// pageAbout is what the scripts of a page know. See page/page.js.
type pageAbout struct {
	Task       datasets.Task `json:"task"`
	Labels     []string      `json:"labels"`
	Thresholds []float64     `json:"thresholds"`
	Scales     []task.Scale  `json:"scales"`
	Threshold  float64       `json:"threshold"` // of "I don't know"
	Preset     pagePreset    `json:"preset"`
	Parity     []float32     `json:"parity"`
	Allowed    float64       `json:"allowed"`
	Squares    []pageSquare  `json:"squares"`
	JPEG       pageJPEG      `json:"jpeg"`
	Model      pageFile      `json:"model"`
	WASM       pageFile      `json:"wasm"`
	Single     string        `json:"single"`
}

// pagePreset is a preset without fields that have defaults.
type pagePreset struct {
	Size     int                      `json:"size"`
	Geometry transforms.Geometry      `json:"geometry"`
	Filter   transforms.Interpolation `json:"filter"`
	Short    int                      `json:"short"`
	Share    float64                  `json:"share"`
}

func presetOfPage(p transforms.Preset) pagePreset {
	out := pagePreset{p.Size, p.Geometry, p.Interpolation, p.ShortSide(), share(p)}
	if out.Filter == "" {
		out.Filter = transforms.Bilinear
	}
	return out
}

// pageSquare is the checksum of a prepared test picture of that width and height.
type pageSquare struct {
	Width  int    `json:"width"`
	Height int    `json:"height"`
	CRC    uint32 `json:"crc"`
}

// pageJPEG is a JPEG file and its pixels as tlkit reads them.
type pageJPEG struct {
	File   []byte `json:"file"`
	Pixels []byte `json:"pixels"`
}

type pageFile struct {
	Name    string `json:"name"`
	Bytes   int    `json:"bytes"`
	Version string `json:"version"` // differs for other content, so that a browser's cache is not used
}

func fileInPage(name string, data []byte) pageFile {
	return pageFile{Name: name, Bytes: len(data), Version: hexSHA256(data)[:16]}
}

func (p *page) about() (*pageAbout, error) {
	h := p.model.Head
	a := &pageAbout{
		Task: h.Task, Labels: h.Labels, Thresholds: h.Thresholds, Scales: h.Scales, Threshold: pageThreshold,
		Preset: presetOfPage(h.Preset),
		Parity: h.Parity, Allowed: onnxTolerance + h.rounding(),
		Model: fileInPage(pageModel, p.model.data), WASM: fileInPage(webWASM, p.runtime.wasm),
	}
	if a.Task == "" {
		a.Task = datasets.Classes
	}
	sizes := append(builtInSizes[:len(builtInSizes):len(builtInSizes)], [2]int{640, 427}, [2]int{301, 702}, [2]int{h.Preset.Size, h.Preset.Size})
	for k, size := range sizes {
		pic := &transforms.Picture{Width: size[0], Height: size[1], Pix: golden.Picture(size[0], size[1], k)}
		square, err := h.Preset.Square().Picture(pic, transforms.Rand{})
		if err != nil {
			return nil, err
		}
		a.Squares = append(a.Squares, pageSquare{size[0], size[1], crc32.ChecksumIEEE(square.Pix)})
	}
	var err error
	if a.JPEG.File, err = pageFiles.ReadFile("page/test.jpg"); err != nil {
		return nil, err
	}
	pic, err := transforms.Decode(a.JPEG.File, transforms.DecodeOptions{})
	if err != nil {
		return nil, err
	}
	a.JPEG.Pixels = pic.Pix
	return a, nil
}

// inside returns the elements that hold the network and its runtime in single-file.html.
func (p *page) inside() (template.HTML, error) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(p.runtime.wasm); err != nil {
		return "", err
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	var b strings.Builder
	embed := func(name, packing string, data []byte) {
		const part = 6 << 20 // a multiple of 3, and far below the longest string of a browser
		for at := 0; at < len(data); at += part {
			fmt.Fprintf(&b, "<script type=\"text/plain\" data-file=%q data-packed=%q>%s</script>\n", name, packing, base64.StdEncoding.EncodeToString(data[at:min(at+part, len(data))]))
		}
	}
	embed(webWASM, "gzip", packed.Bytes())
	embed(pageModel, "", p.model.data) // weights hardly get smaller
	return template.HTML(b.String()), nil
}

// html makes a page; inside is what it has no files for.
func (p *page) html(about *pageAbout, inside template.HTML) ([]byte, error) {
	part := func(name string) string {
		data, err := pageFiles.ReadFile("page/" + name)
		if err != nil {
			panic(err) // embedded
		}
		return string(data)
	}
	data, err := json.Marshal(about) // escapes < and >, so that no label ends the element
	if err != nil {
		return nil, err
	}
	engine := p.runtime.script + part("pixels.js") + part("engine.js")
	style, script := part("page.css"), part("page.js")
	for name, text := range map[string]string{"style": style, "script": script, "engine": engine} {
		if lower := strings.ToLower(text); strings.Contains(lower, "</"+"script") || strings.Contains(lower, "<!--") || strings.Contains(lower, "</"+"style") {
			return nil, fmt.Errorf("the page's %s would end its own element", name)
		}
	}
	t, err := template.New("page").Parse(part("page.html"))
	if err != nil {
		return nil, err
	}
	b := bytes.NewBufferString(pageMarker + "\n")
	err = t.Execute(b, map[string]any{
		"Title": p.title, "Lead": p.lead(), "About": p.facts(), "Card": p.card != nil && inside == "",
		"Policy": pagePolicy(style, script, inside == ""),
		"Style":  template.HTML("<style>" + style + "</style>"),
		"Script": template.HTML("<script>" + script + "</script>"),
		"Data": template.HTML(`<script type="application/json" id="head">`+string(data)+"</script>\n"+
			`<script type="text/plain" id="engine">`+engine+"</script>\n") + inside,
	})
	return b.Bytes(), err
}

// pagePolicy is the content security policy: this style, this script, the worker that the script makes,
// and of the network only files beside the page.
func pagePolicy(style, script string, files bool) string {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	connect := "'none'"
	if files {
		connect = "'self'"
	}
	return "default-src 'none'; script-src " + hash(script) + " 'wasm-unsafe-eval'; style-src " + hash(style) +
		"; worker-src blob:; img-src blob: data:; media-src blob:; connect-src " + connect + "; base-uri 'none'; form-action 'none'"
}

// lead says what the page answers.
func (p *page) lead() string {
	h := p.model.Head
	names := strings.Join(h.Labels[:min(len(h.Labels), 12)], ", ")
	if n := len(h.Labels) - 12; n > 0 {
		names += fmt.Sprintf(" and %d more", n)
	}
	switch h.Task {
	case datasets.Labels:
		return "Says which of these a picture has: " + names + "."
	case datasets.Values:
		return "Estimates from a picture: " + names + "."
	}
	return "Says which of these a picture shows: " + names + "."
}

type pageFact struct{ Term, Text string }

// facts say where the network comes from.
func (p *page) facts() (facts []pageFact) {
	h := p.model.Head
	add := func(term, text string) {
		if text != "" {
			facts = append(facts, pageFact{term, text})
		}
	}
	trained := fmt.Sprintf("%s, %d pictures", h.Data.Name, h.Data.Train)
	score := h.Result.Score.Describe(h.Result.Split)
	if h.Result.Metric.Counts() && h.Result.Folds == 0 {
		score = h.Result.Score.String() + " on " + h.Result.Split
	}
	add("Trained on", trained)
	add("Score", score)
	add("Backbone", h.Backbone.Name)
	add("From", h.Backbone.Origin)
	add("Licence", h.Backbone.Licence)
	add("Licence of the pictures", h.Data.Licence)
	add("Reads", fmt.Sprintf("%d x %d pixels: each picture %s", h.Preset.Size, h.Preset.Size, h.Preset.SquareWords()))
	add("Computed by", "ONNX Runtime "+webVersion+" in this browser")
	return facts
}

// licences is the content of LICENSES.md.
func (p *page) licences() string {
	h := p.model.Head
	of := func(s string) string {
		if s == "" {
			return "not known"
		}
		return s
	}
	return fmt.Sprintf("# Licences\n\n- %s holds the backbone %s: %s. It was trained further on %s: %s.\n"+
		"- %s and the part of %s and %s that loads it are ONNX Runtime %s:\n\n%s\n"+
		"- The rest of the pages is tlkit: Apache License 2.0.\n",
		pageModel, markdown(h.Backbone.Name), markdown(of(h.Backbone.Licence)), markdown(h.Data.Name), markdown(of(h.Data.Licence)),
		webWASM, pageIndex, pageSingle, webVersion, webLicence)
}

// markdown writes text so that Markdown shows it as it is, and makes no link of an address.
func markdown(text string) string {
	var b strings.Builder
	for _, r := range strings.Join(strings.Fields(text), " ") {
		if strings.ContainsRune("\\`*_{}[]()<>#+!|~&$@", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return strings.NewReplacer("://", `\://`, "www.", `www\.`, "WWW.", `WWW\.`).Replace(b.String())
}

const webLicence = `  > MIT License
  >
  > Copyright (c) Microsoft Corporation
  >
  > Permission is hereby granted, free of charge, to any person obtaining a copy of this software
  > and associated documentation files (the "Software"), to deal in the Software without
  > restriction, including without limitation the rights to use, copy, modify, merge, publish,
  > distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
  > Software is furnished to do so, subject to the following conditions:
  >
  > The above copyright notice and this permission notice shall be included in all copies or
  > substantial portions of the Software.
  >
  > THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING
  > BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
  > NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
  > DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
  > OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`
