package weights

import (
	"errors"
	"fmt"

	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/weights/internal/budget"
)

const (
	maxJSONNumber = 64       // bytes; a float64 has up to 25
	maxJSONKey    = 64 << 10 // bytes
	maxBlanks     = 1 << 20  // bytes, if more than half of the text is blank
	maxJSONText   = 8 << 20  // bytes of any other string: trainers keep all their settings in one
)

// boundJSON checks JSON before it is decoded, in one pass that allocates nothing: its depth, the
// length of its numbers and strings, and, against the budget, the number of its values. Whether it
// is valid JSON is left to the decoder.
func boundJSON(text []byte, depth int, b *budget.Budget) error {
	level, blanks := 0, 0
	for i := 0; i < len(text); {
		start := i
		switch c := text[i]; {
		case c == '{' || c == '[':
			if level++; level > depth {
				return fmt.Errorf("nested deeper than %d", depth)
			}
			i++
		case c == '}' || c == ']':
			level--
			i++
			continue
		case c == '"':
			n, err := boundText(text[i+1:])
			if err != nil {
				return err
			}
			i += n + 1
			if err := b.Describe(int64(n)); err != nil {
				return err
			}
		case c == '-' || c >= '0' && c <= '9':
			for i < len(text) && (text[i] >= '0' && text[i] <= '9' || text[i] == '.' || text[i] == '-' || text[i] == '+' || text[i]|0x20 == 'e') {
				i++
			}
			if i-start > maxJSONNumber {
				return fmt.Errorf("a number of %d bytes, %s, at most %d are read", i-start, words.Quote(string(text[start:start+maxJSONNumber])), maxJSONNumber)
			}
		case c == 't' || c == 'f' || c == 'n':
			i++
		default: // blanks, commas, colons, letters
			i++
			if c <= ' ' {
				blanks++
			}
			continue
		}
		if err := b.Describe(costOp); err != nil {
			return err
		}
	}
	if blanks > maxBlanks && blanks > len(text)/2 {
		return fmt.Errorf("%d of its %d bytes are blanks", blanks, len(text))
	}
	return nil
}

// boundText returns the length of a string up to and including its closing quote.
func boundText(text []byte) (int, error) {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			most := maxJSONText
			for j := i + 1; j < len(text) && j < i+8; j++ {
				if text[j] == ':' {
					most = maxJSONKey
				}
				if text[j] > ' ' {
					break
				}
			}
			if i > most {
				return 0, fmt.Errorf("a string of %d bytes that begins with %s, at most %d are read", i, words.Quote(string(text[:64])), most)
			}
			return i + 1, nil
		}
	}
	return 0, errors.New("a string without a closing quote")
}
