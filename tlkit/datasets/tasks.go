package datasets

// taskKind is what differs between the tasks where pictures are listed. There is one for each task, in a
// file of its own: classes.go, labels.go, values.go.
type taskKind interface {
	// truth says what is known about an item, see [Dataset.Truth].
	truth(d *Dataset, it Item) string
	// count fills Report.Counts, Totals and Ranges, which are empty.
	count(d *Dataset)
	// check reports what cannot be learnt, see [Dataset.CheckLearning].
	check(d *Dataset) []error
	// contradiction warns of n pictures of which exact copies are labelled otherwise.
	contradiction(n int) string
	// complete reports whether every picture has a value for each name, so that none can lack one.
	complete() bool

	// read reads a line of a CSV file into row, whose file is set. The error is errBare if the line
	// has no label or value.
	read(c *csvColumns, rec []string, row *csvRow) error
	// said is that in words.
	said(t csvTable, r csvRow) string
	// names are the labels, or the names of the values, of the rows whose pictures are readable. It
	// may warn.
	names(d *Dataset, t csvTable, rows []csvRow) ([]string, error)
	// fill sets what is known about an item from its row; class numbers the names.
	fill(it *Item, row csvRow, class map[string]int)
}

// kinds are the tasks there are. A further task has a row here.
var kinds = map[Task]taskKind{"": classKind{}, Classes: classKind{}, Labels: labelKind{}, Values: valueKind{}}

// kind is what the task does where pictures are listed; an unknown task is taken for Classes.
func kindOf(t Task) taskKind {
	if k, ok := kinds[t]; ok {
		return k
	}
	return classKind{}
}
