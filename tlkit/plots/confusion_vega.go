package plots

import (
	"fmt"
	"slices"
)

// vegaCells bounds the rows of a specification: of more cells, it contains the largest.
const vegaCells = 4000

func (m *matrix) vega() map[string]any {
	type cellIndex struct{ i, j int }
	var cells []cellIndex
	for i := range m.order {
		for j := range m.order {
			if m.c.Counts[m.order[i]][m.order[j]] > 0 || len(m.order) <= valuedBelow {
				cells = append(cells, cellIndex{i, j})
			}
		}
	}
	if len(cells) > vegaCells {
		slices.SortStableFunc(cells, func(a, b cellIndex) int {
			return m.c.Counts[m.order[b.i]][m.order[b.j]] - m.c.Counts[m.order[a.i]][m.order[a.j]]
		})
		cells = cells[:vegaCells]
	}
	var rows, names []any
	seen := map[string]int{}
	unique := make([]string, len(m.order))
	for i, o := range m.order {
		// Shortened names may be equal, and a band scale would draw their rows on top of each
		// other.
		n := inert(m.c.Labels[o])
		if seen[n]++; seen[n] > 1 {
			n += fmt.Sprintf(" (%d)", o)
		}
		unique[i] = n
		names = append(names, n)
	}
	for _, p := range cells {
		n := m.c.Counts[m.order[p.i]][m.order[p.j]]
		row := map[string]any{"truth": unique[p.i], "prediction": unique[p.j], "share": m.share(p.i, p.j), "count": n, "of": m.classes[m.order[p.i]].Support}
		if n == 0 {
			row["share"] = nil
		}
		rows = append(rows, row)
	}
	step := min(max(480/float64(len(m.order)), 1), 58)
	side := step * float64(len(m.order))
	labels := len(m.order) <= namedClasses
	axis := func(field string) map[string]any {
		a := map[string]any{"title": field, "labels": labels, "ticks": false, "domain": false}
		if field == "prediction" {
			a["labelAngle"] = -45
		}
		return map[string]any{"field": field, "type": "nominal", "scale": map[string]any{"domain": names}, "axis": a}
	}
	return map[string]any{
		"title": "Confusion matrix", "width": side, "height": side,
		"data": map[string]any{"values": nonNil(rows)},
		"mark": map[string]any{"type": "rect"},
		"encoding": map[string]any{
			"x": axis("prediction"), "y": axis("truth"),
			"color": map[string]any{"field": "share", "type": "quantitative", "title": "share of the row",
				"scale": map[string]any{"domain": []any{0, 1}, "range": []any{hexOf(rampStops[0]), hexOf(rampStops[2]), hexOf(rampStops[5])}}},
			"tooltip": []any{
				map[string]any{"field": "truth", "type": "nominal"}, map[string]any{"field": "prediction", "type": "nominal"},
				map[string]any{"field": "count", "type": "quantitative"}, map[string]any{"field": "of", "type": "quantitative"},
				map[string]any{"field": "share", "type": "quantitative", "format": ".1%"},
			},
		},
	}
}
