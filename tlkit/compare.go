//go:build !tlkit_worker

package tlkit

import (
	"context"

	"github.com/tlkit/transfer-learning/tlkit/compare"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// Compare ranks networks on a data set or a folder of your own, with the same splits and the same
// kind of head for each. It shows the score of the task (accuracy, mAP or R²), with its interval, and
// time per picture, as a table and a figure, and returns the ranking, best first. models are names,
// families or patterns with *, as tlkit models lists them; without, it takes the networks whose weights
// are on this machine or come in a small package. A network that is not available is listed with the
// reason.
func Compare(data string, models ...string) []compare.Ranked {
	var out []compare.Ranked
	verb("Compare", func(ctx context.Context) error {
		s, p, err := Learner{Name: "compare", Data: data}.spec(ctx)
		if err != nil {
			return err
		}
		c, err := compare.Run(ctx, compare.Spec{Data: s.Data, Columns: s.Columns, Models: models, Seed: s.Seed, LabelFolders: s.LabelFolders, MinPerLabel: s.MinPerLabel, Changes: s.Changes, Group: s.Group}, p, reporter{})
		if c == nil {
			return err
		}
		show.Default.Clear()
		if len(c.Ranked) > 0 {
			table := c.Table()
			show.Default.Table(show.Table{Header: table[0], Rows: table[1:], Left: 2})
			show.Default.Folder = c.Folder
			// In the place of the figure that grew.
			if ferr := show.Default.Live("compare", c.Figure()); ferr != nil {
				return ferr
			}
		}
		for _, why := range c.Reasons() {
			show.Default.Text("skipped " + why)
		}
		if w := c.Warning(); w != "" {
			show.Default.Text(w)
		}
		if l := c.Legend(); l != "" {
			show.Default.Text(l)
		}
		show.Default.Text(c.Sentence())
		out = c.Ranked
		return err
	})
	return out
}
