// Package clip compares pictures with words, as the networks do that were trained on pictures and
// their captions (CLIP, SigLIP): a tower for pictures and one for texts, whose vectors are close where
// a picture shows what a text says.
//
//	m, err := clip.Load(ctx, "vit-b-16.openai", zoo.Options{})
//	texts, err := m.Texts(ctx, e, []string{"a photo of a bee", "a photo of an ant"}) // unit vectors
//	p := m.Probabilities(picture, texts) // picture: its features by the same row, features.FromNet
//
// The tower for pictures is a row of package zoo, which train, features and all other commands take
// too. Its features are the unit vector that texts are compared with.
package clip

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/weights"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Model is the text tower of a checkpoint, in memory. It may be used from several goroutines.
type Model struct {
	Row   zoo.Row // of its picture tower
	Embed int     // numbers of a vector

	tokenizer tokenizer
	tower     textTower
	declared  *backbone.Declaration
	tensors   map[string]weights.Loaded
	scale     float64 // by which cosines are multiplied
	bias      float64 // and what is added then
}

// tokenizer turns texts into as many tokens as a tower reads.
type tokenizer interface {
	Tokens(text string) ([]int32, error)
	size() int // of the vocabulary
}

// Names returns the rows of package zoo that have a text tower, the recommended one first.
func Names() []string {
	var names []string
	for _, r := range zoo.Rows() {
		if r.Text != "" {
			names = append(names, r.Name)
		}
	}
	return names
}

// towers are the text towers, by Row.Text.
var towers = map[string]textTower{
	"ViT-B-32":           clipTower(512, 8, backbone.GELU),
	"ViT-B-32-quickgelu": clipTower(512, 8, backbone.QuickGELU),
	"ViT-B-16":           clipTower(512, 8, backbone.GELU),
	"ViT-B-16-quickgelu": clipTower(512, 8, backbone.QuickGELU),
	"ViT-L-14":           clipTower(768, 12, backbone.GELU),
	"ViT-L-14-quickgelu": clipTower(768, 12, backbone.QuickGELU),

	"ViT-B-16-SigLIP":          siglipTower(768, 12, 12, asSigLIP),
	"ViT-B-16-SigLIP-256":      siglipTower(768, 12, 12, asSigLIP),
	"ViT-B-16-SigLIP-384":      siglipTower(768, 12, 12, asSigLIP),
	"ViT-L-16-SigLIP-256":      siglipTower(1024, 24, 16, asSigLIP),
	"ViT-SO400M-14-SigLIP-384": siglipTower(1152, 27, 16, asSigLIP).with(4304),
	"ViT-B-32-SigLIP2-256":     siglipTower(768, 12, 12, asSigLIP2),
	"ViT-B-16-SigLIP2":         siglipTower(768, 12, 12, asSigLIP2),
	"ViT-B-16-SigLIP2-256":     siglipTower(768, 12, 12, asSigLIP2),
	"ViT-L-16-SigLIP2-256":     siglipTower(1024, 24, 16, asSigLIP2),
}

// Find returns the row called name. It is an error if it has no text tower.
func Find(name string) (zoo.Row, error) {
	row, err := zoo.Find(name)
	if err != nil {
		return row, err
	}
	if _, ok := towers[row.Text]; !ok {
		return row, advice.New(fmt.Errorf("clip: %s was not trained on words", row.Name), "take one of %s", strings.Join(Names(), ", "))
	}
	return row, nil
}

// Load reads the text tower of the row called name, from the file that the row's picture tower is in.
// Of o it uses what zoo.Load does, apart from the preset.
//
// Errors: those of Find and zoo.Load.
func Load(ctx context.Context, name string, o zoo.Options) (*Model, error) {
	row, err := Find(name)
	if err != nil {
		return nil, err
	}
	tower := towers[row.Text]
	path := o.Weights
	if path == "" {
		if path, err = row.Fetch(ctx, o); err != nil {
			return nil, err
		}
	}
	m := &Model{Row: row, Embed: tower.embed, tower: tower}
	if m.tokenizer, err = tower.trained.tokenizer(ctx, path, o); err != nil {
		return nil, err
	}
	if n := m.tokenizer.size(); n != tower.vocabulary {
		return nil, fmt.Errorf("clip: %s: a vocabulary of %d tokens, the network reads %d", row.Name, n, tower.vocabulary)
	}
	if err := m.read(path); err != nil {
		return nil, fmt.Errorf("clip: %s: %w", row.Name, err)
	}
	return m, nil
}

