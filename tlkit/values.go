package tlkit

import (
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/results"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// shower is a value with a form of its own. It is an interface, so that a cell need not link the packages
// of such values.
type shower interface {
	ShowOn(s *show.Screen) error
}

// showOn shows a value. Values whose fields say little about them have a form of their own.
func showOn(s *show.Screen, v any) error {
	switch v := v.(type) {
	case []curves.Run:
		return s.Figure("curves", plots.Curves(v...))
	case curves.Run:
		return s.Figure("curves", plots.Curves(v))
	case metrics.Confusion:
		return s.Figure("confusion", plots.Confusion(v))
	case results.RateFind:
		return s.Figure("rates", plots.Rates(v.Rates, v.Losses, v.Suggested))
	case *results.RateFind:
		if v != nil {
			return showOn(s, *v)
		}
	case shower:
		return v.ShowOn(s)
	}
	return s.Value(v)
}
