//go:build !tlkit_worker

package tlkit

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// Classifier is a head file. Like a [Learner], it is a plain value; creating one opens nothing.
type Classifier struct {
	Path    string // the head file
	Weights string // the backbone's weights file, if it is not the published one
	Entry   string // where in that file the weights are; "" = where the head's were
}

// Open returns a Classifier for a head file. It does not read the file; [Classifier.Classify] does.
func Open(path string) Classifier { return Classifier{Path: path} }

// Classify predicts pictures, given by their paths. It shows the predictions as a table and returns
// them in the same order: a label with its probability; the labels found, for several labels a
// picture; or values, in the units of the training data. A picture that cannot be read gets a line
// with the reason. A head file that was changed, or whose backbone computes other logits on this
// machine, is an error.
func (c Classifier) Classify(pictures ...string) []export.Prediction {
	var out []export.Prediction
	verb("Classify", func(ctx context.Context) error {
		paths := make([]string, len(pictures))
		for i, p := range pictures {
			paths[i] = inFolder(p)
		}
		predictions, err := run.Predict(ctx, run.HeadSpec{Head: inFolder(c.Path), Weights: c.Weights, Entry: c.Entry}, paths, place(""), reporter{})
		if err != nil {
			return err
		}
		show.Default.Clear()
		show.Default.Table(predicted(pictures, predictions))
		out = predictions
		return nil
	})
	return out
}

// predicted returns a table of predictions. The words of several labels, or of values, contain
// their numbers, so that they need no column for them.
func predicted(pictures []string, predictions []export.Prediction) show.Table {
	t := show.Table{Header: []string{"picture", "label", "probability"}, Left: 2}
	for _, p := range predictions {
		switch {
		case p.Labels != nil:
			t.Header = []string{"picture", "labels"}
		case p.Values != nil:
			t.Header = []string{"picture", "values"}
		}
	}
	for i, p := range predictions {
		name := pictures[i]
		if filepath.IsAbs(name) { // the last folder and the name are enough for the table
			name = filepath.Join(filepath.Base(filepath.Dir(name)), filepath.Base(name))
		}
		line := []string{name, p.Label, fmt.Sprintf("%.1f %%", 100*p.Probability)}
		if p.Unlike() {
			line[2] += ", unlike the training pictures"
		}
		switch {
		case p.Error != "":
			line = []string{name, "cannot be read: " + p.Error, ""}
		case p.Labels != nil, p.Values != nil:
			line = []string{name, p.Words()}
		}
		t.Rows = append(t.Rows, line[:len(t.Header)])
	}
	return t
}
