package curves

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"strconv"
)

// WriteCSV writes the points of the run, and then those of more runs, as a table with a header:
// run, step, epoch, phase, split, metric, value, n. There is one line for each point; a point that
// was written twice, as after a resumed training, has one line. n is empty for values that are not a
// fraction of pictures. Values that are not finite are written as NaN, inf and -inf, which pandas
// reads as numbers. Marks are not written.
func (r Run) WriteCSV(w io.Writer, more ...Run) error {
	table := csv.NewWriter(w)
	_ = table.Write([]string{"run", "step", "epoch", "phase", "split", "metric", "value", "n"}) // Error reports it
	for _, run := range append([]Run{r}, more...) {
		points, err := run.settled()
		if err != nil {
			return err
		}
		for _, p := range points {
			n := ""
			if p.N > 0 {
				n = strconv.Itoa(p.N)
			}
			_ = table.Write([]string{run.Name, strconv.Itoa(p.Step), decimal(p.Epoch), p.Phase, p.Split, string(p.Metric), decimal(p.Value), n}) // the same
		}
	}
	table.Flush()
	if err := table.Error(); err != nil {
		return fmt.Errorf("curves: %w", err)
	}
	return nil
}

// decimal formats a number so that it reads back as the same one.
func decimal(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// settled returns the points in the order in which they were written. Of a point that was written
// twice, it returns the later one. A point that does not pass Check is an error.
func (r Run) settled() ([]Point, error) {
	key := func(p Point) Point {
		p.Value, p.N = 0, 0
		return p
	}
	last := make(map[Point]int, len(r.Points))
	for i, p := range r.Points {
		if err := p.Check(); err != nil {
			return nil, fmt.Errorf("curves: point %d: %w", i, err)
		}
		last[key(p)] = i
	}
	var out []Point
	for i, p := range r.Points {
		if last[key(p)] == i {
			out = append(out, p)
		}
	}
	return out, nil
}
