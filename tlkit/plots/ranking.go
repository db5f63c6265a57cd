package plots

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// rankingsShown is how many classes are drawn; the rest would be too small to read.
const rankingsShown = 12

// Rankings draws for each class its ROC curve and its curve of precision against recall, one against
// the rest, with the areas below them and their 95 % intervals. Of more than 12 classes, those with the
// lowest average precision are drawn. Classes without pictures of both kinds are left out.
func Rankings(classes []metrics.Ranking) Figure {
	f := &rankings{all: len(classes)}
	for _, r := range classes {
		if r.Known() && len(r.ROC) > 1 && len(r.PR) > 0 {
			f.known = append(f.known, r)
		}
	}
	if len(f.known) == 0 {
		return failed("rankings: %d classes, none with pictures both of it and of others: want at least one", len(classes))
	}
	f.shown = f.known
	if len(f.known) > rankingsShown {
		f.shown = slices.Clone(f.known)
		slices.SortStableFunc(f.shown, func(a, b metrics.Ranking) int { return cmp.Compare(a.AP, b.AP) })
		f.shown = f.shown[:rankingsShown]
	}
	return f.figure()
}

// rankings is the content of [Rankings].
type rankings struct {
	all          int // classes
	known, shown []metrics.Ranking
}

const (
	rankingsTop  = 44.0 // title and subtitle of the figure
	rankingsHead = 50.0 // above a square
	rankingsFoot = 32.0
	rankingsTick = 30.0 // left of a square
)

// figure lays the squares out: two a class, two or three classes a row.
func (f *rankings) figure() *figure {
	columns, gap, side := 3, 26.0, 0.0
	if len(f.shown) <= 4 {
		columns = 2
	}
	columns = min(columns, len(f.shown))
	side = min(170, ((pageWidth-2*padding-gap*float64(columns-1))/float64(columns)-2*rankingsTick-8)/2)
	cell := 2*(side+rankingsTick) + 8
	rows := (len(f.shown) + columns - 1) / columns
	height := rankingsHead + side + rankingsFoot
	width := max(2*padding+cell*float64(columns)+gap*float64(columns-1), 440)
	title, sub := "ROC, and precision against recall", "one label against the rest; areas with 95 % intervals; dashed: by chance"
	if len(f.known) > len(f.shown) {
		sub = fmt.Sprintf("the %d of %s labels with the lowest average precision; areas with 95 %% intervals; dashed: by chance", len(f.shown), counted(len(f.known)))
	}
	return &figure{width: width, height: padding + rankingsTop + float64(rows)*height + padding - 12, text: f.text(), draw: func(c *canvas) {
		c.text(point{padding, padding + 12}, left, titleStyle, ink, titleStyle.fit(title, width-2*padding))
		c.text(point{padding, padding + 28}, left, subStyle, muted, subStyle.fit(sub, width-2*padding))
		for i, r := range f.shown {
			x := padding + float64(i%columns)*(cell+gap)
			y := padding + rankingsTop + float64(i/columns)*height
			drawRanking(c, r, point{x, y}, side)
		}
	}}
}

// drawRanking draws the two squares of a class.
func drawRanking(c *canvas, r metrics.Ranking, at point, side float64) {
	room := 2*(side+rankingsTick) + 8
	note := fmt.Sprintf("%s of %s", counted(r.Positive), counted(r.Total))
	name := labelStyle.fit(drawable(r.Label), room-noteStyle.width(note)-8)
	w := c.text(point{at.x, at.y + 12}, left, labelStyle, ink, name)
	c.text(point{at.x + w + 6, at.y + 12}, left, noteStyle, muted, note)
	share := float64(r.Positive) / float64(r.Total)
	roc := unitSquare{box{at.x + rankingsTick, at.y + rankingsHead, side, side}, "AUC " + area(r.AUC, r.AUCInterval), "false positives", blue}
	roc.draw(c, curvePoints(r.ROC, false), [2]point{{0, 0}, {1, 1}})
	pr := unitSquare{box{at.x + 2*rankingsTick + side + 8, at.y + rankingsHead, side, side}, "AP " + area(r.AP, r.APInterval), "recall", hue{orange.line, orange.text, disc}}
	pr.draw(c, curvePoints(r.PR, true), [2]point{{0, share}, {1, share}})
}

