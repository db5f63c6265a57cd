package datasets

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// A layout says how the folders of a listing name labels and splits.
type layout struct {
	flat   bool            // no folders: pictures without labels
	inside string          // the subfolder that holds everything and is read instead; "" = none
	labels map[string]slot // the label folders
	// Why the files of other folders are left out; "" is for those that no other entry covers.
	apart    map[string]string
	warnings []string
}

// A slot is the label and split of the pictures in a label folder. The split is "" if the folders
// name none.
type slot struct {
	split Split
	label string
}

func newLayout(rest string) layout {
	return layout{labels: map[string]slot{}, apart: map[string]string{".": rest}}
}

func (y *layout) warn(format string, args ...any) {
	y.warnings = append(y.warnings, fmt.Sprintf(format, args...))
}

// place returns the slot of a file, or why it has none.
func (y layout) place(rel string) (s slot, why string) {
	if y.flat {
		return slot{}, ""
	}
	for dir := path.Dir(rel); ; dir = path.Dir(dir) {
		if s, ok := y.labels[dir]; ok {
			return s, ""
		}
		if why, ok := y.apart[dir]; ok {
			return slot{}, why
		}
	}
}

// A branch is a folder in the tree that layoutOf interprets.
type branch struct {
	rel, name     string
	direct, total int // pictures in it, and with those below it
	sub           []*branch
}

// branches returns the folders of a listing as a tree. Only files named like pictures count here,
// or all files if none is.
func branches(l listing) *branch {
	root := &branch{rel: "."}
	at := map[string]*branch{".": root}
	for _, d := range l.dirs {
		b := &branch{rel: d, name: path.Base(d)}
		at[d] = b
		if up := at[path.Dir(d)]; up != nil {
			up.sub = append(up.sub, b)
		}
	}
	isPicture := func(rel string) bool { return pictureNames[strings.ToLower(path.Ext(rel))] }
	if !slices.ContainsFunc(l.files, isPicture) {
		isPicture = func(string) bool { return true }
	}
	for _, f := range l.files {
		if !isPicture(f) {
			continue
		}
		at[path.Dir(f)].direct++
		for dir := path.Dir(f); ; dir = path.Dir(dir) {
			at[dir].total++
			if dir == "." {
				break
			}
		}
	}
	return root
}

// full returns the subfolders that hold pictures at any depth.
func (b *branch) full() []*branch {
	var out []*branch
	for _, s := range b.sub {
		if s.total > 0 {
			out = append(out, s)
		}
	}
	return out
}

// called returns the names of folders.
func called(list []*branch) []string {
	out := make([]string, len(list))
	for i, b := range list {
		out[i] = b.name
	}
	return out
}

// inner returns the names of the subfolders that hold pictures.
func (b *branch) inner() []string { return called(b.full()) }

// unwrapped descends while a folder holds nothing but one folder with the labels: train/train/ants,
// test/images/ants.
func (b *branch) unwrapped() *branch {
	for b.direct == 0 {
		kids := b.full()
		if len(kids) != 1 || kids[0].direct > 0 || len(kids[0].full()) < 2 {
			break
		}
		b = kids[0]
	}
	return b
}

// unlabelled reports whether the pictures of a split lie in no label folders: directly in it, or in
// one folder whose name is not a label.
func (b *branch) unlabelled() bool {
	kids := b.full()
	return len(kids) == 0 || len(kids) == 1 && saysNothing(kids[0].name)
}

// layoutOf decides what the folders mean: LABEL/x.jpg, train/LABEL/x.jpg, LABEL/train/x.jpg or
// x.jpg. If they look like splits and it is unclear which is which, it returns an error, unless
// labelFolders says that the top folders are labels. name is for messages.
func layoutOf(name string, l listing, labelFolders bool) (layout, error) {
	r := reading{name: name, listing: l, root: branches(l)}
	kids := r.root.full()
	switch {
	case len(l.dirs) == 0, len(kids) == 0 && r.root.direct > 0:
		return layout{flat: true}, nil
	case labelFolders:
		return labelsIn(r.root), nil
	}
	if inside := r.inside(); inside != "" {
		return layout{inside: inside}, nil
	}
	if y, ok := r.splitsInLabels(); ok {
		return y, nil
	}
	return r.splits()
}

