package clip

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Tokenizer turns text into the tokens of CLIP: byte pair encoding of lower-cased words, with the
// vocabulary that OpenAI published. It may be used from several goroutines.
//
// It is written here because the libraries for Go need either a static library built with Rust or
// the tokenizer.json of a repository, and none repairs text as CLIP's own code does.
type Tokenizer struct {
	ids   map[string]int32
	ranks map[[2]string]int
	bytes [256]string // the symbol of each byte
}

// Context is the number of tokens of a text, with those of its start and its end.
const Context = 77

const (
	merges      = 49152 - 256 - 2 // of the vocabulary's lines, after the first
	longestWord = 1 << 12         // bytes; the time of a word grows with its square
	startOfText = "<start_of_text>"
	endOfText   = "<end_of_text>"
)

// NewTokenizer reads a vocabulary in the form of OpenAI's bpe_simple_vocab_16e6.txt: a line to skip,
// then a pair of symbols on each line, the most frequent first.
func NewTokenizer(vocabulary io.Reader) (*Tokenizer, error) {
	t := &Tokenizer{ids: map[string]int32{}, ranks: map[[2]string]int{}}
	t.nameBytes()
	lines := bufio.NewScanner(vocabulary)
	lines.Scan()
	for lines.Scan() && len(t.ranks) < merges {
		pair := strings.Fields(lines.Text())
		if len(pair) != 2 {
			return nil, fmt.Errorf("clip: line %d of the vocabulary is %.40q, want two symbols", len(t.ranks)+2, lines.Text())
		}
		t.ranks[[2]string{pair[0], pair[1]}] = len(t.ranks)
		t.add(pair[0] + pair[1])
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("clip: reading the vocabulary: %w", err)
	}
	if len(t.ranks) != merges {
		return nil, fmt.Errorf("clip: the vocabulary has %d pairs, want %d", len(t.ranks), merges)
	}
	t.add(startOfText)
	t.add(endOfText)
	return t, nil
}

// openTokenizer reads a vocabulary packed by gzip.
func openTokenizer(path string) (*Tokenizer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("clip: %s: %w", path, err)
	}
	return NewTokenizer(z)
}

func (t *Tokenizer) add(symbol string) { t.ids[symbol] = int32(len(t.ids)) }

// nameBytes gives each byte a symbol that can be seen: itself where it can, else the next letter from
// U+0100 on. Each is also a symbol at the end of a word.
func (t *Tokenizer) nameBytes() {
	seen := func(b int) bool { return b >= '!' && b <= '~' || b >= '¡' && b <= '¬' || b >= '®' }
	var order []int
	for b := range 256 {
		if seen(b) {
			t.bytes[b] = string(rune(b))
			order = append(order, b)
		}
	}
	for b := range 256 {
		if !seen(b) {
			t.bytes[b] = string(rune(256 + len(order) - 188))
			order = append(order, b)
		}
	}
	for _, end := range []string{"", "</w>"} {
		for _, b := range order {
			t.add(t.bytes[b] + end)
		}
	}
}

// words splits cleaned text.
var words = regexp.MustCompile(`(?i)<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+`)

// Tokens returns the tokens of a text, [Context]: one for the start, those of its words, one for the
// end, and zeros. A text that is too long is cut, as in OpenAI's and OpenCLIP's code. It is an error
// if text is not UTF-8, or one word is longer than 4,096 bytes.
func (t *Tokenizer) Tokens(text string) ([]int32, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("clip: the text is not UTF-8")
	}
	tokens := append(make([]int32, 0, Context), t.ids[startOfText])
	clean := clean(text)
	for len(clean) > 0 && len(tokens) < Context {
		at := words.FindStringIndex(clean)
		if at == nil {
			break
		}
		word := clean[at[0]:at[1]]
		if len(word) > longestWord {
			return nil, advice.New(fmt.Errorf("clip: a word of %d bytes, want at most %d", len(word), longestWord), "separate words by spaces")
		}
		tokens = append(tokens, t.word(word)...)
		clean = clean[at[1]:]
	}
	tokens = append(tokens[:min(len(tokens), Context-1)], t.ids[endOfText])
	return append(tokens, make([]int32, Context-len(tokens))...), nil
}

