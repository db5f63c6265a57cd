package datasets

import (
	"slices"
	"strings"
	"unicode"

	"github.com/tlkit/transfer-learning/data"
)

// folderWords are the words in names of folders that mean a split.
var folderWords = map[string]Split{
	"train": Train, "training": Train, "trn": Train, "trainval": Train,
	"valid": Valid, "val": Valid, "validation": Valid, "validate": Valid, "vld": Valid, "dev": Valid, "devel": Valid, "development": Valid,
	"eval": Valid, "evaluation": Valid, "minival": Valid,
	"test": Test, "tests": Test, "testing": Test, "tst": Test, "holdout": Test, "heldout": Test,
}

// fillers are words that say nothing about a split or a label.
var fillers = []string{
	"set", "sets", "data", "dataset", "datasets", "image", "images", "img", "imgs", "picture", "pictures", "photo", "photos", "pic", "pics", "jpg", "jpeg", "png",
	"split", "splits", "folder", "dir", "directory", "files", "samples", "part", "subset", "full", "x", "px",
}

// noLabels are names of a folder that holds pictures without labels.
var noLabels = []string{"unknown", "unlabeled", "unlabelled", "all", "none", "pred", "predict"}

// A splitName is what the name of a folder says about a split.
type splitName struct {
	split Split
	sure  bool // the name has no other words, as test_set; false for seg_test
}

// splitNamed reads the name of a folder: "Training", "test_set", "val2017", "trainImages",
// "seg_train". ok is false when it names no split, or two.
func splitNamed(name string) (n splitName, ok bool) {
	if s, known := data.SplitNamed(name); known {
		return splitName{s, true}, true
	}
	n.sure = true
	for _, word := range nameWords(name) {
		s, known := folderWords[word]
		switch {
		case !known && slices.Contains(fillers, word):
		case !known:
			n.sure = false
		case ok:
			return splitName{}, false
		default:
			n.split, ok = s, true
		}
	}
	return n, ok
}

// nameWords splits a name at everything that is not a letter, and at capitals within words. "hold
// out" is one word, "trainset" is two.
func nameWords(name string) []string {
	var words []string
	var word []rune
	end := func() {
		if len(word) > 0 {
			words = append(words, splitCompound(strings.ToLower(string(word)))...)
		}
		word = nil
	}
	for _, r := range name {
		if !unicode.IsLetter(r) {
			end()
			continue
		}
		if len(word) > 0 && unicode.IsUpper(r) && unicode.IsLower(word[len(word)-1]) {
			end()
		}
		word = append(word, r)
	}
	end()
	for i := range len(words) - 1 {
		if (words[i] == "hold" || words[i] == "held") && words[i+1] == "out" {
			return slices.Concat(words[:i], []string{words[i] + "out"}, words[i+2:])
		}
	}
	return words
}

// splitCompound splits a word such as trainset.
func splitCompound(word string) []string {
	if _, ok := folderWords[word]; ok {
		return []string{word}
	}
	for _, f := range fillers {
		if len(f) < 3 {
			continue
		}
		for _, rest := range []string{strings.TrimSuffix(word, f), strings.TrimPrefix(word, f)} {
			if _, ok := folderWords[rest]; ok && rest != word {
				return []string{rest, f}
			}
		}
	}
	return []string{word}
}

// saysNothing reports whether the name of a folder cannot be a label: images, 256px, unknown, test.
func saysNothing(name string) bool {
	if _, ok := splitNamed(name); ok {
		return true
	}
	words := nameWords(name)
	return len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool {
		return !slices.Contains(fillers, w) && !slices.Contains(noLabels, w)
	})
}
