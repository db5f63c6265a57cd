package datasets

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/settings"
)

// Group says which pictures belong together; see [settings.Group].
type Group = settings.Group

// A groupForm is how groups are found.
type groupForm string

const (
	groupColumn groupForm = "column"
	groupFolder groupForm = "folder"
	groupPath   groupForm = "path"
)

// grouping is a parsed Group.
type grouping struct {
	form   groupForm // "" = no groups
	column string
	depth  int
	path   *regexp.Regexp
}

const groupWant = "want column:NAME, folder:N or path:REGEXP, as in column:patient, folder:3 or 'path:patient([0-9]+)'"

// parseGroup reports a group that is in none of the three forms.
func parseGroup(g Group) (grouping, error) {
	if g == "" {
		return grouping{}, nil
	}
	form, rest, _ := strings.Cut(string(g), ":")
	p := grouping{form: groupForm(form)}
	bad := func(why string) error {
		return advice.New(fmt.Errorf("datasets: group %q: %s", string(g), why), groupWant)
	}
	switch {
	case p.form != groupColumn && p.form != groupFolder && p.form != groupPath:
		return p, bad("it does not say where groups are found")
	case rest == "":
		return p, bad("nothing follows the colon")
	}
	switch p.form {
	case groupColumn:
		if p.column = strings.TrimSpace(rest); strings.ContainsAny(p.column, ",=") {
			return p, advice.New(fmt.Errorf("datasets: group %q: the name of the column has a comma or =", string(g)), "give the number of the column, from 1, as in column:3")
		}
	case groupFolder:
		n, err := strconv.Atoi(rest)
		if err != nil || n == 0 {
			return p, bad("it needs the number of a folder, 1 being the first below the root")
		}
		p.depth = n
	case groupPath:
		re, err := regexp.Compile(rest)
		if err != nil {
			return p, bad(err.Error())
		}
		if n := re.NumSubexp(); n > 1 {
			return p, advice.New(fmt.Errorf("datasets: group %q: %d pairs of parentheses, want one around what names the group", string(g), n), "write the others as (?:…)")
		}
		p.path = re
	}
	return p, nil
}

// columns adds the column of the groups to declared columns.
func (p grouping) columns(declared string) string {
	if p.form != groupColumn {
		return declared
	}
	return strings.TrimPrefix(declared+","+p.column+"="+string(roleGroup), ",")
}

// of returns the group of a picture by its path; "" if it has none.
func (p grouping) of(rel string) string {
	if p.form == groupPath {
		m := p.path.FindStringSubmatch(rel)
		if m == nil {
			return ""
		}
		return m[len(m)-1]
	}
	folders := strings.Split(rel, "/")
	folders = folders[:len(folders)-1]
	i := p.depth - 1
	if p.depth < 0 {
		i = len(folders) + p.depth
	}
	if i < 0 || i >= len(folders) {
		return ""
	}
	return folders[i]
}

// Groups returns the number of groups; 0 if none are declared.
func (d *Dataset) Groups() int {
	names := map[string]bool{}
	for _, it := range d.Items {
		if it.Group != "" {
			names[it.Group] = true
		}
	}
	return len(names)
}

// group sets the groups of the items, and reports groups that cannot be meant.
func (d *Dataset) group(g Group) error {
	p, err := parseGroup(g)
	if err != nil {
		return err
	}
	switch {
	case p.form == "" && !d.grouped:
		return nil
	case p.form == groupColumn && !d.grouped:
		return advice.New(fmt.Errorf("datasets: %s has no columns, so that there is no column %q with groups", d.Name, p.column), "use folder:N or path:REGEXP, or open a CSV file")
	case p.form != "" && p.form != groupColumn && d.grouped:
		return advice.New(fmt.Errorf("datasets: groups by %s and by a column of the table", g), "choose one of them")
	case p.form != "" && p.form != groupColumn:
		for i := range d.Items {
			d.Items[i].Group = p.of(d.Items[i].Rel)
		}
	}
	d.grouped = true
	return d.checkGroups(p)
}

