package datasets

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
)

// envVar is the environment variable with the folder where data sets are looked for first, as
// $TLKIT_DATA/NAME.
const envVar = "TLKIT_DATA"

// Options say how a data set is opened. The zero value is a good choice.
type Options struct {
	// Offline forbids using the network: for a ready set that is not on this machine, Open
	// then returns ErrNotFetched and says where to put the set by hand.
	Offline bool

	// Report gets the progress of fetching or drawing a ready set, such as "downloading
	// hymenoptera": bytes done of total, or pictures while a set is drawn. A total of 0
	// means unknown. It is called from one goroutine at a time and may be nil.
	Report func(what string, done, total int64)

	// Seed chooses the pictures that become Valid if the data set has no split of its own. The
	// same seed always chooses the same pictures.
	Seed uint64

	// ValidFraction is their share of each label, above 0 and below 1; 0 means 0.2.
	ValidFraction float64

	// BadLimit is the largest share of unreadable files, and files that are not pictures, that
	// Open skips and reports; above it, Open fails with ErrTooManyBad. 0 means 0.05; 1 skips
	// any number.
	BadLimit float64

	// LabelFolders takes the top folders for labels, whatever their names and contents. Otherwise
	// Open recognises splits by names and contents, and fails if it is unclear whether folders are
	// splits or labels.
	LabelFolders bool

	// MinPerLabel leaves out labels with fewer pictures in Train, once Valid is chosen, and reports
	// them; 0 keeps all. A picture with several labels loses only those labels. It has no effect on
	// the task Values.
	MinPerLabel int

	// Changes is a CSV file with the columns file, action (drop or relabel) and label, as package audit
	// proposes it: these pictures are left out or get another label, before Valid is chosen. It is an
	// error if the set has no such picture or label. "" = none.
	Changes string

	// Group says which pictures belong together: they get into one split and one fold. A split of the
	// user's own that divides them is reported. It is an error if a picture has no group, or if all are
	// in one. "" = none.
	Group Group

	// Columns declares columns of a CSV file whose names and cells do not tell what they hold:
	// "patient=group, breed=label, fold=split:0". Each entry is a column's name, or its number
	// from 1, and a role:
	//
	//   - path: the picture.
	//   - label: its label.
	//   - labels: its labels; labels:comma says how they are separated (comma, semicolon, bar,
	//     space). Columns of 0 and 1 may be label or labels: then their names are the labels. A
	//     picture may have a row for each of its labels.
	//   - value: a number to learn.
	//   - split: train, valid or test; split:3 means that the rows with a 3 are valid, all others
	//     train.
	//   - group: pictures with the same cell belong together, see [Group].
	//   - ignore: not used.
	//
	// If the columns to learn are declared, other columns that are not understood are ignored. For
	// a folder, which has no columns, Columns must be empty.
	Columns string
}

func (o Options) report(what string, done, total int64) {
	if o.Report != nil {
		o.Report(what, done, total)
	}
}

func (o *Options) complete() error {
	if o.ValidFraction == 0 {
		o.ValidFraction = 0.2
	}
	if !(o.ValidFraction > 0 && o.ValidFraction < 1) {
		return advice.New(fmt.Errorf("datasets: ValidFraction is %v, want above 0 and below 1", o.ValidFraction), "0.2 is usual")
	}
	if o.BadLimit == 0 {
		o.BadLimit = 0.05
	}
	if math.IsNaN(o.BadLimit) || o.BadLimit < 0 {
		return advice.New(fmt.Errorf("datasets: BadLimit is %v, want 0 to 1 (--bad-limit)", o.BadLimit), "0.05 is usual")
	}
	if o.MinPerLabel < 0 {
		return advice.New(fmt.Errorf("datasets: MinPerLabel is %d, want 0 or more (--min-per-label)", o.MinPerLabel), "a head needs at least 2")
	}
	_, err := parseGroup(o.Group)
	return err
}

