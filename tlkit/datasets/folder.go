package datasets

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/internal/advice"
)

// A listing is the content of a folder before any file is read.
type listing struct {
	dirs    []string // all folders below the root, slash paths, in order
	files   []string // all files that may be pictures
	skipped []Bad    // hidden files, system files, links that lead out
	unnamed []Bad    // files whose names are not UTF-8 text
}

// debris are files that operating systems leave in folders.
var debris = map[string]bool{"thumbs.db": true, "desktop.ini": true, "icon\r": true, "ehthumbs.db": true}

// walk lists the folder. It follows links to files below root, which os.Root enforces, but no
// links to folders.
func walk(ctx context.Context, root *os.Root) (listing, error) {
	var l listing
	skip := func(rel, why string) { l.skipped = append(l.skipped, Bad{rel, why}) }
	err := fs.WalkDir(root.FS(), ".", func(rel string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		name := path.Base(rel)
		switch {
		case !utf8.ValidString(rel):
			l.unnamed = append(l.unnamed, Bad{rel, "its name is not UTF-8 text; rename it"})
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case err != nil:
			return err
		case rel == ".":
			return nil
		case strings.HasPrefix(name, "."):
			skip(rel, "hidden")
		case name == "__MACOSX" || debris[strings.ToLower(name)]:
			skip(rel, "left there by the operating system")
		case d.IsDir():
			l.dirs = append(l.dirs, rel)
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			switch info, err := root.Stat(filepath.FromSlash(rel)); {
			case err != nil:
				skip(rel, "a link that leads out of the folder or nowhere")
			case !info.Mode().IsRegular():
				skip(rel, "a link to a folder or device; links are followed only to files below the same folder")
			default:
				l.files = append(l.files, rel)
			}
			return nil
		case !d.Type().IsRegular():
			skip(rel, "not a regular file")
			return nil
		default:
			l.files = append(l.files, rel)
			return nil
		}
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return l, fmt.Errorf("datasets: listing %s: %w", root.Name(), err)
	}
	return l, nil
}

// A layout says how the folders of a listing name labels and splits.
type layout struct {
	splits map[string]Split // top folder -> split; nil when the top folders are labels
	flat   bool             // no folders: pictures without labels
}

// layoutOf decides between train/LABEL/x.jpg, LABEL/x.jpg and x.jpg.
func layoutOf(name string, l listing) (layout, error) {
	var top []string
	for _, d := range l.dirs {
		if !strings.Contains(d, "/") {
			top = append(top, d)
		}
	}
	if len(top) == 0 {
		return layout{flat: true}, nil
	}
	splits, first, train := map[string]Split{}, map[Split]string{}, false
	for _, d := range top {
		s, ok := data.SplitNamed(d)
		if !ok {
			continue
		}
		if other, twice := first[s]; twice {
			return layout{}, advice.New(fmt.Errorf("datasets: %s has two folders that mean the split %q: %q and %q", name, s, other, d), "keep one")
		}
		first[s], splits[d] = d, s
		train = train || s == Train
	}
	if train || len(splits) == len(top) {
		return layout{splits: splits}, nil
	}
	if len(top) == 1 {
		// hymenoptera_data/train/...: the person has named the folder above.
		direct, inner := 0, 0
		for _, f := range l.files {
			if strings.HasPrefix(f, top[0]+"/") && strings.Count(f, "/") == 1 {
				direct++
			}
		}
		for _, d := range l.dirs {
			if strings.HasPrefix(d, top[0]+"/") && strings.Count(d, "/") == 1 {
				inner++
				if _, ok := data.SplitNamed(path.Base(d)); ok {
					inner++ // a folder train is enough
				}
			}
		}
		if direct == 0 && inner > 1 {
			return layout{}, advice.New(fmt.Errorf("datasets: %s contains nothing but the folder %q, whose folders look like labels or splits", name, top[0]), "open %s instead", path.Join(filepath.ToSlash(name), top[0]))
		}
	}
	return layout{}, nil
}

// place returns the split ("" if the folders name none) and the label of a file, or why it has
// no label.
func (y layout) place(rel string) (split Split, label, why string) {
	if y.flat {
		return "", "", ""
	}
	parts := strings.Split(rel, "/")
	if y.splits == nil {
		if len(parts) < 2 {
			return "", "", "beside the label folders, so it has no label"
		}
		return "", parts[0], ""
	}
	split, ok := y.splits[parts[0]]
	switch {
	case len(parts) < 2, !ok:
		return "", "", "outside the folders train, valid and test"
	case len(parts) < 3:
		return "", "", "in no label folder, so it has no label"
	}
	return split, parts[1], ""
}

// readFolder lists, inspects and labels the pictures of a folder. If the folders name no splits,
// the splits are "".
func readFolder(ctx context.Context, dir string) (*Dataset, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("datasets: %w", err)
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, fmt.Errorf("datasets: opening the folder %s: %w", dir, err)
	}
	defer root.Close()
	l, err := walk(ctx, root)
	if err != nil {
		return nil, err
	}
	y, err := layoutOf(dir, l)
	if err != nil {
		return nil, err
	}
	d := &Dataset{Name: filepath.Base(abs), Root: abs, Task: Classes}
	d.Report.Skipped = l.skipped
	d.Report.NotPicture = l.unnamed

	type candidate struct {
		rel, label string
		split      Split
	}
	var candidates []candidate
	var rels []string
	lost := 0
	for _, rel := range l.files {
		split, label, why := y.place(rel)
		if why != "" {
			d.Report.Skipped = append(d.Report.Skipped, Bad{rel, why})
			if pictureNames[strings.ToLower(path.Ext(rel))] {
				lost++
			}
			continue
		}
		candidates = append(candidates, candidate{rel: rel, label: label, split: split})
		rels = append(rels, rel)
	}
	if lost > 0 {
		d.warn("%d file(s) named like pictures lie outside the label folders and were left out", lost)
	}
	findings, err := inspectAll(ctx, root, rels)
	if err != nil {
		return nil, err
	}
	classes := map[string]int{}
	for i, c := range candidates {
		if findings[i].kind == picture && !y.flat {
			classes[c.label] = 0
		}
	}
	d.Labels = sortedKeys(classes)
	for i, label := range d.Labels {
		classes[label] = i
	}
	for i, c := range candidates {
		switch f := findings[i]; {
		case f.kind == broken:
			d.Report.Unreadable = append(d.Report.Unreadable, Bad{c.rel, f.why})
		case f.kind == notPicture && y.flat:
			d.Report.Skipped = append(d.Report.Skipped, Bad{c.rel, f.why})
		case f.kind == notPicture:
			d.Report.NotPicture = append(d.Report.NotPicture, Bad{c.rel, f.why})
		default:
			class := Unlabelled
			if !y.flat {
				class = classes[c.label]
			}
			d.Items = append(d.Items, Item{
				Path: filepath.Join(abs, filepath.FromSlash(c.rel)), Rel: c.rel,
				Class: class, Split: c.split, SHA256: f.sum,
			})
		}
	}
	d.emptyFolders(l, y)
	return d, nil
}

// emptyFolders warns of label folders without pictures.
func (d *Dataset) emptyFolders(l listing, y layout) {
	full := map[string]bool{}
	for _, it := range d.Items {
		for p := path.Dir(it.Rel); p != "."; p = path.Dir(p) {
			full[p] = true
		}
	}
	depth := 0
	if y.splits != nil {
		depth = 1
	}
	for _, dir := range l.dirs {
		if strings.Count(dir, "/") != depth || full[dir] {
			continue
		}
		if _, _, why := y.place(dir + "/x"); why != "" {
			continue
		}
		label := path.Base(dir)
		if slices.Contains(d.Labels, label) {
			d.warn("the folder %s holds no pictures", printable(dir))
		} else {
			d.warn("the folder %s holds no pictures, so %q is not a label", printable(dir), label)
		}
	}
}

// warn adds a sentence to the report.
func (d *Dataset) warn(format string, args ...any) {
	d.Report.Warnings = append(d.Report.Warnings, fmt.Sprintf(format, args...))
}

func sortedKeys(m map[string]int) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