func area(v float64, i metrics.Interval) string {
	out := percent(v)
	if i.Known() {
		low, high := strings.TrimSuffix(percent(i.Low), " %"), percent(i.High)
		out = strings.TrimSuffix(out, " %") + " (" + low + "-" + strings.TrimSuffix(high, " %") + ")"
	}
	return out
}

// unitSquare is a chart with both axes from 0 to 1.
type unitSquare struct {
	box
	title, xName string
	hue          hue
}

func (s unitSquare) at(x, y float64) point { return point{s.x + x*s.w, s.y + (1-y)*s.h} }

func (s unitSquare) draw(c *canvas, line []point, chance [2]point) {
	c.text(point{s.x - rankingsTick, s.y - 22}, left, noteStyle, s.hue.text, noteStyle.fit(s.title, s.w+rankingsTick+6))
	yName := map[string]string{"recall": "precision", "false positives": "true positives"}[s.xName]
	c.text(point{s.x - rankingsTick, s.y - 9}, left, noteStyle, muted, noteStyle.fit(yName, s.w))
	for _, t := range []float64{0, 0.5, 1} {
		at := s.at(t, t)
		c.hline(s.x, s.x+s.w, at.y, 1, faint)
		c.text(point{s.x - 5, at.y + 3.4}, right, noteStyle, muted, fmt.Sprintf("%g", 100*t))
		c.text(point{at.x, s.y + s.h + 13}, centre, noteStyle, muted, fmt.Sprintf("%g", 100*t))
	}
	c.text(point{s.x + s.w/2, s.y + s.h + 24}, centre, noteStyle, muted, s.xName)
	c.hline(s.x, s.x+s.w, s.y+s.h, 1, edge)
	c.line([]point{s.at(chance[0].x, chance[0].y), s.at(chance[1].x, chance[1].y)}, 1, edge, 3, 3)
	drawn := make([]point, 0, len(line)+1)
	below := []point{}
	for _, q := range thin(line, int(s.w*c.scale), func(x float64) float64 { return x }) {
		drawn = append(drawn, s.at(q.x, q.y))
	}
	if len(drawn) == 0 {
		return
	}
	below = append(below, drawn...)
	below = append(below, point{drawn[len(drawn)-1].x, s.y + s.h}, point{drawn[0].x, s.y + s.h})
	c.polygon(below, fade(s.hue.line, 0.1))
	c.line(drawn, 2, s.hue.line)
}

// curvePoints returns the points of a curve. That of precision is the step function whose area is the average
// precision: between two recalls it has the precision of the higher one.
func curvePoints(curve [][2]float64, precision bool) []point {
	var out []point
	x := 0.0
	for _, q := range curve {
		if !finite(q[0]) || !finite(q[1]) {
			continue
		}
		here := point{min(max(q[0], 0), 1), min(max(q[1], 0), 1)}
		if precision {
			if here.x <= x {
				continue // more pictures of others at the same recall add no area
			}
			out = append(out, point{x, here.y})
		}
		out = append(out, here)
		x = here.x
	}
	return out
}

func (f *rankings) text() string {
	out := fmt.Sprintf("ROC and precision-recall curves of %s.", plural(len(f.known), "label", "labels"))
	if n := f.all - len(f.known); n > 0 {
		out += fmt.Sprintf(" %s without pictures both of it and of others left out.", plural(n, "label", "labels"))
	}
	worst, sum := f.known[0], 0.0
	for _, r := range f.known {
		sum += r.AUC / float64(len(f.known))
		if r.AP < worst.AP {
			worst = r
		}
	}
	scale := Scale{Unit: "%"}
	if len(f.known) > 1 {
		out += fmt.Sprintf(" Mean AUC %s.", percent(math.Min(sum, 1)))
		out += " Lowest average precision:"
	}
	return out + fmt.Sprintf(" %s, AP %s, AUC %s.", inert(worst.Label), scale.words(worst.AP, worst.APInterval), scale.words(worst.AUC, worst.AUCInterval))
}
