// Package inventory lists what lies in the cache, and removes what no process uses.
package inventory

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/tlkit/transfer-learning/internal/cachedir"
)

// Kind says what an entry is.
type Kind string

// The kinds.
const (
	Weights  Kind = "weights"  // of networks
	Plugin   Kind = "plugin"   // XLA, ONNX Runtime
	Data     Kind = "data"     // ready sets and their archives
	Features Kind = "features" // rows computed by frozen networks
	Compiled Kind = "compiled" // programs of XLA, and the forms that programs are run in
	Kernel   Kind = "kernel"   // tools of the notebook kernel and the private JupyterLab
	Partial  Kind = "partial"  // downloads that are not finished, and leftovers
	Incoming Kind = "incoming" // what a person has put there
	Notes    Kind = "notes"    // locks, hashes and other small files
)

// Kinds returns all kinds, in the order they should be shown.
func Kinds() []Kind {
	return []Kind{Weights, Plugin, Data, Features, Compiled, Kernel, Partial, Incoming, Notes}
}

// Removable reports whether entries of a kind are removed although the kind was not named: what was
// fetched or computed for a network or a data set. The plugin and the tools of the kernel belong to
// the set-up, and what a person has put there is the person's.
func (k Kind) Removable() bool {
	return k == Weights || k == Data || k == Features || k == Compiled || k == Partial
}

// Entry is one thing in the cache: a file, or a folder that only makes sense as a whole.
type Entry struct {
	Kind  Kind      `json:"kind"`
	Path  string    `json:"path"`  // slash path relative to the cache folder
	Bytes int64     `json:"bytes"` // on the disk
	Used  time.Time `json:"last_used"`
	About string    `json:"about,omitempty"` // network or data set, as far as known
	Runs  []string  `json:"runs"`            // folders of the runs that used it and still exist
	InUse bool      `json:"in_use"`          // by a process, now

	also  []string // further paths that go with it, such as its lock
	locks []string // that whoever makes or changes it holds
	files []file
}

// List is what lies in the cache.
type List struct {
	Root    string
	Entries []Entry // the largest first within a kind
}

// Names says what a file in the cache is: the network of a weights file, or the data set of an
// archive or of a folder of sets. about is "" if it is not known.
type Names func(name string) (kind Kind, about string)

// Read lists the cache. names may be nil.
func Read(names Names) (*List, error) {
	root, err := cachedir.Root()
	if err != nil {
		return nil, err
	}
	if names == nil {
		names = func(string) (Kind, string) { return Weights, "" }
	}
	l := &List{Root: root, Entries: []Entry{}}
	owners, err := cachedir.Owners()
	if err != nil {
		return nil, err
	}
	tops, err := children(root)
	if err != nil {
		return nil, err
	}
	for _, top := range tops {
		for _, e := range entries(root, top, names) {
			l.complete(&e, owners)
			l.Entries = append(l.Entries, e)
		}
	}
	order := Kinds()
	slices.SortStableFunc(l.Entries, func(a, b Entry) int {
		return cmp.Or(slices.Index(order, a.Kind)-slices.Index(order, b.Kind), cmp.Compare(b.Bytes, a.Bytes), strings.Compare(a.Path, b.Path))
	})
	return l, nil
}

// children returns the names in a folder; none if there is no such folder.
func children(dir string) ([]string, error) {
	found, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("inventory: %w", err)
	}
	names := make([]string, len(found))
	for i, f := range found {
		names[i] = f.Name()
	}
	return names, nil
}

// entries returns what lies in one of the folders of the cache, without sizes.
func entries(root, top string, names Names) []Entry {
	inside, _ := children(filepath.Join(root, top))
	var out []Entry
	for _, name := range inside {
		e := Entry{Path: path.Join(top, name)}
		switch top {
		case "files":
			e.locks = []string{"locks/" + name + ".lock"}
			e.Kind = Weights
			held, _ := children(filepath.Join(root, top, name))
			for _, file := range held {
				if !strings.HasPrefix(file, ".") {
					e.Kind, e.About = kindOf(file, names)
					e.About = cmp.Or(e.About, file)
				}
			}
		case "sets":
			_, e.About = names(name)
			e.Kind, e.About, e.locks = Data, cmp.Or(e.About, name), []string{"locks/set-" + name + ".lock"}
			if strings.HasPrefix(name, ".") {
				e.Kind, e.locks = Partial, nil
			}
		case "features":
			if strings.HasSuffix(name, ".lock") && slices.Contains(inside, strings.TrimSuffix(name, ".lock")) {
				continue // part of the entry it locks
			}
			e.Kind, e.locks, e.also = Features, []string{e.Path + ".lock"}, []string{e.Path + ".lock"}
		case "compile", "forms":
			e.Kind = Compiled
		case "cuda":
			id, _, unfinished := strings.Cut(name, ".")
			e.Kind, e.About, e.locks = Plugin, name, []string{"locks/" + id + ".lock"}
			if unfinished {
				e.Kind = Partial
			}
		case "kernel":
			e.Kind, e.About, e.locks = Kernel, name, []string{"kernel/setup.lock", path.Join(e.Path, "gopls.lock")}
		case "part":
			id, file, _ := strings.Cut(name, "-")
			e.Kind, e.About, e.locks = Partial, file, []string{"locks/" + id + ".lock"}
		case "tmp":
			e.Kind = Partial
		case "incoming":
			e.Kind, e.About = Incoming, name
		default:
			return []Entry{{Kind: Notes, Path: top}}
		}
		out = append(out, e)
	}
	return out
}

