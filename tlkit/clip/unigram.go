package clip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// The unigram models of Google's sentencepiece. They are read here because no library for Go computes
// what sentencepiece computes: go-sentencepiece refuses these models and their normalisation, and
// go-huggingface takes the longest piece where the most likely ones are wanted.

// pieces is a vocabulary, see sentencepiece_model.proto.
type pieces struct {
	pieces []piece
	kind   uint64 // of the model
	rules  []byte // by which text is normalised: precompiled_charsmap
	// what is done with spaces
	dummyPrefix, removeExtra, escape, suffix bool
}

type piece struct {
	text  string
	score float32
	kind  uint64
}

// The kinds of models and pieces.
const (
	unigramKind = 1
	bpeKind     = 2

	normalPiece, unknownPiece, controlPiece, userPiece, bytePiece = 1, 2, 3, 4, 6

	mostPieces   = 1 << 20
	longestPiece = 256 // bytes, of a unigram model; the time of a text grows with its square
)

// readPieces reads a vocabulary. What is not set has the defaults of the format.
func readPieces(data []byte) (*pieces, error) {
	v := &pieces{kind: unigramKind, dummyPrefix: true, removeExtra: true, escape: true}
	err := eachField(data, func(n protowire.Number, value uint64, part []byte) error {
		switch n {
		case 1:
			p := piece{kind: normalPiece}
			if len(v.pieces) == mostPieces {
				return fmt.Errorf("more than %d pieces", mostPieces)
			}
			err := eachField(part, func(n protowire.Number, value uint64, part []byte) error {
				switch n {
				case 1:
					p.text = string(part)
				case 2:
					p.score = math.Float32frombits(uint32(value))
				case 3:
					p.kind = value
				}
				return nil
			})
			v.pieces = append(v.pieces, p)
			return err
		case 2: // how it was trained
			return eachField(part, func(n protowire.Number, value uint64, _ []byte) error {
				switch n {
				case 3:
					v.kind = value
				case 24:
					v.suffix = value != 0
				}
				return nil
			})
		case 3: // how text is normalised
			return eachField(part, func(n protowire.Number, value uint64, part []byte) error {
				switch n {
				case 2:
					v.rules = part
				case 3:
					v.dummyPrefix = value != 0
				case 4:
					v.removeExtra = value != 0
				case 5:
					v.escape = value != 0
				}
				return nil
			})
		}
		return nil
	})
	if err == nil && len(v.pieces) == 0 {
		err = errors.New("it has no pieces")
	}
	return v, err
}

// eachField visits the fields of a message: numbers as value, messages and texts as part.
func eachField(data []byte, visit func(n protowire.Number, value uint64, part []byte) error) error {
	for len(data) > 0 {
		n, kind, used := protowire.ConsumeTag(data)
		if used < 0 {
			return protowire.ParseError(used)
		}
		data = data[used:]
		var value uint64
		var part []byte
		switch kind {
		case protowire.VarintType:
			value, used = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var v uint32
			v, used = protowire.ConsumeFixed32(data)
			value = uint64(v)
		case protowire.BytesType:
			part, used = protowire.ConsumeBytes(data)
		default:
			used = protowire.ConsumeFieldValue(n, kind, data)
		}
		if used < 0 {
			return protowire.ParseError(used)
		}
		if err := visit(n, value, part); err != nil {
			return err
		}
		data = data[used:]
	}
	return nil
}

// unigram splits text into the pieces that are together most likely.
type unigram struct {
	*pieces
	ids      map[string]int32
	longest  int // bytes of a piece
	user     map[string]bool
	unknown  int32
	least    float32 // score of an unknown character
	most     float32 // score of a piece, at least 0
	rewrites charsMap
}

func newUnigram(v *pieces) (*unigram, error) {
	u := &unigram{pieces: v, ids: map[string]int32{}, user: map[string]bool{}, unknown: -1, least: math.MaxFloat32}
	for i, p := range v.pieces {
		switch p.kind {
		case normalPiece:
			if !(p.score-p.score == 0) {
				return nil, fmt.Errorf("the score of piece %d is %v", i, p.score)
			}
			u.least, u.most = min(u.least, p.score), max(u.most, p.score)
		case userPiece:
			u.user[p.text] = true
		case unknownPiece:
			u.unknown = int32(i)
			continue
		case bytePiece:
			return nil, fmt.Errorf("piece %d is a byte, which SigLIP's vocabulary does not have", i)
		default:
			continue
		}
		if len(p.text) > longestPiece {
			return nil, fmt.Errorf("piece %d has %d bytes, want at most %d", i, len(p.text), longestPiece)
		}
		u.ids[p.text] = int32(i)
		u.longest = max(u.longest, len(p.text))
	}
	if u.unknown < 0 {
		return nil, errors.New("it has no piece for what is unknown")
	}
	if !v.escape || v.suffix {
		return nil, errors.New("it keeps spaces as they are or behind words, want them in front as U+2581")
	}
	u.least -= 10 // as sentencepiece does
	var err error
	u.rewrites, err = readCharsMap(v.rules)
	return u, err
}