// word returns the tokens of one word: its bytes, of which the pair that comes first in the
// vocabulary is joined until no pair is in it.
func (t *Tokenizer) word(word string) []int32 {
	if word == startOfText || word == endOfText {
		return []int32{t.ids[word]}
	}
	parts := make([]string, len(word))
	for i := range len(word) {
		parts[i] = t.bytes[word[i]]
	}
	// CLIP's code takes the last letter, which for a letter of several bytes is the last of them.
	parts[len(parts)-1] += "</w>"
	for len(parts) > 1 {
		first, least := 0, math.MaxInt
		for i := range len(parts) - 1 {
			if rank, ok := t.ranks[[2]string{parts[i], parts[i+1]}]; ok && rank < least {
				first, least = i, rank
			}
		}
		if least == math.MaxInt {
			break
		}
		left, right := parts[first], parts[first+1]
		joined := parts[:0]
		for i := 0; i < len(parts); i++ {
			if i+1 < len(parts) && parts[i] == left && parts[i+1] == right {
				joined = append(joined, left+right)
				i++
			} else {
				joined = append(joined, parts[i])
			}
		}
		parts = joined
	}
	out := make([]int32, len(parts))
	for i, p := range parts {
		out[i] = t.ids[p]
	}
	return out
}

func (t *Tokenizer) size() int { return len(t.ids) }

// clean brings text to the form that CLIP was trained on: repaired, spaces joined, lower case.
func clean(text string) string {
	return cases.Lower(language.Und).String(strings.Join(strings.Fields(repaired(text)), " "))
}

// repaired is text with HTML entities resolved and characters that look alike made equal. It makes the
// repairs of Python's ftfy that concern single characters, and does not undo wrong decodings ("schÃ¶n").
func repaired(text string) string {
	if !strings.Contains(text, "<") { // as ftfy: else it may be meant
		text = html.UnescapeString(text)
	}
	text = escapes.ReplaceAllString(text, "")
	text = strings.Map(plain, ligatures.Replace(strings.Map(printed, text)))
	return html.UnescapeString(html.UnescapeString(norm.NFC.String(text)))
}

// escapes colour a terminal.
var escapes = regexp.MustCompile(`\x1b\[[\d;]*[A-Za-z]`)

var ligatures = strings.NewReplacer(
	"Ĳ", "IJ", "ĳ", "ij", "ŉ", "ʼn", "Ǳ", "DZ", "ǲ", "Dz", "ǳ", "dz", "Ǆ", "DŽ", "ǅ", "Dž", "ǆ", "dž", "Ǉ", "LJ", "ǈ", "Lj", "ǉ", "lj", "Ǌ", "NJ", "ǋ", "Nj", "ǌ", "nj",
	"ﬀ", "ff", "ﬁ", "fi", "ﬂ", "fl", "ﬃ", "ffi", "ﬄ", "ffl", "ﬅ", "ſt", "ﬆ", "st",
)

// printed takes control characters beyond ASCII for those of Windows, as web browsers do.
func printed(r rune) rune {
	if r < 0x80 || r > 0x9f {
		return r
	}
	if windows := charmap.Windows1252.DecodeByte(byte(r)); windows != utf8.RuneError {
		return windows
	}
	return r // five have no use there
}

// plain makes quotes straight and full-width letters narrow, and drops characters that cannot be seen.
func plain(r rune) rune {
	switch {
	case r == 'ʼ' || r >= '‘' && r <= '‛':
		return '\''
	case r >= '“' && r <= '‟':
		return '"'
	case r == '\u2028' || r == '\u2029' || r == '\u3000':
		return ' '
	case r < '\t' || r == '\v' || r > '\r' && r < ' ' || r == 0x7f, r >= 0x206a && r <= 0x206f, r == 0xfeff, r >= 0xfff9 && r <= 0xfffc:
		return -1
	case r >= 0xff01 && r <= 0xffef:
		if n := width.LookupRune(r); n.Folded() != 0 {
			return n.Folded()
		}
	}
	return r
}
