package run

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

func TestDescribed(t *testing.T) {
	labels := []string{"ants", "honey_bees"}
	for text, want := range map[string]string{
		"":                        `[[ants] [honey bees]] [a photo of a {}.]`,
		"ants=ant|carpenter ant":  `[[ant carpenter ant] [honey bees]] [a photo of a {}.]`,
		"*=a drawing of a {}.|{}": `[[ants] [honey bees]] [a drawing of a {}. {}]`,
		"honey_bees = bee ,*={}!": `[[ants] [bee]] [{}!]`,
		"wasps=wasp":              "want LABEL=WORDS with a label of the data set: ants, honey_bees",
		"ants":                    "want LABEL=WORDS",
	} {
		names, templates, err := described(text, labels)
		got := fmt.Sprint(names, templates)
		if err != nil {
			got = err.Error()
		}
		if err == nil && got != want || !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestWordsNeedsATextTower(t *testing.T) {
	_, err := Spec{Model: "mobilenetv2"}.Words(t.Context(), []string{"a bee"}, Place{}, nil)
	if err == nil || !strings.Contains(err.Error(), "mobilenetv2 was not trained on words") || !strings.Contains(err.Error(), "vit-b-32") {
		t.Errorf("%v", err)
	}
}

// worded are pictures whose features lie near the vectors of their labels' words, a common part that
// texts do not have, and one of each label that words do not say.
type worded struct {
	texts [][]float32
	away  [][]float64
	noise *rand.Rand
}

const wordedFeatures, wordedLabels = 48, 5

func newWorded(seed uint64) *worded {
	r := rand.New(rand.NewPCG(seed, 7))
	w := &worded{noise: r}
	for range wordedLabels {
		text, away := make([]float64, wordedFeatures), make([]float64, wordedFeatures)
		for i := range text {
			text[i], away[i] = r.NormFloat64(), r.NormFloat64()
		}
		w.texts, w.away = append(w.texts, unit32(text)), append(w.away, away)
	}
	return w
}

func unit32(v []float64) []float32 {
	square := 0.0
	for _, x := range v {
		square += x * x
	}
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x / math.Sqrt(square))
	}
	return out
}

// sample is n pictures of each label.
func (w *worded) sample(n int) *sample {
	out := &sample{s: head.Samples{Features: wordedFeatures, Classes: wordedLabels}}
	for i := range n * wordedLabels {
		k := i % wordedLabels
		x := make([]float64, wordedFeatures)
		for j := range x {
			x[j] = 0.2 + 1.1*float64(w.texts[k][j]) + 0.06*w.away[k][j] + 0.25*w.noise.NormFloat64()
		}
		out.s.X, out.s.Y = append(out.s.X, unit32(x)...), append(out.s.Y, k)
		out.items = append(out.items, datasets.Item{Class: k, SHA256: fmt.Sprint(w.noise.Uint64())})
	}
	return out
}

// right returns the share of other pictures that a head is right on, which starts from words (nil =
// from zeros) and learns from n pictures of each label.
func (w *worded) right(t *testing.T, train, others *sample, words *head.Linear) float64 {
	t.Helper()
	o := &opened{task: task.Classes{}, words: words}
	fitted, err := o.fitHead(t.Context(), train, Spec{Seed: 1, Head: head.LogisticKind}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return float64(head.Correct(fitted.Model.Logits(others.s.X), others.s.Y, wordedLabels)) / float64(others.s.Len())
}

// A head that starts from words is better than both with few pictures, and no worse than one that starts
// from zeros with many. Words that are wrong are left behind.
func TestHeadsStartFromWords(t *testing.T) {
	names := make([][]string, wordedLabels)
	for k := range names {
		names[k] = []string{fmt.Sprint(k)}
	}
	for _, pictures := range []int{1, 4, 100} {
		var alone, zero, from, wrong float64
		const seeds = 3
		for seed := range uint64(seeds) {
			w := newWorded(seed)
			train, others := w.sample(pictures), w.sample(100)
			words := headOfWords(names, w.texts, 30)
			alone += float64(head.Correct(words.Logits(others.s.X), others.s.Y, wordedLabels)) / float64(others.s.Len()) / seeds
			zero += w.right(t, train, others, nil) / seeds
			from += w.right(t, train, others, words) / seeds
			wrong += w.right(t, train, others, headOfWords(names, append(slices.Clone(w.texts[1:]), w.texts[0]), 30)) / seeds
		}
		t.Logf("%d pictures a label: words alone %.3f, from zeros %.3f, from words %.3f, from wrong words %.3f", pictures, alone, zero, from, wrong)
		if from < alone-0.005 || pictures <= 4 && from < zero+0.03 || from < zero-0.01 {
			t.Errorf("%d pictures a label: from words %.3f, want above words alone %.3f and zeros %.3f", pictures, from, alone, zero)
		}
		if pictures >= 100 && wrong < zero-0.03 {
			t.Errorf("%d pictures a label: from wrong words %.3f, want about %.3f", pictures, wrong, zero)
		}
	}
}

// Several names of a label count as their mean, and logits are cosines times the scale.
func TestHeadOfWords(t *testing.T) {
	h := headOfWords([][]string{{"a", "b"}, {"c"}}, [][]float32{{1, 0}, {0, 1}, {0, 1}}, 50)
	got := h.Logits([]float32{1, 0})
	if math.Abs(float64(got[0])-50/math.Sqrt2) > 1e-4 || got[1] != 0 || h.Check() != nil {
		t.Errorf("logits %v, want %v and 0", got, 50/math.Sqrt2)
	}
}

func TestWordsAreRefused(t *testing.T) {
	labels := &datasets.Dataset{Name: "photos", Task: datasets.Classes, Labels: []string{"ants", "bees"}}
	values := &datasets.Dataset{Name: "photos", Task: datasets.Values, Labels: []string{"angle"}}
	for want, c := range map[string]struct {
		s  Spec
		ds *datasets.Dataset
	}{
		"mobilenetv2 was not trained on words": {Spec{Model: "mobilenetv2", ZeroShot: "*"}, labels},
		"leave out --head":                     {Spec{Model: "clip", ZeroShot: "*", Head: head.SGDKind}, labels},
		"want LABEL=WORDS":                     {Spec{Model: "clip", ZeroShot: "wasps=wasp"}, labels},
		"leave out --zero-shot":                {Spec{Model: "clip", ZeroShot: "*"}, values},
	} {
		err := cmp.Or(c.s.checkWords(), c.s.checkLabels(c.ds))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c.s, err, want)
		}
	}
}