// labelsIn is the layout in which each folder of b is a label.
func labelsIn(b *branch) layout {
	y := newLayout("beside the label folders, so it has no label")
	for _, s := range b.sub {
		y.labels[s.rel] = slot{label: s.name}
	}
	return y
}

// A reading is a folder whose layout is being determined.
type reading struct {
	name    string
	listing listing
	root    *branch
}

// inside returns the subfolder that holds everything, if the folder above it was named:
// archive/photos/ants is read as photos/ants. A few pictures beside it, such as a banner, do not
// count.
func (r reading) inside() string {
	kids := r.root.full()
	if len(kids) != 1 || 10*r.root.direct > r.root.total {
		return ""
	}
	only := kids[0]
	below := only.full()
	if 10*only.direct > only.total || len(below) == 0 {
		return ""
	}
	if n, ok := splitNamed(only.name); ok && n.sure {
		// train/ants is a split with its labels, but train_data/train/ants is not.
		if !slices.ContainsFunc(below, func(b *branch) bool { n, ok := splitNamed(b.name); return ok && n.sure && len(b.full()) > 0 }) {
			return ""
		}
	}
	if len(below) > 1 {
		return only.rel
	}
	if n, ok := splitNamed(below[0].name); ok && n.sure && len(below[0].full()) > 0 {
		return only.rel
	}
	deeper := reading{name: r.name, root: only}
	return deeper.inside()
}

// splitsInLabels recognises ants/train/x.jpg, ants/test/x.jpg, bees/train/x.jpg, ...
func (r reading) splitsInLabels() (layout, bool) {
	kids := r.root.full()
	y := newLayout("in no folder of a label and a split")
	train := false
	if !slices.ContainsFunc(kids, func(b *branch) bool { n, ok := splitNamed(b.name); return !ok || !n.sure }) {
		return layout{}, false // train/train, test/test
	}
	for _, kid := range kids {
		seen := map[Split]bool{}
		for _, b := range kid.full() {
			n, ok := splitNamed(b.name)
			if !ok || !n.sure || seen[n.split] || kid.direct > 0 || b.direct == 0 && len(b.full()) > 1 {
				return layout{}, false
			}
			seen[n.split] = true
			train = train || n.split == Train
			y.labels[b.rel] = slot{n.split, kid.name}
		}
		if len(seen) == 0 {
			return layout{}, false
		}
	}
	return y, train && len(kids) > 1
}

// A candidate is a folder whose name means a split.
type candidate struct {
	*branch
	splitName
	body *branch // the folder with the labels
}

// splits tells splits from labels among the top folders.
func (r reading) splits() (layout, error) {
	var named []candidate
	var others []*branch
	for _, kid := range r.root.full() {
		if n, ok := splitNamed(kid.name); ok {
			named = append(named, candidate{kid, n, kid.unwrapped()})
		} else {
			others = append(others, kid)
		}
	}
	// A name such as dev_board only means a split if the folder holds the same labels as another.
	var kept []candidate
	for _, c := range named {
		like := func(o candidate) bool { return o.branch != c.branch && share(o.body.inner(), c.body.inner()) > 0 }
		switch {
		case c.sure || slices.ContainsFunc(named, like):
			kept = append(kept, c)
		default:
			others = append(others, c.branch)
		}
	}
	named = kept
	switch labelled := slices.DeleteFunc(slices.Clone(named), func(c candidate) bool { return c.body.unlabelled() }); {
	case len(named) == 0:
		return r.noSplits(others)
	case len(labelled) == 0:
		return r.flatSplits(named, others)
	default:
		return r.namedSplits(named, labelled, others)
	}
}

