// Package look shows what a head sees: why it predicts something of a picture, and a data set as a map.
//
//	r, err := look.Why(ctx, look.Question{Head: run.HeadSpec{Head: "ants"}, Picture: "x.jpg"}, run.Place{}, nil)
//	fmt.Println(r.Text()) // r.Figure(thumbnail) draws it
//
//	a, err := look.Map(ctx, look.Territory{Spec: run.Spec{Data: "photos"}}, run.Place{}, nil)
//
// The command line (tlkit why, tlkit map) and package tlkit (Why, ShowMap) show the same.
package look

import (
	"context"
	"errors"
	"fmt"
	"image"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/explain"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/heads"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Question asks why a head predicts what it does of a picture.
type Question struct {
	Head    run.HeadSpec
	Picture string // a file
	Near    int    // training pictures to find; 0 = 6
}

// Reasons are what a prediction rests on: parts of the picture, and training pictures like it. They
// marshal to JSON.
type Reasons struct {
	Prediction export.Prediction `json:"prediction"`
	Output     string            `json:"output"` // what the heat speaks for: a label, or a high or low value
	Stage      string            `json:"stage"`  // of the network, that was looked at

	// Heat is where the picture speaks for Output, Control the same of the network with random weights.
	// Both are nil for a head that is a vote of neighbours.
	Heat    *explain.Heat `json:"heat"`
	Control *explain.Heat `json:"control"`
	// Alike is how far both are alike: their rank correlation. Near 1, the map shows the picture, not what
	// the network has learnt. nil where one of them is equal everywhere.
	Alike *float64 `json:"alike"`

	Near   []Neighbour `json:"near"`
	NoNear string      `json:"no_near,omitempty"` // why there are no training pictures

	Seen image.Image `json:"-"` // the picture as the network sees it
}

// Neighbour is a training picture.
type Neighbour struct {
	Path   string  `json:"path"`
	Name   string  `json:"name"` // its path below the folder of the data set
	Truth  string  `json:"truth"`
	Cosine float64 `json:"cosine"` // of its features and the picture's
	Same   bool    `json:"same,omitempty"`
}

// Why looks at a prediction. It is an error if head or picture cannot be read, or if the network has no
// map to look at. Where the training pictures are not here, there are no neighbours. p may be nil.
func Why(ctx context.Context, q Question, place run.Place, p run.Progress) (*Reasons, error) {
	p, shown := place.Shown(p)
	defer shown()
	c, eng, err := q.Head.Classifier(ctx, 1, place, p)
	if err != nil {
		return nil, err
	}
	defer eng.Close()
	x, err := c.Head.Preset.Eval().LoadFile(nil, q.Picture, transforms.DecodeOptions{}, transforms.Rand{})
	if err != nil {
		return nil, fmt.Errorf("look: %w", err)
	}
	r := &Reasons{}
	if seen, err := c.Head.Preset.Picture(x); err == nil {
		r.Seen = seen
	}
	item := datasets.Item{Path: q.Picture, Rel: q.Picture, Class: datasets.Unlabelled}
	if err := item.Inspect(); err != nil {
		return nil, fmt.Errorf("look: %s: %w", q.Picture, err)
	}
	row, err := rowOf(ctx, c, item)
	if err != nil {
		return nil, err
	}
	if r.Prediction, err = c.Answer(row); err != nil {
		return nil, err
	}
	r.Prediction.Path = q.Picture
	output, low := loudest(c, row)
	m := c.Head.Predictor()
	if r.Output = c.Head.Labels[output]; c.Head.Scales != nil {
		r.Output, m = "a high "+r.Output, towards(m, low)
		if low {
			r.Output = "a low " + c.Head.Labels[output]
		}
	}
	if err := r.heat(c, eng, question{x, m, output}, p); err != nil && !errors.Is(err, explain.ErrFlat) {
		return nil, err
	}
	return r, r.neighbours(ctx, q, c, row, item, place, p)
}

// rowOf returns the features of a picture.
func rowOf(ctx context.Context, c *export.Classifier, item datasets.Item) ([]float32, error) {
	m, err := features.Extract(ctx, features.Job{Items: []datasets.Item{item}, Preset: c.Head.Preset, Backbone: c.Backbone(), BadLimit: 1})
	if err != nil {
		return nil, err
	}
	if len(m.Bad) > 0 {
		return nil, fmt.Errorf("look: %w", m.Bad[0].Err)
	}
	return m.Row(0), nil
}

// loudest returns the output to look at: the largest; of values, the one farthest from its mean, and
// whether it is below it.
func loudest(c *export.Classifier, row []float32) (output int, low bool) {
	logits := c.Head.Logits(row)
	if c.Head.Scales == nil {
		for i, v := range logits {
			if v > logits[output] {
				output = i
			}
		}
		return output, false
	}
	off := func(i int) float64 { return (float64(logits[i]) - c.Head.Scales[i].Mean) / c.Head.Scales[i].SD }
	for i := range logits {
		if math.Abs(off(i)) > math.Abs(off(output)) {
			output = i
		}
	}
	return output, off(output) < 0
}

// towards returns a head whose outputs grow where those of m fall, if that is wanted; values have linear
// heads.
func towards(m heads.Model, low bool) heads.Model {
	l, linear := m.(*head.Linear)
	if !low || !linear {
		return m
	}
	turned := *l
	turned.Weight = make([]float32, len(l.Weight))
	for i, v := range l.Weight {
		turned.Weight[i] = -v
	}
	return &turned
}

// question is a prepared picture, and the output of a head to look at.
type question struct {
	picture transforms.Tensor
	model   heads.Model
	output  int
}

// heat computes both maps.
func (r *Reasons) heat(c *export.Classifier, eng *engine.Engine, q question, p run.Progress) error {
	random, err := c.Net().Random(1)
	if err != nil {
		return err
	}
	var maps [2]*explain.Heat
	for i, net := range []*zoo.Net{c.Net(), random} {
		p.State("compiling", 0, 0)
		look, err := explain.Open(net, eng.Backend)
		if err != nil {
			return err
		}
		p.State("looking where it looks", 0, 0)
		maps[i], err = look.Heat(q.picture, q.model, q.output)
		r.Stage = look.Stage()
		look.Close()
		if err != nil {
			return err
		}
	}
	r.Heat, r.Control = maps[0], maps[1]
	if alike := r.Heat.Alike(r.Control); !math.IsNaN(alike) {
		r.Alike = &alike
	}
	return nil
}

// neighbours finds the training pictures that are most like the picture.
func (r *Reasons) neighbours(ctx context.Context, q Question, c *export.Classifier, row []float32, item datasets.Item, place run.Place, p run.Progress) error {
	set, err := q.Head.Learnt(ctx, place, nil)
	if err != nil {
		r.NoNear = err.Error()
		return ctx.Err()
	}
	items := set.In(datasets.Train)
	if c.Head.Result.Folds > 0 {
		items = set.Items
	}
	m, err := features.Extract(ctx, features.Job{Items: items, Preset: c.Head.Preset, Backbone: c.Backbone(), BadLimit: 1,
		Progress: func(done, _, total int) { p.State("extracting features", int64(done), int64(total)) }})
	if err != nil {
		return err
	}
	k := q.Near
	if k == 0 {
		k = 6
	}
	for _, n := range m.Nearest(row, k) {
		near := items[m.Items[n.Row]]
		r.Near = append(r.Near, Neighbour{Path: near.Path, Name: near.Rel, Truth: set.Truth(near), Cosine: n.Cosine, Same: near.SHA256 == item.SHA256})
	}
	return nil
}

// Answer is the prediction in a few words: "bees 98.2 %".
func (r *Reasons) Answer() string {
	if r.Prediction.Label != "" {
		return fmt.Sprintf("%s %.1f %%", r.Prediction.Label, 100*r.Prediction.Probability)
	}
	return r.Prediction.Words()
}

// Figure draws the picture, the two maps over it, and the nearest training pictures. picture returns a
// picture small enough for a tile, or nil.
func (r *Reasons) Figure(picture func(path string) image.Image) plots.Figure {
	head := "It says " + r.Answer()
	tiles := []plots.Picture{{Image: r.Seen, Caption: "as the network sees it", Row: head}}
	if r.Seen != nil && r.Heat != nil {
		tiles = append(tiles,
			plots.Picture{Image: r.Heat.Over(r.Seen), Prediction: "speaks for " + r.Output, Caption: "light: the most", Row: head},
			plots.Picture{Image: r.Control.Over(r.Seen), Prediction: "random weights", Caption: "should look different", Row: head})
	}
	for _, n := range r.Near {
		t := plots.Picture{Image: picture(n.Path), Truth: n.Truth, Caption: fmt.Sprintf("cosine %.3f", n.Cosine), Row: "Nearest training pictures"}
		if n.Same {
			t.Note = "the picture itself"
		}
		tiles = append(tiles, t)
	}
	return plots.Grid("Why? "+filepath.Base(r.Prediction.Path), tiles)
}

// Text says the same in words.
func (r *Reasons) Text() string {
	return fmt.Sprintf("%s: %s.", filepath.Base(r.Prediction.Path), r.Answer()) + r.heatWords() + r.nearWords()
}

// heatWords says where the heat is.
func (r *Reasons) heatWords() string {
	if r.Heat == nil {
		return " The head is a vote of training pictures, so there is no map of the picture."
	}
	_, x, y := r.Heat.Peak()
	out := fmt.Sprintf(" Half of what speaks for %s is on %.0f %% of the picture, the most at %.0f %% from the left and %.0f %% from the top (Grad-CAM behind %s).",
		r.Output, 100*r.Heat.Share(), 100*x, 100*y, r.Stage)
	switch {
	case r.Alike == nil:
		out += " With random weights there is nothing to compare."
	case *r.Alike > 0.7:
		out += fmt.Sprintf(" Random weights look at much the same (rank correlation %.2f): the map shows the picture more than what was learnt.", *r.Alike)
	default:
		out += fmt.Sprintf(" Random weights look elsewhere (rank correlation %.2f).", *r.Alike)
	}
	return out
}

// nearWords says which labels the nearest training pictures have.
func (r *Reasons) nearWords() string {
	if len(r.Near) == 0 || r.Prediction.Label == "" {
		return ""
	}
	var labels []string
	count := map[string]int{}
	for _, n := range r.Near {
		if count[n.Truth]++; count[n.Truth] == 1 {
			labels = append(labels, n.Truth)
		}
	}
	slices.SortStableFunc(labels, func(a, b string) int { return count[b] - count[a] })
	var parts []string
	for _, l := range labels[:min(3, len(labels))] {
		parts = append(parts, fmt.Sprintf("%d %s", count[l], l))
	}
	return fmt.Sprintf(" Of the %d nearest training pictures: %s.", len(r.Near), strings.Join(parts, ", "))
}
