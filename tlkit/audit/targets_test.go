package audit

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
)

// tabled writes pictures with a table of what is said of them, and audits them with features that tell the truth.
func tabled(t *testing.T, header string, row func(i int) string, truth func(i int) []float32) *Report {
	t.Helper()
	dir := t.TempDir()
	table := header + "\n"
	for i := range 80 {
		save(t, filepath.Join(dir, fmt.Sprintf("p%02d.png", i)), noise(uint64(i), 60, 60, 0, 255))
		table += fmt.Sprintf("p%02d.png,%s\n", i, row(i))
	}
	file := filepath.Join(dir, "table.csv")
	if err := os.WriteFile(file, []byte(table), 0o600); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(5, 6))
	report, err := audited(t, file, "", func(item datasets.Item) []float32 {
		var i int
		if _, err := fmt.Sscanf(filepath.Base(item.Rel), "p%d.png", &i); err != nil {
			t.Fatal(err)
		}
		x := truth(i)
		for k := range x {
			x[k] += float32(0.1 * r.NormFloat64())
		}
		return append(x, float32(r.NormFloat64()), float32(r.NormFloat64()))
	})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// Of several labels, one that is missing and one too many are found, and nothing else.
func TestWrongLabelsOfSeveral(t *testing.T) {
	wings, legs := func(i int) bool { return i%2 == 0 }, func(i int) bool { return i%3 == 0 }
	number := func(yes bool) int {
		if yes {
			return 1
		}
		return 0
	}
	r := tabled(t, "path,wings,legs", func(i int) string {
		return fmt.Sprintf("%d,%d", number(wings(i) != (i == 14)), number(legs(i) != (i == 20)))
	}, func(i int) []float32 { return []float32{float32(number(wings(i))), float32(number(legs(i)))} })
	var got []string
	for _, f := range r.Of(WrongLabel) {
		got = append(got, filepath.Base(f.Files[0])+" "+f.Labels[0]+"→"+f.Suggested)
	}
	for _, want := range []string{"p14.png no wings→wings", "p20.png legs→no legs"} {
		if !slices.Contains(got[:min(2, len(got))], want) {
			t.Errorf("%s is not among the first two of %q", want, got)
		}
	}
	if len(got) > 3 {
		t.Errorf("%d findings: %q", len(got), got)
	}
}

// Of values, one with a slipped decimal point is found; values that nothing in the picture tells are left alone.
func TestWrongValues(t *testing.T) {
	weight := func(i int) float64 { return 5.25 + float64(i%7) }
	r := tabled(t, "path,weight,price", func(i int) string {
		w := weight(i)
		if i == 11 {
			w *= 10
		}
		return fmt.Sprintf("%.2f,%.2f", w, 0.5+float64(i*7919%101))
	}, func(i int) []float32 { return []float32{float32(weight(i))} })
	found := r.Of(WrongValue)
	if len(found) == 0 || filepath.Base(found[0].Files[0]) != "p11.png" || !strings.Contains(found[0].Why, "weight is 92.5") {
		t.Errorf("%+v", found)
	}
	for _, f := range found {
		if f.Labels[0] == "price" {
			t.Errorf("%+v", f)
		}
	}
	if len(found) > 2 || r.Serious() > 0 {
		t.Errorf("%d values, %d serious: %+v", len(found), r.Serious(), r.Findings)
	}
}
