package export

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/tlkit/card"
)

// GoOptions are the options of [Classifier.WriteGo].
type GoOptions struct {
	Force bool       // replace files that are not such an export
	Card  *card.Card // is the first part of README.md, and is also written as card.html; nil = none
	// Root is the checkout of tlkit that the program is built with; "" = a release, Version.
	Root, Version string
	// Report gets what is being done; may be nil.
	Report func(what string)
}

// GoFolder is what [Classifier.WriteGo] has written.
type GoFolder struct {
	Bytes   int64  // of the head and the network
	Program string // its name: what go build makes
	// The program as it was built here without cgo: its size, the time until it has opened the head, and
	// the time for a picture.
	Binary              int64
	Opening, PerPicture time.Duration
	Pictures            int    // that it predicted as this classifier does
	Unchecked           string // why it was not built; "" = it was
}

//go:embed program/main.go.txt
var mainGo []byte

// The files of a folder for Go beside those of a card.
const (
	goMain = "main.go"
	goMod  = "go.mod"
	goSum  = "go.sum"
)

// goMarker is in the first line of go.mod.
const goMarker = "// written by tlkit export --go\n"

// WriteGo writes a Go program into the folder dir that has the head and its network inside and
// predicts the pictures that its arguments name:
//
//	main.go    the program, a few dozen lines on top of [Options.OpenFS]
//	go.mod     the module; go.sum fits it
//	model/     the head and the network's weights, which main.go embeds
//	README.md  the card, and how to build
//	card.html  the same as a page, if there is a card
//
// It needs no cgo and no file at run time, and computes what tlkit computes: it is the same code, on
// another backend. If go is installed, the program is built without cgo and has to predict test
// pictures as this classifier does, or it is an error (ErrParity).
//
// It is an error if dir has such files that are not of this version's WriteGo, unless o.Force. Other
// files there stay as they are.
func (c *Classifier) WriteGo(ctx context.Context, dir string, o GoOptions) (*GoFolder, error) {
	if o.Root == "" && o.Version == "" {
		return nil, advice.New(errors.New("export: a Go program needs a version of tlkit"), "set Root or Version of GoOptions")
	}
	if err := replaceableGo(dir, o.Force); err != nil {
		return nil, err
	}
	list, err := c.packing()
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	temporary, err := temporaryBeside(dir)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	defer os.RemoveAll(temporary)
	w := goWriter{c: c, o: o, list: list, dir: temporary, out: &GoFolder{Program: programName(dir)}}
	if err := w.write(ctx); err != nil {
		return nil, fmt.Errorf("export: the Go program: %w", err)
	}
	if err := w.moveTo(dir); err != nil {
		return nil, fmt.Errorf("export: the Go program: %w", err)
	}
	return w.out, nil
}

// replaceableGo returns an error unless the files can be written into dir.
func replaceableGo(dir string, force bool) error {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return advice.New(fmt.Errorf("export: %s is not a folder", dir), "name a folder, such as my_go")
	}
	for name, ours := range map[string]func([]byte) bool{
		goMain:    func(text []byte) bool { return bytes.Equal(text, mainGo) },
		goMod:     func(text []byte) bool { return bytes.HasPrefix(text, []byte(goMarker)) },
		goReadme:  card.Written,
		goCard:    card.Written,
		modelList: func(text []byte) bool { return json.Unmarshal(text, &packed{}) == nil },
	} {
		path := filepath.Join(dir, name)
		err := atomicfile.Replaceable(path, "of tlkit export --go", force, func() bool {
			text, err := os.ReadFile(path)
			return err == nil && ours(text)
		})
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
	}
	return nil
}

const (
	goReadme = "README.md"
	goCard   = "card.html"
)

var modelList = filepath.Join(modelFolder, packingList)

// temporaryBeside makes a folder on the same disk as dir.
func temporaryBeside(dir string) (string, error) {
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	return os.MkdirTemp(parent, ".tlkit-export-*")
}

var notInName = regexp.MustCompile(`[^a-z0-9_-]+`)

// programName is the name of the folder as a module path and a program.
func programName(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		abs = dir
	}
	return cmp.Or(strings.Trim(notInName.ReplaceAllString(strings.ToLower(filepath.Base(abs)), "-"), "-_"), "predict")
}