// kindOf returns what a file of the downloads is.
func kindOf(file string, names Names) (Kind, string) {
	if kind, about := names(file); about != "" {
		return kind, about
	}
	switch path.Ext(file) {
	case ".so", ".dylib", ".dll", ".whl":
		return Plugin, ""
	case ".zip", ".tgz", ".gz", ".tar":
		return Data, ""
	}
	return Weights, ""
}

// complete fills in size, age and owners of an entry.
func (l *List) complete(e *Entry, owners map[string][]cachedir.Owner) {
	for _, rel := range append([]string{e.Path}, e.also...) {
		e.measure(filepath.Join(l.Root, filepath.FromSlash(rel)))
	}
	e.Bytes = onDisk(e.files)
	e.Runs = []string{}
	if used := cachedir.LastUse(e.Path); used.After(e.Used) {
		e.Used = used
	}
	for _, o := range owners[e.Path] {
		e.Runs = append(e.Runs, o.Folder)
		e.About = cmp.Or(e.About, o.About)
	}
	e.InUse = !l.guarded(*e, func() error { return nil })
}

// measure adds the files at or below a path. Links are not followed, except where the path itself
// is one: a folder of the cache that lies on another disk.
func (e *Entry) measure(at string) {
	if real, err := filepath.EvalSymlinks(at); err == nil {
		at = real
	}
	filepath.WalkDir(at, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // files may disappear while the folder is read
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		e.files = append(e.files, fileOf(p, info))
		if !d.IsDir() && info.ModTime().After(e.Used) {
			e.Used = info.ModTime()
		}
		return nil
	})
}

// settled is the age from which something unfinished is taken for a leftover.
const settled = 24 * time.Hour

// guarded calls do while no process uses the entry or makes it, and reports whether it did.
func (l *List) guarded(e Entry, do func() error) bool {
	if e.Kind == Partial && len(e.locks) == 0 && time.Since(e.Used) < settled {
		return false
	}
	for _, rel := range e.locks {
		name := filepath.Join(l.Root, filepath.FromSlash(rel))
		if _, err := os.Lstat(name); err != nil {
			continue
		}
		lock := flock.New(name)
		if ok, err := lock.TryLock(); err != nil || !ok {
			return false
		}
		defer lock.Unlock()
	}
	free, err := cachedir.Free(e.Path, do)
	return free && err == nil
}

// Total returns the bytes that some entries take on the disk together. A file with several names
// counts once.
func Total(all []Entry) int64 {
	var files []file
	for _, e := range all {
		files = append(files, e.files...)
	}
	return onDisk(files)
}

// Freed returns the bytes that removing some entries gives back: not those of a file that has
// another name elsewhere.
func Freed(all []Entry) (sum int64) {
	type seen struct {
		names uint64
		file
	}
	found := map[identity]*seen{}
	for _, e := range all {
		for _, f := range e.files {
			if f.folder || f.identity == (identity{}) {
				sum += f.bytes
				continue
			}
			if found[f.identity] == nil {
				found[f.identity] = &seen{file: f}
			}
			found[f.identity].names++
		}
	}
	for _, s := range found {
		if s.names >= s.links {
			sum += s.bytes
		}
	}
	return sum
}

// file is a file or folder on the disk.
type file struct {
	identity
	bytes  int64
	links  uint64 // names of the file
	folder bool
}

// identity is the same for all names of a file; zero where the system does not tell.
type identity struct{ device, inode uint64 }

func onDisk(files []file) (sum int64) {
	seen := map[identity]bool{}
	for _, f := range files {
		if f.identity != (identity{}) && seen[f.identity] {
			continue
		}
		seen[f.identity] = true
		sum += f.bytes
	}
	return sum
}
