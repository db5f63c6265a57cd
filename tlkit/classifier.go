package tlkit

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// Classifier is a head file. Like a Learner it is a plain value that opens nothing yet.
type Classifier struct {
	Path    string
	Weights string // the backbone's weights file, when it is not the published one
}

// Open names a head file for use.
func Open(path string) Classifier { return Classifier{Path: path} }

// Classify says what is on pictures, shows it as a table, and returns it: the label, those
// of several labels that are found, or values in the units they were learnt in. A picture that
// cannot be read has a line with the reason. A head that was tampered with, or whose
// backbone computes something else here, is refused.
func (c Classifier) Classify(pictures ...string) []export.Prediction {
	var out []export.Prediction
	verb("Classify", func(ctx context.Context) error {
		paths := make([]string, len(pictures))
		for i, p := range pictures {
			paths[i] = inFolder(p)
		}
		predictions, err := run.Predict(ctx, run.HeadSpec{Head: inFolder(c.Path), Weights: c.Weights}, paths, place(""), reporter{})
		if err != nil {
			return err
		}
		show.Default.Clear()
		t := show.Table{Header: []string{"picture", "label", "probability"}, Left: 2}
		for i, p := range predictions {
			name := pictures[i]
			if filepath.IsAbs(name) { // the folder says where, the name says what
				name = filepath.Join(filepath.Base(filepath.Dir(name)), filepath.Base(name))
			}
			line := []string{name, p.Label, fmt.Sprintf("%.1f %%", 100*p.Probability)}
			switch { // the probabilities of several labels stand beside each
			case p.Labels != nil:
				t.Header = []string{"picture", "labels", ""}
				line = []string{name, p.Words(), ""}
			case p.Values != nil:
				t.Header = []string{"picture", "values", ""}
				line = []string{name, p.Words(), ""}
			}
			if p.Error != "" {
				line = []string{name, "cannot be read: " + p.Error, ""}
			}
			t.Rows = append(t.Rows, line)
		}
		show.Default.Table(t)
		out = predictions
		return nil
	})
	return out
}
