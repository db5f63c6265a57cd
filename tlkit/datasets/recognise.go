package datasets

import (
	"path"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/data"
)

// A folder with at least closeTo of a set's files looks like that set. A folder with all of them
// is the set if it has at most extraShare other files.
const (
	closeTo    = 0.9
	extraShare = 0.05
)

// recognise finds out whether these are the files of a ready set. If they are, files that are not
// on the set's list are left out and reported.
func recognise(d *Dataset) error {
	if len(d.Items) > 0 && d.Items[0].Targets != nil {
		return nil // the same pictures for another task
	}
	for _, set := range data.Sets() {
		files, err := set.Files()
		if err != nil {
			return err
		}
		if len(files) == 0 || len(files) > len(d.Items)+len(files)/10+1 {
			continue
		}
		m := match(d, files)
		switch missing := len(files) - len(m.class); {
		case missing == 0 && (m.extra == 0 || !m.labelled || float64(m.extra) <= extraShare*float64(len(files))):
			d.become(set, m)
			return nil
		case missing == 0:
			d.warn("all pictures of the ready set %s are here, with %d others: taken as a folder of your own", set.Name, m.extra)
			return nil
		case float64(missing) <= (1-closeTo)*float64(len(files)):
			d.warn("this looks like the ready set %s, but %d of its %d pictures are missing or changed: taken as a folder of your own", set.Name, missing, len(files))
			return nil
		}
	}
	return nil
}

// A matching pairs items with the files of a set.
type matching struct {
	class    map[int]data.File // index of the item -> the file it is
	extra    int               // items that are not in the set
	labelled bool              // the folder has labels of its own
}

// match pairs items and files by content. Name, label and split must agree too: a folder in
// which the same pictures are sorted differently is not the set.
func match(d *Dataset, files []data.File) matching {
	byHash := make(map[string]data.File, len(files))
	for _, f := range files {
		byHash[f.SHA256] = f
	}
	m := matching{class: map[int]data.File{}}
	taken := map[string]bool{}
	for i, it := range d.Items {
		m.labelled = m.labelled || it.Class != Unlabelled
		f, ok := byHash[it.SHA256]
		ok = ok && !taken[f.SHA256] && f.Name == path.Base(it.Rel) && f.Split == it.Split
		if ok && it.Class != Unlabelled {
			ok = f.Class == d.Labels[it.Class]
		}
		if !ok {
			m.extra++
			continue
		}
		taken[f.SHA256] = true
		m.class[i] = f
	}
	return m
}

// become makes the data set the ready set.
func (d *Dataset) become(set data.Set, m matching) {
	kept := d.Items[:0:0]
	for i, it := range d.Items {
		f, ok := m.class[i]
		if !ok {
			d.Report.Skipped = append(d.Report.Skipped, Bad{it.Rel, "not a picture of " + set.Name})
			continue
		}
		it.Class = slices.Index(set.Labels, f.Class)
		kept = append(kept, it)
	}
	slices.SortFunc(d.Report.Skipped, func(a, b Bad) int { return strings.Compare(a.Rel, b.Rel) })
	d.Items, d.Labels, d.Name, d.Set = kept, slices.Clone(set.Labels), set.Name, &set
}
