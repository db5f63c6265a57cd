package tlkit

import (
	"fmt"
	"strconv"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// shown is what Evaluate shows of a report.
type shown struct {
	table  show.Table
	name   string // of the figure
	figure plots.Figure
	worst  []miss
}

// miss is a picture that was not what it was said to be.
type miss struct {
	file string        // slash path below the data set's root
	tile plots.Picture // without pixels
}

// findings lays a report of any task out.
func findings(e *run.Evaluation) shown {
	percent := func(v float64) string { return fmt.Sprintf("%.1f", 100*v) }
	ends := func(i metrics.Interval, times float64, digits int) string {
		if !i.Known() {
			return "-"
		}
		return fmt.Sprintf("%.*f to %.*f", digits, times*i.Low, digits, times*i.High)
	}
	short := func(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
	var s shown
	switch {
	case e.LabelsReport != nil:
		r := e.LabelsReport
		s.name, s.figure = "labels", r.Figure()
		s.table = show.Table{Header: []string{"label", "bear it", "AP %", "95 %", "said from %", "F1 %"}, Left: 1}
		for _, l := range r.Labels {
			ap := "-"
			if l.Support > 0 {
				ap = percent(l.AP)
			}
			s.table.Rows = append(s.table.Rows, []string{l.Label, fmt.Sprintf("%d of %d", l.Support, l.Total), ap, ends(l.Interval, 100, 1), fmt.Sprintf("%.0f", 100*l.Threshold), percent(l.F1)})
		}
		for _, l := range r.TopLosses {
			t := plots.Picture{Truth: l.Label, Prediction: "no " + l.Label, Caption: fmt.Sprintf("loss %.2f", l.Loss)}
			if !l.Truth {
				t.Truth, t.Prediction = t.Prediction, t.Truth
			}
			s.worst = append(s.worst, miss{l.File, t})
		}
	case e.ValuesReport != nil:
		r := e.ValuesReport
		s.name, s.figure = "values", r.Figure()
		s.table = show.Table{Header: []string{"value", "R²", "95 %", "mean error", "RMSE", "deviation"}, Left: 1}
		for _, v := range r.Values {
			s.table.Rows = append(s.table.Rows, []string{v.Name, fmt.Sprintf("%.3f", v.R2), ends(v.Interval, 1, 3), short(v.MAE), short(v.RMSE), short(v.SD)})
		}
		for _, w := range r.Worst {
			s.worst = append(s.worst, miss{w.File, plots.Picture{Truth: w.Name + " " + short(w.True), Prediction: w.Name + " " + short(w.Predicted),
				Caption: fmt.Sprintf("off by %.1f deviations", w.Deviations)}})
		}
	default:
		r := e.Report
		s.name, s.figure = "confusion", r.ConfusionFigure()
		s.table = show.Table{Header: []string{"label", "right", "recall %", "95 %", "precision %"}, Left: 1}
		for _, c := range r.Classes {
			s.table.Rows = append(s.table.Rows, []string{c.Label, fmt.Sprintf("%d of %d", c.Correct, c.Support), percent(c.Recall),
				fmt.Sprintf("%.1f-%.1f", 100*c.RecallInterval.Low, 100*c.RecallInterval.High), percent(c.Precision)})
		}
		for _, l := range r.TopLosses {
			s.worst = append(s.worst, miss{l.File, plots.Picture{Truth: l.Truth, Prediction: l.Predicted, Caption: fmt.Sprintf("loss %.2f", l.Loss)}})
		}
	}
	return s
}
