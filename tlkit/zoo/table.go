package zoo

import (
	"fmt"
	"strings"

	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// ShowOn shows the network as the table of its stages.
func (n *Net) ShowOn(s *show.Screen) error {
	if n == nil || n.Declaration() == nil {
		return s.Value(n)
	}
	s.Table(n.Table())
	return nil
}

// Table returns the stages of the network, with the sum of the parameters in the last row. The
// checkpoint's own classifier is left out, because a head takes its place.
func (n *Net) Table() show.Table {
	d := n.Declaration()
	t := show.Table{Header: []string{"stage", "output", "parameters"}, Left: 1}
	sizes, sum := map[string]int{}, 0
	for _, w := range d.Weights {
		if w.Trainable && w.Stage != backbone.Classifier {
			sizes[w.Stage] += w.Size()
			sum += w.Size()
		}
	}
	for _, s := range d.Stages {
		t.Rows = append(t.Rows, []string{s.Name, shapeWords(s.Shape), words.Grouped(sizes[s.Name])})
	}
	t.Caption = fmt.Sprintf("%s, for pictures of %d x %d pixels", n.Row.Name, n.Preset.Size, n.Preset.Size)
	t.Rows = append(t.Rows, []string{"backbone", fmt.Sprintf("%d features", d.Features), words.Grouped(sum)})
	return t
}

// shapeWords writes a shape as in "7 x 7 x 1280".
func shapeWords(shape []int) string {
	parts := make([]string, len(shape))
	for i, n := range shape {
		parts[i] = fmt.Sprint(n)
	}
	return strings.Join(parts, " x ")
}
