package datasets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/picturefile"
	"github.com/tlkit/transfer-learning/internal/words"
)

// Limits on a folder. They are far above what is labelled by hand, and stop a link that leads to
// a whole disk, or links that multiply.
const (
	maxEntries = 5_000_000 // files and folders
	maxDepth   = 64        // folders within folders
	maxVisits  = 8         // ways to the same folder through links
)

// A listing is the content of a folder before any file is read.
type listing struct {
	dirs    []string // all folders below the root, slash paths, in order
	files   []string // all files that may be pictures
	skipped []Bad    // hidden files, system files, links that are not followed
	unnamed []Bad    // files whose names are not UTF-8 text
	broken  []Bad    // links named like pictures that lead nowhere
	links   []link   // those that were followed

	real   map[string]string // folder -> its path without links
	behind map[string]bool   // folders that a link leads to, and those below them
}

// A link is a symbolic link that was followed.
type link struct {
	rel    string
	target string // without links
	dir    bool
}

// walk lists a folder. It follows links, as os.walk(followlinks=True) of torchvision's ImageFolder
// does, but not in a circle.
func walk(ctx context.Context, dir string) (listing, error) {
	w := walker{ctx: ctx, visits: map[string]int{}}
	w.real, w.behind = map[string]string{}, map[string]bool{}
	real, err := filepath.EvalSymlinks(dir)
	if err == nil {
		err = w.folder(step{rel: ".", real: real, chain: []string{real}})
	}
	for err == nil && len(w.pending) > 0 {
		next := w.pending[0]
		w.pending = w.pending[1:]
		err = w.follow(next)
	}
	if err != nil {
		return w.listing, fmt.Errorf("datasets: listing %s: %w", dir, err)
	}
	for _, names := range [][]string{w.dirs, w.files} {
		slices.SortFunc(names, byComponents)
	}
	for _, bad := range [][]Bad{w.skipped, w.unnamed, w.broken} {
		slices.SortFunc(bad, func(a, b Bad) int { return byComponents(a.Rel, b.Rel) })
	}
	return w.listing, nil
}

// byComponents orders paths as a walk meets them: a/x before a-b/x.
func byComponents(a, b string) int {
	for i := range min(len(a), len(b)) {
		switch {
		case a[i] == b[i]:
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		default:
			return cmp.Compare(a[i], b[i])
		}
	}
	return cmp.Compare(len(a), len(b))
}

// A walker lists a folder. It follows links only after listing everything that is reached without
// them.
type walker struct {
	listing
	ctx     context.Context
	entries int
	visits  map[string]int // real path -> how often it was listed
	pending []step
}

// A step is a folder or a link to go into.
type step struct {
	rel   string   // as it is named below the root
	real  string   // the same without links; of a link, where it lies
	chain []string // the real folders that lead there, one for each link on the way
}

func (w *walker) skip(rel, why string) { w.skipped = append(w.skipped, Bad{rel, why}) }

// folder lists a folder and those below it.
func (w *walker) folder(s step) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if strings.Count(s.rel, "/") >= maxDepth {
		w.skip(s.rel, fmt.Sprintf("more than %d folders deep", maxDepth))
		return nil
	}
	w.visits[s.real]++
	w.real[s.rel], w.behind[s.rel] = s.real, len(s.chain) > 1
	entries, err := os.ReadDir(s.real)
	if err != nil {
		return closed(s.rel, err)
	}
	if w.entries += len(entries); w.entries > maxEntries {
		return advice.New(fmt.Errorf("more than %d files and folders, up to %s", maxEntries, s.rel), "name a folder with pictures only, and check where its links lead")
	}
	for _, e := range entries {
		next := step{rel: path.Join(s.rel, e.Name()), real: filepath.Join(s.real, e.Name()), chain: s.chain}
		if err := w.entry(next, e); err != nil {
			return err
		}
	}
	return nil
}

