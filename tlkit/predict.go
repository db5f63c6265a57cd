//go:build !tlkit_worker

package tlkit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

const (
	mostTiles   = 24 // pictures that Predict draws
	runnerUps   = 2  // labels after the most probable one
	leastShare  = 5e-4
	predictName = "predictions" // file of the figure outside of notebooks
)

// Predict predicts pictures with the learner's own head, after FineTune with the fine-tuned network.
// Each path is a picture or a folder, for the pictures in it and below. It shows the pictures with
// their most probable label and the next two, each with its probability; for several labels a
// picture, the labels found; or values. It also shows them as a table, and returns the predictions in
// the order of the pictures. Of many pictures, the first 24 are drawn. A picture that cannot be read
// gets a line with the reason.
func (l Learner) Predict(paths ...string) []export.Prediction {
	var out []export.Prediction
	l.verb("Predict", func(ctx context.Context) error {
		stored, err := l.stored()
		if err != nil {
			return err
		}
		out, err = predict(ctx, run.HeadSpec{Head: stored.Head(), Weights: l.Weights, Entry: l.Entry}, paths)
		return err
	})
	return out
}

// Predict is [Learner.Predict] with the head file.
func (c Classifier) Predict(paths ...string) []export.Prediction {
	var out []export.Prediction
	verb("Predict", func(ctx context.Context) (err error) {
		out, err = predict(ctx, run.HeadSpec{Head: inFolder(c.Path), Weights: c.Weights, Entry: c.Entry}, paths)
		return err
	})
	return out
}

// predict predicts and shows pictures.
func predict(ctx context.Context, s run.HeadSpec, paths []string) ([]export.Prediction, error) {
	files, err := pictureFiles(ctx, paths)
	if err != nil {
		return nil, err
	}
	predictions, err := run.Predict(ctx, s, files, place(""), reporter{})
	if err != nil {
		return nil, err
	}
	show.Default.Clear()
	f := plots.Grid("Predictions", predictionTiles(predictions))
	switch kind := originOf(s.Head, files); {
	case kind == show.Foreign && onlyDrawn():
		show.Default.Text("(pictures are hidden, because " + drawnVar + "=drawn)")
	default:
		if err := show.Default.Pictures(predictName, kind, f); err != nil {
			return nil, err
		}
	}
	show.Default.Table(ranking(files, predictions))
	return predictions, nil
}

// pictureFiles returns the pictures that paths stand for.
func pictureFiles(ctx context.Context, paths []string) ([]string, error) {
	var out []string
	for _, path := range paths {
		path = inFolder(path)
		if !isDir(path) {
			out = append(out, path) // what is wrong with it is said beside its name
			continue
		}
		found, err := datasets.Pictures(ctx, path)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	if len(out) == 0 {
		return nil, advice.New(fmt.Errorf("no picture in %q", paths), `name a picture or a folder of pictures: Predict("photo.jpg")`)
	}
	return out, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// drawnSets is how the names of the sets that this project draws begin.
const drawnSets = "insects"

// originOf reports whether all pictures belong to a set that this project draws.
func originOf(headFile string, files []string) show.Kind {
	h, err := export.Read(headFile)
	if err != nil || !strings.HasPrefix(h.Data.Name, drawnSets) {
		return show.Foreign
	}
	for _, file := range files {
		if !inDrawn(file) {
			return show.Foreign
		}
	}
	return show.Drawn
}

// inDrawn reports whether a file lies in a set that this project draws, or in a copy that says so by its
// name, such as insects-framed.
func inDrawn(file string) bool {
	for dir := filepath.Dir(file); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if strings.HasPrefix(filepath.Base(dir), drawnSets) {
			return true
		}
	}
	return false
}

// predictionTiles draws the first predictions.
func predictionTiles(all []export.Prediction) []plots.Picture {
	var tiles []plots.Picture
	for _, p := range all[:min(len(all), mostTiles)] {
		name := filepath.Base(p.Path)
		tile := plots.Picture{Image: transforms.DecodeOptions{}.Tile(p.Path), Caption: name}
		switch {
		case p.Error != "":
			tile.Caption = name + " cannot be read"
		case p.Labels != nil || p.Values != nil:
			tile.Caption = p.Words() + " · " + name
		default:
			tile.Prediction, tile.Probability = p.Label, p.Probability
			if p.Unlike() {
				name = "unlike the training pictures · " + name
				tile.Caption = name
			}
			if next := runnersUp(p); next != "" {
				tile.Caption = next + " · " + name
			}
		}
		tiles = append(tiles, tile)
	}
	return tiles
}

// runnersUp returns the labels after the most probable one, without those near 0: "bees 2.1 %, ...".
func runnersUp(p export.Prediction) string {
	labels := slices.SortedFunc(maps.Keys(p.Probabilities), func(a, b string) int {
		return cmp.Or(cmp.Compare(p.Probabilities[b], p.Probabilities[a]), strings.Compare(a, b))
	})
	labels = slices.DeleteFunc(labels, func(l string) bool { return l == p.Label || p.Probabilities[l] < leastShare })
	var parts []string
	for _, l := range labels[:min(len(labels), runnerUps)] {
		parts = append(parts, fmt.Sprintf("%s %.1f %%", l, 100*p.Probabilities[l]))
	}
	return strings.Join(parts, ", ")
}

// ranking is the table of predicted, with a column for the labels after the first.
func ranking(files []string, all []export.Prediction) show.Table {
	t := predicted(files, all)
	next := make([]string, len(all))
	for i, p := range all {
		if p.Error == "" && p.Labels == nil && p.Values == nil {
			next[i] = runnersUp(p)
		}
	}
	if len(t.Header) < 3 || !slices.ContainsFunc(next, func(s string) bool { return s != "" }) {
		return t
	}
	t.Header = append(t.Header, "then")
	for i := range t.Rows {
		t.Rows[i] = append(t.Rows[i], next[i])
	}
	return t
}
