package run

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/clip"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/features"
)

// Words returns the vector of each text, to be compared with the features of pictures by the same
// network: see package clip. p may be nil.
//
// It is an error if the network was not trained on words.
func (s Spec) Words(ctx context.Context, texts []string, place Place, p Progress) ([][]float32, error) {
	p, shown := place.Shown(p)
	defer shown()
	m, err := s.textTower(ctx, place, p)
	if err != nil {
		return nil, err
	}
	eng, err := openEngine(ctx, s.Form, place, p)
	if err != nil {
		return nil, err
	}
	defer eng.Close()
	p.State("reading texts", 0, 0)
	return m.Texts(ctx, eng, texts)
}

func (s Spec) textTower(ctx context.Context, place Place, p Progress) (*clip.Model, error) {
	p.State("loading weights", 0, 0)
	return clip.Load(ctx, s.Model, place.zoo(s, nil, p))
}

// anyLabel stands for all labels in a meaning in words: what it says are templates.
const anyLabel = "*"

// defaultTemplate is the one that CLIP's authors recommend where nothing is known about the pictures.
const defaultTemplate = "a photo of a {}."

// described returns the names that each label goes by, and the templates around them, of a text such as
// "ants=ant|carpenter ant,bees=bee,*=a photo of a {}.|a drawing of a {}.". Labels that the text does
// not have go by their own names.
func described(text string, labels []string) (names [][]string, templates []string, err error) {
	names = make([][]string, len(labels))
	for i, label := range labels {
		names[i] = []string{strings.ReplaceAll(label, "_", " ")}
	}
	if text == "" {
		return names, []string{defaultTemplate}, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		label, meanings, ok := strings.Cut(part, "=")
		label = strings.TrimSpace(label)
		i := slices.Index(labels, label)
		if !ok || i < 0 && label != anyLabel {
			return nil, nil, advice.New(fmt.Errorf("run: --zero-shot %.60q, want LABEL=WORDS with a label of the data set: %s", part, words.Some(labels)), `for templates write "%s=a photo of a {}."`, anyLabel)
		}
		var list []string
		for m := range strings.SplitSeq(meanings, "|") {
			list = append(list, strings.TrimSpace(m))
		}
		if label == anyLabel {
			templates = append(templates, list...)
		} else {
			names[i] = list
		}
	}
	if templates == nil {
		templates = []string{defaultTemplate}
	}
	return names, templates, nil
}

// inWords makes z compare pictures with descriptions of the labels.
func (z *zeroShot) inWords(ctx context.Context, s Spec, meaning string, place Place, p Progress) error {
	names, templates, err := described(meaning, z.data.Labels)
	if err != nil {
		return err
	}
	m, err := s.textTower(ctx, place, p)
	if err != nil {
		return err
	}
	z.meaning = make(evaluate.Meaning, len(names))
	var all []string
	for i, list := range names {
		for range list {
			z.meaning[i] = append(z.meaning[i], len(all)+len(z.meaning[i]))
		}
		all = append(all, list...)
	}
	p.State("reading texts", 0, 0)
	if z.texts, err = m.Classes(ctx, z.eng, all, templates); err != nil {
		return err
	}
	p.Say(fmt.Sprintf("labels in words: %s", words.Some(prompts(all, templates))))
	return nil
}

// prompts are the texts for names.
func prompts(names, templates []string) (texts []string) {
	for _, n := range names {
		for _, t := range templates {
			texts = append(texts, fmt.Sprintf("%q", strings.ReplaceAll(t, "{}", n)))
		}
	}
	return texts
}

// outputs returns what the network says of z's pictures: its own logits, or how near each is to the
// texts.
func (z *zeroShot) outputs(ctx context.Context, p Progress) (*features.Matrix, error) {
	if z.texts == nil {
		b, err := features.Logits(z.net, z.eng)
		if err != nil {
			return nil, err
		}
		return z.extract(ctx, features.Job{Items: z.items, Preset: z.net.Preset, Backbone: b}, p)
	}
	m, err := z.extract(ctx, z.job(z.items, views{}), p)
	if err != nil {
		return nil, err
	}
	near := make([]float32, 0, m.Rows()*len(z.texts))
	for i := range m.Rows() {
		for _, text := range z.texts {
			sum := 0.0
			for j, v := range m.Row(i) {
				sum += float64(v) * float64(text[j])
			}
			near = append(near, float32(sum))
		}
	}
	m.Data, m.Features = near, len(z.texts)
	return m, nil
}