// checkGroups reports pictures without a group, and groups that divide nothing.
func (d *Dataset) checkGroups(p grouping) error {
	var without []string
	for _, it := range d.Items {
		if it.Group == "" {
			without = append(without, words.Printable(it.Rel))
		}
	}
	n, all := d.Groups(), len(d.Items)
	names := map[string]bool{}
	for _, it := range d.Items {
		_, split := splitWord(it.Group)
		names[it.Group] = split
	}
	switch {
	case len(without) > 0:
		cause := fmt.Errorf("datasets: %d of %d pictures have no group, such as %s", len(without), all, without[0])
		switch p.form {
		case groupPath:
			return advice.New(cause, "%s must match the path of every picture", p.path)
		case groupFolder:
			return advice.New(cause, "choose a folder that every picture is in; the deepest is folder:-1")
		}
		return advice.New(cause, "fill in the cells of the column; a picture that belongs with no other gets a word of its own")
	case n == 1 && all > 1:
		return advice.New(fmt.Errorf("datasets: all %d pictures are in one group, %s, so that none of them can be held out", all, words.Printable(d.Items[0].Group)), "leave --group out, or find the groups elsewhere: %s", groupWant)
	case !slices.Contains(slices.Collect(maps.Values(names)), false):
		return advice.New(fmt.Errorf("datasets: the groups (%s) are the splits", someOf(slices.Sorted(maps.Keys(names)))), "find the groups elsewhere: %s", groupWant)
	case d.labelsAreGroups():
		return advice.New(errors.New("datasets: no label has pictures in two groups, so that none can be learnt and also measured"), "are the groups the labels? "+groupWant)
	case n == all:
		d.warn("each of the %d pictures is a group of its own, so that the groups change nothing; is that what was meant?", all)
	}
	return nil
}

// labelsAreGroups reports whether each label is in one group only.
func (d *Dataset) labelsAreGroups() bool {
	if d.Task != Classes || len(d.Labels) < 2 {
		return false
	}
	of := map[int]string{}
	for _, it := range d.Items {
		if g, known := of[it.Class]; it.Class < 0 || known && g != it.Group {
			return false
		}
		of[it.Class] = it.Group
	}
	return true
}

// warnOfGroups warns of groups in two splits, and of labels that only one group has.
func (d *Dataset) warnOfGroups() {
	if !d.grouped {
		return
	}
	splits, pictures := map[string][]Split{}, map[string]int{}
	with := make([]map[string]bool, len(d.Labels)) // the groups that have a label
	for _, it := range d.Items {
		pictures[it.Group]++
		if !slices.Contains(splits[it.Group], it.Split) {
			splits[it.Group] = append(splits[it.Group], it.Split)
		}
		for _, k := range it.labels() {
			if with[k] == nil {
				with[k] = map[string]bool{}
			}
			with[k][it.Group] = true
		}
	}
	var leaks []string
	n := 0
	for _, name := range slices.Sorted(maps.Keys(splits)) {
		if len(splits[name]) > 1 {
			leaks = append(leaks, words.Printable(name))
			n += pictures[name]
		}
	}
	if len(leaks) > 0 {
		d.warn("%d of %d groups, with %d pictures, lie in more than one split (%s): the result will look better than it is; move each into one split, or let the groups be dealt: --folds 5",
			len(leaks), len(splits), n, someOf(leaks))
	}
	if d.Task == Values {
		return
	}
	for k, groups := range with {
		if len(groups) == 1 {
			d.warn("the label %q is in one group only, %s: it can be learnt or measured, but not both; add pictures of it from another group",
				d.Labels[k], words.Printable(slices.Collect(maps.Keys(groups))[0]))
		}
	}
}

// someOf lists the first of many names.
func someOf(names []string) string {
	const shown = 5
	if len(names) > shown {
		return strings.Join(names[:shown], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
