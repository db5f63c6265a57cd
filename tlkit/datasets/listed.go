package datasets

import (
	"slices"
	"strings"
)

// Listed completes a data set whose items were listed by other means, such as package parts. Name, Root,
// Task, Labels and Items must be set, hashes included. Listed assigns splits where there are none,
// applies Changes and MinPerLabel of o, looks for duplicates and counts, as [Open] does. The files are
// not read.
//
// The errors are those of Open.
func (d *Dataset) Listed(o Options) (*Dataset, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	slices.SortFunc(d.Items, func(a, b Item) int { return strings.Compare(a.Rel, b.Rel) })
	return finish(d, o)
}