// share returns the fraction of the shorter list that is in both.
func share(a, b []string) float64 {
	both := 0
	for _, n := range a {
		if slices.Contains(b, n) {
			both++
		}
	}
	return float64(both) / float64(max(min(len(a), len(b)), 1))
}

// alike reports whether two folders hold folders of nearly the same names, at least two.
func alike(a, b []string) bool {
	return min(len(a), len(b)) >= 2 && share(a, b)*float64(min(len(a), len(b))) >= 0.8*float64(max(len(a), len(b)))
}

// quoted lists names for messages.
func quoted(list []string) string {
	const shown = 6
	out := make([]string, 0, shown)
	for i, n := range list {
		if i == shown {
			return strings.Join(out, ", ") + fmt.Sprintf(" and %d more", len(list)-shown)
		}
		out = append(out, fmt.Sprintf("%q", n))
	}
	return strings.Join(out, ", ")
}

// labelFoldersFix is the advice for folders that are labels after all.
const labelFoldersFix = "or, if the top folders are the labels, say so with --label-folders (in Go, LabelFolders)"

// namedSplits is the layout in which the names of folders say which split they are.
func (r reading) namedSplits(named, labelled []candidate, others []*branch) (layout, error) {
	y := newLayout("outside the folders of the splits")
	taken := map[Split]candidate{}
	for _, sure := range []bool{true, false} {
		for _, c := range labelled {
			if c.sure != sure {
				continue
			}
			other, twice := taken[c.split]
			switch {
			case twice && other.sure && !c.sure:
				y.apart[c.rel] = fmt.Sprintf("the folder %s is already the split %s", other.name, c.split)
			case twice:
				return y, advice.New(fmt.Errorf("datasets: %s has two folders that mean the split %q: %q and %q", r.name, c.split, other.name, c.name), "keep one")
			default:
				taken[c.split] = c
			}
		}
	}
	_, train := taken[Train]
	if !train && len(others) > 0 {
		return r.withoutTrain(y, taken, others)
	}
	for _, o := range others {
		body := o.unwrapped()
		if train && len(taken) == 1 && alike(body.inner(), taken[Train].body.inner()) {
			return y, advice.New(fmt.Errorf("datasets: %s has a folder %q with the same folders (%s) as %q, and it is unclear which split it is", r.name, o.name, quoted(body.inner()), taken[Train].name), "rename it valid or test, or move it elsewhere, %s", labelFoldersFix)
		}
	}
	for s, c := range taken {
		y.fill(c.body, s)
		y.apart[c.rel] = "in no label folder, so it has no label"
	}
	for _, c := range named {
		if c.body.unlabelled() {
			y.apart[c.rel] = "in no label folder, so it has no label"
		}
	}
	return y, nil
}

// fill makes each folder of b a label of the split.
func (y *layout) fill(b *branch, s Split) {
	for _, sub := range b.sub {
		y.labels[sub.rel] = slot{s, sub.name}
	}
}

// withoutTrain is the layout with a folder test or valid, but none that is called train.
func (r reading) withoutTrain(y layout, taken map[Split]candidate, others []*branch) (layout, error) {
	var inner, splits []string
	for _, s := range splitOrder {
		if c, ok := taken[s]; ok {
			inner = append(inner, c.body.inner()...)
			splits = append(splits, c.name)
			y.fill(c.body, s)
			y.apart[c.rel] = "in no label folder, so it has no label"
		}
	}
	slices.Sort(inner)
	inner = slices.Compact(inner)
	if share(inner, called(others)) == 1 && len(others) >= 2 { // ants, bees, test/ants, test/bees
		for _, o := range others {
			y.labels[o.rel] = slot{Train, o.name}
		}
		y.warn("the folders %s beside %s are taken for train", quoted(called(others)), quoted(splits))
		return y, nil
	}
	var like []*branch
	for _, o := range others {
		if alike(o.unwrapped().inner(), inner) {
			like = append(like, o)
		}
	}
	if len(like) == 1 {
		y.fill(like[0].unwrapped(), Train)
		y.warn("the folder %q holds the same folders as %s and is taken for train", like[0].name, quoted(splits))
		return y, nil
	}
	pictures := 0
	for _, o := range others {
		pictures += o.total
	}
	if 10*pictures <= r.root.total { // figures of a paper, not pictures to train on
		return y, nil
	}
	return y, advice.New(fmt.Errorf("datasets: %s has %s, which looks like a split, beside %s, and it is unclear what to train on", r.name, quoted(splits), quoted(called(others))),
		"call the folder to train on train, with a folder for each label in it, or move %s elsewhere, %s", quoted(splits), labelFoldersFix)
}