// packing lists the files of the network.
func (c *Classifier) packing() (*packed, error) {
	beside, err := c.net.Beside()
	if err != nil {
		return nil, err
	}
	list := &packed{Weights: filepath.Base(c.net.Path)}
	if len(beside) == 0 { // its name does not matter
		list.Weights = "weights" + strings.ToLower(filepath.Ext(c.net.Path))
	}
	list.Files = append([]string{list.Weights}, beside...)
	for _, name := range list.Files {
		if !embeddable.MatchString(name) {
			return nil, advice.New(fmt.Errorf("go:embed takes no file called %q", name), "give the files of the network plain names")
		}
	}
	return list, list.check()
}

// embeddable are names that go:embed takes, and a few less.
var embeddable = regexp.MustCompile(`^[\pL0-9 !#$%&()+,\-.=@\[\]^_{}~/]+$`)

// goWriter writes a folder for Go.
type goWriter struct {
	c    *Classifier
	o    GoOptions
	list *packed
	dir  string // a temporary one
	out  *GoFolder
}

func (w *goWriter) report(what string) {
	if w.o.Report != nil {
		w.o.Report(what)
	}
}

func (w *goWriter) write(ctx context.Context) error {
	for _, step := range []func(context.Context) error{w.model, w.module, w.check, w.readme} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// model writes main.go and what it embeds.
func (w *goWriter) model(context.Context) error {
	model := filepath.Join(w.dir, modelFolder)
	if err := os.MkdirAll(model, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(w.dir, goMain), mainGo, 0o644); err != nil {
		return err
	}
	text, err := json.MarshalIndent(w.list, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(model, packingList), append(text, '\n'), 0o644); err != nil {
		return err
	}
	if err := w.c.Head.Write(filepath.Join(model, packedHead)); err != nil {
		return err
	}
	from := w.c.net.Path
	for _, name := range w.list.Files {
		to := filepath.Join(model, filepath.FromSlash(name))
		if name != w.list.Weights {
			from = filepath.Join(filepath.Dir(w.c.net.Path), filepath.FromSlash(name))
		}
		if err := copyFile(from, to); err != nil {
			return err
		}
	}
	return filepath.WalkDir(model, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			w.out.Bytes += info.Size()
		}
		return err
	})
}

func copyFile(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return atomicfile.Write(to, 0o644, func(out io.Writer) error {
		_, err := io.Copy(out, in)
		return err
	})
}

var goLine = regexp.MustCompile(`(?m)^go \d+\.\d+(\.\d+)?$`)

// module writes go.mod and go.sum, and completes them with go mod tidy, without a network if that is
// possible.
func (w *goWriter) module(ctx context.Context) error {
	text, goVersion := "", "go 1.26"
	if w.o.Root != "" {
		mod, err := os.ReadFile(filepath.Join(w.o.Root, goMod))
		if err != nil {
			return err
		}
		sum, err := os.ReadFile(filepath.Join(w.o.Root, goSum))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(w.dir, goSum), sum, 0o644); err != nil {
			return err
		}
		goVersion = cmp.Or(goLine.FindString(string(mod)), goVersion)
		text = fmt.Sprintf("\nreplace %s => %s\n", invoke.ModulePath, strconv.Quote(w.o.Root))
	}
	text = fmt.Sprintf("%smodule %s\n\n%s\n\nrequire %s %s\n%s", goMarker, w.out.Program, goVersion, invoke.ModulePath, cmp.Or(w.o.Version, "v0.0.0"), text)
	if err := os.WriteFile(filepath.Join(w.dir, goMod), []byte(text), 0o644); err != nil {
		return err
	}
	w.report("completing go.mod")
	err := w.run(ctx, []string{"GOPROXY=off"}, "go", "mod", "tidy")
	if err != nil && ctx.Err() == nil && !errors.Is(err, exec.ErrNotFound) {
		err = w.run(ctx, nil, "go", "mod", "tidy")
	}
	if err != nil && ctx.Err() == nil {
		w.out.Unchecked = err.Error()
	}
	return ctx.Err()
}

