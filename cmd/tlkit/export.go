package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/kernel/kernelspec"
	"github.com/tlkit/transfer-learning/tlkit/card"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// exported is tlkit export --json: the fields of the ONNX file, and the PyTorch files.
type exported struct {
	*exportedONNX
	Torch *exportedTorch `json:"torch,omitempty"`
	Page  *exportedPage  `json:"page,omitempty"`
	Go    *exportedGo    `json:"go,omitempty"`
	Cards []string       `json:"cards"` // the model cards that were written
}

type exportedONNX struct {
	File    string `json:"file"`
	Bytes   int    `json:"bytes"`
	Input   string `json:"input"`   // what the file reads, in words
	Outputs string `json:"outputs"` // what it computes, in words
	// The largest difference between what tlkit computes for the test pictures and what Runtime does
	// from the file, as a share of the largest number; null = not compared.
	Off       *float64 `json:"off"`
	Runtime   string   `json:"runtime,omitempty"`   // ONNX Runtime, or tlkit's own reader where that is missing
	Unchecked string   `json:"unchecked,omitempty"` // why it is not ONNX Runtime

	Int8   *export.Int8Result `json:"int8,omitempty"`
	Resize *task.Difference   `json:"resize,omitempty"` // how far a file that resizes is from tlkit's resizing
}

type exportedTorch struct {
	Dir     string `json:"dir"`
	Bytes   int    `json:"bytes"`
	Library string `json:"library"`
	Model   string `json:"model"`
	Tensors int    `json:"tensors"`
}

type exportedPage struct {
	Dir    string   `json:"dir"`
	Bytes  int      `json:"bytes"`
	Single string   `json:"single"` // the file that is the whole page; "" = the network is too large for it
	Off    *float64 `json:"off"`    // as for an ONNX file
}

type exportedGo struct {
	Dir     string `json:"dir"`
	Program string `json:"program"` // its name: what go build makes
	Bytes   int64  `json:"bytes"`   // of head and network
	// Of the program as it was built here without cgo; absent if it was not.
	Binary    int64   `json:"binary,omitempty"` // bytes
	Opening   float64 `json:"opening_seconds,omitempty"`
	Picture   float64 `json:"picture_seconds,omitempty"`
	Unchecked string  `json:"unchecked,omitempty"` // why it was not built
}

// exportFlags are what to write, and where.
type exportFlags struct {
	file, dir, page string
	program         string // the folder for Go
	cards           []string
	int8, resize    bool
	force           bool
	spec            run.HeadSpec
}

