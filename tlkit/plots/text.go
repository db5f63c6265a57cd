package plots

import (
	"fmt"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"codeberg.org/go-fonts/liberation/liberationsansbold"
	"codeberg.org/go-fonts/liberation/liberationsansregular"
	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// face is one of the two embedded fonts with the outlines used so far. Text is drawn as
// outlines: a halo is a stroke around them, an SVG needs no installed font, and both formats
// place every glyph in the same way.
type face struct {
	mu     sync.Mutex
	font   *sfnt.Font
	buf    sfnt.Buffer
	units  fixed.Int26_6
	glyphs map[rune]glyph
	kerns  map[[2]sfnt.GlyphIndex]float64
}

type glyph struct {
	index    sfnt.GlyphIndex // 0 = the font lacks it
	advance  float64         // in ems
	segments sfnt.Segments   // in font units, y down
}

var faces = sync.OnceValue(func() [2]*face {
	load := func(ttf []byte) *face {
		f, err := sfnt.Parse(ttf)
		if err != nil { // the fonts are compiled in, so this cannot happen
			panic(fmt.Sprintf("plots: embedded font: %v", err))
		}
		return &face{font: f, units: fixed.Int26_6(f.UnitsPerEm()),
			glyphs: map[rune]glyph{}, kerns: map[[2]sfnt.GlyphIndex]float64{}}
	}
	return [2]*face{load(liberationsansregular.TTF), load(liberationsansbold.TTF)}
})

func (st style) face() *face {
	if st.bold {
		return faces()[1]
	}
	return faces()[0]
}

func (f *face) glyph(r rune) glyph {
	if g, ok := f.glyphs[r]; ok {
		return g
	}
	var g glyph
	if i, err := f.font.GlyphIndex(&f.buf, r); err == nil && i != 0 {
		if adv, err := f.font.GlyphAdvance(&f.buf, i, f.units, font.HintingNone); err == nil {
			if seg, err := f.font.LoadGlyph(&f.buf, i, f.units, nil); err == nil {
				g = glyph{i, float64(adv) / float64(f.units), append(sfnt.Segments(nil), seg...)}
			}
		}
	}
	if len(f.glyphs) < 4096 { // foreign names must not fill the memory
		f.glyphs[r] = g
	}
	return g
}

func (f *face) kern(a, b sfnt.GlyphIndex) float64 {
	k, ok := f.kerns[[2]sfnt.GlyphIndex{a, b}]
	if !ok {
		if v, err := f.font.Kern(&f.buf, a, b, f.units, font.HintingNone); err == nil {
			k = float64(v) / float64(f.units)
		}
		if len(f.kerns) < 65536 {
			f.kerns[[2]sfnt.GlyphIndex{a, b}] = k
		}
	}
	return k
}

// lay calls put with each glyph of s and its offset in pixels, and returns the width.
func (st style) lay(s string, put func(g glyph, x float64)) float64 {
	f := st.face()
	f.mu.Lock()
	defer f.mu.Unlock()
	x, prev := 0.0, sfnt.GlyphIndex(0)
	for _, r := range s {
		g := f.glyph(r)
		if g.index == 0 {
			g = f.glyph('?') // such runes are escaped before, so this is only a fallback
		}
		if prev != 0 {
			x += f.kern(prev, g.index) * st.size
		}
		if put != nil {
			put(g, x)
		}
		x += g.advance * st.size
		prev = g.index
	}
	return x
}

// width returns the width of s in pixels.
func (st style) width(s string) float64 { return st.lay(s, nil) }

// maxName is the most runes of a name that are shown.
const maxName = 40

// inert makes foreign text harmless: control, direction and other invisible characters and
// broken UTF-8 become escapes, and the middle of a long text becomes an ellipsis. Markup stays
// as it is; every format escapes it in its own way.
func inert(s string) string { return inertTo(s, maxName) }

func inertTo(s string, limit int) string {
	return escape(s, limit, func(rune) bool { return false })
}

// drawable is inert for text that is drawn: characters that the fonts lack are escaped too.
func drawable(s string) string { return drawableTo(s, maxName) }

func drawableTo(s string, limit int) string {
	f := faces()[0]
	f.mu.Lock()
	defer f.mu.Unlock()
	return escape(s, limit, func(r rune) bool { return f.glyph(r).index == 0 })
}

func escape(s string, limit int, lacks func(rune) bool) string {
	// Only the ends of a very long text can remain.
	if len(s) > 16*limit {
		head, rest := s[:8*limit], s[len(s)-8*limit:]
		for len(head) > 0 && !utf8.RuneStart(head[len(head)-1]) {
			head = head[:len(head)-1]
		}
		if n := len(head); n > 0 && head[n-1] >= utf8.RuneSelf {
			head = head[:n-1]
		}
		for len(rest) > 0 && !utf8.RuneStart(rest[0]) {
			rest = rest[1:]
		}
		s = head + rest
	}
	var parts []string
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n <= 1:
			parts = append(parts, fmt.Sprintf(`\x%02x`, s[i]))
		case r == ' ':
			parts = append(parts, " ")
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) ||
			unicode.Is(unicode.Co, r) || unicode.IsSpace(r) || lacks(r):
			if r > 0xFFFF {
				parts = append(parts, fmt.Sprintf(`\U%08x`, r))
			} else {
				parts = append(parts, fmt.Sprintf(`\u%04x`, r))
			}
		default:
			parts = append(parts, s[i:i+n])
		}
		i += n
	}
	return shorten(parts, limit)
}

// shorten joins the parts and removes the middle if they are longer than limit runes. It does
// not cut escapes.
func shorten(parts []string, limit int) string {
	total := 0
	for _, p := range parts {
		total += utf8.RuneCountInString(p)
	}
	if total <= limit {
		return strings.Join(parts, "")
	}
	var head, tail []string
	i, j, used := 0, len(parts)-1, 1
	for front := true; i <= j; front = !front {
		p := parts[i]
		if !front {
			p = parts[j]
		}
		used += utf8.RuneCountInString(p)
		if used > limit {
			break
		}
		if front {
			head, i = append(head, p), i+1
		} else {
			tail, j = append(tail, p), j-1
		}
	}
	var b strings.Builder
	for _, p := range head {
		b.WriteString(p)
	}
	b.WriteString("…")
	for k := len(tail) - 1; k >= 0; k-- {
		b.WriteString(tail[k])
	}
	return b.String()
}

// fit shortens drawable text in the middle until it is no wider than width.
func (st style) fit(s string, width float64) string {
	if st.width(s) <= width {
		return s
	}
	parts := strings.Split(s, "")
	for limit := len(parts) - 1; limit > 1; limit-- {
		if t := shorten(parts, limit); st.width(t) <= width {
			return t
		}
	}
	return "…"
}

// wrap breaks text at spaces into lines no wider than width.
func wrap(st style, s string, width float64) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(strings.ReplaceAll(s, " %", "\x00")) {
		word = strings.ReplaceAll(word, "\x00", " %") // a number keeps its unit
		if line != "" && st.width(line+" "+word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + st.fit(word, width))
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
