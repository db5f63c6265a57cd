package audit

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/results"
)

// Limits of Quick, which keep it below three per cent of the run that it is a part of.
const (
	quickCosine      = 0.85 // of features; Run looks at pairs that are less alike too
	fewestPairs      = 6    // that are looked at, or one for a hundred pictures
	mostComparisons  = 1e8  // of features; beyond, only some of the pictures that are measured are looked at
	mostMeasured     = 400  // files whose size is looked at
	quickComparisons = 4    // pictures of the training that each of them is compared with
)

// Quick looks for what makes a score wrong, at a small part of the cost of [Run]: near copies of training pictures
// in other splits, among the pairs whose features are most alike, and labels that the size of the picture or the
// file give away. Group does not count.
func (in Input) Quick(ctx context.Context) (*results.Brief, error) {
	a := newAuditor(in)
	a.exact()
	for _, bad := range slices.Concat(a.Set.Report.Unreadable, a.Set.Report.NotPicture) {
		a.add(Finding{Kind: Unreadable, Files: []string{bad.Rel}})
	}
	known := len(a.found) // package datasets has said so
	if len(a.items) > 0 {
		if err := a.quickLeaks(ctx); err != nil {
			return nil, err
		}
		a.every = (len(a.items) + mostMeasured - 1) / mostMeasured
		a.measure()
		cheap := slices.DeleteFunc(slices.Clone(cues), func(c cue) bool { return !c.quick })
		if err := a.predictors(ctx, cheap); err != nil {
			return nil, err
		}
	}
	return a.brief(known), nil
}

// quickLeaks reports near copies of training pictures in other splits.
func (a *auditor) quickLeaks(ctx context.Context) error {
	pairs := a.likeliest()
	var rows []int
	a.prints = make([]*print, len(a.items))
	for _, p := range pairs {
		rows = append(rows, p.a, p.b)
		a.prints[p.a], a.prints[p.b] = &print{}, &print{}
	}
	slices.Sort(rows)
	if err := a.print(ctx, slices.Compact(rows)); err != nil {
		return err
	}
	match := make([]float64, len(pairs))
	parallel(len(pairs), func(i int) {
		x, y := a.prints[pairs[i].a], a.prints[pairs[i].b]
		if match[i] = partsOf(x).match(y); match[i] < leastMatch {
			match[i] = partsOf(y).match(x)
		}
	})
	for i, p := range pairs {
		if match[i] >= leastMatch {
			f := a.copy(p.a, p.b)
			f.Score, f.Why = match[i], fmt.Sprintf("nearly the same picture: correlation %.3f", match[i])
			a.add(f)
		}
	}
	return nil
}

// likeliest returns the pairs of a training picture and another one that are worth a look: those whose features
// are most alike.
func (a *auditor) likeliest() []pair {
	var learnt, measured []int
	for i, item := range a.items {
		if item.Split == datasets.Train {
			learnt = append(learnt, i)
		} else if a.first[i] == i {
			measured = append(measured, i)
		}
	}
	if len(learnt) == 0 || len(measured) == 0 {
		return nil
	}
	if every := len(learnt) * len(measured) / mostComparisons; every > 0 {
		some := measured[:0]
		for i := 0; i < len(measured); i += every + 1 {
			some = append(some, measured[i])
		}
		measured = some
	}
	small := unit(sketch(a.matrix))
	train := make([]float32, 0, len(learnt)*projected)
	for _, i := range learnt {
		train = append(train, small[i*projected:][:projected]...)
	}
	found := make([][]pair, len(measured))
	parallel(len(measured), func(k int) {
		i := measured[k]
		for _, near := range nearestTo(train, small[i*projected:][:projected], quickComparisons) {
			j := learnt[near]
			if c := a.cosine(i, j); c >= quickCosine && a.items[i].SHA256 != a.items[j].SHA256 {
				found[k] = append(found[k], pair{j, i, c})
			}
		}
	})
	all := slices.Concat(found...)
	slices.SortFunc(all, func(x, y pair) int { return cmp.Or(cmp.Compare(y.match, x.match), x.a-y.a, x.b-y.b) })
	return all[:min(len(all), max(fewestPairs, len(a.items)/100))]
}

// sketch returns some of the features of each row, without what all have in common. It tells pictures apart less
// well than project, at a hundredth of the time; the pairs that it finds are compared by all features.
func sketch(m *features.Matrix) []float32 {
	n := m.Rows()
	out, mean := make([]float32, n*projected), make([]float32, projected)
	for i := range n {
		row := m.Row(i)
		for k := range projected {
			v := row[k*len(row)/projected]
			out[i*projected+k] = v
			mean[k] += v / float32(n)
		}
	}
	for i := range out {
		out[i] -= mean[i%projected]
	}
	return out
}

// brief sums up; the first findings are known already.
func (a *auditor) brief(known int) *results.Brief {
	b := &results.Brief{Pictures: len(a.items), Counts: map[Kind]int{}}
	for _, f := range a.found {
		if f.Serious {
			b.Counts[f.Kind]++
		}
	}
	news := a.found[known:]
	for _, kind := range []Kind{Leak, Contradiction} {
		of := slices.DeleteFunc(slices.Clone(news), func(f Finding) bool { return f.Kind != kind })
		if len(of) == 0 {
			continue
		}
		what := "at least one picture is nearly that of another split"
		if len(of) > 1 {
			what = fmt.Sprintf("at least %d pictures are nearly those of another split", len(of))
		}
		if kind == Contradiction {
			what += ", with another label"
		}
		b.Lines = append(b.Lines, fmt.Sprintf("%s: %s, such as %s = %s", kind, what, of[0].Files[0], of[0].Files[1]))
	}
	for _, f := range news {
		if f.Kind == Shortcut {
			b.Lines = append(b.Lines, fmt.Sprintf("%s: %s", f.Kind, f.Why))
		}
	}
	return b
}
