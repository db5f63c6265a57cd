package plots

import (
	"fmt"
	"image"
	"image/color"
	"slices"
	"strings"
)

// Picture is one tile of [Grid].
type Picture struct {
	Image       image.Image // nil draws an empty tile with a note
	Truth       string      // "" = not known
	Prediction  string      // "" = none: a batch grid
	Probability float64     // of the prediction; 0 = not shown
	Caption     string      // small print: a file name, a loss
	Note        string      // a badge in the corner: "near duplicate"
}

const gridMost = 60

// Grid draws pictures in rows: a batch with its labels, predictions with a check mark or a
// cross, or the top losses. The tile of a wrong prediction also says what is right. Of more
// than 60 pictures, the first 60 are drawn, and the title says so.
func Grid(title string, pictures []Picture) Figure {
	if len(pictures) == 0 {
		return failed("grid: no pictures: want at least one")
	}
	all := len(pictures)
	pictures = slices.Clone(pictures[:min(all, gridMost)])
	columns := 6
	switch n := len(pictures); {
	case n <= 4:
		columns = n
	case n <= 8:
		columns = (n + 1) / 2
	case n <= 10:
		columns = 5
	}
	const gap = 12.0
	tile := 112.0
	if columns < 6 {
		tile = min(168, (pageWidth-2*padding-gap*float64(columns-1))/float64(columns))
	}
	lines, predictions := 0, false
	for _, p := range pictures {
		lines = max(lines, len(p.lines()))
		predictions = predictions || p.Prediction != ""
	}
	rows := (len(pictures) + columns - 1) / columns
	const head = 26.0
	step := tile + 7 + 13.5*float64(lines) + gap
	width := max(2*padding+tile*float64(columns)+gap*float64(columns-1), 240)
	f := &figure{width: width, height: padding + head + step*float64(rows) - gap + padding, photos: true}
	f.text = gridText(title, pictures, all)
	heading := drawable(title)
	if all > len(pictures) {
		heading += fmt.Sprintf(" (%d of %s)", len(pictures), counted(all))
	}
	classes := truths(pictures)
	f.draw = func(c *canvas) {
		c.text(point{padding, padding + 12}, left, titleStyle, ink, titleStyle.fit(heading, width-2*padding))
		for i, p := range pictures {
			x := padding + (tile+gap)*float64(i%columns)
			y := padding + head + step*float64(i/columns)
			p.draw(c, x, y, tile, classes)
		}
	}
	return f
}

// truths returns the classes of a batch, if they are few enough for a colour each.
func truths(pictures []Picture) []string {
	var out []string
	for _, p := range pictures {
		if p.Truth != "" && !slices.Contains(out, p.Truth) {
			out = append(out, p.Truth)
		}
	}
	slices.Sort(out)
	if len(out) > len(hues) {
		return nil
	}
	return out
}

func (p Picture) judged() (right, known bool) {
	return p.Truth == p.Prediction, p.Truth != "" && p.Prediction != ""
}

// line is one line of text under a tile.
type line struct {
	text, end string
	st        style
	col       color.NRGBA
}

func (p Picture) lines() []line {
	var out []line
	right, known := p.judged()
	prob := ""
	if finite(p.Probability) && p.Probability > 0 {
		prob = share(min(p.Probability, 1), false) + " %"
	}
	switch {
	case p.Prediction != "":
		col := ink
		if known {
			col = good.text
			if !right {
				col = bad.text
			}
		}
		out = append(out, line{p.Prediction, prob, labelStyle, col})
		if known && !right {
			out = append(out, line{"is " + p.Truth, "", noteStyle, ink})
		}
	case p.Truth != "":
		out = append(out, line{p.Truth, prob, labelStyle, ink})
	}
	if p.Caption != "" {
		out = append(out, line{p.Caption, "", noteStyle, muted})
	}
	return out
}

func (p Picture) draw(c *canvas, x, y, tile float64, classes []string) {
	c.rect(x, y, tile, tile, tint)
	if p.Image == nil || p.Image.Bounds().Empty() {
		c.text(point{x + tile/2, y + tile/2 + 3}, centre, noteStyle, muted, "no picture")
	} else {
		c.picture(x, y, tile, tile, p.Image)
	}
	right, known := p.judged()
	if known {
		h := good
		if !right {
			h = bad
		}
		c.frame(box{x - 1, y - 1, tile + 2, tile + 2}, 2.5, h.line)
		// A glyph on white, so that right and wrong differ in more than colour.
		c.mark(disc, x+tile-10, y+10, 9, white)
		if right {
			c.tick(x+tile-10, y+10, 11, good.line)
		} else {
			c.cross(x+tile-10, y+10, 11, bad.line)
		}
	}
	if p.Note != "" {
		s := noteStyle.fit(drawable(p.Note), tile-12)
		c.rect(x+1, y+tile-17, noteStyle.width(s)+10, 16, fade(white, 0.92))
		c.text(point{x + 6, y + tile - 5.5}, left, noteStyle, bad.text, s)
	}
	pos := y + tile + 7 + 9
	for i, l := range p.lines() {
		lo := x
		if k := slices.Index(classes, p.Truth); i == 0 && p.Prediction == "" && k >= 0 {
			c.mark(hues[k].mark, x+4, pos-3.6, 3.8, hues[k].line)
			lo += 12
		}
		room := tile - (lo - x)
		if l.end != "" {
			w := l.st.width(l.end)
			c.text(point{x + tile, pos}, 1, style{l.st.size, false}, muted, l.end)
			room -= w + 5
		}
		c.text(point{lo, pos}, left, l.st, l.col, l.st.fit(drawable(l.text), room))
		pos += 13.5
	}
}

func gridText(title string, pictures []Picture, all int) string {
	right, judged := 0, 0
	var wrong, labels []string
	for _, p := range pictures {
		ok, known := p.judged()
		if known {
			judged++
			if ok {
				right++
			} else {
				w := fmt.Sprintf("%s called %s", inert(p.Truth), inert(p.Prediction))
				if p.Probability > 0 && finite(p.Probability) {
					w += fmt.Sprintf(" at %s %%", share(min(p.Probability, 1), false))
				}
				if p.Caption != "" {
					w += " (" + inert(p.Caption) + ")"
				}
				wrong = append(wrong, w)
			}
		} else if p.Truth != "" && !slices.Contains(labels, inert(p.Truth)) {
			labels = append(labels, inert(p.Truth))
		}
	}
	out := fmt.Sprintf("%s: %s", inert(title), plural(len(pictures), "picture", "pictures"))
	if all > len(pictures) {
		out += " of " + counted(all)
	}
	if judged > 0 {
		out += fmt.Sprintf(", %d right and %d wrong", right, judged-right)
	}
	if len(labels) > 0 {
		out += ", of " + strings.Join(labels[:min(8, len(labels))], ", ")
	}
	out += "."
	if n := len(wrong); n > 0 {
		out += " Wrong: " + strings.Join(wrong[:min(3, n)], "; ")
		if n > 3 {
			out += fmt.Sprintf("; and %d more", n-3)
		}
		out += "."
	}
	return out
}
