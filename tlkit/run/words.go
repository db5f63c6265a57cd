package run

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/clip"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/learner"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
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
	if text == "" || text == anyLabel {
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

// wordStrengths are the candidates of a head that starts from words, strongest first. At the first one
// it is the words' own to six digits; the last ones leave little of it.
var wordStrengths = append([]float64{1e6, 1000, 300, 100, 30}, head.DefaultStrengths...)

const wordsUnfolded = 100 // the strength where there are too few pictures for folds

// plan is how a head is fitted to these pictures.
func (o *opened) plan(train *sample, s Spec) (learner.Plan, error) {
	if o.words != nil { // also below 5 pictures of a label, where the default is another one
		s.Head = head.LogisticKind
	}
	p, err := learner.NewPlan(o.task, train.s, s.learning())
	if err != nil || o.words == nil {
		return p, err
	}
	p.Strengths = []float64{wordsUnfolded}
	if p.Folds > 0 {
		p.Strengths = wordStrengths
	}
	p.Reasons = append(p.Reasons, fmt.Sprintf("the head starts from words and is pulled towards them, L2 %g to %g", p.Strengths[0], p.Strengths[len(p.Strengths)-1]))
	return p, nil
}

// checkWords reports descriptions for a network or a head that cannot use them.
func (s Spec) checkWords() error {
	if s.ZeroShot == "" {
		return nil
	}
	if s.Head != "" && s.Head != head.LogisticKind {
		return advice.New(fmt.Errorf("run: a head %q does not start from words", s.Head), "leave out --head")
	}
	_, err := clip.Find(s.Model)
	return err
}

// checkLabels reports descriptions that do not fit the data, before the network is fetched.
func (s Spec) checkLabels(ds *datasets.Dataset) error {
	if s.ZeroShot == "" {
		return nil
	}
	if ds.Task != datasets.Classes {
		return advice.New(fmt.Errorf("run: a head starts from words for one label a picture, and %s has %s", ds.Name, ds.Task.Words(ds.Labels)), "leave out --zero-shot")
	}
	_, _, err := described(s.ZeroShot, ds.Labels)
	return err
}

// readWords makes the head that the spec's descriptions of the labels stand for. Its logits are those of
// the network: cosines times its scale. A bias that all labels share changes nothing, and is left out.
func (o *opened) readWords(ctx context.Context, s Spec, place Place, p Progress) error {
	if s.ZeroShot == "" {
		return nil
	}
	names, templates, err := described(s.ZeroShot, o.data.Labels)
	if err != nil {
		return err
	}
	m, err := s.textTower(ctx, place, p)
	if err != nil {
		return err
	}
	p.State("reading texts", 0, 0)
	var all []string
	for _, list := range names {
		all = append(all, list...)
	}
	vectors, err := m.Classes(ctx, o.eng, all, templates)
	if err != nil {
		return err
	}
	p.Say(fmt.Sprintf("labels in words: %s", words.Some(prompts(all, templates))))
	o.words = headOfWords(names, vectors, m.Scale())
	return nil
}

// headOfWords is a head whose logits are scale times the cosine of a picture's features with the
// vectors of a label's names, on average.
func headOfWords(names [][]string, vectors [][]float32, scale float64) *head.Linear {
	h := &head.Linear{Features: len(vectors[0]), Classes: len(names), Bias: make([]float32, len(names))}
	for _, list := range names {
		sum, square := make([]float64, h.Features), 0.0
		for _, v := range vectors[:len(list)] {
			for i := range v {
				sum[i] += float64(v[i])
			}
		}
		vectors = vectors[len(list):]
		for _, v := range sum {
			square += v * v
		}
		for _, v := range sum {
			h.Weight = append(h.Weight, float32(scale*v/math.Sqrt(max(square, 1e-30))))
		}
	}
	return h
}

// compareWords scores the descriptions alone, and a head that starts from zeros, on the reported
// pictures.
func (t *training) compareWords(ctx context.Context) ([]Baseline, error) {
	alone, err := t.opened.task.Measure(t.eval.s, t.opened.words.Logits(t.eval.s.X))
	if err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	without := *t.opened
	without.words = nil
	var zero metrics.Score
	if t.spec.Folds > 0 {
		logits, folds, err := without.crossValidate(ctx, t.spec, t.train, t.eval, t.progress)
		if err != nil {
			return nil, err
		}
		if zero, err = without.task.Measure(t.eval.s, logits); err != nil {
			return nil, fmt.Errorf("run: %w", err)
		}
		if zero, err = metrics.OverFolds(scores(folds), zero); err != nil {
			return nil, err
		}
	} else {
		fitted, err := without.fitHead(ctx, t.train, t.spec, t.progress)
		if err != nil {
			return nil, err
		}
		if zero, err = without.task.Measure(t.eval.s, fitted.Model.Logits(t.eval.s.X)); err != nil {
			return nil, fmt.Errorf("run: %w", err)
		}
	}
	return []Baseline{{Method: "the words alone", Score: alone}, {Method: "a head that starts from zeros", Score: zero}}, nil
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
