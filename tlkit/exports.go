//go:build !tlkit_worker

package tlkit

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// Export writes the trained head to a file. The ending of its name says what kind:
//
//	my.onnx              head and backbone for ONNX Runtime, see [export.Classifier.ONNX]; my.card.md and
//	                     my.card.html are written beside it
//	my.md, my.html       the model card alone, see package card
//	anything else        a head file, such as my.head.safetensors, see package export
func (l Learner) Export(path string) {
	l.exporting("Export", func(ctx context.Context, s run.HeadSpec) error {
		file := inFolder(path)
		switch strings.ToLower(filepath.Ext(path)) {
		case ".onnx":
			f, err := s.ExportONNX(ctx, file, export.ONNXOptions{}, place(""), reporter{})
			if err != nil {
				return err
			}
			sayONNX(path, f)
		case ".md", ".html":
			if err := s.ExportCard(file, false, place("")); err != nil {
				return err
			}
			show.Default.Text("written: " + path)
		default:
			return exportHead(s.Head, path)
		}
		return nil
	})
}

// ExportTorch writes head and backbone for PyTorch into a folder: a state dict that torchvision's or
// timm's model loads, the preparation of pictures, and a README with the Python that loads both. See
// [export.Classifier.WriteTorch].
func (l Learner) ExportTorch(dir string) {
	l.exporting("ExportTorch", func(ctx context.Context, s run.HeadSpec) error {
		f, err := s.ExportTorch(ctx, inFolder(dir), export.TorchOptions{}, place(""), reporter{})
		if err == nil {
			show.Default.Clear()
			show.Default.Text(fmt.Sprintf("%s: %s of %s, %d tensors; README.md has the Python that loads them", dir, f.Model, f.Library, f.Tensors))
		}
		return err
	})
}

// ExportPage writes a page that predicts in a browser into a folder. Open its single-file.html, or put
// the folder on any static server. See [export.Classifier.WritePage].
func (l Learner) ExportPage(dir string) {
	l.exporting("ExportPage", func(ctx context.Context, s run.HeadSpec) error {
		f, err := s.ExportPage(ctx, inFolder(dir), export.PageOptions{}, place(""), reporter{})
		if err == nil {
			show.Default.Clear()
			show.Default.Text(fmt.Sprintf("%s: %s; open %s in a browser", dir, megabytes(f.Bytes), filepath.Join(dir, "single-file.html")))
		}
		return err
	})
}

// exporting is a verb that writes the trained head.
func (l Learner) exporting(what string, do func(context.Context, run.HeadSpec) error) {
	l.verb(what, func(ctx context.Context) error {
		stored, err := l.stored()
		if err != nil {
			return err
		}
		return do(ctx, run.HeadSpec{Head: stored.Head(), Weights: l.Weights, Entry: l.Entry})
	})
}

func exportHead(file, path string) error {
	h, err := export.Read(file)
	if err != nil {
		return err
	}
	if err := h.Write(inFolder(path)); err != nil {
		return err
	}
	tuned := ""
	if n := len(h.Tuned()); n > 0 {
		tuned = fmt.Sprintf("%d tensors fine-tuned, ", n)
	}
	show.Default.Text(fmt.Sprintf("%s: %s on %s, %s, %ssha256 of everything, 3 parity pictures", path, h.Data.Name, h.Backbone.Name, h.Task.Words(h.Labels), tuned))
	return nil
}

// sayONNX says what is in an ONNX file, and what has checked it.
func sayONNX(path string, f *export.ONNXFile) {
	show.Default.Clear()
	show.Default.Text(fmt.Sprintf("%s: %s; reads %s", path, megabytes(f.Bytes()), f.Input()))
	if f.Off != nil {
		show.Default.Text(fmt.Sprintf("%s computes the same, to %.1e of the largest output", f.Runtime, *f.Off))
	}
	if f.Unchecked != "" {
		show.Default.Text("not compared with ONNX Runtime: " + f.Unchecked)
	}
}

func megabytes(n int) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
