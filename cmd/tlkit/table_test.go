package main

import (
	"slices"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/compare"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// The ranking fits into the usual window, with the names and numbers that it is for.
func TestRankingFitsTheWindow(t *testing.T) {
	c := compare.Comparison{}
	for i, name := range []string{"efficientnet_lite0", "mobilenetv2_keras", "resnet50"} {
		r := compare.Ranked{Model: name, Licence: "BSD-3-Clause", Seconds: 0.0123, Bytes: 102_400_000}
		r.Metric, r.Value, r.Total, r.Correct, r.Interval = metrics.Accuracy, 0.948, 1500, 1422, metrics.Interval{Low: 0.917, High: 0.982}
		if i > 0 {
			r.Gap = &compare.Gap{Difference: -0.0131, Interval: metrics.Interval{Low: -0.0463, High: 0.0201}}
		}
		c.Ranked = append(c.Ranked, r)
	}
	table := c.Table()
	whole := show.Table{Header: table[0], Rows: table[1:], Left: 2}
	for width, want := range map[int]int{0: 10, 200: 10, 100: 8, 80: 7} {
		got, left := narrowed(whole, width, spareInRanking)
		if width > 0 && widest(got) > width || len(got.Header) != want || len(got.Header)+len(left) != len(whole.Header) {
			t.Errorf("%d columns of text for %d: %v, left out %v\n%s", widest(got), width, got.Header, left, got.Text())
		}
		for _, kept := range []string{"model", "accuracy", "95 %", "behind the first", "ms/picture"} {
			if !slices.Contains(got.Header, kept) {
				t.Errorf("at width %d there is no %s", width, kept)
			}
		}
		for _, r := range got.Rows {
			if len(r) != len(got.Header) {
				t.Errorf("%v under %v", r, got.Header)
			}
		}
	}
	if len(whole.Header) != 10 || len(whole.Rows[0]) != 10 {
		t.Error("the whole table was changed")
	}
}
