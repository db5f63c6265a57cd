package plots

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/hostile"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// render makes a figure every way it can be had, and checks what must hold for
// any figure.
func render(t *testing.T, name string, f Figure) *image.RGBA {
	t.Helper()
	var s bytes.Buffer
	if err := f.SVG(&s); err != nil {
		t.Fatalf("%s: SVG: %v", name, err)
	}
	checkSVG(t, name, s.Bytes())
	text := f.Text()
	if text == "" || !strings.HasSuffix(text, ".") || strings.Contains(text, "NaN") || strings.Contains(text, "%!") {
		t.Errorf("%s: alt text %q", name, text)
	}
	if len(text) > 3000 {
		t.Errorf("%s: alt text of %d bytes", name, len(text))
	}
	for _, r := range text {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			t.Errorf("%s: the alt text holds the control character %U", name, r)
		}
	}
	out, err := f.Image(1)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// checkSVG: well-formed, no script, no text that a name could have put there,
// nothing fetched.
func checkSVG(t *testing.T, name string, b []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(b))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%s: SVG: %v", name, err)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if !slices.Contains([]string{"svg", "g", "path", "image", "title"}, e.Name.Local) {
			t.Errorf("%s: SVG element %q", name, e.Name.Local)
		}
		for _, a := range e.Attr {
			if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "href" && !strings.HasPrefix(a.Value, "data:image/png;base64,") {
				t.Errorf("%s: SVG attribute %s=%.60q", name, a.Name.Local, a.Value)
			}
			if a.Name.Local == "href" {
				continue // base64 spells anything
			}
			if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
				t.Errorf("%s: SVG attribute %s=%.60q", name, a.Name.Local, a.Value)
			}
		}
	}
}

func TestEveryPicture(t *testing.T) {
	for name, f := range gallery() {
		img := render(t, name, f)
		var p bytes.Buffer
		if err := f.PNG(&p); err != nil {
			t.Fatalf("%s: PNG: %v", name, err)
		}
		decoded, err := png.Decode(&p)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w, h := f.Size()
		if b := decoded.Bounds(); b.Dx() != 2*w || b.Dy() != 2*h {
			t.Errorf("%s: nominal size %d x %d, PNG %v", name, w, h, b)
		}
		// A card is white at its rim and not white inside.
		b := img.Bounds()
		for _, p := range []image.Point{{0, 0}, {b.Max.X - 1, 0}, {0, b.Max.Y - 1}, {b.Max.X - 1, b.Max.Y - 1}} {
			if img.RGBAAt(p.X, p.Y) != (color.RGBA{255, 255, 255, 255}) {
				t.Errorf("%s: corner %v is %v", name, p, img.RGBAAt(p.X, p.Y))
			}
		}
		for x := range b.Dx() {
			if img.RGBAAt(x, b.Max.Y-2) != (color.RGBA{255, 255, 255, 255}) || img.RGBAAt(x, 2) != (color.RGBA{255, 255, 255, 255}) {
				t.Errorf("%s: something is cut off at the edge, x = %d", name, x)
				break
			}
		}
		for y := range b.Dy() {
			if img.RGBAAt(b.Max.X-2, y) != (color.RGBA{255, 255, 255, 255}) || img.RGBAAt(1, y) != (color.RGBA{255, 255, 255, 255}) {
				t.Errorf("%s: something is cut off at the side, y = %d", name, y)
				break
			}
		}
	}
}

