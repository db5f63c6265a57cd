package run

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
	"github.com/tlkit/transfer-learning/tlkit/export"
)

// ExportONNX opens the head file and writes it, with its backbone, as an ONNX file: see
// [export.Classifier.ONNX]. Where o has no Runtime, it is the one of set-up. Without one, tlkit's own
// reader checks the file, and Unchecked of the result says why. Where o has no Card, it is that of
// [HeadSpec.Card]. p may be nil.
//
// Where o asks for 8-bit integers without Pictures, these are training pictures of Data, by default of
// what the head was trained on, which the folder of its run says. Both files are then scored on the
// split that the head is measured on, and integers that are worse beyond chance are not written, unless
// o.Force. Otherwise Data and Split of the spec are not used.
//
// It is an error if the file exists and is not such an export, unless o.Force, and if the file gives
// other outputs for the built-in pictures.
func (s HeadSpec) ExportONNX(ctx context.Context, file string, o export.ONNXOptions, place Place, p Progress) (*export.ONNXFile, error) {
	p, shown := place.Shown(p)
	defer shown()
	opened, err := s.toExport(ctx, []string{file}, place, p)
	if err != nil {
		return nil, err
	}
	if o.Card == nil {
		if o.Card, err = s.Card(place); err != nil {
			return nil, err
		}
	}
	why := opened.checks(ctx, &o)
	if o.Int8 != nil && o.Int8.Pictures == nil {
		if err := s.int8Plan(ctx, &o, place, p); err != nil {
			return nil, err
		}
	}
	if o.Resize && o.ResizeOn == nil {
		if err := s.resizePlan(ctx, &o, place, p); err != nil {
			return nil, err
		}
	}
	p.State("writing "+file, 0, 0)
	f, err := opened.classifier.WriteONNX(ctx, file, o)
	if err != nil {
		return nil, err
	}
	f.Unchecked = why
	return f, nil
}

// ExportTorch opens the head file and writes it, with its backbone, as files for PyTorch into the folder
// dir: see [export.Classifier.WriteTorch]. Where o has no Card, it is that of [HeadSpec.Card]. Data and
// Split of the spec are not used. p may be nil.
func (s HeadSpec) ExportTorch(ctx context.Context, dir string, o export.TorchOptions, place Place, p Progress) (*export.TorchFolder, error) {
	p, shown := place.Shown(p)
	defer shown()
	var files []string
	for _, name := range (export.TorchOptions{}).Files() {
		files = append(files, filepath.Join(dir, name))
	}
	opened, err := s.toExport(ctx, files, place, p)
	if err != nil {
		return nil, err
	}
	if o.Card == nil {
		if o.Card, err = s.Card(place); err != nil {
			return nil, err
		}
	}
	p.State("writing "+dir, 0, 0)
	return opened.classifier.WriteTorch(dir, o)
}

// ExportPage opens the head file and writes a page that predicts with it in a browser into the folder
// dir: see [export.Classifier.WritePage]. The default of o.Title is the name of the head, and the network
// is checked as by ExportONNX, where the card is from too. Data and Split of the spec are not used. p may be nil.
func (s HeadSpec) ExportPage(ctx context.Context, dir string, o export.PageOptions, place Place, p Progress) (*export.PageFolder, error) {
	p, shown := place.Shown(p)
	defer shown()
	var files []string
	for _, name := range (export.PageOptions{}).Files() {
		files = append(files, filepath.Join(dir, name))
	}
	opened, err := s.toExport(ctx, files, place, p)
	if err != nil {
		return nil, err
	}
	if o.Card == nil {
		if o.Card, err = s.Card(place); err != nil {
			return nil, err
		}
	}
	why := opened.checks(ctx, &o.ONNXOptions)
	if o.Title == "" {
		o.Title = s.title(place)
	}
	o.Offline, o.Report, o.Note = o.Offline || place.Offline, p.State, p.Say
	p.State("writing "+dir, 0, 0)
	f, err := opened.classifier.WritePage(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	f.Model.Unchecked = why
	return f, nil
}

// checks chooses what checks an ONNX file, and returns why it is not ONNX Runtime.
func (h *openedHead) checks(ctx context.Context, o *export.ONNXOptions) (why string) {
	if o.Runtime != nil {
		return ""
	}
	var err error
	if o.Runtime, err = anyRuntime(ctx, h.eng); err != nil {
		o.Engine = h.eng
		return err.Error()
	}
	return ""
}

// title is the name of the head's file without its endings, or that of its run.
func (s HeadSpec) title(place Place) string {
	path, err := place.HeadPath(s.Head)
	if err != nil {
		return ""
	}
	name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".safetensors"), ".head")
	if name == "head" { // the file of a run
		if abs, err := filepath.Abs(path); err == nil {
			return filepath.Base(filepath.Dir(abs))
		}
	}
	return name
}

