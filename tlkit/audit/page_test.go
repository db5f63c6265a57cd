package audit

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/hostile"
)

// found is a report with a finding of each kind, in which name stands wherever a text from elsewhere may.
func found(t *testing.T, name string) *Report {
	t.Helper()
	root := t.TempDir()
	save(t, filepath.Join(root, "a.png"), noise(1, 90, 80, 0, 255))
	r := &Report{Name: name, Root: root, Pictures: 12}
	for _, kind := range order {
		f := Finding{Kind: kind, Serious: serious[kind], Files: []string{"a.png", name}, Splits: []string{"train", "valid"}, Labels: []string{name, "bees"}, Why: "looks like " + name}
		if kind == WrongLabel {
			f.Suggested = name
		}
		if kind == Imbalance {
			f.Files, f.Splits = nil, nil
		}
		r.Findings = append(r.Findings, f)
		if kind == Leak {
			for range mostShown + 2 {
				r.Findings = append(r.Findings, f)
			}
		}
	}
	return r
}

func pageOf(t *testing.T, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := WritePage(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// No name becomes markup in what an audit writes.
func TestHostileNames(t *testing.T) {
	// One thumbnail of a picture is enough; drawing them takes most of the time.
	one := func(name string) *Report {
		r := found(t, name)
		for i := range r.Findings[1:] {
			r.Findings[1+i].Files = []string{name}
		}
		return r
	}
	hostile.HTML(t, "page", func(name string) []byte { return []byte(pageOf(t, one(name))) })
	hostile.Terminal(t, "rows of a table", func(name string) string { return fmt.Sprint(one(name).Rows(Leak, 3)) })
	hostile.Terminal(t, "figure", func(name string) string {
		r := one(name)
		r.Findings = r.Findings[:6]
		return r.Figure().Text()
	})
}

// The page has every kind with what it means, the pictures, all files, and needs nothing from elsewhere.
func TestPage(t *testing.T) {
	text := pageOf(t, found(t, "photos"))
	for _, kind := range order {
		if meanings[kind] == "" || !strings.Contains(text, meanings[kind]) {
			t.Errorf("the page does not say what %s means", kind)
		}
	}
	if n := strings.Count(text, "data:image/jpeg;base64,"); n != len(order)-1+mostShown-1 {
		t.Errorf("%d thumbnails", n)
	}
	for _, want := range []string{"Findings in photos", "3 more</summary>", "cannot be read", "tlkit train photos --changes changes.csv", "photos → photos?", "prefers-color-scheme: dark"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if bad := regexp.MustCompile(`(?i)<script|<link|@import|url\(|src="(?:[^d]|d[^a])|http:|https:`).FindString(text); bad != "" {
		t.Errorf("the page has %q", bad)
	}
	if empty := pageOf(t, &Report{Name: "photos", Pictures: 3}); !strings.Contains(empty, "Nothing was found.") {
		t.Error(empty)
	}
}

// A finding of very many files names some, and the page of very many findings stays small.
func TestPageOfMany(t *testing.T) {
	r := &Report{Name: "photos", Root: t.TempDir()}
	f := Finding{Kind: Copy, Why: "the same"}
	for i := range 100_000 {
		f.Files = append(f.Files, fmt.Sprintf("%d.png", i))
	}
	r.Findings = append(r.Findings, f)
	for i := range 50_000 {
		r.Findings = append(r.Findings, Finding{Kind: Blurred, Files: []string{fmt.Sprintf("%d.png", i)}, Why: "blurred"})
	}
	text := pageOf(t, r)
	if len(text) > 500_000 || !strings.Contains(text, "and 99992 more") {
		t.Errorf("%d bytes", len(text))
	}
}
