package clip

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/internal/ownhome"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

func TestMain(m *testing.M) { os.Exit(ownhome.Run(m)) }

// referee is what OpenCLIP computed, see internal/golden/referee/clip.py.
type referee struct {
	Prompts []string
	Models  []struct {
		Name            string
		QuickGELU       bool `json:"quick_gelu"`
		Pixels          int
		Gain            float64
		Texts, Pictures struct {
			Step   int
			Values [][]float64
		}
		Cosines [][]float64
	}
	Tokens []json.RawMessage
}

func openReferee(t *testing.T) (r referee) {
	t.Helper()
	data, err := os.ReadFile("testdata/openclip.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func openAI(t *testing.T) *Tokenizer {
	t.Helper()
	tok, err := FetchTokenizer(t.Context(), zoo.Options{})
	if errors.Is(err, fetch.ErrUnreachable) {
		t.Skipf("the vocabulary cannot be fetched here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestTokensAreThoseOfOpenCLIP(t *testing.T) {
	tok, r := openAI(t), openReferee(t)
	if len(r.Tokens) < 500 {
		t.Fatalf("%d texts, want more", len(r.Tokens))
	}
	for _, line := range r.Tokens {
		var text string
		var want []int32
		if err := json.Unmarshal(line, &[]any{&text, &want}); err != nil {
			t.Fatal(err)
		}
		got, err := tok.Tokens(text)
		if err != nil {
			t.Fatal(err)
		}
		if want = append(want, make([]int32, Context-len(want))...); !slices.Equal(got, want) {
			t.Errorf("%q:\n got %v\nwant %v", text, got, want)
		}
	}
}

func TestTokensRefuses(t *testing.T) {
	tok := openAI(t)
	for text, want := range map[string]string{
		"\xff":                           "UTF-8",
		strings.Repeat("bee", 1<<20):     "at most 4096",
		"a " + strings.Repeat("é", 4096): "at most 4096",
	} {
		if _, err := tok.Tokens(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.10q: %v", text, err)
		}
	}
	for name, text := range map[string]string{"empty": "", "short": "x\na b\n", "three symbols": "x\na b c\n"} {
		if _, err := NewTokenizer(strings.NewReader(text)); err == nil || !strings.HasPrefix(err.Error(), "clip: ") {
			t.Errorf("a vocabulary that is %s: %v", name, err)
		}
	}
}
