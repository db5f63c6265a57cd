package arrows

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documents are the pages at the door of the repository.
var documents = []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"}

var (
	// `tlkit/zoo/vgg.go`, and the target of a link that is not an address.
	inBackticks = regexp.MustCompile("`((?:cmd|data|internal|kernel|notebooks|tlkit|\\.ci)/[\\w./-]+)`")
	linked      = regexp.MustCompile(`\]\(([^)#:\s]+)\)`)
)

// Readers follow what a page names, so it must be there.
func TestDocumentsNameFilesThatExist(t *testing.T) {
	const root = "../.."
	found := 0
	for _, page := range documents {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, pattern := range []*regexp.Regexp{inBackticks, linked} {
			for _, m := range pattern.FindAllStringSubmatch(string(text), -1) {
				if strings.Contains(m[1], "NAME") {
					continue // stands for a name of the reader's choice
				}
				found++
				if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(strings.TrimSuffix(m[1], "/...")))); err != nil {
					t.Errorf("%s names %s, which does not exist", page, m[1])
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d paths found in %v", found, documents)
	}
}