func TestSameDataSameBytes(t *testing.T) {
	a, b := gallery(), gallery()
	for _, name := range []string{"curves", "curves-seeds", "confusion-37", "grid-losses", "scatter", "statistics-unit"} {
		var p, q, s, u bytes.Buffer
		for w, f := range map[*bytes.Buffer]func(io.Writer) error{&p: a[name].PNG, &q: b[name].PNG, &s: a[name].SVG, &u: b[name].SVG} {
			if err := f(w); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(p.Bytes(), q.Bytes()) || !bytes.Equal(s.Bytes(), u.Bytes()) || a[name].Text() != b[name].Text() {
			t.Errorf("%s: two drawings of the same data differ", name)
		}
	}
}

// A figure holds its own copy: data that change later, while a live view
// draws, change nothing.
func TestFigureKeepsItsData(t *testing.T) {
	c := metrics.Confusion{Labels: []string{"a", "b"}, Counts: [][]int{{5, 1}, {2, 6}}}
	r := fineTuned("x", 1)
	f, g := Confusion(c), Curves(r)
	sum := func(f Figure) string {
		var b bytes.Buffer
		if err := f.SVG(&b); err != nil {
			t.Fatal(err)
		}
		return b.String() + f.Text()
	}
	before, before2 := sum(f), sum(g)
	c.Counts[0][1], c.Labels[0] = 99, "changed"
	for i := range r.Points {
		r.Points[i].Value = 0.5
	}
	if sum(f) != before || sum(g) != before2 {
		t.Error("a figure changed with its caller's data")
	}
}

var strange = []string{
	"'); alert(1); ('", `"quoted"`, "<script>alert(1)</script>", "</title><svg onload=alert(1)>", "&lt;&amp;", "a\u202eb\u2066c\u200f",
	"\x00\x1b[31mred\x7f", "ants\nbees\ttabs", "\xff\xfe broken", "蚂蚁 and 😀", "נמלה", "é combined e\u0301", "", " ", "{{.}}", "datum['x']", "javascript:alert(1)",
	strings.Repeat("long name ", 1000), strings.Repeat("\u202e", 3000), "https://example.org/x",
}

func TestHostileNamesStayInert(t *testing.T) {
	for _, n := range strange {
		f := map[string]Figure{
			"curves":    Curves(fineTuned(n, 1), fineTuned(n+"2", 1.5)),
			"confusion": Confusion(metrics.Confusion{Labels: []string{n, n + "b", n}, Counts: [][]int{{3, 1, 0}, {0, 4, 1}, {0, 0, 2}}}),
			"grid":      Grid(n, []Picture{{Image: insect(1), Truth: n, Prediction: n + "x", Caption: n, Note: n, Probability: .5}, {Truth: n}}),
			"bars":      Bars(n, Scale{n, n}, []Bar{{n, 1, metrics.Interval{Low: 0, High: 2}, n}}),
			"strip":     Strip(n, Scale{n, "%"}, []Group{{n, []float64{.5, .6}}}),
			"scatter":   Scatter(n, Scale{n, n}, Scale{n, "%"}, []Dot{{n, 1, .5, metrics.Interval{Low: .4, High: .6}, true}, {n, 2, .4, metrics.Interval{Low: math.NaN()}, false}}),
		}
		stats := bell(n, 0, 1, 0, 1, -2, 2)
		f["statistics"] = Statistics(n, true, stats)
		f["statistics made"] = Statistics("", false, stats)
		r := calibrated(n, 2)
		f["reliability"] = Reliability(r)
		odd := curves.Run{Name: n, Points: []curves.Point{{Metric: metrics.Metric(n + "m"), Split: n, Phase: n, Value: 1}, {Metric: metrics.Metric(n + "m"), Split: n, Epoch: 1, Value: 2}}, Marks: []curves.Mark{{Kind: n + "k", Text: n}}}
		f["odd metric"] = Curves(odd)
		for name, fig := range f {
			render(t, name+" of "+shorten(strings.Split(n, ""), 20), fig)
		}
	}
}

// No name becomes an element in a drawing, whose text is its title.
func TestHostileNamesInDrawings(t *testing.T) {
	for what, figure := range map[string]func(n string) Figure{
		"curves": func(n string) Figure { return Curves(fineTuned(n, 1)) },
		"confusion": func(n string) Figure {
			return Confusion(metrics.Confusion{Labels: []string{n, "b"}, Counts: [][]int{{3, 1}, {0, 4}}})
		},
		"grid": func(n string) Figure {
			return Grid(n, []Picture{{Image: insect(1), Truth: n, Prediction: n + "x", Caption: n, Note: n, Probability: .5}})
		},
		"bars": func(n string) Figure {
			return Bars(n, Scale{n, n}, []Bar{{n, 1, metrics.Interval{Low: 0, High: 2}, n}})
		},
		"strip": func(n string) Figure { return Strip(n, Scale{n, "%"}, []Group{{n, []float64{.5, .6}}}) },
		"scatter": func(n string) Figure {
			return Scatter(n, Scale{n, n}, Scale{n, "%"}, []Dot{{n, 1, .5, metrics.Interval{Low: .4, High: .6}, false}})
		},
		"statistics":  func(n string) Figure { return Statistics(n, true, bell(n, 0, 1, 0, 1, -2, 2)) },
		"reliability": func(n string) Figure { return Reliability(calibrated(n, 2)) },
	} {
		hostile.Inert(t, what, func(name string) []byte {
			var b bytes.Buffer
			if err := figure(name).SVG(&b); err != nil {
				t.Fatalf("%s of %q: %v", what, name, err)
			}
			return b.Bytes()
		})
	}
}

func TestNamesAreShownOrEscaped(t *testing.T) {
	for input, want := range map[string]string{
		"ants": "ants", "a\u202eb": `a\u202eb`, "蚁": `\u8681`, "😀": `\U0001f600`, "\xff": `\xff`, "a\nb": `a\u000ab`, "é": "é", "<b>": "<b>",
	} {
		if got := drawable(input); got != want {
			t.Errorf("drawable(%q) = %q, want %q", input, got, want)
		}
	}
	if got := inert("蚁😀"); got != "蚁😀" {
		t.Errorf("a name in a sentence lost its characters: %q", got)
	}
	long := "start-" + strings.Repeat("x", 10_000) + "-end.jpg"
	got := drawable(long)
	if n := len([]rune(got)); n > maxName || !strings.HasPrefix(got, "start-") || !strings.HasSuffix(got, "-end.jpg") || !strings.Contains(got, "…") {
		t.Errorf("%d runes: %q", n, got)
	}
	// An escape is never cut in half.
	if got := drawable(strings.Repeat("蚁", 30)); strings.Count(got, `\u8681`)*6+1 != len([]rune(got)) {
		t.Errorf("%q", got)
	}
	if w := labelStyle.width(labelStyle.fit(strings.Repeat("W", 100), 90)); w > 90 {
		t.Errorf("fitted into 90, it is %v wide", w)
	}
}

func TestNarrowAndWide(t *testing.T) {
	for _, k := range []int{1, 2, 12, 13, 15, 16, 25, 37, 60, 61} {
		c := confused(k, 10)
		if k%7 == 0 {
			c = confused(k+1, 10)
		}
		render(t, "confusion", Confusion(c))
	}
	if !testing.Short() {
		render(t, "confusion", Confusion(confused(1000, 10)))
	}
	empty := confused(4, 0)
	render(t, "empty confusion", Confusion(empty))
	one := confused(3, 5)
	one.Counts[1] = []int{0, 0, 0}
	render(t, "a class without pictures", Confusion(one))

	var bars []Bar
	for i := range 1000 {
		bars = append(bars, Bar{Label: "class", Value: float64(i) / 1000, Interval: metrics.Wilson(i, 1000)})
	}
	render(t, "bars", Bars("all", Scale{"recall", "%"}, bars))
	var pictures []Picture
	for range 100 {
		pictures = append(pictures, Picture{Truth: "a", Prediction: "b"})
	}
	render(t, "grid", Grid("many", pictures))
	for n := 1; n <= 13; n++ {
		render(t, "grid", Grid("few", pictures[:n]))
	}
	render(t, "grid of odd pictures", Grid("odd", []Picture{{Image: image.NewGray(image.Rect(0, 0, 1, 1))}, {Image: image.NewGray(image.Rect(5, 5, 5, 9))},
		{Image: image.NewNRGBA(image.Rect(0, 0, 3000, 2))}, {Image: image.NewNRGBA(image.Rect(-7, -9, 2, 2000)), Probability: math.NaN(), Prediction: "x"}}))
}

func TestWildHistories(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	history := func(axis string, values ...float64) curves.Run {
		r := curves.Run{Name: "wild", Axis: axis}
		for i, v := range values {
			for _, m := range []metrics.Metric{curves.Loss, curves.Accuracy, curves.Rate, "odd"} {
				r.Points = append(r.Points, curves.Point{Step: i + 1, Epoch: float64(i + 1), Phase: curves.Head, Split: curves.Valid, Metric: m, Value: v, N: 10})
			}
		}
		return r
	}
	for name, values := range map[string][]float64{
		"one epoch": {0.5}, "constant": {1, 1, 1}, "zero": {0, 0}, "tiny": {1e-9, 3e-9, 2e-9}, "huge": {1e9, 3e9, 2e9}, "offset": {1e9, 1e9 + 1e-6},
		"denormal": {5e-324, 1e-323}, "largest": {math.MaxFloat64, -math.MaxFloat64, 1}, "NaN in it": {1, nan, 0.5, inf, 0.3}, "only NaN": {nan, nan},
		"starts with NaN": {nan, 1, 2}, "ends with NaN": {2, 1, nan}, "all infinite": {inf, -inf}, "mixed": {1e-9, 1e9}, "negative": {-5, -3, -4}, "one and one": {1, 1.0000000000000002},
	} {
		render(t, name, Curves(history("", values...)))
		render(t, name+", iterations", Curves(history(curves.Iterations, values...)))
		render(t, name+", seeds", Curves(history("", values...), history("", values...)))
	}
	render(t, "no run", Curves())
	render(t, "no point", Curves(curves.Run{Name: "x"}))
	far := history("", 1, 2)
	far.Points[0].Epoch, far.Points[4].Step = 1e300, math.MaxInt
	// Check refuses them, a program may still hold them
	far.Points[1].Epoch, far.Points[2].Epoch = nan, -inf
	far.Marks = []curves.Mark{{Kind: curves.Unfreeze, Epoch: nan}, {Kind: curves.Chosen, Epoch: 1e300}}
	render(t, "far", Curves(far))
	far.Axis = curves.Iterations
	render(t, "far", Curves(far))

	var many []curves.Run
	for i := range 12 {
		many = append(many, fineTuned(string(rune('a'+i)), 1+float64(i)/9))
	}
	render(t, "twelve rivals", Curves(many...))
	long := curves.Run{Name: "long"}
	for i := range 60_000 {
		v := 2 + sine(i, 1.3)
		if i%1000 == 7 {
			v = nan
		}
		long.Points = append(long.Points, curves.Point{Step: i, Epoch: float64(i) / 600, Split: curves.Train, Metric: curves.Loss, Value: v})
	}
	render(t, "60,000 points", Curves(long))
	noValid := fineTuned("train only", 1)
	noValid.Points = slices.DeleteFunc(noValid.Points, func(p curves.Point) bool { return p.Split == curves.Valid })
	render(t, "empty valid", Curves(noValid))
}

// A green check mark over lines outside their bands would be a lie. Whatever the title says, it is
// green only when every channel is as expected.
func TestCheckMarkOnlyWhereAllIsWell(t *testing.T) {
	greens := func(f Figure) int {
		img := render(t, "statistics", f)
		n := 0
		for y := range 40 { // the title
			for x := range 40 {
				if c := img.RGBAAt(x, y); int(c.G) > int(c.R)+60 && int(c.G) > int(c.B)+20 {
					n++
				}
			}
		}
		return n
	}
	well, dark := bell("red", 0, 1, 0, 1, -2, 2), bell("blue", -1.4, 0.4, 0, 1, -2, 2)
	if greens(Statistics("What reaches the network", false, well, well)) == 0 {
		t.Error("no check mark where all is well")
	}
	if n := greens(Statistics("What reaches the network", false, well, dark)); n > 0 {
		t.Errorf("%d green pixels before the title of a channel that is off", n)
	}
}

func TestBadDataIsAnError(t *testing.T) {
	stats := bell("red", 0, 1, 0, 1, -2, 2)
	broken := func(change func(*Channel)) Figure {
		ch := stats
		ch.Counts = slices.Clone(stats.Counts)
		change(&ch)
		return Statistics("", false, ch)
	}
	for name, f := range map[string]Figure{
		"no classes":       Confusion(metrics.Confusion{}),
		"ragged":           Confusion(metrics.Confusion{Labels: []string{"a", "b"}, Counts: [][]int{{1}, {2, 3}}}),
		"negative":         Confusion(metrics.Confusion{Labels: []string{"a"}, Counts: [][]int{{-1}}}),
		"no pictures":      Grid("x", nil),
		"no bars":          Bars("x", Scale{}, nil),
		"no groups":        Strip("x", Scale{}, nil),
		"empty group":      Strip("x", Scale{}, []Group{{"a", nil}}),
		"NaN group":        Strip("x", Scale{}, []Group{{"a", []float64{math.NaN()}}}),
		"nowhere":          Scatter("x", Scale{}, Scale{}, []Dot{{"a", math.NaN(), 1, metrics.Interval{}, false}}),
		"no calibration":   Reliability(),
		"empty":            Reliability(Calibrated{}),
		"odd bin":          Reliability(Calibrated{"x", metrics.Calibration{Bins: []metrics.Bin{{Low: 1, High: 0, Count: 1}}, Fraction: metrics.Fraction{Correct: 1, Total: 1}}}),
		"no channels":      Statistics("", false),
		"no bins":          broken(func(c *Channel) { c.Counts = nil }),
		"empty histogram":  broken(func(c *Channel) { clear(c.Counts) }),
		"negative count":   broken(func(c *Channel) { c.Counts[0] = -1 }),
		"no range":         broken(func(c *Channel) { c.High = c.Low }),
		"infinite range":   broken(func(c *Channel) { c.High = math.Inf(1) }),
		"no expected sd":   broken(func(c *Channel) { c.WantSD = 0 }),
		"NaN mean":         broken(func(c *Channel) { c.Mean = math.NaN() }),
		"a picture panics": Grid("x", []Picture{{Image: wrongImage{}}}),
	} {
		var b bytes.Buffer
		for kind, err := range map[string]error{"PNG": f.PNG(&b), "SVG": f.SVG(&b)} {
			if err == nil || !strings.HasPrefix(err.Error(), "plots: ") {
				t.Errorf("%s: %s: %v", name, kind, err)
			}
		}
		if f.Text() == "" {
			t.Errorf("%s: no words", name)
		}
	}
	if _, err := Curves(fineTuned("x", 1)).Image(1000); err == nil {
		t.Error("drew at scale 1000")
	}
}

// wrongImage promises pixels it does not have.
type wrongImage struct{}

func (wrongImage) ColorModel() color.Model { return color.NRGBAModel }
func (wrongImage) Bounds() image.Rectangle { return image.Rect(0, 0, 10, 10) }
func (wrongImage) At(x, y int) color.Color { panic("truncated") }

func TestAgreement(t *testing.T) {
	many := arms(5000, strings.Split(strings.Repeat("x,", 13)+"y\u202e<b>", ",")...)
	f := Agreement(many...)
	render(t, "fourteen values", f)
	if !strings.Contains(f.Text(), "2 more are not drawn") || !strings.Contains(f.Text(), "over 5,000 pictures") {
		t.Error(f.Text())
	}
	one := Predicted{True: []float64{3}, Predicted: []float64{3}, ValueScore: metrics.ValueScore{Name: "one picture"}}
	render(t, "one picture", Agreement(one))
	// A prediction on the diagonal lies on the diagonal: the axes are the same both ways.
	img := render(t, "three", Agreement(Predicted{True: []float64{0, 5, 10}, Predicted: []float64{0, 5, 10}, ValueScore: metrics.ValueScore{Name: "v", R2: 1}}))
	var dots []image.Point
	for y := range img.Rect.Max.Y {
		for x := range img.Rect.Max.X {
			// blue, however much white shines through
			if c := img.RGBAAt(x, y); c.B > 150 && c.R < 60 && c.G > 100 {
				dots = append(dots, image.Pt(x, y))
			}
		}
	}
	if len(dots) < 30 {
		t.Fatalf("%d blue pixels", len(dots))
	}
	sum := dots[0].X + dots[0].Y
	for _, d := range dots {
		if math.Abs(float64(d.X+d.Y-sum)) > 9 {
			t.Fatalf("a dot at %v lies off the diagonal that begins at %v", d, dots[0])
		}
	}
	bad := []Predicted{{}, {True: []float64{1, 2}, Predicted: []float64{1}}, {True: []float64{math.NaN()}, Predicted: []float64{1}}, {True: []float64{1}, Predicted: []float64{1}, ValueScore: metrics.ValueScore{RMSE: math.Inf(1)}}}
	for _, p := range bad {
		if err := Agreement(p).PNG(io.Discard); err == nil {
			t.Errorf("%+v is drawn", p)
		}
	}
	if Agreement().PNG(io.Discard) == nil {
		t.Error("nothing is drawn")
	}
}

// However long a name or a caption is, all of it can be read: in several lines, none wider than its
// tile.
func TestCaptionsAreNotCut(t *testing.T) {
	long := "valid/golden_headed_lion_tamarin/IMG_20240612_174503_HDR-edited (copy 2).jpeg"
	for _, p := range []Picture{
		{Truth: "Golden-headed lion tamarin", Prediction: "Three-toed sloth, Bradypus tridactylus", Probability: 0.87, Loss: 2.31, Caption: long},
		{Truth: "Donaudampfschifffahrtsgesellschaftskapitän", Prediction: "Donaudampfschifffahrtsgesellschaftskapitän", Probability: 1, Loss: 0.5},
		{Truth: "ants", Caption: long},
		{Caption: "angle 93.2 degrees, said 101.7 degrees"},
	} {
		for _, tile := range []float64{112, 168} {
			text := ""
			for _, l := range p.caption(tile, nil) {
				w := l.start() + l.st.width(l.text)
				if l.end != "" {
					w += 5 + gridPlain.width(l.end)
				}
				if w > tile+1e-6 {
					t.Errorf("%q is %.1f wide in a tile of %v", l.text, w, tile)
				}
				text += strings.ReplaceAll(l.text, " ", "") + strings.ReplaceAll(l.end, " ", "")
			}
			for _, want := range []string{p.Truth, p.Prediction, p.Caption} {
				// What stands at the end of a first line is in between.
				got := strings.NewReplacer("87%", "", "100%", "", "loss2.31", "").Replace(text)
				if !strings.Contains(got, strings.ReplaceAll(want, " ", "")) {
					t.Errorf("%q is not in %q", want, got)
				}
			}
		}
	}
	words := ""
	for _, l := range (Picture{Truth: "ants", Prediction: "bees", Probability: 0.87, Loss: 2.31}).caption(168, nil) {
		words += l.before + " " + l.text + " " + l.end + ";"
	}
	if words != "predicted bees 87 %;true ants loss 2.31;" {
		t.Errorf("a wrong prediction is captioned %q", words)
	}
}

// The axis of recall begins near the lowest interval, so that two good classes can be told apart.
func TestRecallAxis(t *testing.T) {
	for want, counts := range map[float64][][]int{0.9: {{490, 10}, {11, 489}}, 0.8: {{65, 5}, {3, 80}}, 0: {{4, 6}, {0, 10}}} {
		c := metrics.Confusion{Labels: []string{"ants", "bees"}, Counts: counts}
		if got := newMatrix(c).recallFrom(); got != want {
			t.Errorf("%v: recall from %v, want %v", counts, got, want)
		}
		render(t, "recall", Confusion(c))
	}
}
