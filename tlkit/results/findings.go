package results

import (
	"path/filepath"
	"strings"

	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Figure draws the most striking findings: the pictures of two of each kind.
func (r *Report) Figure() plots.Figure {
	var tiles []plots.Picture
	for _, kind := range r.Kinds() {
		for _, f := range r.Of(kind)[:min(2, len(r.Of(kind)))] {
			for _, file := range f.Files[:min(2, len(f.Files))] {
				tile := plots.Picture{Image: transforms.DecodeOptions{}.Tile(r.Path(file)), Note: string(kind), Caption: words.Plain(filepath.Base(file))}
				if len(f.Labels) > 0 && f.Suggested != "" {
					tile.Truth, tile.Prediction = f.Labels[0], f.Suggested
				}
				tiles = append(tiles, tile)
			}
		}
	}
	if len(tiles) == 0 {
		tiles = append(tiles, plots.Picture{Caption: "nothing was found"})
	}
	return plots.Grid("Findings in "+words.Plain(r.Name), tiles)
}

// Rows returns at most so many findings of a kind as rows of a table: files, or labels, and why.
func (r *Report) Rows(k FindingKind, most int) (rows [][]string) {
	all := r.Of(k)
	for _, f := range all[:min(most, len(all))] {
		rows = append(rows, []string{strings.Join(f.Names(3), ", "), words.Plain(f.Why)})
	}
	return rows
}
