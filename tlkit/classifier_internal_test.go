//go:build !tlkit_worker

package tlkit

import (
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/export"
)

// A row for each picture, nothing cut, and no column without a value in it.
func TestTableOfPredictions(t *testing.T) {
	path := "/pictures/" + strings.Repeat("very/", 9) + "golden_headed_lion_tamarins/IMG_20240612_174503.jpeg"
	for name, c := range map[string]struct {
		predictions []export.Prediction
		columns     int
	}{
		"classes":  {[]export.Prediction{{Label: "golden-headed lion tamarin", Probability: 0.5}}, 3},
		"labels":   {[]export.Prediction{{Labels: []string{"ants", "bees"}, Probabilities: map[string]float64{"ants": 0.9, "bees": 0.8}}}, 2},
		"nothing":  {[]export.Prediction{{Labels: []string{}}, {Error: "not a picture"}}, 2},
		"values":   {[]export.Prediction{{Error: "not a picture"}, {Values: map[string]float64{"angle": 3}}}, 2},
		"unread":   {[]export.Prediction{{Error: "not a picture"}}, 3},
		"no input": {nil, 3},
	} {
		paths := make([]string, len(c.predictions))
		for i := range paths {
			paths[i] = path
		}
		table := predicted(paths, c.predictions)
		if len(table.Header) != c.columns || len(table.Rows) != len(c.predictions) {
			t.Errorf("%s: %v, %d rows", name, table.Header, len(table.Rows))
		}
		for i, row := range table.Rows {
			if len(row) != c.columns || !strings.Contains(table.HTML(), "golden_headed_lion_tamarins/IMG_20240612_174503.jpeg") || strings.Contains(table.Text(), "…") {
				t.Errorf("%s: row %d is %v\n%s", name, i, row, table.Text())
			}
		}
	}
}
