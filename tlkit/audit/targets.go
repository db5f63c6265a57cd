package audit

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

const (
	fewestValues   = 20  // pictures for a look at their values
	valueDeviation = 4   // robust standard deviations from which a value is disputed
	leastExplained = 0.3 // share of a value's robust variance; a head that explains less disputes nothing
)

// targets reports labels of pictures with several, and values, that a head disputes which did not learn from
// the picture. There is no proposal what to change them to.
func (a *auditor) targets(ctx context.Context) error {
	var rows []int
	for i, item := range a.items {
		if item.Targets != nil {
			rows = append(rows, i)
		}
	}
	columns := a.learnable(rows)
	if len(columns) == 0 {
		return nil
	}
	s, err := a.predictTargets(ctx, rows, columns)
	if err != nil {
		return err
	}
	for c, column := range columns {
		given, said := make([]float64, len(rows)), make([]float64, len(rows))
		for r := range rows {
			given[r], said[r] = s.given[r*len(columns)+c], s.said[r*len(columns)+c]
		}
		if a.Set.Task == datasets.Values {
			a.disputeValues(rows, column, given, said)
		} else {
			a.disputeLabel(rows, column, given, said)
		}
	}
	return nil
}

// learnable returns the labels that enough pictures have and enough do not, or the values that vary.
func (a *auditor) learnable(rows []int) (columns []int) {
	for c := range a.Set.Labels {
		yes, differ := 0, false
		with, without := map[string]bool{}, map[string]bool{} // groups: one lies in one fold
		for _, i := range rows {
			v := a.items[i].Targets[c]
			differ = differ || v != a.items[rows[0]].Targets[c]
			if v == 1 {
				yes++
				with[a.items[i].Group] = true
			} else {
				without[a.items[i].Group] = true
			}
		}
		switch a.Set.Task {
		case datasets.Labels:
			grouped := !with[""] && !without[""]
			if yes >= labelFolds && len(rows)-yes >= labelFolds && !(grouped && min(len(with), len(without)) < 2) {
				columns = append(columns, c)
			}
		case datasets.Values:
			if differ && len(rows) >= fewestValues {
				columns = append(columns, c)
			}
		}
	}
	return columns
}

// predictedTargets are targets, with what heads say that did not learn from the picture: [rows, columns].
type predictedTargets struct{ given, said []float64 }

// predictTargets fits ridge regression to some of the targets: in closed form, for 0 and 1 too.
func (a *auditor) predictTargets(ctx context.Context, rows, columns []int) (predictedTargets, error) {
	items, x := make([]datasets.Item, len(rows)), make([]float32, 0, len(rows)*a.matrix.Features)
	limits := a.limits(rows, columns)
	for r, i := range rows {
		items[r] = a.items[i]
		items[r].Targets = nil
		for k, c := range columns {
			items[r].Targets = append(items[r].Targets, min(max(a.items[i].Targets[c], limits[k][0]), limits[k][1]))
		}
		x = append(x, a.matrix.Row(i)...)
	}
	s := task.Values{}.Samples(items, x, len(columns))
	if len(rows) > manyRows {
		s.X, s.Features = project(x, s.Features, fewer), fewer
	}
	fit, err := head.Ridge(ctx, s, head.RidgeOptions{
		Folds:    datasets.Folds(items, labelFolds, a.Seed),
		Progress: func(done, total int) { a.Progress("checking labels", done, total) },
	})
	if err != nil {
		return predictedTargets{}, err
	}
	out := predictedTargets{}
	for r, i := range rows {
		for k, c := range columns {
			out.given = append(out.given, a.items[i].Targets[c])
			out.said = append(out.said, float64(fit.OutOfFold[r*len(columns)+k]))
		}
	}
	return out, nil
}

// limits are between which targets are learnt from: a slipped decimal point must not bend what it is judged by.
func (a *auditor) limits(rows, columns []int) (all [][2]float64) {
	for _, c := range columns {
		values := make([]float64, len(rows))
		for r, i := range rows {
			values[r] = a.items[i].Targets[c]
		}
		middle, deviation := robust(values)
		if deviation < 1e-6 { // most are equal
			all = append(all, [2]float64{slices.Min(values), slices.Max(values)})
			continue
		}
		all = append(all, [2]float64{middle - valueDeviation*deviation, middle + valueDeviation*deviation})
	}
	return all
}

// disputeLabel reports pictures that seem to lack a label, or to have it by mistake: confident learning for each
// label by itself, against what pictures with and without it usually get.
func (a *auditor) disputeLabel(rows []int, column int, given, said []float64) {
	var usual, count [2]float64
	for r, v := range said {
		said[r] = min(max(v, 0), 1)
		k := int(given[r])
		usual[k] += said[r]
		count[k]++
	}
	with, without := usual[1]/max(count[1], 1), usual[0]/max(count[0], 1)
	name := a.Set.Labels[column]
	for r, i := range rows {
		f := a.of(WrongLabel, i)
		f.Score = math.Abs(said[r] - given[r])
		switch {
		case given[r] == 0 && said[r] >= max(with, 0.5):
			f.Labels, f.Suggested = []string{"no " + name}, name
			f.Why = fmt.Sprintf("may show %s: score %.2f, pictures with that label get %.2f", name, said[r], with)
		case given[r] == 1 && said[r] <= min(without, 0.5):
			f.Labels, f.Suggested = []string{name}, "no "+name
			f.Why = fmt.Sprintf("may not show %s: score %.2f, pictures without that label get %.2f", name, said[r], without)
		default:
			continue
		}
		a.add(f)
	}
}

// disputeValues reports values that are far from what the head says, by the usual distance.
func (a *auditor) disputeValues(rows []int, column int, given, said []float64) {
	off := make([]float64, len(rows))
	for r := range rows {
		off[r] = said[r] - given[r]
	}
	middle, deviation := robust(off)
	if _, before := robust(given); deviation*deviation > (1-leastExplained)*before*before {
		return
	}
	for r, i := range rows {
		z := math.Abs(off[r]-middle) / deviation
		if z < valueDeviation {
			continue
		}
		f := a.of(WrongValue, i)
		f.Labels, f.Score = []string{a.Set.Labels[column]}, z
		f.Why = fmt.Sprintf("%s is %.4g, and looks like %.4g: %.1f standard deviations off", a.Set.Labels[column], given[r], said[r], z)
		a.add(f)
	}
}
