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
)

// EnvVar names the folder in which data sets are looked up first: $TLKIT_DATA/NAME.
const EnvVar = "TLKIT_DATA"

// Options say how a data set is opened; the zero value is good.
type Options struct {
	// Offline forbids the network: a ready set that is not on this machine is
	// then ErrNotFetched, with a sentence saying where to put it by hand.
	Offline bool

	// Report gets the progress of fetching or drawing a ready set, such as "downloading
	// hymenoptera": bytes done of total, or pictures while a set is drawn. A total of 0
	// means unknown. It is called from one goroutine at a time and may be nil.
	Report func(what string, done, total int64)

	// Seed chooses which pictures become valid when the data set has no split
	// of its own. The same seed always chooses the same ones.
	Seed uint64

	// ValidFraction is their share of each label, above 0 and below 1; 0 means 0.2.
	ValidFraction float64

	// BadLimit is the share of unreadable files and files that are no pictures
	// up to which they are skipped and reported; above it Open fails with
	// ErrTooManyBad. 0 means 0.05; 1 skips any number.
	BadLimit float64
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
		return fmt.Errorf("datasets: ValidFraction is %v, want above 0 and below 1; 0.2 is usual", o.ValidFraction)
	}
	if o.BadLimit == 0 {
		o.BadLimit = 0.05
	}
	if math.IsNaN(o.BadLimit) || o.BadLimit < 0 {
		return fmt.Errorf("datasets: BadLimit is %v, want 0 to 1; 0.05 is usual", o.BadLimit)
	}
	return nil
}

// Open opens a data set by name or by path.
//
// A plain name (no slash) is looked for as the folder $TLKIT_DATA/NAME, then
// in the table of ready sets (data.Sets), which are fetched or drawn once and
// kept in the cache, then as a folder or CSV file here. Anything with a slash
// in it is a path.
//
// A folder holds train/LABEL/picture beside valid (or val, validation) and
// test, or LABEL/picture, of which a share of each label then becomes valid by
// Options.Seed; pictures with no folder around them have no label. A CSV file
// has the columns path, label and perhaps split, its paths relative to its own
// folder. With a column labels it holds several labels a picture, as a;b, or none
// (the task Labels); without a column of labels each further column is a number to
// learn (the task Values). Labels are numbered in byte order of their names.
//
// A folder whose files are those of a ready set is that set: Dataset.Set says
// so, and files that are not on the set's list are left out and reported.
//
// Nothing is ever silently left out: Dataset.Report names every file that is
// not used. Open fails with ErrTooManyBad when more than Options.BadLimit of
// the files are unusable, with ErrNoPictures when nothing is left, with
// ErrNotFound when there is no such thing. It never writes into the folder.
func Open(ctx context.Context, nameOrDir string, o Options) (*Dataset, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if nameOrDir == "" || strings.ContainsRune(nameOrDir, 0) {
		return nil, mark(ErrNotFound, "datasets: %q is no name of a data set; want a folder, a CSV file or one of %s", nameOrDir, names())
	}
	plain := filepath.Base(nameOrDir) == nameOrDir && nameOrDir != "." && nameOrDir != ".."
	if plain {
		if base := os.Getenv(EnvVar); base != "" {
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
		return nil, mark(ErrNotFound, "datasets: %s is neither a folder nor a file", nameOrDir)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("datasets: opening %s: %w", nameOrDir, err)
	}
	return nil, mark(ErrNotFound, "datasets: no data set %q: there is no such folder or CSV file, no folder of that name in $%s, and the ready sets are %s",
		nameOrDir, EnvVar, names())
}

// names lists the ready sets for messages.
func names() string {
	var n []string
	for _, s := range data.Sets() {
		n = append(n, s.Name)
	}
	return strings.Join(n, ", ")
}

// shadow notes that a folder of the same name lies here too and was not meant.
func shadow(d *Dataset, err error, name string) (*Dataset, error) {
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		if abs, err := filepath.Abs(name); err == nil && abs != d.Root {
			d.warn("%s is read from %s; write ./%s to mean the folder here", name, d.Root, name)
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
	var d *Dataset
	if info.IsDir() {
		d, err = readFolder(ctx, file)
	} else {
		d, err = readCSV(ctx, file)
	}
	if err != nil {
		return nil, err
	}
	return finish(d, o)
}

// openNamed opens a folder below $TLKIT_DATA. When a ready set has its name,
// the folder may also be that set's archive as it was unpacked, with the set
// some folders down.
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
		d.warn("the folder %s is not the ready set %s: its files are others", d.Root, name)
		return d, nil
	}
	if slices.Equal(d.Labels, set.Labels) {
		d.Name, d.Set = set.Name, &set
		d.warn("taken for the ready set %s by its name and labels; its files could not be checked", name)
	}
	return d, nil
}

// finish does what all ways of opening have in common: recognise ready sets,
// split, look for duplicates, count, and judge.
func finish(d *Dataset, o Options) (*Dataset, error) {
	d.badLimit = o.BadLimit
	if err := recognise(d); err != nil {
		return nil, err
	}
	d.split(o)
	d.duplicates()
	d.missingLabels()
	d.recount()
	if err := d.Report.tooMany(o.BadLimit); err != nil {
		return nil, err
	}
	if len(d.Items) == 0 {
		return nil, mark(ErrNoPictures, "datasets: no picture in %s; want JPEG, PNG, GIF or WebP files in one folder per label%s",
			d.Root, listed(slices.Concat(d.Report.NotPicture, d.Report.Skipped), 10))
	}
	return d, nil
}

// split gives every item a split. Pictures without a label are nothing to
// train on and nothing to be judged on: they are test.
func (d *Dataset) split(o Options) {
	switch {
	case len(d.Items) == 0:
	case d.Task == Classes && d.Items[0].Class == Unlabelled:
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
	leaks, contradictions := 0, 0
	for _, dup := range d.Report.Duplicates {
		if len(dup.Splits) > 1 {
			leaks++
		}
		if len(dup.Labels) > 1 {
			contradictions++
		}
	}
	if leaks > 0 {
		d.warn("%d picture(s) lie in more than one split as exact copies: the result will look better than it is; remove the copies from valid and test", leaks)
	}
	switch {
	case contradictions == 0:
	case d.Task == Classes:
		d.warn("%d picture(s) bear more than one label as exact copies; at least one of the labels is wrong", contradictions)
	default:
		d.warn("%d picture(s) bear different %s as exact copies; at most one of them is right: see the list of duplicates", contradictions, d.Task)
	}
}

// missingLabels warns of labels that one split has and another lacks.
func (d *Dataset) missingLabels() {
	if d.Task == Values {
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
				d.warn("the label %q has no picture in %s: nothing will be known about how well it is told apart", l, s)
			}
		}
	}
}