// ExportGo opens the head file and writes a Go program with it and its backbone inside into the folder
// dir: see [export.Classifier.WriteGo]. Where o has no Card, it is that of [HeadSpec.Card]. Data and
// Split of the spec are not used. p may be nil.
func (s HeadSpec) ExportGo(ctx context.Context, dir string, o export.GoOptions, place Place, p Progress) (*export.GoFolder, error) {
	p, shown := place.Shown(p)
	defer shown()
	opened, err := s.toExport(ctx, nil, place, p)
	if err != nil {
		return nil, err
	}
	if o.Card == nil {
		if o.Card, err = s.Card(place); err != nil {
			return nil, err
		}
	}
	if o.Report == nil {
		o.Report = func(what string) { p.State(what, 0, 0) }
	}
	return opened.classifier.WriteGo(ctx, dir, o)
}

// toExport opens the head, of which the files out are made.
func (s HeadSpec) toExport(ctx context.Context, out []string, place Place, p Progress) (*openedHead, error) {
	path, err := place.HeadPath(s.Head)
	if err != nil {
		return nil, err
	}
	for _, file := range out {
		if err := sameFile(file, path, s.Weights); err != nil {
			return nil, err
		}
	}
	if s.opened != nil {
		return s.opened, nil
	}
	return s.open(ctx, place, p)
}

// Opened returns the spec with its head open, so that several exports open it once. p may be nil.
func (s HeadSpec) Opened(ctx context.Context, place Place, p Progress) (HeadSpec, error) {
	p, shown := place.Shown(p)
	defer shown()
	var err error
	s.opened, err = s.open(ctx, place, p)
	return s, err
}

func (s HeadSpec) open(ctx context.Context, place Place, p Progress) (*openedHead, error) {
	h, err := readHead(place, s.Head)
	if err != nil {
		return nil, err
	}
	place.PlainGo = true // only a few built-in pictures are computed
	opened, err := openHead(ctx, h, s, place, p)
	if err != nil {
		return nil, err
	}
	sayRestrictions(h, opened.classifier.Net().Row, p)
	return opened, nil
}

// sameFile returns an error if the file to write is one that is read.
func sameFile(out string, in ...string) error {
	target, err := os.Stat(out)
	if err != nil {
		return nil // it does not exist, or writing says what is wrong
	}
	for _, name := range in {
		if info, err := os.Stat(name); err == nil && os.SameFile(info, target) {
			return advice.New(fmt.Errorf("run: %s is what is exported", out), "name another place to write to")
		}
	}
	return nil
}

// anyRuntime opens the engine's ONNX Runtime or, where that leaves it out, the one of set-up.
func anyRuntime(ctx context.Context, e *engine.Engine) (*onnxruntime.Runtime, error) {
	if rt, err := e.ONNXRuntime(ctx); err == nil {
		return rt, nil
	}
	l, err := onnxruntime.Find()
	if err != nil {
		return nil, err
	}
	return onnxruntime.Open(ctx, l)
}
