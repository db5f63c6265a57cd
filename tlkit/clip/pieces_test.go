package clip

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// unpacked is a file of testdata without its .gz.
func unpacked(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// smallPieces are the vocabularies that internal/golden/referee/siglip.py trains: T5's kind and Gemma's.
func smallPieces(t testing.TB) map[training]*SentencePieces {
	t.Helper()
	all := map[training]*SentencePieces{}
	for trained, name := range map[training]string{asSigLIP: "unigram", asSigLIP2: "bpe"} {
		s, err := NewSentencePieces(bytes.NewReader(unpacked(t, name+".model.gz")))
		if err != nil {
			t.Fatal(err)
		}
		all[trained] = s
	}
	return all
}

func TestPiecesAreThoseOfSentencepiece(t *testing.T) {
	var lines []json.RawMessage
	if err := json.Unmarshal(unpacked(t, "pieces.json.gz"), &lines); err != nil || len(lines) != 5000 {
		t.Fatal(len(lines), err)
	}
	small, wrong := smallPieces(t), 0
	for _, line := range lines {
		var text string
		var unigram, bpe []int32
		if err := json.Unmarshal(line, &[]any{&text, &unigram, &bpe}); err != nil {
			t.Fatal(err)
		}
		for trained, want := range map[training][]int32{asSigLIP: unigram, asSigLIP2: bpe} {
			got, err := small[trained].Tokens(text)
			if err != nil {
				t.Fatal(err)
			}
			for len(want) < siglipContext { // padded: SigLIP with the end, SigLIP 2 with zeros
				want = append(want, map[training]int32{asSigLIP: 1, asSigLIP2: 0}[trained])
			}
			if !slices.Equal(got, want) && wrong < 20 {
				wrong++
				t.Errorf("%v %q\n got %v\nwant %v", trained, text, got, want)
			}
		}
	}
}

func TestPiecesRefuses(t *testing.T) {
	for trained, s := range smallPieces(t) {
		for text, want := range map[string]string{"\xff": "UTF-8", strings.Repeat("bee ", 1<<13): "at most 16384"} {
			if _, err := s.Tokens(text); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, %.10q: %v", trained, text, err)
			}
		}
	}
	unigram := unpacked(t, "unigram.model.gz")
	for name, data := range map[string][]byte{
		"empty": nil, "a text": []byte("a vocabulary"), "half": unigram[:len(unigram)/2], "bytes of a unigram model": append([]byte{10, 4, 10, 0, 24, 6}, unigram...),
		"rules that are cut": append(slices.Clone(unigram), 26, 5, 18, 3, 1, 2, 3), "rules too short": append(slices.Clone(unigram), 26, 8, 18, 6, 255, 255, 0, 0, 1, 2),
		"a score that is no number": append([]byte{10, 7, 10, 0, 21, 0, 0, 192, 127}, unigram...), "words": append(slices.Clone(unigram), 18, 2, 24, 3),
		"a long piece": append(append([]byte{10, 0xb0, 2, 10, 0xad, 2}, bytes.Repeat([]byte{'a'}, 301)...), unigram...),
	} {
		if _, err := NewSentencePieces(bytes.NewReader(data)); err == nil || !strings.HasPrefix(err.Error(), "clip: ") {
			t.Errorf("a vocabulary that is %s: %v", name, err)
		}
	}
}

// A vocabulary with flipped bytes is refused or makes tokens that are in it.
func FuzzSentencePieces(f *testing.F) {
	unigram, bpe := unpacked(f, "unigram.model.gz"), unpacked(f, "bpe.model.gz")
	for i := range 64 {
		for _, model := range [][]byte{unigram, bpe} {
			damaged := slices.Clone(model)
			damaged[i*len(model)/64] ^= byte(1 + 37*i)
			f.Add(damaged, "A ﬁne bee, on Ω 蜜蜂")
		}
	}
	f.Fuzz(func(t *testing.T, model []byte, text string) {
		s, err := NewSentencePieces(bytes.NewReader(model))
		if err != nil {
			return
		}
		tokens, err := s.Tokens(text)
		if err != nil {
			return
		}
		if len(tokens) != siglipContext {
			t.Fatal(len(tokens))
		}
		for _, token := range tokens {
			if token < 0 || int(token) >= s.size() {
				t.Fatalf("token %d of %d", token, s.size())
			}
		}
	})
}
