package export

import (
	"fmt"
	"path/filepath"

	"github.com/tlkit/transfer-learning/tlkit/card"
)

// replaceableCards returns an error unless the cards of a file can be written; c nil = there is none.
func replaceableCards(file string, c *card.Card, force bool) error {
	if c == nil {
		return nil
	}
	for _, name := range card.Beside(file) {
		if err := card.Replaceable(name, force); err != nil {
			return err
		}
	}
	return nil
}

// writeCards writes the card beside a file, in both forms.
func writeCards(file string, c *card.Card, force bool) error {
	if c == nil {
		return nil
	}
	for _, name := range card.Beside(file) {
		if err := c.Write(name, force); err != nil {
			return err
		}
	}
	return nil
}

// card returns the card of an ONNX file; nil without one.
func (f *ONNXFile) card(c *card.Card, path string) *card.Card {
	if c == nil {
		return nil
	}
	name := filepath.Base(path)
	computed := "tlkit computed"
	if f.Resize != nil {
		computed = "ONNX Runtime computed from it"
	}
	checks := card.List{fmt.Sprintf("The file has the outputs that %s for %d test pictures. To compute them again in ONNX Runtime and to check its sha256: tlkit verify %s", computed, ParityPictures, name)}
	if f.Off != nil {
		what := "the same"
		if f.Resize != nil {
			what = "what tlkit computes for pictures that tlkit had resized"
		}
		checks = append(checks, fmt.Sprintf("When it was written, %s computed %s, to %.1e of the largest output.", f.Runtime, what, *f.Off))
	}
	if f.Resize != nil {
		checks = append(checks, fmt.Sprintf("It resizes pictures in another way than tlkit. On %d pictures (%s): %s.", f.Resize.Samples, f.Resize.On, f.Resize))
	}
	about := card.Facts{{Name: "file", Value: name, Note: fmt.Sprintf("%d bytes", f.Bytes())}, {Name: "input", Value: "pictures: " + f.Input()}, {Name: "output", Value: f.Outputs()}}
	return c.For("onnx").
		With(card.Section{Title: card.Checks, Blocks: []card.Block{checks}}).
		With(card.Section{Title: card.Usage, Blocks: []card.Block{about, card.Code{Language: "python", Text: f.python(name)}}})
}

// resultName is the output that programs read.
func (f *ONNXFile) resultName() string {
	if f.Head.Scales != nil {
		return "values"
	}
	return "probabilities"
}

// python is a program that predicts.
func (f *ONNXFile) python(name string) string {
	p := f.Head.Preset
	if f.Resize != nil {
		return fmt.Sprintf(`import json
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(%q)
labels = json.loads(session.get_modelmeta().custom_metadata_map["labels"])

# picture: uint8 [height, width, 3] in RGB, of any size
def predict(picture):
    out, = session.run([%q], {"pictures": picture[None]})
    return dict(zip(labels, out[0].tolist()))
`, name, f.resultName())
	}
	return fmt.Sprintf(`import json
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(%q)
labels = json.loads(session.get_modelmeta().custom_metadata_map["labels"])

# squares: uint8 [N, %d, %d, 3] in RGB; each picture %s
def predict(squares):
    out, = session.run([%q], {"pictures": squares})
    return [dict(zip(labels, row.tolist())) for row in out]
`, name, p.Size, p.Size, p.SquareWords(), f.resultName())
}
