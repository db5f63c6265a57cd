package plots

import (
	"fmt"
	"image"
	"image/color"
	"slices"
	"strconv"
	"strings"
)

// Picture is one tile of [Grid].
type Picture struct {
	Image       image.Image // nil draws an empty tile with a note
	Truth       string      // "" = not known
	Prediction  string      // "" = none: a batch grid
	Probability float64     // of the prediction; 0 = not shown
	Loss        float64     // of the model on it; 0 = not shown
	Caption     string      // a note, such as a file name
	Note        string      // a badge in the corner: "near duplicate"
	Row         string      // a heading: pictures with the same one, one after the other, stand below it
}

const (
	gridMost = 60
	gridGap  = 12.0
	gridLine = 15.0 // height of a line of text
	gridName = 120  // characters of a name or caption
	gridHead = 21.0 // height of a heading
)

var (
	gridBold  = style{11.5, true}
	gridPlain = style{10.5, false}
)

// Grid draws pictures in rows: a batch with its labels, predictions with a check mark or a
// cross, or the top losses. The tile of a wrong prediction names both labels, what was predicted and
// what is true. Texts that are wider than a tile take several lines. Pictures with a Row stand below
// it, each Row beginning a new line of pictures. Of more than 60 pictures, the first 60 are drawn, and
// the title says so.
func Grid(title string, pictures []Picture) Figure {
	if len(pictures) == 0 {
		return failed("grid: no pictures: want at least one")
	}
	g := &grid{all: len(pictures), pictures: slices.Clone(pictures[:min(len(pictures), gridMost)])}
	g.layOut()
	text := gridText(title, g.pictures, g.all)
	g.title = drawable(title)
	if g.all > len(g.pictures) {
		g.title += fmt.Sprintf(" (%d of %s)", len(g.pictures), counted(g.all))
	}
	return &figure{width: g.width, height: g.height, photos: true, text: text, draw: g.draw}
}

// grid is the content of [Grid].
type grid struct {
	title         string
	all           int // number of pictures, shown or not
	pictures      []Picture
	tile          float64
	places        []point         // top left corners
	captions      [][]captionLine // the lines below each picture
	heads         []gridHeading
	width, height float64
}

// gridHeading is a heading above some rows of pictures.
type gridHeading struct {
	y    float64
	text string
}

// parts returns where the pictures of each Row begin, and the number of all.
func (g *grid) parts() []int {
	var out []int
	for i, p := range g.pictures {
		if i == 0 || p.Row != g.pictures[i-1].Row {
			out = append(out, i)
		}
	}
	return append(out, len(g.pictures))
}

// columnsFor returns how many pictures stand side by side.
func columnsFor(parts []int) int {
	n, most := parts[len(parts)-1], 0
	for k := 1; k < len(parts); k++ {
		most = max(most, parts[k]-parts[k-1])
	}
	switch {
	case len(parts) > 2: // a Row is best seen in one line
		return min(most, 6)
	case n <= 4:
		return n
	case n <= 8:
		return (n + 1) / 2
	case n <= 10:
		return 5
	}
	return 6
}

// layOut places the pictures. A row is as high as its longest caption needs.
func (g *grid) layOut() {
	parts := g.parts()
	columns := columnsFor(parts)
	g.tile = 112.0
	if columns < 6 {
		g.tile = min(168, (pageWidth-2*padding-gridGap*float64(columns-1))/float64(columns))
	}
	if len(parts) > 2 {
		g.tile = min(g.tile, 132)
	}
	g.width = max(2*padding+g.tile*float64(columns)+gridGap*float64(columns-1), 240)
	y := padding + 26
	for k := 1; k < len(parts); k++ {
		if text := drawableTo(g.pictures[parts[k-1]].Row, gridName); text != "" {
			if k > 1 {
				y += 8
			}
			g.heads = append(g.heads, gridHeading{y + 11, labelStyle.fit(text, g.width-2*padding)})
			y += gridHead
		}
		y = g.layRows(parts[k-1], parts[k], columns, y)
	}
	g.height = y - gridGap + padding
}

// layRows places some pictures from y downwards and returns where the next row begins.
func (g *grid) layRows(from, to, columns int, y float64) float64 {
	classes := truths(g.pictures)
	for first := from; first < to; first += columns {
		lines := 0
		for i := first; i < min(first+columns, to); i++ {
			caption := g.pictures[i].caption(g.tile, classes)
			g.captions = append(g.captions, caption)
			g.places = append(g.places, point{padding + (g.tile+gridGap)*float64(i-first), y})
			lines = max(lines, len(caption))
		}
		y += g.tile + 7 + gridLine*float64(lines) + gridGap
	}
	return y
}

