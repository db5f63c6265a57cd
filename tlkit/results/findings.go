package results

import (
	"fmt"
	"image"
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
				tile := plots.Picture{Image: r.thumbnail(file), Note: string(kind), Caption: words.Plain(filepath.Base(file))}
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

// thumbnail returns the middle square of a picture, or nil if it cannot be read.
func (r *Report) thumbnail(file string) image.Image {
	const side = 336 // pixels of the largest tile at twice its nominal size
	picture, err := transforms.DecodeFile(filepath.Join(r.Root, filepath.FromSlash(file)), transforms.DecodeOptions{})
	if err != nil {
		return nil
	}
	small, err := transforms.Compose(transforms.Resize(side), transforms.CenterCrop(side)).Picture(picture, transforms.Rand{})
	if err != nil {
		return nil
	}
	return small
}

// Rows returns at most so many findings of a kind as rows of a table: files, or labels, and why.
func (r *Report) Rows(k FindingKind, most int) (rows [][]string) {
	all := r.Of(k)
	for _, f := range all[:min(most, len(all))] {
		names := f.Files
		if len(names) == 0 {
			names = f.Labels
		}
		shown := make([]string, 0, 3)
		for _, n := range names[:min(3, len(names))] {
			shown = append(shown, words.Plain(n))
		}
		if len(names) > 3 {
			shown = append(shown, fmt.Sprintf("and %d more", len(names)-3))
		}
		rows = append(rows, []string{strings.Join(shown, ", "), words.Plain(f.Why)})
	}
	return rows
}