func (c *command) export() *cobra.Command {
	f := exportFlags{}
	cmd := &cobra.Command{
		Use:   "export HEAD --onnx FILE | --torch DIR | --page DIR | --go DIR | --card FILE",
		Short: "Write a trained head and its backbone for other programs: as an ONNX file, for PyTorch, as a web page, or as a Go program",
		Long: `Write a head file and its backbone for other programs. HEAD may also be the folder or the
name of a run.

--onnx FILE writes one ONNX file, for phones, browsers, and programs in other languages. It
takes pictures as bytes, uint8 [N,S,S,3] in RGB, after resizing and cropping; the rest of the
preprocessing is inside. It computes logits and probabilities, or values for a head of real
values. Its metadata has labels, preset, thresholds and licences, and what tlkit computed for
three test pictures. No file is written unless ONNX Runtime computes the same; on a machine
without it, tlkit's own reader must. To check it again, on any machine: tlkit verify FILE.

--int8 writes that file with 8-bit integers: a quarter of the size, and faster on most
processors. Training pictures decide how, so they must be here: those of the run, or --data DIR.
Accuracy, size and speed are measured on the pictures that the head was scored on, and printed
next to those of the floats. Integers that are worse beyond chance (the 95 % interval of the
difference is below zero) are not written without --force.

--resize makes that file read pictures of any size, uint8 [N,H,W,3], which it resizes and crops
itself, in place of prepared ones. ONNX resizes in another way than tlkit: how far predictions
differ, and on how many pictures labels change, is measured on the pictures of the run, those of
--data DIR, or built-in patterns, and printed. Only ONNX Runtime verifies such a file.

--torch DIR writes a folder for PyTorch: model.safetensors is a state dict that torchvision's or
timm's model loads with strict=True, preprocess.json has the steps of torchvision.transforms and
the labels, and README.md has the Python that loads both. Networks from Keras and from ONNX
files cannot be exported this way.

--page DIR writes a page that predicts in a browser. Drop, paste or choose pictures, or take
them with the camera; they stay on the device. Open single-file.html, or put the folder on any
static server, such as python3 -m http.server. The page loads nothing from elsewhere. When it is
opened it computes the test pictures, and it gives no answers unless it gets tlkit's results.
The export downloads ONNX Runtime for browsers, 33 MB, once.

--go DIR writes a Go program with head and network inside, which predicts the pictures named by
its arguments. It needs no cgo, so go build makes one static executable for any system that Go
supports. It is built here, and must predict what tlkit predicts. Plain Go is slow: about a
second for a picture with a small network.

Every export includes a model card, as Markdown with metadata for Hugging Face's hub and as one
HTML page: what the head predicts and how well, with intervals; data, network and licences; how
it was trained and what did not help; and what it must not be used for. Next to my.onnx the card
is my.card.md and my.card.html; in a folder it is README.md and card.html. --card FILE writes
only the card: Markdown if FILE ends in .md, HTML if it ends in .html. Much of the card comes
from the folder of the training run; without that folder it says what is missing.`,
		Example: `  tlkit export my.head.safetensors --onnx my.onnx
  tlkit verify my.onnx
  tlkit export my.head.safetensors --onnx small.onnx --int8
  tlkit export my.head.safetensors --onnx any.onnx --resize
  tlkit export my.head.safetensors --torch my_torch
  tlkit export my.head.safetensors --page my_page
  tlkit export my.head.safetensors --go my_go
  tlkit export my.head.safetensors --card my.html`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			fix := "tlkit export HEAD --onnx FILE"
			if heads := here.Heads(); len(heads) > 0 {
				fix += ", with as HEAD one of " + words.Some(heads[:min(len(heads), 3)])
			}
			return advice.New(fmt.Errorf("export: %d heads named, want one", len(args)), "%s", fix)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.int8 && f.file == "" {
				return advice.New(errors.New("export: --int8 without a file"), "tlkit export %s --int8 --onnx FILE", invoke.Quote(args[0]))
			}
			if f.resize && f.file == "" {
				return advice.New(errors.New("export: --resize without a file"), "tlkit export %s --resize --onnx FILE", invoke.Quote(args[0]))
			}
			if f.file == "" && f.dir == "" && f.page == "" && f.program == "" && f.cards == nil {
				return advice.New(errors.New("export: no file or folder to write was named"), "tlkit export %s --onnx FILE, or --torch DIR, --page DIR, --go DIR, --card FILE.html", invoke.Quote(args[0]))
			}
			f.spec.Head = args[0]
			return c.write(cmd, f)
		},
	}
	cmd.Flags().StringVar(&f.file, "onnx", "", "the ONNX file to write, such as my.onnx")
	cmd.Flags().BoolVar(&f.int8, "int8", false, "with --onnx: 8-bit integers instead of floats, a quarter of the size; not written if they are worse beyond chance")
	cmd.Flags().BoolVar(&f.resize, "resize", false, "with --onnx: the file takes pictures of any size, and resizes them itself, not quite as tlkit does")
	cmd.Flags().StringVar(&f.spec.Data, "data", "", "with --int8 or --resize: the pictures that the head was trained on (default: those of its run)")
	cmd.Flags().StringVar(&f.dir, "torch", "", "the folder to write for PyTorch, such as my_torch")
	cmd.Flags().StringVar(&f.page, "page", "", "the folder to write a web page into, such as my_page")
	cmd.Flags().StringVar(&f.program, "go", "", "the folder to write a Go program into, such as my_go")
	cmd.Flags().StringArrayVar(&f.cards, "card", nil, "the model card to write, such as my.md or my.html; may be repeated")
	forceFlag(cmd, &f.force)
	cmd.Flags().StringVar(&f.spec.Weights, "weights", "", "the backbone's weights file, if it is not the published one")
	cmd.Flags().StringVar(&f.spec.Entry, "entry", "", "where in that file the weights are (default: where they were when the head was trained)")
	return cmd
}

// write writes what the flags ask for.
func (c *command) write(cmd *cobra.Command, f exportFlags) error {
	out := exported{Cards: f.cards}
	for _, file := range f.cards {
		if err := c.replacing(&f.force, func() error { return f.spec.ExportCard(file, f.force, c.place()) }); err != nil {
			return err
		}
	}
	if f.dir != "" || f.file != "" || f.page != "" || f.program != "" {
		if err := c.writeOpened(cmd, f, &out); err != nil {
			return err
		}
	}
	c.result = out
	if !c.json {
		c.sayExported(out)
	}
	return nil
}