// read takes the tower's tensors out of a file.
func (m *Model) read(path string) error {
	file, err := weights.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	found, err := readNames(file)
	if err != nil {
		return err
	}
	m.tower = found.adapt(m.tower)
	if m.declared, err = backbone.DeclareInput(m.tower, m.tower.trained.context(), m.tower.width); err != nil {
		return err
	}
	want := slices.Concat(m.declared.Wants(), m.tower.wants(found.linear))
	if m.tensors, _, err = weights.Match(found.file, want, weights.MatchOptions{}); err != nil {
		return err
	}
	m.scale = math.Exp(float64(m.tensors[scale].Data[0]))
	if b, ok := m.tensors[bias]; ok {
		m.bias = float64(b.Data[0])
	}
	return nil
}

// Texts returns the vector of each text, of Embed numbers and length 1. A text that is too long for
// the network is cut, see [Tokenizer.Tokens] and [SentencePieces.Tokens].
func (m *Model) Texts(ctx context.Context, e *engine.Engine, texts []string) ([][]float32, error) {
	tokens := make([][]int32, len(texts))
	for i, text := range texts {
		var err error
		if tokens[i], err = m.tokenizer.Tokens(text); err != nil {
			return nil, err
		}
	}
	p, err := m.compile(e, min(len(texts), textBatch))
	if err != nil {
		return nil, fmt.Errorf("clip: %s: %w", m.Row.Name, err)
	}
	defer p.close()
	vectors := make([][]float32, 0, len(texts))
	for group := range slices.Chunk(tokens, p.batch) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		got, err := p.run(group)
		if err != nil {
			return nil, fmt.Errorf("clip: %s: %w", m.Row.Name, err)
		}
		vectors = append(vectors, got...)
	}
	return vectors, nil
}

// Classes returns a vector for each label: the mean of those of its prompts, of length 1. In a
// template, {} stands for the label: "a photo of a {}.".
func (m *Model) Classes(ctx context.Context, e *engine.Engine, labels, templates []string) ([][]float32, error) {
	var prompts []string
	for _, label := range labels {
		for _, template := range templates {
			if !strings.Contains(template, "{}") {
				return nil, advice.New(fmt.Errorf("clip: template %.60q has no place for a label", template), `write {} there, as in "a photo of a {}."`)
			}
			prompts = append(prompts, strings.ReplaceAll(template, "{}", label))
		}
	}
	if len(prompts) == 0 {
		return nil, errors.New("clip: want a label and a template at least")
	}
	vectors, err := m.Texts(ctx, e, prompts)
	if err != nil {
		return nil, err
	}
	var classes [][]float32
	for group := range slices.Chunk(vectors, len(templates)) {
		mean := make([]float64, m.Embed)
		for _, v := range group {
			for i := range v {
				mean[i] += float64(v[i])
			}
		}
		classes = append(classes, unit(mean))
	}
	return classes, nil
}

// Scale is the factor that the network learnt for cosines: logits are Scale times cosine, plus Bias.
func (m *Model) Scale() float64 { return m.scale }

// Bias is what the network learnt to add to a scaled cosine. It is 0 for CLIP. For SigLIP it is about
// -12 to -17, since few pictures fit a text.
func (m *Model) Bias() float64 { return m.bias }

// Independent reports whether the network says for each text by itself whether it fits a picture, as
// SigLIP does. Otherwise it says which of several texts fits best, as CLIP does.
func (m *Model) Independent() bool { return m.tower.trained != asCLIP }

// Probabilities compares the features of a picture with texts. For CLIP, it is the softmax of the
// logits: the probabilities that the picture belongs to each of these texts, with the sum 1. For SigLIP,
// it is the sigmoid of each logit: the probability that the text fits, whatever the others are. All may
// be near 0, and the largest is the best text all the same.
//
// It panics if a vector has another length than Embed.
func (m *Model) Probabilities(picture []float32, texts [][]float32) []float64 {
	logits, most, sum := make([]float64, len(texts)), math.Inf(-1), 0.0
	for i, text := range texts {
		if len(text) != m.Embed || len(picture) != m.Embed {
			panic(fmt.Sprintf("clip: vectors of %d and %d numbers, want %d", len(picture), len(text), m.Embed))
		}
		logits[i] = m.bias
		for j, v := range text {
			logits[i] += m.scale * float64(v) * float64(picture[j])
		}
		most = max(most, logits[i])
	}
	if m.Independent() {
		for i, v := range logits {
			logits[i] = 1 / (1 + math.Exp(-v))
		}
		return logits
	}
	for i, v := range logits {
		logits[i] = math.Exp(v - most)
		sum += logits[i]
	}
	for i := range logits {
		logits[i] /= sum
	}
	return logits
}

// unit returns v with length 1.
func unit(v []float64) []float32 {
	square := 0.0
	for _, x := range v {
		square += x * x
	}
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x / math.Sqrt(max(square, 1e-30)))
	}
	return out
}
