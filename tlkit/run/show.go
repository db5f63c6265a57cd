package run

import "github.com/tlkit/transfer-learning/tlkit/show"

// ShowOn shows the report as a table, and the score.
func (e *Evaluation) ShowOn(s *show.Screen) error {
	if e == nil || e.Report == nil {
		return s.Value(e)
	}
	t := e.Report.Table()
	s.Table(show.Table{Header: t.Header, Rows: t.Rows, Left: 1})
	s.Text(e.Line())
	return nil
}

// ShowOn shows the result of the run.
func (s *Stored) ShowOn(on *show.Screen) error {
	if s == nil || s.Result == nil {
		return on.Value(s)
	}
	return on.Value(s.Result)
}
