package tlkit

import (
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// showOn shows a value. Values whose fields say little about them have a form of their own here.
func showOn(s *show.Screen, v any) error {
	switch v := v.(type) {
	case []curves.Run:
		return s.Figure("curves", plots.Curves(v...))
	case curves.Run:
		return s.Figure("curves", plots.Curves(v))
	case metrics.Confusion:
		return s.Figure("confusion", plots.Confusion(v))
	case finetune.RateFind:
		return s.Figure("rates", plots.Rates(v.Rates, v.Losses, v.Suggested))
	case *finetune.RateFind:
		if v != nil {
			return showOn(s, *v)
		}
	case *zoo.Net:
		if v != nil && v.Declaration() != nil {
			s.Table(layers(v))
			return nil
		}
	case *finetune.Result:
		if v != nil {
			return showTuned(s, v)
		}
	case *run.Evaluation:
		if v != nil && v.Report != nil {
			t := v.Report.Table()
			s.Table(show.Table{Header: t.Header, Rows: t.Rows, Left: 1})
			s.Text(v.Line())
			return nil
		}
	case *run.Stored:
		if v != nil && v.Result != nil {
			return s.Value(v.Result)
		}
	}
	return s.Value(v)
}

// showTuned shows the plan of fine-tuning, its trials as a table, and the verdict.
func showTuned(s *show.Screen, r *finetune.Result) error {
	s.Text(r.Plan.String())
	if len(r.Trials) > 0 {
		if err := s.Value(r.Trials); err != nil {
			return err
		}
	}
	if r.Why != "" {
		s.Text(r.Why)
	}
	return nil
}