// writeOpened writes what needs the network, from a head that is opened once. PyTorch's files come
// first: they can be refused.
func (c *command) writeOpened(cmd *cobra.Command, f exportFlags, out *exported) error {
	spec, err := agreed(c, func() (run.HeadSpec, error) {
		p := c.progress()
		defer p.close()
		return f.spec.Opened(cmd.Context(), c.place(), p)
	})
	if err != nil {
		return err
	}
	writing := func(what func(p *progress) error) error {
		return c.replacing(&f.force, func() error {
			p := c.progress()
			defer p.close()
			return what(p)
		})
	}
	if f.dir != "" {
		err := writing(func(p *progress) error {
			t, err := spec.ExportTorch(cmd.Context(), f.dir, export.TorchOptions{Force: f.force}, c.place(), p)
			if err == nil {
				out.Torch = &exportedTorch{f.dir, t.Bytes, t.Library, t.Model, t.Tensors}
			}
			return err
		})
		if err != nil {
			return err
		}
		out.Cards = append(out.Cards, filepath.Join(f.dir, "README.md"), filepath.Join(f.dir, "card.html"))
	}
	if f.program != "" {
		module, err := kernelspec.FindModule(here.Folder)
		if err != nil {
			return err
		}
		err = writing(func(p *progress) error {
			g, err := spec.ExportGo(cmd.Context(), f.program, export.GoOptions{Force: f.force, Root: module.Root, Version: module.Version}, c.place(), p)
			if err == nil {
				out.Go = &exportedGo{f.program, g.Program, g.Bytes, g.Binary, g.Opening.Seconds(), g.PerPicture.Seconds(), g.Unchecked}
			}
			return err
		})
		if err != nil {
			return err
		}
		out.Cards = append(out.Cards, filepath.Join(f.program, "README.md"), filepath.Join(f.program, "card.html"))
	}
	if f.file != "" {
		err := writing(func(p *progress) error {
			wanted := export.ONNXOptions{Force: f.force, Resize: f.resize}
			if f.int8 {
				wanted.Int8 = &export.Int8{}
			}
			o, err := spec.ExportONNX(cmd.Context(), f.file, wanted, c.place(), p)
			if err == nil {
				out.exportedONNX = &exportedONNX{f.file, o.Bytes(), o.Input(), o.Outputs(), o.Off, o.Runtime, o.Unchecked, o.Int8, o.Resize}
			}
			return err
		})
		if err != nil {
			return err
		}
		beside := card.Beside(f.file)
		out.Cards = append(out.Cards, beside[:]...)
	}
	if f.page != "" {
		err := writing(func(p *progress) error {
			o, err := spec.ExportPage(cmd.Context(), f.page, export.PageOptions{ONNXOptions: export.ONNXOptions{Force: f.force}}, c.place(), p)
			if err == nil {
				out.Page = &exportedPage{f.page, o.Bytes, o.Single, o.Model.Off}
			}
			return err
		})
		if err != nil {
			return err
		}
		out.Cards = append(out.Cards, filepath.Join(f.page, "README.md"), filepath.Join(f.page, "card.html"))
	}
	return nil
}

func (c *command) sayExported(out exported) {
	if t := out.Torch; t != nil {
		c.say("%s  %s", t.Dir, bytesOf(int64(t.Bytes)))
		c.say("model   %s of %s, %d tensors; README.md has the Python that loads them", t.Model, t.Library, t.Tensors)
	}
	if p := out.Page; p != nil {
		c.say("%s  %s", p.Dir, bytesOf(int64(p.Bytes)))
		if p.Single != "" {
			c.say("page    open %s, or serve the folder: python3 -m http.server -d %s", invoke.Quote(filepath.Join(p.Dir, p.Single)), invoke.Quote(p.Dir))
		} else {
			c.say("page    serve the folder: python3 -m http.server -d %s", invoke.Quote(p.Dir))
		}
	}
	if g := out.Go; g != nil {
		c.say("%s  %s; to build it there: CGO_ENABLED=0 go build", g.Dir, bytesOf(g.Bytes))
		if g.Unchecked != "" {
			c.say("not built here: %s", words.Plain(g.Unchecked))
		} else {
			c.say("program %s, without cgo; opens in %.1f s, then %.2f s a picture, in plain Go", bytesOf(g.Binary), g.Opening, g.Picture)
		}
	}
	defer c.say("card    %s", words.Plain(strings.Join(out.Cards, ", ")))
	if out.exportedONNX == nil {
		return
	}
	c.say("%s  %s", out.File, bytesOf(int64(out.Bytes)))
	c.say("input   pictures: %s", out.Input)
	c.say("output  %s", out.Outputs)
	if r := out.Int8; r != nil {
		c.sayInt8(r, out.Bytes)
	}
	prepared := ""
	if r := out.Resize; r != nil {
		c.say("resize  on %d pictures (%s), beside tlkit's resizing:", r.Samples, words.Plain(r.On))
		c.say("        %s", r)
		prepared = " for pictures that tlkit has resized"
	}
	if out.Off != nil {
		c.say("check   %s computes the same%s, to %.1e of the largest output", out.Runtime, prepared, *out.Off)
	}
	if out.Unchecked != "" {
		c.say("not compared with ONNX Runtime: %s", out.Unchecked)
	}
}

// sayInt8 says what 8-bit integers cost and bring.
func (c *command) sayInt8(r *export.Int8Result, bytes int) {
	kept := "the head"
	if r.First > 0 {
		kept = fmt.Sprintf("the first %d and the head", r.First)
	}
	c.say("int8    %d layers, %s in floats; ranges by %s, chosen on %d training pictures", r.Layers, kept, r.Method, r.Pictures)
	c.say("        %-8s %s on %s, %s, %.1f ms a picture here", "floats", r.FloatScore, r.Split, bytesOf(int64(r.FloatBytes)), 1e3*r.FloatTime)
	c.say("        %-8s %s on %s, %s, %.1f ms; %s", "integers", r.Score, r.Split, bytesOf(int64(bytes)), 1e3*r.Time, r.Gain.Describe(r.Score.Metric))
}
