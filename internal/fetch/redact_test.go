package fetch

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		`Get "https://h.org/w?sig=SECRET": EOF`:                            `Get "https://h.org/w?…": EOF`,
		`Get "https://user:SECRET@h.org/w": EOF`:                           `Get "https://h.org/w": EOF`,
		`Get "https://SECRET@h.org:8443/w#SECRET": EOF`:                    `Get "https://h.org:8443/w": EOF`,
		`see https://h.org/w?a='SECRET'&b=(SECRET).`:                       `see https://h.org/w?…`,
		`parse "http://u:SECRET@[::bad?t=SECRET": missing ']' in host`:     `parse "http://…": missing ']' in host`,
		`parse "https://u:SEC/RET@h.org/": invalid port ":SEC" after host`: `parse "https://…": invalid port after host`,
		`failed to parse Location header "/w?token=SECRET\x7f": bad`:       `failed to parse Location header "/w?…": bad`,
		`invalid proxy address "http://u:SECRET@pro xy:1"`:                 `invalid proxy address "http://…@pro xy:1"`,
		`Looking in indexes: HTTPS://u:SECRET@mirror.org/simple`:           `Looking in indexes: https://mirror.org/simple`,
		`//u:SECRET@h.org/w is no address`:                                 `//…@h.org/w is no address`,
		`https://registry.org/@scope/name/-/name-1.0.0.tgz is gone`:        `https://registry.org/@scope/name/-/name-1.0.0.tgz is gone`,
		`no address at all; the end`:                                       `no address at all; the end`,
	} {
		got := redact(in)
		if strings.Contains(got, "SEC") || strings.Contains(got, "RET") {
			t.Errorf("%s\n gives away a secret: %s", in, got)
		}
		if got != want && !strings.Contains(in, "pro xy") {
			t.Errorf("%s\n gives %s\n want  %s", in, got, want)
		}
	}
}

// Redirects that lead nowhere, each from an address that holds a token, to one that holds another.
func TestErrorsOfRedirectsTellNoSecret(t *testing.T) {
	for name, location := range map[string]string{
		"no closing bracket": "http://[::bad?sig=SECRET",
		"bad port":           "https://user:SECRET@host:SECRET/x",
		"bad escape":         "https://host/%zz?sig=SECRET",
		"control character":  "https://host/\x7f?sig=SECRET",
		"password":           "https://user:SECRET@host.invalid/x",
		"plain http":         "http://user:SECRET@host.invalid/x?sig=SECRET#SECRET",
		"relative":           "/again?sig=SECRET",
		"other scheme":       "ftp://user:SECRET@host.invalid/x?sig=SECRET",
		"empty":              "",
	} {
		t.Run(name, func(t *testing.T) {
			freshCache(t)
			address, o := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Location"] = []string{location}
				w.WriteHeader(http.StatusFound)
			})
			f := File{Name: "w.pth", SHA256: strings.Repeat("ab", 32), Sources: []Source{{URL: address + "/w.pth?token=SECRET"}}}
			_, err := f.Get(t.Context(), o)
			if err == nil {
				t.Fatal("no error")
			}
			texts := []string{err.Error()}
			var m *MissingError
			if errors.As(err, &m) {
				texts = append(texts, m.Brief())
				for _, c := range m.Causes {
					texts = append(texts, c.Error())
					if inner := errors.Unwrap(c); inner != nil {
						texts = append(texts, inner.Error())
					}
				}
			}
			var u *url.Error
			if errors.As(err, &u) {
				texts = append(texts, u.Error())
			}
			for _, text := range texts {
				if strings.Contains(text, "SECRET") {
					t.Errorf("the error tells a secret: %s", text)
				}
			}
		})
	}
}
