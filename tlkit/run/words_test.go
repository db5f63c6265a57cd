package run

import (
	"fmt"
	"strings"
	"testing"
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
