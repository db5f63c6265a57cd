package clip

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/eliben/go-sentencepiece"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// SentencePieces turns text into the tokens of SigLIP and SigLIP 2: pieces of lower-cased text
// without punctuation, with the vocabularies of T5 and Gemma. It may be used from several goroutines.
type SentencePieces struct {
	split func(text string) []int32
	pad   int32
	count int // of tokens in the vocabulary
}

const (
	siglipContext = 64
	endOfPieces   = 1       // in both vocabularies
	longestText   = 1 << 14 // bytes
	longestModel  = 64 << 20
)

// NewSentencePieces reads a vocabulary in the form of Google's sentencepiece: spiece.model of SigLIP,
// tokenizer.model of SigLIP 2. One of the kind "unigram" is SigLIP's, one of the kind "BPE" SigLIP 2's.
func NewSentencePieces(model io.Reader) (s *SentencePieces, err error) {
	defer func() {
		if r := recover(); r != nil {
			s, err = nil, fmt.Errorf("clip: the sentencepiece vocabulary is damaged: %v", r)
		}
	}()
	data, err := io.ReadAll(io.LimitReader(model, longestModel+1))
	if err != nil {
		return nil, fmt.Errorf("clip: reading the sentencepiece vocabulary: %w", err)
	}
	if len(data) > longestModel {
		return nil, fmt.Errorf("clip: a sentencepiece vocabulary of more than %d bytes", longestModel)
	}
	v, err := readPieces(data)
	if err != nil {
		return nil, fmt.Errorf("clip: the sentencepiece vocabulary: %w", err)
	}
	s = &SentencePieces{count: len(v.pieces)}
	switch v.kind {
	case unigramKind:
		u, err := newUnigram(v)
		if err != nil {
			return nil, fmt.Errorf("clip: the sentencepiece vocabulary: %w", err)
		}
		s.split, s.pad = u.split, endOfPieces
	case bpeKind:
		p, err := sentencepiece.NewProcessor(strings.NewReader(string(data)))
		if err != nil {
			return nil, fmt.Errorf("clip: the sentencepiece vocabulary: %w", err)
		}
		s.split = func(text string) (tokens []int32) {
			if text == "" {
				return nil // which the library takes for one unknown piece
			}
			for _, t := range p.Encode(text) {
				tokens = append(tokens, int32(t.ID))
			}
			return tokens
		}
	default:
		return nil, fmt.Errorf("clip: a sentencepiece vocabulary of kind %d, want %d (unigram) or %d (BPE)", v.kind, unigramKind, bpeKind)
	}
	if len(v.pieces) <= endOfPieces || v.pieces[endOfPieces].kind != controlPiece {
		return nil, fmt.Errorf("clip: token %d of the sentencepiece vocabulary does not end a text", endOfPieces)
	}
	return s, nil
}

// Tokens returns the tokens of a text, 64: those of its pieces, one for the end, and padding. A text
// that is too long is cut. Punctuation, case and the number of spaces do not count, as in OpenCLIP's
// code and the authors'. It is an error if text is not UTF-8, or longer than 16,384 bytes.
func (s *SentencePieces) Tokens(text string) (tokens []int32, err error) {
	defer func() {
		if r := recover(); r != nil {
			tokens, err = nil, fmt.Errorf("clip: the sentencepiece vocabulary is damaged: %v", r)
		}
	}()
	if !utf8.ValidString(text) {
		return nil, errors.New("clip: the text is not UTF-8")
	}
	if len(text) > longestText {
		return nil, advice.New(fmt.Errorf("clip: a text of %d bytes, want at most %d", len(text), longestText), "a network reads %d tokens, about 40 words", siglipContext)
	}
	tokens = s.split(canonical(text))
	tokens = append(tokens[:min(len(tokens), siglipContext-1)], endOfPieces)
	for len(tokens) < siglipContext {
		tokens = append(tokens, s.pad)
	}
	return tokens, nil
}

func (s *SentencePieces) size() int { return s.count }

// canonical is a text as SigLIP was trained on: repaired, without punctuation of ASCII, in lower case,
// words separated by one space.
func canonical(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '_':
			return ' '
		case strings.ContainsRune("!\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~", r):
			return -1
		}
		return r
	}, repaired(text))
	return strings.Join(strings.Fields(cases.Lower(language.Und).String(text)), " ")
}