// run runs a command in the folder.
func (w *goWriter) run(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = w.dir
	cmd.Env = append(cmd.Environ(), append([]string{"GOWORK=off", "GOFLAGS=-mod=mod"}, env...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w%s", strings.Join(append([]string{name}, args...), " "), err, after(": ", lastLine(out)))
	}
	return nil
}

// after returns text behind separator; "" if there is none.
func after(separator, text string) string {
	if text == "" {
		return ""
	}
	return separator + text
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// check builds the program without cgo and compares what it predicts.
func (w *goWriter) check(ctx context.Context) error {
	if w.out.Unchecked != "" {
		return nil
	}
	dir, err := os.MkdirTemp("", "tlkit-program-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w.report("building the program")
	file := filepath.Join(dir, w.out.Program)
	if runtime.GOOS == "windows" {
		file += ".exe"
	}
	if err := w.run(ctx, []string{"CGO_ENABLED=0", "GOFLAGS=-mod=readonly"}, "go", "build", "-trimpath", "-o", file, "."); err != nil {
		if ctx.Err() == nil {
			w.out.Unchecked = err.Error()
		}
		return ctx.Err()
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	w.out.Binary = info.Size()
	paths, err := testFiles(dir)
	if err != nil {
		return err
	}
	w.report("predicting with the program, in plain Go")
	return w.compare(ctx, file, paths)
}

// testFiles writes the built-in pictures into files.
func testFiles(dir string) (paths []string, err error) {
	for k, size := range builtInSizes {
		picture := image.NewNRGBA(image.Rect(0, 0, size[0], size[1]))
		for i, v := range golden.Picture(size[0], size[1], k) {
			picture.Pix[i/3*4+i%3] = v
			picture.Pix[i/3*4+3] = 255
		}
		path := filepath.Join(dir, fmt.Sprintf("%d.png", k))
		if err := atomicfile.Write(path, 0o644, func(out io.Writer) error { return png.Encode(out, picture) }); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

var timesLine = regexp.MustCompile(`opened in ([0-9.]+) s, \d+ pictures in ([0-9.]+) s`)

// compare runs the program on pictures and compares its predictions with those of the classifier.
func (w *goWriter) compare(ctx context.Context, file string, paths []string) error {
	want, err := w.c.Classify(ctx, paths)
	if err != nil {
		return err
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, file, append([]string{"-json"}, paths...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(cmd.Environ(), "GOMLX_BACKEND=")
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("it was built, and does not run: %w%s", err, after(": ", lastLine(errs.Bytes())))
	}
	decoder := json.NewDecoder(&out)
	for i := range want {
		var got Prediction
		if err := decoder.Decode(&got); err != nil {
			return fmt.Errorf("it printed %q: %w", out.String(), err)
		}
		if off := offBy(want[i], got); !(off <= programTolerance) || got.Label != want[i].Label || !slices.Equal(got.Labels, want[i].Labels) {
			return fmt.Errorf("%w: the program says %s of test picture %d, and tlkit %s", ErrParity, got.Words(), i, want[i].Words())
		}
	}
	w.out.Pictures = len(want)
	times := timesLine.FindStringSubmatch(errs.String())
	if times == nil {
		return fmt.Errorf("it does not say how long it took: %q", errs.String())
	}
	seconds := func(s string) time.Duration {
		v, _ := strconv.ParseFloat(s, 64) // the expression takes numbers only
		return time.Duration(v * float64(time.Second))
	}
	w.out.Opening, w.out.PerPicture = seconds(times[1]), seconds(times[2])/time.Duration(len(want))
	return nil
}

// programTolerance is the largest difference of a probability, or of a value as a share of it.
const programTolerance = 1e-4

// offBy returns the largest difference of two predictions.
func offBy(p, q Prediction) (off float64) {
	if len(p.Probabilities) != len(q.Probabilities) || len(p.Values) != len(q.Values) {
		return math.Inf(1)
	}
	for label, v := range p.Probabilities {
		off = max(off, math.Abs(v-q.Probabilities[label]))
	}
	for name, v := range p.Values {
		off = max(off, math.Abs(v-q.Values[name])/max(math.Abs(v), 1))
	}
	return off
}

// readme writes README.md and card.html.
func (w *goWriter) readme(context.Context) error {
	c := w.c.Head.goCard(w.o, w.out)
	if err := os.WriteFile(filepath.Join(w.dir, goReadme), c.Markdown(), 0o644); err != nil {
		return err
	}
	if w.o.Card == nil {
		return nil
	}
	page, err := c.HTML()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(w.dir, goCard), page, 0o644)
}

// goCard returns the card of a program; without one, a card that only says how to use it.
func (h *Head) goCard(o GoOptions, out *GoFolder) *card.Card {
	c := o.Card
	if c == nil {
		c = &card.Card{Title: "A program that predicts"}
	}
	checks := card.List{
		"The weights must have the sha256 of those that the head was trained on, and the head file its own.",
		fmt.Sprintf("When it starts, the program computes %d built-in pictures. Their outputs must be those recorded at training, or it stops.", ParityPictures),
	}
	if out.Unchecked == "" {
		checks = append(checks,
			fmt.Sprintf("It was built without cgo when it was written, and predicted %d test pictures as tlkit does, to %.0e.", out.Pictures, programTolerance),
			fmt.Sprintf("Measured then, in plain Go: %.1f s to open the head, %.2f s a picture; the program has %.1f MB. Plain Go is slow: XLA and ONNX Runtime take about a hundredth of that for many pictures.", out.Opening.Seconds(), out.PerPicture.Seconds(), float64(out.Binary)/1e6))
	} else {
		checks = append(checks, "It was not built when it was written: "+out.Unchecked)
	}
	blocks := []card.Block{
		card.Text("In this folder, with Go and without a C compiler:"),
		card.Code{Language: "sh", Text: fmt.Sprintf("CGO_ENABLED=0 go build\n./%s PICTURE…\n./%[1]s -json PICTURE…", out.Program)},
		card.Text("The program needs nothing else at run time but a temporary folder, into which it unpacks the network when it starts. Its exit status is 2 if some pictures cannot be read. Built with cgo, on a machine with tlkit's XLA plugin (tlkit setup), it uses that, which is much faster."),
	}
	if o.Root != "" {
		blocks = append(blocks,
			card.Text("go.mod takes tlkit from a checkout on the machine where this was written. To take a release instead:"),
			card.Code{Language: "sh", Text: fmt.Sprintf("go mod edit -dropreplace=%s\ngo get %[1]s@latest\ngo mod tidy", invoke.ModulePath)})
	}
	return c.With(card.Section{Title: card.Checks, Blocks: []card.Block{checks}}).With(card.Section{Title: card.Usage, Blocks: blocks})
}

// moveTo moves what was written into dir: as a whole if there is no such folder, and otherwise file by
// file, the program last.
func (w *goWriter) moveTo(dir string) error {
	dir = filepath.Clean(dir)
	if err := os.Chmod(w.dir, 0o755); err != nil {
		return err
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := os.Rename(w.dir, dir); err != nil {
			return err
		}
		return atomicfile.SyncDir(filepath.Dir(dir))
	}
	if err := removePacked(filepath.Join(dir, modelFolder)); err != nil {
		return err
	}
	names := []string{goMod, goSum, goReadme, goCard}
	for _, name := range append(slices.Clone(w.list.Files), packedHead, packingList) {
		names = append(names, filepath.Join(modelFolder, filepath.FromSlash(name)))
	}
	for _, name := range append(names, goMain) {
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		err := os.Rename(filepath.Join(w.dir, name), to)
		if errors.Is(err, fs.ErrNotExist) { // no card, or no sums
			err = os.Remove(to)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return atomicfile.SyncDir(dir)
}

// removePacked removes the files of an earlier export, so that the program does not embed them too.
func removePacked(model string) error {
	text, err := os.ReadFile(filepath.Join(model, packingList))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	list := packed{}
	if err != nil || json.Unmarshal(text, &list) != nil || list.check() != nil {
		return err // --force: what it lists is not known
	}
	for _, name := range append(list.Files, packedHead, packingList) {
		if err := os.Remove(filepath.Join(model, filepath.FromSlash(name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
