package evaluate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// Meaning lists, for each label of a data set, the outputs of a pretrained classifier that count as
// it.
type Meaning [][]int

// ParseMeaning parses "ants=ant,bees=bee|bumblebee": for each label of the data set, the labels of
// the classifier that count as it, separated by "|". An empty text matches labels of equal name,
// ignoring letter case and treating "_" as a space. It is an error if a label of the data set gets
// no meaning or a name is unknown.
func ParseMeaning(text string, labels, classifier []string) (Meaning, error) {
	number := make(map[string]int, len(classifier))
	for i, name := range classifier {
		// ImageNet has two "crane" and two "maillot"; the first one counts
		if _, taken := number[plain(name)]; !taken {
			number[plain(name)] = i
		}
	}
	m := make(Meaning, len(labels))
	if text == "" {
		var missing []string
		for i, l := range labels {
			if n, ok := number[plain(l)]; ok {
				m[i] = []int{n}
			} else {
				missing = append(missing, l)
			}
		}
		if missing != nil {
			return nil, advice.New(fmt.Errorf("evaluate: the network has no label %s", words.Some(missing)), "say which of its labels count as it: --zero-shot %s=LABEL", missing[0])
		}
		return m, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		label, names, ok := strings.Cut(part, "=")
		i := slices.Index(labels, strings.TrimSpace(label))
		if !ok || i < 0 {
			return nil, fmt.Errorf("evaluate: --zero-shot %q, want LABEL=NAME with a label of the data set: %s", part, words.Some(labels))
		}
		for name := range strings.SplitSeq(names, "|") {
			n, ok := number[plain(name)]
			if !ok {
				return nil, fmt.Errorf("evaluate: --zero-shot %s: the network has no label %q%s", label, strings.TrimSpace(name), near(plain(name), classifier))
			}
			m[i] = append(m[i], n)
		}
	}
	for i, outputs := range m {
		if outputs == nil {
			return nil, advice.New(fmt.Errorf("evaluate: --zero-shot gives no meaning for label %s", labels[i]), "add %s=NAME", labels[i])
		}
	}
	return m, nil
}

func plain(s string) string {
	return strings.ToLower(strings.TrimSpace(strings.ReplaceAll(s, "_", " ")))
}

func near(name string, among []string) string {
	var hits []string
	for _, a := range among {
		if strings.Contains(plain(a), name) && len(hits) < 5 {
			hits = append(hits, a)
		}
	}
	if hits == nil {
		return ""
	}
	return "; near: " + strings.Join(hits, ", ")
}

// TopK counts the pictures for which an output of their label is among the k largest of all
// outputs. logits is [N, classes]; truth has the N classes in the data set.
func (m Meaning) TopK(logits []float32, classes int, truth []int, k int) (metrics.Fraction, error) {
	if classes < 1 || len(logits) != classes*len(truth) {
		return metrics.Fraction{}, fmt.Errorf("evaluate: %d logits for %d pictures of %d classes", len(logits), len(truth), classes)
	}
	a := metrics.Fraction{Total: len(truth)}
	for i, t := range truth {
		if t < 0 || t >= len(m) {
			return a, fmt.Errorf("evaluate: picture %d has class %d, want 0 to %d", i, t, len(m)-1)
		}
		row := logits[i*classes : (i+1)*classes]
		for _, o := range m[t] {
			above := 0
			for j, v := range row {
				if v > row[o] || v == row[o] && j < o {
					above++
				}
			}
			if above < k {
				a.Correct++
				break
			}
		}
	}
	return a, nil
}
