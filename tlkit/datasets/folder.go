package datasets

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/words"
)

// readFolder lists, inspects and labels the pictures of a folder. If the folders name no splits,
// the splits are "".
func readFolder(ctx context.Context, dir string, o Options) (*Dataset, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("datasets: %w", err)
	}
	if _, err := os.ReadDir(abs); err != nil {
		return nil, fmt.Errorf("datasets: opening the folder %s: %w", dir, err)
	}
	l, err := walk(ctx, abs)
	if err != nil {
		return nil, err
	}
	y, err := layoutOf(dir, l, o.LabelFolders)
	if err != nil {
		return nil, err
	}
	if y.inside != "" {
		return readInside(ctx, outer{dir, l, y.inside}, o)
	}
	d := &Dataset{Name: filepath.Base(abs), Root: abs, Task: Classes}
	d.Report.Skipped = l.skipped
	d.Report.NotPicture = l.unnamed
	d.Report.Unreadable = l.broken
	d.Report.Warnings = y.warnings
	placed := d.choose(l, y)
	rels := make([]string, len(placed))
	for i, p := range placed {
		rels[i] = p.rel
	}
	findings, err := inspectAll(ctx, tree{abs}, rels)
	if err != nil {
		return nil, err
	}
	d.take(placed, findings, y.flat)
	d.followed(l)
	d.emptyFolders(y)
	return d, nil
}

// outer is a folder in place of which one of its subfolders is read.
type outer struct {
	dir    string
	l      listing
	inside string
}

// readInside reads the subfolder that holds all the pictures, and reports the files beside it.
func readInside(ctx context.Context, out outer, o Options) (*Dataset, error) {
	d, err := readFolder(ctx, filepath.Join(out.dir, filepath.FromSlash(out.inside)), o)
	if err != nil {
		return nil, err
	}
	up := strings.Repeat("../", strings.Count(out.inside, "/")+1)
	var beside []Bad
	for _, b := range out.l.skipped {
		if !strings.HasPrefix(b.Rel, out.inside+"/") {
			beside = append(beside, Bad{up + b.Rel, b.Why})
		}
	}
	for _, rel := range out.l.files {
		if !strings.HasPrefix(rel, out.inside+"/") {
			beside = append(beside, Bad{up + rel, "beside the folder with the pictures"})
		}
	}
	d.Report.Skipped = append(beside, d.Report.Skipped...)
	d.Report.Warnings = append([]string{fmt.Sprintf("%s is read: %s holds nothing else", filepath.Join(out.dir, filepath.FromSlash(out.inside)), out.dir)}, d.Report.Warnings...)
	return d, nil
}

// A placed file has a label and a split, and may be a picture.
type placed struct {
	rel string
	slot
}

// choose returns the files that may be pictures, and reports the others.
func (d *Dataset) choose(l listing, y layout) []placed {
	var out []placed
	lost := map[Bad]int{} // top folder and reason -> files named like pictures
	first := map[string]string{}
	twice := map[Bad]int{} // folders of the same pictures
	for _, behind := range []bool{false, true} {
		for _, rel := range l.files {
			real := path.Join(filepath.ToSlash(l.real[path.Dir(rel)]), path.Base(rel))
			if behind != l.behind[path.Dir(rel)] {
				continue
			}
			s, why := y.place(rel)
			top, _, below := strings.Cut(rel, "/")
			if !below {
				top = ""
			}
			switch {
			case why != "":
				d.Report.Skipped = append(d.Report.Skipped, Bad{rel, why})
				if pictureNames[strings.ToLower(path.Ext(rel))] {
					lost[Bad{top, why}]++
				}
			case first[real] != "":
				d.Report.Skipped = append(d.Report.Skipped, Bad{rel, "the same file as " + first[real] + ", through a link"})
				twice[Bad{path.Dir(rel), path.Dir(first[real])}]++
			default:
				first[real] = rel
				out = append(out, placed{rel, s})
			}
		}
	}
	slices.SortFunc(out, func(a, b placed) int { return byComponents(a.rel, b.rel) })
	for _, b := range sortedBad(lost) {
		where := "in the folder itself"
		if b.Rel != "" {
			where = "in " + words.Printable(b.Rel)
		}
		d.warn("%d file(s) named like pictures %s were left out: %s", lost[b], where, b.Why)
	}
	for _, b := range sortedBad(twice) {
		d.warn("%s leads through a link to the %d picture(s) of %s, which count once, there", words.Printable(b.Rel), twice[b], words.Printable(b.Why))
	}
	return out
}