// flatSplits is the layout of folders that are named like splits and hold no label folders.
func (r reading) flatSplits(named []candidate, others []*branch) (layout, error) {
	var splits []string
	found := map[Split]bool{}
	for _, c := range named {
		splits = append(splits, c.name)
		found[c.split] = true
	}
	switch {
	case len(others) > 0 && len(found) == 1 && found[Train]: // a picture may show a train
		y := labelsIn(r.root)
		return y, nil
	case len(others) > 0:
		return layout{}, advice.New(fmt.Errorf("datasets: %s has %s, which looks like a split without labels, beside %s", r.name, quoted(splits), quoted(called(others))),
			"move it elsewhere, %s", labelFoldersFix)
	}
	fix := "put the pictures of each label in a folder of its own, as in train/ants, or list them in a CSV file"
	if tables := r.tables(); len(tables) > 0 {
		fix = fmt.Sprintf("if %s says what they show, open it instead, otherwise put the pictures of each label in a folder of its own, as in train/ants", strings.Join(tables, " or "))
	}
	return layout{}, mark(ErrNoPictures, advice.New(fmt.Errorf("datasets: no picture with a label in %s: those of %s lie in no label folder", r.name, quoted(splits)), "%s", fix))
}

// tables returns the paths of CSV files beside the pictures.
func (r reading) tables() []string {
	var found []string
	for _, f := range r.listing.files {
		if ext := strings.ToLower(path.Ext(f)); (ext == ".csv" || ext == ".tsv") && strings.Count(f, "/") < 2 && len(found) < 3 {
			found = append(found, path.Join(filepath.ToSlash(r.name), f))
		}
	}
	return found
}

