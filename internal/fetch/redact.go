package fetch

import (
	"net/url"
	"regexp"
	"strings"
)

var (
	// address is anything that may be a URL. A quote ends it, because net/url quotes what it names.
	address = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://[^\s"]+`)
	// query is one of an address without a host, as a Location may be.
	query = regexp.MustCompile(`\?[^\s"]+`)
	// login is a user and password without a scheme before them.
	login = regexp.MustCompile(`//[^/\s"@]+@`)
	// piece is the part of an address that net/url found wrong, which may be of a password.
	piece = regexp.MustCompile(`(invalid (?:port|URL escape|character|userinfo)) "(?:\\.|[^"\\])*"`)
)

// redact takes out of a text what is secret in addresses: users and passwords, queries, in which
// storage hosts carry signatures, and fragments. Of an address that cannot be parsed only the scheme
// stays, since nothing tells which part of it is what. Every text about an address goes through it.
func redact(text string) string {
	text = address.ReplaceAllStringFunc(text, func(found string) string {
		whole := strings.TrimRight(found, `\:;,.)>'`)
		tail := found[len(whole):]
		u, err := url.Parse(whole)
		if err != nil || u.Host == "" || u.Opaque != "" || strings.Contains(u.Host, "@") {
			scheme, _, _ := strings.Cut(whole, "://")
			return scheme + "://…" + tail
		}
		clean := plain(u)
		if u.RawQuery != "" || u.ForceQuery {
			clean += "?…"
		}
		return clean + tail
	})
	text = login.ReplaceAllString(text, "//…@")
	text = query.ReplaceAllString(text, "?…")
	return piece.ReplaceAllString(text, "$1")
}