// Open opens a data set by name or by path.
//
// A plain name without a slash is looked for in three places: as the folder $TLKIT_DATA/NAME,
// in the table of ready sets (data.Sets), which are downloaded or drawn once and kept in the
// cache, and as a folder or CSV file in the current folder. Anything with a slash is a path.
//
// A folder contains train/LABEL/PICTURE, and valid or test in the same form, or
// LABEL/train/PICTURE; or LABEL/PICTURE, and then Options.Seed chooses a share of each label as
// Valid. Splits may have other names, such as val, training_set, seg_test or dev, and all of this
// may lie one or more folders deeper. If folders look like splits and it is unclear which is which,
// Open fails; see Options.LabelFolders. Symbolic links are followed, except in circles. Files that
// systems and editors leave behind (Thumbs.db, @eaDir, .git) are ignored.
//
// A CSV or TSV file has a column that names pictures below its folder, and columns to learn: a
// label; several labels in one cell, as in a;b, or a column of 0 and 1 for each label (the task
// Labels, unless each picture has exactly one); or numbers (the task Values). It may have a split:
// a column of words, a column such as is_valid, or a fold that Options.Columns holds out. Open
// infers the role of each column from its name and cells, and Report.Table says how. A column that
// is not understood is an error until Options.Columns declares it. Whole numbers can be classes or
// quantities: unless the column's name suggests a measurement (x, age, reach_mm), declare it.
// Labels are numbered in byte order of their names. Pictures are JPEG, PNG, GIF,
// WebP, BMP, TIFF or PNM files.
//
// If the files of a folder are those of a ready set, the result is that set: Dataset.Set is
// set, and files that are not on the set's list are left out and reported.
//
// No file is left out silently: Dataset.Report names every file that is not used. Open fails
// with ErrTooManyBad if more than Options.BadLimit of the files are unusable, with
// ErrNoPictures if no picture is left, and with ErrNotFound if there is no such data set. It
// never writes into the folder.
func Open(ctx context.Context, nameOrDir string, o Options) (*Dataset, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if nameOrDir == "" || strings.ContainsRune(nameOrDir, 0) {
		return nil, mark(ErrNotFound, advice.New(fmt.Errorf("datasets: %q is not the name of a data set", nameOrDir), "want a folder, a CSV file or one of %s", names()))
	}
	plain := filepath.Base(nameOrDir) == nameOrDir && nameOrDir != "." && nameOrDir != ".."
	if plain {
		if base := os.Getenv(envVar); base != "" {
			dir := filepath.Join(base, nameOrDir)
			if info, err := os.Stat(dir); err == nil && info.IsDir() {
				d, err := openNamed(ctx, dir, nameOrDir, o)
				return shadow(d, err, nameOrDir)
			}
		}
		if set, ok := data.FindSet(nameOrDir); ok {
			d, err := openReady(ctx, set, o)
			return shadow(d, err, nameOrDir)
		}
	}
	info, err := os.Stat(nameOrDir)
	switch {
	case err == nil && (info.IsDir() || info.Mode().IsRegular()):
		return openPath(ctx, nameOrDir, o)
	case err == nil:
		return nil, mark(ErrNotFound, fmt.Errorf("datasets: %s is neither a folder nor a file", nameOrDir))
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("datasets: opening %s: %w", nameOrDir, err)
	}
	missing := fmt.Errorf("datasets: no data set %q: there is no such folder or CSV file, no folder of that name in $%s, and the ready sets are %s", nameOrDir, envVar, names())
	if near := nearest(nameOrDir, plain); near != "" {
		missing = advice.New(missing, "did you mean %s?", near)
	}
	return nil, mark(ErrNotFound, missing)
}