// take makes items of the placed files that are pictures, and reports the others.
func (d *Dataset) take(files []placed, findings []finding, flat bool) {
	classes := map[string]int{}
	for i, p := range files {
		if findings[i].kind == picture && !flat {
			classes[p.label] = 0
		}
	}
	d.Labels = sortedKeys(classes)
	for i, label := range d.Labels {
		classes[label] = i
	}
	stems := map[string]bool{} // pictures with and without the ends of their names
	for i, p := range files {
		if findings[i].kind == picture {
			stems[p.rel], stems[strings.TrimSuffix(p.rel, path.Ext(p.rel))] = true, true
		}
	}
	for i, p := range files {
		switch f := findings[i]; {
		case f.kind == notPicture && goesWith(p.rel, stems):
			d.Report.Skipped = append(d.Report.Skipped, Bad{p.rel, "goes with a picture of the same name"})
		case f.kind == broken:
			d.Report.Unreadable = append(d.Report.Unreadable, Bad{p.rel, f.why})
		case f.kind == notPicture && flat:
			d.Report.Skipped = append(d.Report.Skipped, Bad{p.rel, f.why})
		case f.kind == notPicture:
			d.Report.NotPicture = append(d.Report.NotPicture, Bad{p.rel, f.why})
		default:
			class := Unlabelled
			if !flat {
				class = classes[p.label]
			}
			d.Items = append(d.Items, Item{
				Path: filepath.Join(d.Root, filepath.FromSlash(p.rel)), Rel: p.rel,
				Class: class, Split: p.split, SHA256: f.sum,
			})
		}
	}
}

// goesWith reports whether a file is a sidecar of a picture: x.json, x.xmp or x.jpg.json beside
// x.jpg.
func goesWith(rel string, stems map[string]bool) bool {
	for ext := path.Ext(rel); ext != "" && ext != path.Base(rel); ext = path.Ext(rel) {
		rel = strings.TrimSuffix(rel, ext)
		if stems[rel] {
			return true
		}
	}
	return false
}

// followed warns of links that lead out of the folder, because their targets are not copied or
// moved with it.
func (d *Dataset) followed(l listing) {
	files, example := 0, ""
	var dirs []string
	for _, k := range l.links {
		switch {
		case within(k.target, l.real["."]):
		case k.dir:
			dirs = append(dirs, fmt.Sprintf("%s → %s", words.Printable(k.rel), words.Printable(k.target)))
		default:
			files++
			example = fmt.Sprintf("%s → %s", words.Printable(k.rel), words.Printable(k.target))
		}
	}
	const shown = 5
	if n := len(dirs); n > shown {
		dirs = append(dirs[:shown], fmt.Sprintf("and %d more", n-shown))
	}
	if len(dirs) > 0 {
		d.warn("links to folders elsewhere are followed: %s", strings.Join(dirs, ", "))
	}
	if files > 0 {
		d.warn("%d file(s) are links to files elsewhere, which are read, as %s", files, example)
	}
}

// emptyFolders warns of label folders without pictures.
func (d *Dataset) emptyFolders(y layout) {
	full := map[string]bool{}
	for _, it := range d.Items {
		for p := path.Dir(it.Rel); p != "."; p = path.Dir(p) {
			full[p] = true
		}
	}
	for _, dir := range slices.SortedFunc(maps.Keys(y.labels), byComponents) {
		switch label := y.labels[dir].label; {
		case full[dir]:
		case slices.Contains(d.Labels, label):
			d.warn("the folder %s holds no pictures", words.Printable(dir))
		default:
			d.warn("the folder %s holds no pictures, so %q is not a label", words.Printable(dir), label)
		}
	}
}

func sortedBad(m map[Bad]int) []Bad {
	return slices.SortedFunc(maps.Keys(m), func(a, b Bad) int { return cmp.Or(byComponents(a.Rel, b.Rel), strings.Compare(a.Why, b.Why)) })
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