// closed is the error of a folder that cannot be listed. It ends the listing: how many pictures are in the
// folder is not known, and without them a label could be missing.
func closed(rel string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err // its path is rel, below what is named in front
	}
	err = fmt.Errorf("the folder %s in it cannot be read: %w", words.Printable(rel), err)
	if errors.Is(err, fs.ErrPermission) {
		return advice.New(err, "to allow it: chmod u+rx; or move that folder elsewhere, if its pictures do not belong here")
	}
	return advice.New(err, "move that folder elsewhere, if its pictures do not belong here")
}

// entry lists one entry of a folder.
func (w *walker) entry(s step, e fs.DirEntry) error {
	switch why := picturefile.Debris(e.Name()); {
	case !utf8.ValidString(s.rel):
		w.unnamed = append(w.unnamed, Bad{s.rel, "its name is not UTF-8 text; rename it"})
	case why != "":
		w.skip(s.rel, why+w.hiding(s.real, e))
	case e.Type()&fs.ModeSymlink != 0:
		w.pending = append(w.pending, s)
	case e.IsDir():
		w.dirs = append(w.dirs, s.rel)
		return w.folder(s)
	case !e.Type().IsRegular():
		w.skip(s.rel, "not a regular file")
	default:
		w.files = append(w.files, s.rel)
	}
	return nil
}

// follow lists what is behind a link.
func (w *walker) follow(s step) error {
	target, err := filepath.EvalSymlinks(s.real)
	var info fs.FileInfo
	if err == nil {
		info, err = os.Stat(target)
	}
	switch {
	case err != nil:
		b := Bad{s.rel, "a link that leads nowhere" + w.destination(s.real)}
		if pictureNames[strings.ToLower(path.Ext(s.rel))] {
			w.broken = append(w.broken, b)
		} else {
			w.skipped = append(w.skipped, b)
		}
		return nil
	case info.Mode().IsRegular():
		w.files = append(w.files, s.rel)
		w.links = append(w.links, link{rel: s.rel, target: target})
		return nil
	case !info.IsDir():
		w.skip(s.rel, "a link to something that is neither a file nor a folder")
		return nil
	case slices.ContainsFunc(slices.Concat(s.chain, []string{filepath.Dir(s.real)}), func(dir string) bool { return within(dir, target) }):
		w.skip(s.rel, "a link to a folder that it lies in; such links are not followed")
		return nil
	case w.visits[target] >= maxVisits:
		w.skip(s.rel, fmt.Sprintf("a link to a folder that %d other links lead to; not followed", maxVisits))
		return nil
	}
	w.dirs = append(w.dirs, s.rel)
	w.links = append(w.links, link{rel: s.rel, target: target, dir: true})
	return w.folder(step{rel: s.rel, real: target, chain: append(slices.Clone(s.chain), filepath.Dir(s.real))})
}

// destination returns the target of a broken link, in parentheses.
func (w *walker) destination(name string) string {
	to, err := os.Readlink(name)
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (to %s)", words.Printable(to))
}

// within reports whether a folder is another one or lies below it.
func within(dir, other string) bool {
	rel, err := filepath.Rel(other, dir)
	return err == nil && filepath.IsLocal(rel)
}

// hiding says how many pictures a hidden folder holds, because the user may have meant to use them.
func (w *walker) hiding(real string, e fs.DirEntry) string {
	if !e.IsDir() || !strings.HasPrefix(e.Name(), ".") {
		return ""
	}
	const enough = 10_000 // entries looked at
	pictures, seen := 0, 0
	stop := errors.New("enough")
	_ = filepath.WalkDir(real, func(name string, d fs.DirEntry, err error) error {
		if seen++; err != nil || seen > enough || w.ctx.Err() != nil {
			return stop
		}
		if !d.IsDir() && pictureNames[strings.ToLower(filepath.Ext(name))] {
			pictures++
		}
		return nil
	})
	if pictures == 0 {
		return ""
	}
	return fmt.Sprintf("; %d of its files are named like pictures", pictures)
}

// A tree opens the files of a folder by their slash paths, through links.
type tree struct{ dir string }

func (t tree) Name() string { return t.dir }

func (t tree) Stat(name string) (fs.FileInfo, error) { return os.Stat(filepath.Join(t.dir, name)) }

func (t tree) Open(name string) (*os.File, error) { return os.Open(filepath.Join(t.dir, name)) }