// nearest returns a folder, table or ready set with a name like the one typed; "" if there is none.
func nearest(typed string, ready bool) string {
	dir := filepath.Dir(typed)
	entries, err := os.ReadDir(dir)
	if err != nil && !ready {
		if dir == filepath.Dir(dir) {
			return ""
		}
		up := nearest(dir, false) // the folder above is misspelt
		if whole := filepath.Join(up, filepath.Base(typed)); up != "" {
			if _, err := os.Stat(whole); err == nil {
				return whole
			}
		}
		return up
	}
	var all []string
	if ready {
		for _, s := range data.Sets() {
			all = append(all, s.Name)
		}
	}
	for _, e := range entries {
		ext := strings.ToLower(filepath.Ext(e.Name()))
		if (e.IsDir() || e.Type()&fs.ModeSymlink != 0 || ext == ".csv" || ext == ".tsv") && !strings.HasPrefix(e.Name(), ".") {
			all = append(all, e.Name())
		}
	}
	near := words.Nearest(filepath.Base(typed), all)
	if near == "" {
		return ""
	}
	return filepath.Join(dir, near)
}

// names lists the ready sets for messages.
func names() string {
	var n []string
	for _, s := range data.Sets() {
		n = append(n, s.Name)
	}
	return strings.Join(n, ", ")
}

// shadow warns if the current folder also contains a folder of the same name.
func shadow(d *Dataset, err error, name string) (*Dataset, error) {
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		if abs, err := filepath.Abs(name); err == nil && abs != d.Root {
			d.warn("%s is read from %s; write ./%s for the folder of that name here", name, d.Root, name)
		}
	}
	return d, nil
}

// openPath reads a folder or a CSV file.
func openPath(ctx context.Context, file string, o Options) (*Dataset, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("datasets: %w", err)
	}
	by, err := parseGroup(o.Group)
	if err != nil {
		return nil, err
	}
	var d *Dataset
	if info.IsDir() && o.Columns != "" {
		return nil, advice.New(fmt.Errorf("datasets: %s is a folder, which has no columns to declare as %q", file, o.Columns), "leave --column out, or name a CSV file")
	}
	if info.IsDir() {
		d, err = readFolder(ctx, file, o)
	} else if err = checkTable(file); err == nil {
		d, err = readCSV(ctx, file, by.columns(o.Columns))
	}
	if err != nil {
		return nil, err
	}
	return finish(d, o)
}

// openNamed opens a folder below $TLKIT_DATA. If a ready set has its name, the folder may also
// be the unpacked archive of that set, with the set in a folder below.
func openNamed(ctx context.Context, dir, name string, o Options) (*Dataset, error) {
	set, ready := data.FindSet(name)
	d, first := openPath(ctx, dir, o)
	if !ready || first == nil && d.Set != nil {
		return d, first
	}
	for inside := set.Inside; inside != ""; {
		inner := filepath.Join(dir, filepath.FromSlash(inside))
		if info, err := os.Stat(inner); err == nil && info.IsDir() {
			if d, err := openPath(ctx, inner, o); err == nil && d.Set != nil && d.Set.Name == name {
				return d, nil
			}
		}
		_, inside, _ = strings.Cut(inside, "/")
	}
	if first != nil {
		return nil, first
	}
	files, err := set.Files()
	if err != nil {
		return nil, err
	}
	if len(files) > 0 {
		d.warn("the folder %s is not the ready set %s: its files are different", d.Root, name)
		return d, nil
	}
	if slices.Equal(d.Labels, set.Labels) {
		d.Name, d.Set = set.Name, &set
		d.warn("taken for the ready set %s by its name and labels; its files could not be checked", name)
	}
	return d, nil
}

// finish does what all ways of opening have in common: it recognises ready sets, assigns splits,
// looks for duplicates, counts, and checks the limits.
func finish(d *Dataset, o Options) (*Dataset, error) {
	d.badLimit = o.BadLimit
	if err := recognise(d); err != nil {
		return nil, err
	}
	if err := d.correct(o.Changes); err != nil {
		return nil, err
	}
	if err := d.group(o.Group); err != nil {
		return nil, err
	}
	d.split(o)
	d.leaveOutSmall(o.MinPerLabel)
	d.duplicates()
	d.warnOfGroups()
	d.missingLabels()
	d.recount()
	if err := d.Report.tooMany(o.BadLimit); err != nil {
		return nil, err
	}
	if len(d.Items) == 0 {
		return nil, mark(ErrNoPictures, advice.New(fmt.Errorf("datasets: no picture in %s", d.Root), "want JPEG, PNG, GIF, WebP, BMP, TIFF or PNM files in one folder per label%s", listed(slices.Concat(d.Report.NotPicture, d.Report.Skipped), 10)))
	}
	return d, nil
}

