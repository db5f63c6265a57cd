//go:build !tlkit_worker

package tlkit

import (
	"context"
	"fmt"

	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/audit"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// Audit looks for leaks between splits, wrong labels and poor pictures in the data before anything is
// learnt, shows what it finds as tables and a figure, and returns it. Nothing is changed: write proposals
// with WriteChanges, go through them, and set Learner.Changes. See package audit.
func (l Learner) Audit() *audit.Report {
	var out *audit.Report
	verb("Audit", func(ctx context.Context) error {
		s, p, err := l.spec(ctx)
		if err != nil {
			return err
		}
		out, err = s.Audit(ctx, p, reporter{})
		if err != nil {
			return err
		}
		show.Default.Clear()
		show.Default.Text(fmt.Sprintf("%s: %d pictures, %d findings, %d of them serious", words.Plain(out.Name), out.Pictures, len(out.Findings), out.Serious()))
		for _, n := range out.Notes {
			show.Default.Text(n)
		}
		for _, k := range out.Kinds() {
			show.Default.Table(show.Table{Header: []string{string(k), "why"}, Rows: out.Rows(k, 5), Left: 2})
		}
		if len(out.Findings) == 0 {
			return nil
		}
		return pictures(out.Name, "audit", out.Figure())
	})
	return out
}