func (g *grid) draw(c *canvas) {
	c.text(point{padding, padding + 12}, left, titleStyle, ink, titleStyle.fit(g.title, g.width-2*padding))
	for _, h := range g.heads {
		c.text(point{padding, h.y}, left, labelStyle, ink, h.text)
	}
	for i, p := range g.pictures {
		at := g.places[i]
		p.draw(c, at, g.tile)
		for k, l := range g.captions[i] {
			l.draw(c, point{at.x, at.y + g.tile + 17 + gridLine*float64(k)}, g.tile)
		}
	}
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

// captionLine is one line of text below a picture: a shape, a word before, the text, and a number at
// the end.
type captionLine struct {
	class             int // whose shape comes first; -1 = none
	before, text, end string
	st                style
	col               color.NRGBA
}

// caption returns the lines below a picture.
func (p Picture) caption(width float64, classes []string) []captionLine {
	right, known := p.judged()
	probability, loss := "", ""
	if finite(p.Probability) && p.Probability > 0 {
		probability = share(min(p.Probability, 1), false) + " %"
	}
	if finite(p.Loss) && p.Loss > 0 {
		loss = "loss " + strconv.FormatFloat(p.Loss, 'f', 2, 64)
	}
	var out []captionLine
	add := func(l captionLine) { out = append(out, l.wrapped(width)...) }
	class := -1
	switch {
	case known && !right:
		add(captionLine{-1, "predicted", p.Prediction, probability, gridBold, bad.text})
		add(captionLine{-1, "true", p.Truth, loss, gridBold, ink})
		loss = ""
	case known:
		add(captionLine{-1, "", p.Prediction, probability, gridBold, good.text})
	case p.Prediction != "":
		add(captionLine{-1, "", p.Prediction, probability, gridBold, ink})
	case p.Truth != "":
		class = slices.Index(classes, p.Truth)
		add(captionLine{class, "", p.Truth, "", gridBold, ink})
	}
	if loss != "" {
		add(captionLine{-1, "", loss, "", gridPlain, muted})
	}
	if p.Caption != "" {
		add(captionLine{-1, "", p.Caption, "", gridPlain, muted})
	}
	return out
}

// start returns the x at which the text of a line begins.
func (l captionLine) start() float64 {
	x := 0.0
	if l.class >= 0 {
		x = 12
	}
	if l.before != "" {
		x += gridPlain.width(l.before) + 4
	}
	return x
}

// wrapped breaks a line that is too wide. The first part keeps the shape, prefix and number.
func (l captionLine) wrapped(width float64) []captionLine {
	room := width - l.start()
	if l.end != "" {
		room -= gridPlain.width(l.end) + 5
	}
	parts := breakText(l.st, drawableTo(l.text, gridName), room, width)
	out := []captionLine{l}
	out[0].text = parts[0]
	for _, part := range parts[1:] {
		out = append(out, captionLine{-1, "", part, "", l.st, l.col})
	}
	return out
}

func (l captionLine) draw(c *canvas, at point, width float64) {
	if l.class >= 0 {
		c.mark(hues[l.class].mark, at.x+4, at.y-3.8, 3.8, hues[l.class].line)
	}
	if l.before != "" {
		c.text(point{at.x, at.y}, left, gridPlain, muted, l.before)
	}
	c.text(point{at.x + l.start(), at.y}, left, l.st, l.col, l.text)
	if l.end != "" {
		c.text(point{at.x + width, at.y}, right, gridPlain, muted, l.end)
	}
}

// breakText breaks text into lines, the first of which has less room. It breaks at spaces, after
// punctuation in file names, and inside words that are wider than a line.
func breakText(st style, s string, first, rest float64) []string {
	var lines []string
	line, room := "", first
	for _, word := range pieces(s) {
		if st.width(strings.TrimRight(line+word, " ")) <= room {
			line += word
			continue
		}
		if line != "" || first < rest && len(lines) == 0 {
			lines, line, room = append(lines, strings.TrimRight(line, " ")), "", rest
		}
		for _, r := range word {
			if line != "" && st.width(line+string(r)) > room {
				lines, line, room = append(lines, line), "", rest
			}
			line += string(r)
		}
	}
	return append(lines, strings.TrimRight(line, " "))
}

// pieces cuts text where it may be broken.
func pieces(s string) []string {
	var out []string
	from := 0
	for i, r := range s {
		if strings.ContainsRune(" /_-", r) {
			out = append(out, s[from:i+1])
			from = i + 1
		}
	}
	return append(out, s[from:])
}

func (p Picture) draw(c *canvas, at point, tile float64) {
	x, y := at.x, at.y
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
		lines := breakText(gridPlain, drawableTo(p.Note, gridName), tile-14, tile-14)
		lines = lines[:min(len(lines), 4)] // the picture must stay visible
		top, wide := y+tile-2-14*float64(len(lines)), 0.0
		for _, l := range lines {
			wide = max(wide, gridPlain.width(l))
		}
		c.rect(x+1, top-1, wide+10, y+tile-top, fade(white, 0.92))
		for i, l := range lines {
			c.text(point{x + 6, top + 10 + 14*float64(i)}, left, gridPlain, bad.text, l)
		}
	}
}

// gridRows says how many pictures stand below each heading.
func gridRows(pictures []Picture) (out []string) {
	n := 0
	for i, p := range pictures {
		n++
		if i+1 < len(pictures) && pictures[i+1].Row == p.Row {
			continue
		}
		if p.Row != "" {
			out = append(out, fmt.Sprintf("%s: %d", inert(p.Row), n))
		}
		n = 0
	}
	return out
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
				if p.Loss > 0 && finite(p.Loss) {
					w += fmt.Sprintf(", loss %.2f", p.Loss)
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
	if rows := gridRows(pictures); len(rows) > 0 {
		out += "; " + strings.Join(rows, "; ")
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