// split assigns a split to every item. Pictures without a label can neither be trained nor
// measured on: they become Test.
func (d *Dataset) split(o Options) {
	switch {
	case len(d.Items) == 0:
	case d.Items[0].Class == Unlabelled && d.Items[0].Targets == nil:
		for i := range d.Items {
			d.Items[i].Split = Test
		}
	case d.Items[0].Split == "":
		d.Dealt = true
		stratify(d.Items, o.ValidFraction, o.Seed)
	case d.Evaluation() == "":
		d.Dealt = true
		stratify(d.Items, o.ValidFraction, o.Seed)
		d.warn("there is only train: %.0f %% of it was set aside as valid by seed %d", 100*o.ValidFraction, o.Seed)
	}
}

// duplicates reports files with the same content.
func (d *Dataset) duplicates() {
	for _, g := range groups(d.Items) {
		if len(g) < 2 {
			continue
		}
		dup := Duplicate{SHA256: d.Items[g[0]].SHA256}
		for _, i := range g {
			it := d.Items[i]
			dup.Files = append(dup.Files, it.Rel)
			if !slices.Contains(dup.Splits, it.Split) {
				dup.Splits = append(dup.Splits, it.Split)
			}
			if l := d.Truth(it); !slices.Contains(dup.Labels, l) {
				dup.Labels = append(dup.Labels, l)
			}
		}
		d.Report.Duplicates = append(d.Report.Duplicates, dup)
	}
	// Copies count as often as they are there: in what is learnt, and in what is measured.
	if n := d.contents(); len(d.Items) > 4 && n*2 <= len(d.Items) {
		d.warn("the %d pictures are exact copies of %d, and each counts: intervals are too narrow; tlkit audit %s --csv changes.csv proposes which to leave out", len(d.Items), n, d.Name)
	}
	leaks := d.Report.Leaks()
	contradictions := slices.DeleteFunc(slices.Clone(d.Report.Duplicates), func(dup Duplicate) bool { return len(dup.Labels) < 2 })
	if n := len(leaks); n > 0 {
		d.warn("%d picture(s) lie in more than one split as exact copies: the result will look better than it is; remove the copies from valid and test: %s", n, copies(leaks))
	}
	if n := len(contradictions); n > 0 {
		d.warn("%s: %s; delete the wrong ones, or list them in a CSV file with the columns file and action (drop): --changes FILE", kindOf(d.Task).contradiction(n), copies(contradictions))
	}
}

// copies names the files of some duplicates.
func copies(dups []Duplicate) string {
	const shown = 5
	var out []string
	for i, dup := range dups {
		if i == shown {
			return strings.Join(out, ", ") + fmt.Sprintf(" and %d more", len(dups)-shown)
		}
		files := make([]string, 0, shown)
		for k, f := range dup.Files {
			if k == shown {
				files = append(files, "…")
				break
			}
			files = append(files, words.Printable(f))
		}
		out = append(out, strings.Join(files, " = "))
	}
	return strings.Join(out, ", ")
}

// missingLabels warns of labels without pictures in some split.
func (d *Dataset) missingLabels() {
	if kindOf(d.Task).complete() {
		return
	}
	have := map[Split]map[int]bool{}
	for _, it := range d.Items {
		if have[it.Split] == nil {
			have[it.Split] = map[int]bool{}
		}
		have[it.Split][it.Class] = true
		for k, v := range it.Targets {
			if v != 0 {
				have[it.Split][k] = true
			}
		}
	}
	for _, s := range splitOrder {
		for c, l := range d.Labels {
			switch {
			case have[s] == nil || have[s][c]:
			case s == Train:
				d.warn("the label %q has no picture in train", l)
			default:
				d.warn("the label %q has no picture in %s: how well it is recognised will not be known", l, s)
			}
		}
	}
}
