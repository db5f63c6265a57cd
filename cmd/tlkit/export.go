package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// exported is tlkit export --json.
type exported struct {
	File    string `json:"file"`
	Bytes   int    `json:"bytes"`
	Input   string `json:"input"`   // what the file reads, in words
	Outputs string `json:"outputs"` // what it computes, in words
	// The largest difference between what tlkit and ONNX Runtime compute for the test pictures, as a
	// share of the largest number; null = not compared.
	Off       *float64 `json:"off"`
	Runtime   string   `json:"runtime,omitempty"`
	Unchecked string   `json:"unchecked,omitempty"` // why nothing was compared
}

func (c *command) export() *cobra.Command {
	file, o, spec := "", export.ONNXOptions{}, run.HeadSpec{}
	cmd := &cobra.Command{
		Use:   "export HEAD --onnx FILE",
		Short: "Write a trained head and its backbone as one ONNX file, for other programs",
		Long: `Write a head file and its backbone as one ONNX file, for phones, browsers, and programs in
other languages. HEAD may also be the folder or the name of a run.

The file reads pictures as bytes, uint8 [N,S,S,3] in RGB, after resizing and cropping; what
is done to the bytes is inside. It computes logits and probabilities, or values for a head
of real values. Its metadata has labels, preset, thresholds and licences, and what tlkit
computed for three test pictures. ONNX Runtime must compute the same, or no file is written.
To check it again, on any machine: tlkit verify FILE.`,
		Example: `  tlkit export my.head.safetensors --onnx my.onnx
  tlkit verify my.onnx`,
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
			if file == "" {
				return advice.New(errors.New("export: it is not said what to write"), "tlkit export %s --onnx FILE", invoke.Quote(args[0]))
			}
			spec.Head = args[0]
			f, err := agreed(c, func() (*export.ONNXFile, error) {
				p := c.progress()
				defer p.close()
				return spec.ExportONNX(cmd.Context(), file, o, c.place(), p)
			})
			if err != nil {
				return err
			}
			out := exported{file, f.Bytes(), f.Input(), f.Outputs(), f.Off, f.Runtime, f.Unchecked}
			c.result = out
			if !c.json {
				c.sayExported(out)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "onnx", "", "the file to write, such as my.onnx")
	cmd.Flags().BoolVar(&o.Force, "force", false, "replace FILE even if it is not such an export")
	cmd.Flags().StringVar(&spec.Weights, "weights", "", "the backbone's weights file, if it is not the published one")
	cmd.Flags().StringVar(&spec.Entry, "entry", "", "where in that file the weights are (default: where they were when the head was trained)")
	return cmd
}

func (c *command) sayExported(out exported) {
	c.say("%s  %s", out.File, bytesOf(int64(out.Bytes)))
	c.say("input   pictures: %s", out.Input)
	c.say("output  %s", out.Outputs)
	if out.Off == nil {
		c.say("not compared with ONNX Runtime: %s", out.Unchecked)
		return
	}
	c.say("check   %s computes the same, to %.1e of the largest output", out.Runtime, *out.Off)
}
