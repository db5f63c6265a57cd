package data

import (
	"embed"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"sync"
)

//go:embed lists/*.txt
var listFiles embed.FS

// Split names a part of a data set.
type Split string

// The splits. A set may have any of them.
const (
	Train Split = "train" // to learn from
	Valid Split = "valid" // to report results on
	Test  Split = "test"  // the same; if there is Valid too, kept for the end
)

// A File is one entry of a set's list of pictures.
type File struct {
	SHA256 string // of its content, 64 hex digits
	Split  Split  // "" when the set has no split of its own
	Class  string // its label, and the name of its folder
	Name   string // base name
	Folder string // slash path of its folder, as the publisher names it: "val/bees"
}

// Path returns the slash path of the file below the set's folder.
func (f File) Path() string { return path.Join(f.Folder, f.Name) }

// splitWords maps usual names of folders to the splits they mean.
var splitWords = map[string]Split{
	"train": Train, "training": Train,
	"valid": Valid, "val": Valid, "validation": Valid,
	"test": Test, "testing": Test,
}

// SplitNamed returns the split that the name of a folder, a column or a flag means ("val"
// and "validation" mean Valid). ok is false when the name means none. Letter case does not
// matter.
func SplitNamed(name string) (split Split, ok bool) {
	split, ok = splitWords[strings.ToLower(name)]
	return split, ok
}

// parseList reads a list of lines "sha256  [split/]class/name".
func parseList(text string) ([]File, error) {
	var files []File
	seen := map[string]bool{}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		sum, rel, ok := strings.Cut(line, "  ")
		if raw, err := hex.DecodeString(sum); !ok || err != nil || len(raw) != 32 {
			return nil, fmt.Errorf("data: list line %d: want 64 hex digits, two spaces and a path, got %q", i+1, line)
		}
		parts := strings.Split(rel, "/")
		f := File{SHA256: sum, Name: parts[len(parts)-1], Folder: path.Dir(rel)}
		switch len(parts) {
		case 2:
			f.Class = parts[0]
		case 3:
			f.Class = parts[1]
			f.Split, ok = SplitNamed(parts[0])
			if !ok {
				return nil, fmt.Errorf("data: list line %d: %q is not a split", i+1, parts[0])
			}
		default:
			return nil, fmt.Errorf("data: list line %d: want [split/]class/name, got %q", i+1, rel)
		}
		if seen[rel] {
			return nil, fmt.Errorf("data: list line %d: %q appears twice", i+1, rel)
		}
		seen[rel] = true
		files = append(files, f)
	}
	return files, nil
}

// lists holds the parsed lists; each is read once, when first asked for.
var lists sync.Map // name -> func() ([]File, error)

// Files returns every picture of the set with the hash of its content, in order of path, or
// nil for a set without a list (drawn by code, or never verified). The slice is shared and
// must not be modified.
func (s Set) Files() ([]File, error) {
	if s.list == "" {
		return nil, nil
	}
	once, _ := lists.LoadOrStore(s.list, sync.OnceValues(func() ([]File, error) {
		text, err := listFiles.ReadFile("lists/" + s.list + ".txt")
		if err != nil {
			return nil, fmt.Errorf("data: list of %q: %w", s.Name, err)
		}
		return parseList(string(text))
	}))
	return once.(func() ([]File, error))()
}