// split returns the tokens of a text.
func (u *unigram) split(text string) []int32 {
	text = u.normalise(text)
	type node struct {
		id    int32
		start int // -1 = nothing ends here
		score float32
	}
	best := make([]node, len(text)+1) // the best way to a place
	for i := range best {
		best[i].start = -1
	}
	best[0].start = 0
	for at := 0; at < len(text); {
		_, size := utf8.DecodeRuneInString(text[at:])
		single := false // a piece is the next character
		// Sums are rounded as in the original, which decides between ways that are as likely.
		offer := func(end int, id int32, score float64) {
			if score += float64(best[at].score); best[end].start < 0 || score > float64(best[end].score) {
				best[end] = node{id, at, float32(score)}
			}
		}
		for end := at + 1; end <= min(len(text), at+u.longest); end++ {
			id, ok := u.ids[text[at:end]]
			if !ok {
				continue
			}
			score := float64(u.pieces.pieces[id].score)
			if u.user[text[at:end]] {
				score = float64(float32(end-at)*u.most) - 0.1
			}
			offer(end, id, score)
			single = single || end == at+size
		}
		if !single {
			offer(at+size, u.unknown, float64(u.least))
		}
		at += size
	}
	var tokens []int32
	for end := len(text); end > 0; end = best[end].start {
		if id := best[end].id; id != u.unknown || len(tokens) == 0 || tokens[len(tokens)-1] != u.unknown {
			tokens = append(tokens, id) // several unknown characters are one token
		}
	}
	for i, j := 0, len(tokens)-1; i < j; i, j = i+1, j-1 {
		tokens[i], tokens[j] = tokens[j], tokens[i]
	}
	return tokens
}

const space = "\u2581" // in pieces

// normalise brings a text to the form of the pieces: letters that look alike made equal by the
// vocabulary's rules, spaces as U+2581, one in front.
func (u *unigram) normalise(text string) string {
	var b strings.Builder
	before := u.removeExtra // what is written ends with a space, or nothing is
	begun := false
	for len(text) > 0 {
		out, used := u.next(text)
		text = text[used:]
		for before && strings.HasPrefix(out, " ") {
			out = out[1:]
		}
		if out == "" {
			continue
		}
		if !begun && u.dummyPrefix {
			b.WriteString(space)
		}
		begun = true
		b.WriteString(strings.ReplaceAll(out, " ", space))
		before = u.removeExtra && strings.HasSuffix(out, " ")
	}
	out := b.String()
	for u.removeExtra && strings.HasSuffix(out, space) {
		out = strings.TrimSuffix(out, space)
	}
	return out
}

// next returns the form of the beginning of a text, and how long that beginning is.
func (u *unigram) next(text string) (form string, used int) {
	for n := min(len(text), u.longest); n > 0 && len(u.user) > 0; n-- {
		if u.user[text[:n]] {
			return text[:n], n
		}
	}
	if form, used = u.rewrites.longest(text); used > 0 {
		return form, used
	}
	_, used = utf8.DecodeRuneInString(text)
	return text[:used], used
}

// charsMap is sentencepiece's table of what becomes of which characters: a trie as a double array
// (darts-clone), whose values are places in texts that end with a zero.
type charsMap struct {
	trie  []uint32
	texts []byte
}

func readCharsMap(data []byte) (m charsMap, err error) {
	if len(data) == 0 {
		return m, nil
	}
	damaged := errors.New("its rules of normalisation are damaged")
	if len(data) < 4 {
		return m, damaged
	}
	size := int64(binary.LittleEndian.Uint32(data))
	if size%4 != 0 || size == 0 || size > int64(len(data)-4) {
		return m, damaged
	}
	for i := range size / 4 {
		m.trie = append(m.trie, binary.LittleEndian.Uint32(data[4+4*i:]))
	}
	m.texts = data[4+size:]
	return m, nil
}

// longest returns what becomes of the longest beginning of text that is in the table, and the length
// of that beginning; 0 if there is none.
func (m charsMap) longest(text string) (form string, used int) {
	if len(m.trie) == 0 {
		return "", 0
	}
	offset := func(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }
	at := offset(m.trie[0])
	for i := range len(text) {
		at ^= uint32(text[i])
		if int64(at) >= int64(len(m.trie)) {
			break
		}
		unit := m.trie[at]
		if unit&(1<<31|0xff) != uint32(text[i]) {
			break
		}
		at ^= offset(unit)
		if unit>>8&1 == 0 || int64(at) >= int64(len(m.trie)) {
			continue
		}
		if start := int64(m.trie[at] &^ (1 << 31)); start < int64(len(m.texts)) {
			rest := m.texts[start:]
			end := 0
			for end < len(rest) && rest[end] != 0 {
				end++
			}
			form, used = string(rest[:end]), i+1
		}
	}
	return form, used
}
