package look

import (
	"context"
	"errors"
	"fmt"
	"image"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/embed"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// Method is how features are laid out on a plane.
type Method string

// The methods.
const (
	TSNE Method = "tsne" // keeps neighbours together
	PCA  Method = "pca"  // the two directions of largest variance
)

// Territory is a data set, and the network through whose eyes it is mapped.
type Territory struct {
	Spec   run.Spec // data set and network
	Head   string   // a head, in place of the network; Spec.Data "" = the pictures it learnt from
	Method Method   // "" = TSNE
	Most   int      // pictures, evenly taken; 0 = 1,500
}

// mostMapped keeps a map of t-SNE within a few seconds.
const mostMapped = 1500

// Atlas is a map of a data set. It marshals to JSON.
type Atlas struct {
	Method   Method `json:"method"`
	Data     string `json:"data"`
	Model    string `json:"model"`
	Pictures []Spot `json:"pictures"`
	All      int    `json:"all"` // pictures of the data set
	// Variance is the share of the variance along both axes, of PCA. KL is what t-SNE ended with, in
	// nats, with what perplexity.
	Variance   []float64 `json:"variance,omitempty"`
	KL         float64   `json:"kl,omitempty"`
	Perplexity float64   `json:"perplexity,omitempty"`
	// Trust is how far the 10 nearest pictures on the map are so by the features too, 1 = all are;
	// 0 = too few pictures to say.
	Trust float64 `json:"trust,omitempty"`

	Set *datasets.Dataset `json:"-"`
}

// Spot is a picture on the map.
type Spot struct {
	Path  string  `json:"path"`
	Label string  `json:"label,omitempty"`
	X     float64 `json:"x"`
	Y     float64 `json:"y"`
	Wrong bool    `json:"wrong,omitempty"` // the head predicts another label
}

// Map lays a data set out. It is an error if there are fewer than two pictures. p may be nil.
func Map(ctx context.Context, t Territory, place run.Place, p run.Progress) (*Atlas, error) {
	p, shown := place.Shown(p)
	defer shown()
	if t.Method == "" {
		t.Method = TSNE
	}
	if t.Method != TSNE && t.Method != PCA {
		return nil, advice.New(fmt.Errorf("look: no method %q", t.Method), "choose %s or %s", TSNE, PCA)
	}
	if t.Most == 0 {
		t.Most = mostMapped
	}
	if t.Most < 2 || t.Most > embed.MostPictures {
		return nil, fmt.Errorf("look: a map of at most %d pictures, want 2 to %d", t.Most, embed.MostPictures)
	}
	a, rows, err := t.seen(ctx, place, p)
	if err != nil {
		return nil, err
	}
	if rows.N < 2 {
		return nil, advice.New(fmt.Errorf("look: %d picture(s) of %s can be read, want at least 2 for a map", rows.N, a.Data), "name a folder with more pictures")
	}
	p.State("laying out", 0, 0)
	return a, a.layOut(ctx, rows)
}

// seen returns the pictures with their labels, and their features.
func (t Territory) seen(ctx context.Context, place run.Place, p run.Progress) (*Atlas, embed.Rows, error) {
	if t.Head != "" {
		return t.byHead(ctx, place, p)
	}
	if t.Spec.Data == "" {
		return nil, embed.Rows{}, errors.New("look: a map without a data set, want one")
	}
	set, err := datasets.Open(ctx, t.Spec.Data, place.Pictures(t.Spec, p))
	if err != nil {
		return nil, embed.Rows{}, err
	}
	items := t.some(set)
	paths := make([]string, len(items))
	for i, item := range items {
		paths[i] = item.Path
	}
	m, err := t.Spec.Features(ctx, paths, place, p)
	if err != nil {
		return nil, embed.Rows{}, err
	}
	a := &Atlas{Method: t.Method, Data: set.Name, Model: t.Spec.Model, All: len(set.Items), Set: set}
	for _, i := range m.Items {
		a.Pictures = append(a.Pictures, Spot{Path: items[i].Path, Label: label(set, items[i])})
	}
	return a, embed.Rows{N: m.Rows(), C: m.Features, Data: m.Data}, nil
}

// byHead is seen with the network of a head, and what the head is wrong about.
func (t Territory) byHead(ctx context.Context, place run.Place, p run.Progress) (*Atlas, embed.Rows, error) {
	head := run.HeadSpec{Head: t.Head, Data: t.Spec.Data, Weights: t.Spec.Weights, Entry: t.Spec.Entry, LabelFolders: t.Spec.LabelFolders, MinPerLabel: t.Spec.MinPerLabel, Columns: t.Spec.Columns, Changes: t.Spec.Changes, Group: t.Spec.Group}
	set, err := head.Learnt(ctx, place, p)
	if err != nil {
		return nil, embed.Rows{}, err
	}
	items := t.some(set)
	c, eng, err := head.Classifier(ctx, len(items), place, p)
	if err != nil {
		return nil, embed.Rows{}, err
	}
	defer eng.Close()
	m, err := features.Extract(ctx, features.Job{Items: items, Preset: c.Head.Preset, Backbone: c.Backbone(), BadLimit: 1,
		Progress: func(done, _, total int) { p.State("extracting features", int64(done), int64(total)) }})
	if err != nil {
		return nil, embed.Rows{}, err
	}
	a := &Atlas{Method: t.Method, Data: set.Name, Model: c.Net().Row.Name, All: len(set.Items), Set: set}
	for k, i := range m.Items {
		here := Spot{Path: items[i].Path, Label: label(set, items[i])}
		answer, err := c.Answer(m.Row(k))
		if err != nil {
			return nil, embed.Rows{}, err
		}
		here.Wrong = set.Task == datasets.Classes && here.Label != "" && answer.Label != here.Label
		a.Pictures = append(a.Pictures, here)
	}
	return a, embed.Rows{N: m.Rows(), C: m.Features, Data: m.Data}, nil
}

// label returns what a picture shows; "" where it has no single label.
func label(set *datasets.Dataset, item datasets.Item) string {
	if set.Task != datasets.Classes || item.Class == datasets.Unlabelled {
		return ""
	}
	return set.Truth(item)
}

// some returns so many pictures of a data set, evenly taken from all.
func (t Territory) some(set *datasets.Dataset) []datasets.Item {
	n := min(len(set.Items), t.Most)
	out := make([]datasets.Item, n)
	for i := range out {
		out[i] = set.Items[i*len(set.Items)/n]
	}
	return out
}

// layOut places the pictures.
func (a *Atlas) layOut(ctx context.Context, rows embed.Rows) error {
	if rows.N < 4 {
		a.Method = PCA
	}
	var plane *embed.Plane
	var err error
	if a.Method == PCA {
		plane, err = embed.PCA(rows, 2)
	} else {
		plane, err = embed.TSNE(ctx, rows, embed.Options{})
	}
	if err != nil {
		return err
	}
	a.Variance, a.KL, a.Perplexity = plane.Variance, plane.KL, plane.Perplexity
	for i, at := range plane.At {
		a.Pictures[i].X = at[0]
		if len(at) > 1 {
			a.Pictures[i].Y = at[1]
		}
	}
	const near = 10
	if rows.N > 2*near {
		a.Trust, err = embed.Trust(rows, plane.At, near)
	}
	return err
}

// Sentence says how the map was made and how far it can be trusted.
func (a *Atlas) Sentence() string {
	out := fmt.Sprintf("%d pictures", len(a.Pictures))
	if len(a.Pictures) < a.All {
		out += fmt.Sprintf(" of %d", a.All)
	}
	out += " as " + a.Model + " sees them"
	if a.Method == PCA {
		share := 0.0
		for _, v := range a.Variance {
			share += v
		}
		out += fmt.Sprintf("; PCA, %.0f %% of the variance", 100*share)
	} else {
		out += fmt.Sprintf("; t-SNE, perplexity %.3g", a.Perplexity)
	}
	if a.Trust > 0 {
		out += fmt.Sprintf("; trustworthiness %.2f", a.Trust)
	}
	if n := a.wrong(); n > 0 {
		out += fmt.Sprintf("; %d ringed: the head is wrong", n)
	}
	return out
}

func (a *Atlas) wrong() (n int) {
	for _, p := range a.Pictures {
		if p.Wrong {
			n++
		}
	}
	return n
}

// Figure draws the map with a mark for each picture or, where picture is not nil, with the pictures. It
// returns one small enough for a tile, or nil, and is called from several goroutines.
func (a *Atlas) Figure(picture func(path string) image.Image) plots.Figure {
	placed := make([]plots.Placed, len(a.Pictures))
	for i, p := range a.Pictures {
		placed[i] = plots.Placed{X: p.X, Y: p.Y, Label: p.Label, Wrong: p.Wrong}
	}
	if picture != nil {
		var next atomic.Int64
		var wait sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			wait.Go(func() {
				for k := int(next.Add(1)) - 1; k < len(placed); k = int(next.Add(1)) - 1 {
					placed[k].Image = picture(a.Pictures[k].Path)
				}
			})
		}
		wait.Wait()
	}
	return plots.Map("Map of "+a.Data, a.Sentence(), placed)
}
