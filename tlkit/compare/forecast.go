package compare

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// forecast estimates how long a comparison takes: a network by its multiplications, at the pace of this
// machine with those that it has timed; where it has timed the network itself, its own rate counts.
type forecast struct {
	rows     []zoo.Row
	resized  bool // with pictures of another size than the presets say
	pictures int
	cost     []float64 // by row, seconds once they are known, else in units of guess
	timed    []bool    // by row: cost is in seconds

	spent, guess float64 // seconds of the timed rows, and what guess says of them

	latency time.Duration    // as in Spec
	until   time.Time        // zero = no limit
	later   func() time.Time // another limit, where nothing more fits into this one; nil = there is none
	expired bool             // a row was given up
}

// newForecast reads the rates that earlier comparisons in the same folder have found.
func newForecast(rows []zoo.Row, pictures int, folder string) *forecast {
	f := &forecast{rows: rows, pictures: pictures, cost: make([]float64, len(rows)), timed: make([]bool, len(rows))}
	known := recorded(folder)
	for i, r := range rows {
		f.cost[i] = guess(r) * float64(pictures)
		if rate := known[r.Name]; rate > 0 {
			f.time(i, rate*float64(pictures))
		}
	}
	f.cheapFirst()
	return f
}

// cheapFirst sorts the rows by what they are expected to cost.
func (f *forecast) cheapFirst() {
	order := make([]int, len(f.rows))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(f.expected(a), f.expected(b)) })
	f.reorder(order)
}

// reorder puts row order[i] at i.
func (f *forecast) reorder(order []int) {
	old := *f
	f.rows, f.cost, f.timed = make([]zoo.Row, len(order)), make([]float64, len(order)), make([]bool, len(order))
	for to, from := range order {
		f.rows[to], f.cost[to], f.timed[to] = old.rows[from], old.cost[from], old.timed[from]
	}
}

// only forgets all rows but these, which keep their order.
func (f *forecast) only(rows []zoo.Row) {
	var order []int
	for i, r := range f.rows {
		if slices.ContainsFunc(rows, func(o zoo.Row) bool { return o.Name == r.Name }) {
			order = append(order, i)
		}
	}
	f.reorder(order)
}

// expected returns the cost of a row, in seconds if any row was ever timed.
func (f *forecast) expected(i int) float64 {
	if f.timed[i] || f.guess == 0 {
		return f.cost[i]
	}
	return f.cost[i] * f.spent / f.guess
}

// guess returns a number that grows with the time a network takes for a picture: its multiplications,
// and what a picture costs any network, which is as much as 150 million. It is right to a factor of two
// or so.
func guess(r zoo.Row) float64 {
	products := r.Products()
	if products == 0 { // each weight meets about as many pixels as in a ResNet
		side := float64(max(r.Preset.Size, 1)) / 224
		products = 150 * float64(max(r.Params, 1_000_000)) * side * side
	}
	return 150e6 + products
}

// recorded returns the seconds per picture in the results of earlier comparisons.
func recorded(folder string) map[string]float64 {
	known := map[string]float64{}
	files, _ := filepath.Glob(filepath.Join(folder, run.Home, "compare-*", "compare.json")) // only a bad pattern is an error
	for _, file := range files {
		var rows []struct {
			Model   string   `json:"model"`
			Seconds *float64 `json:"seconds_per_picture"`
		}
		text, err := os.ReadFile(file)
		if err != nil || json.Unmarshal(text, &rows) != nil {
			continue
		}
		for _, r := range rows {
			if r.Seconds != nil {
				known[r.Model] = *r.Seconds
			}
		}
	}
	return known
}

// time says that a row takes so many seconds.
func (f *forecast) time(i int, seconds float64) {
	if !f.timed[i] {
		f.timed[i] = true
		f.guess += f.cost[i]
	} else {
		f.spent -= f.cost[i]
	}
	f.cost[i] = seconds
	f.spent += seconds
}

// took notes what a row took. Features that were in the cache took no time, which says nothing about
// the rows to come, so its rate counts too.
func (f *forecast) took(i int, rate float64, wall time.Duration) {
	f.time(i, max(rate*float64(f.pictures), wall.Seconds()))
}

// skipped notes that a row takes no more time.
func (f *forecast) skipped(i int) {
	if f.timed[i] {
		return
	}
	f.cost[i] = 0
}

// left returns how long the rows from one on take; ok is false if no row was ever timed.
func (f *forecast) left(from int) (left time.Duration, ok bool) {
	if f.guess == 0 {
		return 0, false
	}
	var seconds float64
	for i := from; i < len(f.rows); i++ {
		if f.tooSlow(i) == "" {
			seconds += f.expected(i)
		}
	}
	return time.Duration(seconds * float64(time.Second)), true
}

// after says how far the comparison is after a row.
func (f *forecast) after(i int) string {
	line := fmt.Sprintf(" · %d of %d", i+1, len(f.rows))
	if left, ok := f.left(i + 1); ok && i+1 < len(f.rows) {
		line += fmt.Sprintf(", about %s left", words(left))
	}
	return line
}

// words writes a duration with the precision that an estimate has.
func words(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return "10 s"
	case d < 90*time.Second:
		return fmt.Sprintf("%.0f s", d.Round(10*time.Second).Seconds())
	case d < 90*time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}
