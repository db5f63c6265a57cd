package zoo

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// objectLiteral finds the object that a bundled JavaScript module exports and writes it as JSON: keys in quotes, !0 and
// !1 as true and false, numbers with their zeros. It reads literals, nothing else; a name, call or operator is an error.
// By hand, because a library that reads this is one that runs it.
func objectLiteral(module []byte) ([]byte, error) {
	at := exported.FindIndex(module)
	if at == nil {
		return nil, errors.New("no object is exported")
	}
	l := literal{rest: module[at[1]-1:]}
	if err := l.value(0); err != nil {
		return nil, fmt.Errorf("the exported object, %d bytes before its end: %w", len(l.rest), err)
	}
	return l.out.Bytes(), nil
}

var (
	exported   = regexp.MustCompile(`exports=\{`)
	jsNumber   = regexp.MustCompile(`^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?`)
	jsKey      = regexp.MustCompile(`^[A-Za-z_$][\w$]*`)
	jsString   = regexp.MustCompile(`^"[^"\\\n]*"`)
	jsConstant = regexp.MustCompile(`^(null|true|false|!0|!1)`)
)

type literal struct {
	rest []byte
	out  bytes.Buffer
}

func (l *literal) take(r *regexp.Regexp) string {
	found := r.Find(l.rest)
	l.rest = l.rest[len(found):]
	return string(found)
}

func (l *literal) next(c byte) bool {
	if len(l.rest) > 0 && l.rest[0] == c {
		l.rest = l.rest[1:]
		return true
	}
	return false
}

func (l *literal) value(depth int) error {
	if depth > 64 {
		return errors.New("nested too deep")
	}
	if len(l.rest) == 0 {
		return errors.New("it ends in the middle")
	}
	switch l.rest[0] {
	case '{':
		return l.list('{', '}', func() error {
			key := l.take(jsString)
			if key == "" {
				if key = l.take(jsKey); key == "" {
					return errors.New("no key")
				}
				key = `"` + key + `"`
			}
			if !l.next(':') {
				return fmt.Errorf("no colon after %s", key)
			}
			l.out.WriteString(key + ":")
			return l.value(depth + 1)
		})
	case '[':
		return l.list('[', ']', func() error { return l.value(depth + 1) })
	case '"':
		if s := l.take(jsString); s != "" {
			l.out.WriteString(s)
			return nil
		}
		return errors.New("a text with escapes or without end")
	}
	switch c := l.take(jsConstant); c {
	case "":
	case "!0":
		l.out.WriteString("true")
		return nil
	case "!1":
		l.out.WriteString("false")
		return nil
	default:
		l.out.WriteString(c)
		return nil
	}
	n := l.take(jsNumber)
	if n == "" {
		return fmt.Errorf("%.20q is no literal", l.rest)
	}
	// JSON wants a digit on both sides of the point, and no zero in front of others.
	minus := strings.HasPrefix(n, "-")
	n = strings.TrimPrefix(n, "-")
	if strings.HasPrefix(n, ".") {
		n = "0" + n
	}
	n = pointWithoutDigit.ReplaceAllString(n, "$1$2")
	if len(n) > 1 && n[0] == '0' && n[1] >= '0' && n[1] <= '9' {
		return fmt.Errorf("octal number %s", n)
	}
	if minus {
		n = "-" + n
	}
	l.out.WriteString(n)
	return nil
}

var pointWithoutDigit = regexp.MustCompile(`^(\d+)\.(?:$|([eE]))`)

// list reads what stands between two brackets.
func (l *literal) list(open, end byte, item func() error) error {
	l.next(open)
	l.out.WriteByte(open)
	for first := true; !l.next(end); first = false {
		if !first {
			if !l.next(',') {
				return fmt.Errorf("%.20q where a comma should be", l.rest)
			}
			l.out.WriteByte(',')
		}
		if err := item(); err != nil {
			return err
		}
	}
	l.out.WriteByte(end)
	return nil
}