// noSplits is the layout of folders without the name of a split: they are labels, unless they hold
// the same folders.
func (r reading) noSplits(kids []*branch) (layout, error) {
	y := labelsIn(r.root)
	if sets := holders(kids); len(sets) == 1 && 10*sets[0].total >= 9*r.root.total {
		return layout{inside: sets[0].rel}, nil
	} else if len(sets) > 0 {
		return y, advice.New(fmt.Errorf("datasets: %s of %s hold splits of their own (%s)", quoted(called(sets)), r.name, quoted(sets[0].inner())),
			"name one of them, such as %s, %s", path.Join(filepath.ToSlash(r.name), sets[0].rel), labelFoldersFix)
	}
	if both := splitAndLabel(kids); len(both) > 0 {
		return y, advice.New(fmt.Errorf("datasets: the names %s of %s seem to say both a split and a label", quoted(both), r.name),
			"put each label into a folder of its split, as train/ants, %s", labelFoldersFix)
	}
	var same []*branch
	pictures := 0
	for _, kid := range kids {
		inner := telling(kid.unwrapped().inner())
		if 10*kid.direct <= kid.total && (len(same) == 0 && len(inner) >= 2 || len(same) > 0 && alike(inner, telling(same[0].unwrapped().inner()))) {
			same = append(same, kid)
			pictures += kid.total
		}
	}
	if len(same) >= 2 && 10*pictures >= 9*r.root.total {
		inner := same[0].unwrapped().inner()
		if numbered(same) {
			return y, advice.New(fmt.Errorf("datasets: the folders %s of %s hold the same folders (%s), so they look like folds or parts of one set", quoted(called(same)), r.name, quoted(inner)),
				"put the pictures of each label into one folder and cross-validate with --folds %d, or name two of the folders train and valid, %s", max(len(same), 2), labelFoldersFix)
		}
		if len(same) <= 3 {
			return y, advice.New(fmt.Errorf("datasets: the folders %s of %s hold the same folders (%s), so they look like splits, and their names do not say which is which", quoted(called(same)), r.name, quoted(inner)),
				"rename them train, valid and test, or name one of them alone, such as %s, %s", path.Join(filepath.ToSlash(r.name), same[0].rel), labelFoldersFix)
		}
		y.warn("each of %s holds the same folders (%s): the outer ones are taken for labels", quoted(called(same)), quoted(inner))
		return y, nil
	}
	labels := map[string]bool{}
	for _, kid := range kids {
		labels[kid.name] = true
	}
	for _, kid := range kids {
		inner := kid.inner()
		foreign := slices.ContainsFunc(inner, func(n string) bool { return !labels[n] || n == kid.name })
		if len(inner) >= 2 && !foreign && 10*kid.direct <= kid.total {
			delete(y.labels, kid.rel)
			y.apart[kid.rel] = "in a folder that holds folders named like those beside it, as a copy does"
		}
	}
	for _, kid := range kids {
		if slices.Contains(containers, strings.ToLower(kid.name)) {
			y.warn("the folder %q is taken for a label; if it is not one, sort its pictures into label folders or list them in a CSV file", kid.name)
		}
	}
	if outer := nested(kids); len(outer) > 0 {
		y.warn("the labels are the outer folders, as %s; the folders in them (%s) are not told apart", quoted(called(outer[:1])), quoted(outer[0].inner()))
	}
	return y, nil
}

// containers are folder names that are rarely labels.
var containers = []string{"image", "images", "img", "imgs", "data", "dataset", "pictures", "files", "annotations", "masks", "labels"}

// telling leaves out names such as images, which are not labels.
func telling(names []string) []string {
	return slices.DeleteFunc(names, saysNothing)
}

// holders returns the folders that hold splits with labels: data sets of their own.
func holders(kids []*branch) []*branch {
	return slices.DeleteFunc(slices.Clone(kids), func(b *branch) bool {
		return !slices.ContainsFunc(b.full(), func(s *branch) bool {
			n, ok := splitNamed(s.name)
			return ok && n.sure && n.split == Train && s.direct == 0 && len(s.unwrapped().full()) > 1
		})
	})
}

// splitAndLabel returns the names of folders such as train_ants, test_ants, train_bees, test_bees.
func splitAndLabel(kids []*branch) (names []string) {
	rests := map[string]map[Split]bool{}
	for _, k := range kids {
		n, ok := splitNamed(k.name)
		if !ok {
			continue
		}
		words := slices.DeleteFunc(nameWords(k.name), func(w string) bool { _, split := folderWords[w]; return split })
		rest := strings.Join(words, " ")
		if rests[rest] == nil {
			rests[rest] = map[Split]bool{}
		}
		rests[rest][n.split] = true
		names = append(names, k.name)
	}
	for _, splits := range rests {
		if len(splits) > 1 && len(rests) > 1 {
			return names
		}
	}
	return nil
}

// nested returns kids if each of them holds several folders and no pictures of its own; else nil.
func nested(kids []*branch) []*branch {
	for _, k := range kids {
		if k.direct > 0 || len(k.full()) < 2 {
			return nil
		}
	}
	return kids
}

// numbered reports whether folders differ only in their numbers: fold1, fold2; 1, 2, 3.
func numbered(list []*branch) bool {
	bare := func(b *branch) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsDigit(r) {
				return -1
			}
			return unicode.ToLower(r)
		}, b.name)
	}
	for _, b := range list {
		if bare(b) != bare(list[0]) || bare(b) == strings.ToLower(b.name) {
			return false
		}
	}
	return true
}
