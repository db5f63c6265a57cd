package plots

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// sine is a cheap, seeded stand-in for noise: the same everywhere.
func sine(i int, seed float64) float64 {
	return math.Sin(12.9898*float64(i)+78.233*seed) * math.Cos(4.1414*float64(i)*seed+1)
}

// fineTuned is a run of 8 epochs, frozen for three of them.
func fineTuned(name string, seed float64) curves.Run {
	r := curves.Run{Name: name, Marks: []curves.Mark{{Kind: curves.Unfreeze, Step: 120, Epoch: 3}}}
	const stepsPerEpoch, epochs = 40, 8
	for i := 0; i <= stepsPerEpoch*epochs; i++ {
		e := float64(i) / stepsPerEpoch
		phase := curves.Head
		if e > 3 {
			phase = curves.Finetune
		}
		v := 0.09 + 1.75*math.Exp(-e*1.1) + sine(i, seed)*0.25*math.Exp(-e*0.35)
		r.Points = append(r.Points, curves.Point{Step: i, Epoch: e, Phase: phase, Split: curves.Train, Metric: curves.Loss, Value: math.Max(0.02, v)})
		rate, p := 0.0, e/epochs
		if p < 0.25 {
			rate = 0.04 + 0.96*(1-math.Cos(math.Pi*p/0.25))/2
		} else {
			rate = (1 + math.Cos(math.Pi*(p-0.25)/0.75)) / 2
		}
		r.Points = append(r.Points, curves.Point{Step: i, Epoch: e, Phase: phase, Split: curves.Train, Metric: curves.Rate, Value: rate * 1e-3})
	}
	loss := []float64{0.78, 0.46, 0.335, 0.262, 0.231, 0.219, 0.228, 0.236}
	correct := []int{121, 133, 138, 141, 143, 144, 143, 144}
	for i := range loss {
		phase := curves.Head
		if i >= 3 {
			phase = curves.Finetune
		}
		p := curves.Point{Step: stepsPerEpoch * (i + 1), Epoch: float64(i + 1), Phase: phase, Split: curves.Valid, N: 153}
		p.Metric, p.Value = curves.Loss, loss[i]*(1+0.4*(seed-1)*sine(i, seed))
		r.Points = append(r.Points, p)
		p.Metric, p.Value = curves.Accuracy, float64(correct[i]-int(7*(seed-1)*math.Abs(sine(i, seed))))/153
		r.Points = append(r.Points, p)
	}
	return r
}

// logistic is a head fitted by L2 logistic regression: one point an iteration,
// chosen out of fold, validation only drawn.
func logistic() curves.Run {
	r := curves.Run{Name: "hymenoptera", Axis: curves.Iterations}
	for i := 1; i <= 34; i++ {
		e := float64(i)
		add := func(split string, metric metrics.Metric, v float64, n int) {
			r.Points = append(r.Points, curves.Point{Step: i, Phase: curves.Head, Split: split, Metric: metric, Value: v, N: n})
		}
		add(curves.Train, curves.Loss, 0.02+0.67*math.Exp(-e/4), 0)
		add(curves.Folds, curves.Loss, 0.15+0.54*math.Exp(-e/5)+0.0007*e, 0)
		add(curves.Folds, curves.Accuracy, math.Round(244*(0.957-0.44*math.Exp(-e/3)-0.0003*e))/244, 244)
		add(curves.Valid, curves.Accuracy, math.Round(153*(0.955-0.42*math.Exp(-e/3)))/153, 153)
	}
	r.Marks = []curves.Mark{{Kind: curves.Chosen, Step: 18}}
	return r
}

// confused is a matrix of k classes whose neighbours in a shuffled order are
// taken for each other.
func confused(k, each int) metrics.Confusion {
	c := metrics.Confusion{Counts: make([][]int, k)}
	for i := range c.Counts {
		c.Labels = append(c.Labels, fmt.Sprintf("class %d", i))
		c.Counts[i] = make([]int, k)
		c.Counts[i][i] = each
	}
	index := func(i int) int { return (i*7 + 3) % k }
	for i := range k {
		wrong := int(math.Abs(sine(i, 1.7)) * float64(each) * 0.4)
		c.Counts[index(i)][index(i)] -= wrong
		c.Counts[index(i)][index((i+1)%k)] += wrong - wrong/4
		c.Counts[index(i)][index((i+k-1)%k)] += wrong / 4
	}
	return c
}

// insect is a small picture by formula: a blob with legs on a soft ground.
func insect(seed int) image.Image {
	w, h := 160+20*(seed%3), 160-15*(seed%4)
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	f := float64(seed)
	for y := range h {
		for x := range w {
			u, v := float64(x)/float64(w)-0.5, float64(y)/float64(h)-0.5
			a := 0.6 * f
			p, q := u*math.Cos(a)+v*math.Sin(a), -u*math.Sin(a)+v*math.Cos(a)
			r := 150 + 40*math.Sin(3*u+f) + 12*sine(x*7+y*13, 1.3)
			g := 170 + 40*math.Cos(4*v+f)
			b := 120 + 50*math.Sin(5*(u+v)+2*f)
			body := math.Min(math.Hypot(p/1.3, q), math.Min(math.Hypot(p-0.17, q)+0.03, math.Hypot((p+0.2)/1.5, q)))
			if body < 0.11 || math.Abs(math.Abs(q)-math.Abs(1.2*p*math.Sin(9*p+f))) < 0.008 && math.Hypot(p, q) < 0.33 {
				r, g, b = 60+60*math.Sin(40*p*float64(seed%2)), 40+50*math.Sin(40*p*float64(seed%2)), 30
			}
			c := func(z float64) uint8 { return uint8(min(max(z, 0), 255)) }
			img.SetNRGBA(x, y, color.NRGBA{c(r), c(g), c(b), 255})
		}
	}
	return img
}

func bell(name string, mean, sd, wantMean, wantSD, lo, hi float64) Channel {
	ch := Channel{Name: name, Low: lo, High: hi, Counts: make([]int, 64), Mean: mean, SD: sd, WantMean: wantMean, WantSD: wantSD}
	for b := range ch.Counts {
		z := ((ch.edge(b)+ch.edge(b+1))/2 - mean) / sd
		ch.Counts[b] = int(1e5 * math.Exp(-z*z/2) * (1 + 0.3*sine(b, mean+2)))
	}
	return ch
}

func calibrated(name string, power float64) Calibrated {
	m := metrics.Matrix{Cols: 2}
	var labels []int
	for i := range 600 {
		p := 0.5 + 0.5*math.Pow(math.Abs(sine(i, 1.1)), 0.3)
		right := math.Abs(sine(i, 2.7)) < 0.5+0.5*math.Pow(p*2-1, power)*0.8
		m.Rows++
		m.Data = append(m.Data, float32(p), float32(1-p))
		l := 0
		if !right {
			l = 1
		}
		labels = append(labels, l)
	}
	c, err := metrics.Reliability(m, labels, 15)
	if err != nil {
		panic(err)
	}
	return Calibrated{name, c}
}

// fitted are the losses of a find that begins at the best head.
func fitted(rates []float64) []float64 {
	var out []float64
	for i, r := range rates {
		out = append(out, 0.06+0.05*math.Abs(sine(i, 1.3))+80*r*math.Abs(sine(i, 2.1))+900*r*r)
	}
	return out
}

func gallery() map[string]Figure {
	seeds := []curves.Run{fineTuned("a", 1), fineTuned("a", 1.4), fineTuned("a", 1.9), fineTuned("a", 2.3)}
	var rivals []curves.Run
	for i, n := range []string{"mobilenetv2", "efficientnet_lite0", "resnet18", "resnet50"} {
		r := fineTuned(n, 1+0.8*float64(i))
		rivals = append(rivals, r)
	}
	var batch, predictions, losses []Picture
	names := []string{"ants", "bees"}
	for i := range 12 {
		p := Picture{Image: insect(i), Truth: names[i%2]}
		batch = append(batch, p)
		p.Prediction, p.Probability, p.Caption = p.Truth, 0.99-0.03*float64(i), fmt.Sprintf("valid/%s/%07d_89b1.jpg", p.Truth, 1234567*i)
		if i%5 == 2 {
			p.Prediction = names[1-i%2]
		}
		predictions = append(predictions, p)
		if i < 5 {
			p.Prediction, p.Caption = names[1-i%2], ""
			p.Loss = 4.2 - 0.5*float64(i)
			if i == 1 {
				p.Note = "near duplicate in train"
			}
			losses = append(losses, p)
		}
	}
	percent := Scale{"accuracy", "%"}
	var bars []Bar
	for i, n := range []string{"mobilenetv2", "efficientnet_lite0", "resnet18", "resnet20_cifar10", "k-NN on mobilenetv2"} {
		a := metrics.Fraction{Correct: 147 - 3*i*i, Total: 153}
		bars = append(bars, Bar{n, a.Value(), a.Interval(), fmt.Sprintf("%d of %d", a.Correct, a.Total)})
	}
	var dots []Dot
	for i, n := range []string{"mobilenetv2", "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "resnet18", "resnet34", "resnet50", "resnet101"} {
		a := metrics.Fraction{Correct: []int{144, 143, 145, 146, 141, 143, 147, 147}[i], Total: 153}
		dots = append(dots, Dot{n, []float64{2.2, 2.6, 4.4, 6.1, 4.1, 8.3, 11.5, 60}[i], a.Value(), a.Interval(), i == 4})
	}
	groups := []Group{
		{"frozen, logistic", []float64{.948, .954, .948, .961, .954, .941, .954, .948}},
		{"frozen, SGD 25 epochs", []float64{.941, .954, .935, .948, .961}},
		{"fine-tuned", []float64{.882, .922, .902, .915, .895}},
	}
	tried, lost := found()
	return map[string]Figure{
		"grid-batch":       Grid("A batch as the network sees it", batch),
		"grid-predictions": Grid("Predictions", predictions),
		"grid-losses":      Grid("Top losses", losses),
		"grid-long":        Grid("Long names", lengthy()),
		"agreement":        Agreement(arms(1000, "x, px", "y, px", "reach, mm", "pressure, hPa")...),
		"agreement-1":      Agreement(arms(153, "angle, degrees")...),
		"agreement-2":      Agreement(arms(60, "angle, degrees", "reach, mm")...),
		"curves-ridge":     Curves(path()),
		"bars-ap":          Bars("Average precision", Scale{"average precision", "%"}, []Bar{{"ant", 0.991, metrics.Interval{Low: 0.98, High: 0.997}, "500 of 1,000"}, {"wings", 0.78, metrics.Interval{Low: 0.74, High: 0.81}, "491 of 1,000"}, {"covered", 0.66, metrics.Interval{Low: 0.61, High: 0.71}, "502 of 1,000"}}),
		"bars":             Bars("Which model?", percent, bars),
		"bars-recall":      Bars("Recall", percent, []Bar{{"ants", 65. / 70, metrics.Wilson(65, 70), "65 of 70"}, {"bees", 80. / 83, metrics.Wilson(80, 83), "80 of 83"}}),
		"reliability":      Reliability(calibrated("as trained", 3), calibrated("with temperature 1.7", 1)),
		"reliability-1":    Reliability(calibrated("", 3)),
		"scatter":          Scatter("Accuracy against time", Scale{"time for ants and bees", "s"}, percent, dots),
		"lines":            Lines("Success against demonstrations", Scale{"demonstrations", ""}, percent, []Line{{"pretrained", dots}, {"random weights", dots[1:]}}),
		"lines-one":        Lines("One dot", Scale{"demonstrations", ""}, percent, []Line{{"a name that is much too long for the room at its end, and goes on", dots[:1]}, {"", nil}}),
		"lines-hostile":    Lines("\x1b[31m\u202e", Scale{"x", ""}, Scale{"y", "s"}, []Line{{"nan", []Dot{{X: math.NaN(), Y: 1}, {X: 1e300, Y: -1e300}, {X: 1e-300, Y: 1e300}}}, {"b", []Dot{{X: 0, Y: 0}}}, {"c", dots}, {"d", dots}, {"e", dots}, {"f", dots}}),
		"rates":            Rates(tried, lost, 2e-3),
		"rates-none":       Rates(tried[:50], fitted(tried[:50]), 4e-4),
		"strip":            Strip("Seeds", percent, groups),
		"statistics-good":  Statistics("", false, bell("red", 0.05, 1.05, 0, 1, -2.2, 2.7), bell("green", -0.1, 1.02, 0, 1, -2.1, 2.5), bell("blue", 0.15, 0.98, 0, 1, -1.9, 2.7)),
		"statistics-one":   Statistics("What reaches the network", false, bell("red", -1.43, 0.39, 0, 1, -2, 1), bell("green", -0.03, 0.43, 0, 1, -2, 1), bell("blue", -1.26, 0.27, 0, 1, -2, 1)),
		"statistics-unit":  Statistics("", false, bell("red", 0.48, 0.24, 0, 1, 0, 1), bell("green", 0.45, 0.23, 0, 1, 0, 1), bell("blue", 0.41, 0.22, 0, 1, 0, 1)),
		"statistics-bytes": Statistics("", false, bell("red", 123, 58, 0, 1, 0, 255), bell("green", 116, 57, 0, 1, 0, 255), bell("blue", 103, 57, 0, 1, 0, 255)),
		"grid-rows":        Grid("Right about", inRows()),
		"grid-rows-one":    Grid("Why? bee.jpg", inRows()[:1]),
		"per-class-1":      PerClass(confused(1, 20).PerClass()),
		"per-class-2":      PerClass(metrics.Confusion{Labels: []string{"ants", "bees"}, Counts: [][]int{{65, 5}, {3, 80}}}.PerClass()),
		"per-class-37":     PerClass(confused(37, 100).PerClass()),
		"per-class-1000":   PerClass(confused(1000, 50).PerClass()),
		"rankings-1":       Rankings(ranked(60, 2)[:1]),
		"rankings-2":       Rankings(ranked(153, 2)),
		"rankings-5":       Rankings(ranked(500, 5)),
		"rankings-37":      Rankings(ranked(700, 37)),
		"map-2":            Map("Map of hymenoptera", "244 pictures as mobilenetv2 sees them; t-SNE, perplexity 30; trustworthiness 0.97; 3 ringed: the head is wrong", placed(244, 2, false)),
		"map-5":            Map("Map of meals", "PCA, 41 % of the variance", placed(400, 5, false)),
		"map-37":           Map("Map of pets", "t-SNE", placed(1500, 37, false)),
		"map-1000":         Map("Map of everything", "t-SNE", placed(1500, 1000, false)),
		"map-one":          Map("One picture", "", placed(1, 1, false)),
		"map-equal":        Map("All equal", "", []Placed{{Label: "a"}, {Label: "b"}, {Label: "c"}}),
		"map-pictures":     Map("Map of hymenoptera", "244 pictures as mobilenetv2 sees them; t-SNE, perplexity 30", placed(244, 2, true)),
		"map-hostile":      Map("\x1b[31m\u202e<b>", "\u202e🐝</svg>", []Placed{{X: math.NaN(), Label: "lost"}, {X: 1e300, Y: -1e300, Label: "\u202e<script>🐝"}, {X: -1e300, Y: 1e-300, Wrong: true}, {X: math.Inf(1)}}),
		"curves":           Curves(fineTuned("ants-and-bees", 1)),
		"curves-logistic":  Curves(logistic()),
		"curves-seeds":     Curves(seeds...),
		"curves-rivals":    Curves(rivals...),
		"curves-head":      Curves(tuned(curves.Iterations, 129, 0)),
		"curves-tuned":     Curves(tuned(curves.Iterations, 38, 8, "features.13", "features.14", "features.15", "features.16", "features.17", "features.18", "head")),
		"curves-strengths": Curves(tuned(curves.Strengths, 10, 8, "everything")),
		"curves-two-rates": Curves(tuned(curves.Iterations, 5, 6, "backbone", "m", "n", "o", "p", "q", "r", "s", "t", "head")),
		"curves-stairs":    Curves(stairs()),
		"curves-two":       Curves(tuned(curves.Iterations, 38, 8, "everything"), renamed(tuned(curves.Iterations, 90, 5, "everything"), "resnet18 on insects")),
		"curves-tuned-3":   Curves(tuned(curves.Iterations, 38, 8, "everything"), tuned(curves.Iterations, 41, 8, "everything"), tuned(curves.Iterations, 30, 7, "everything")),
		"confusion-2":      Confusion(metrics.Confusion{Labels: []string{"ants", "bees"}, Counts: [][]int{{65, 5}, {3, 80}}}),
		"confusion-5":      Confusion(metrics.Confusion{Labels: []string{"bread", "curry", "fruit", "rice dishes", "sweets"}, Counts: [][]int{{31, 2, 0, 1, 4}, {1, 44, 0, 5, 0}, {0, 0, 27, 0, 2}, {2, 6, 0, 38, 0}, {5, 0, 1, 0, 33}}}),
		"confusion-12":     Confusion(confused(12, 20)),
		"confusion-20":     Confusion(confused(20, 50)),
		"confusion-37":     Confusion(confused(37, 100)),
		"confusion-1000":   Confusion(confused(1000, 50)),
	}
}

// inRows are right predictions below two headings.
func inRows() []Picture {
	var out []Picture
	for i := range 10 {
		p := Picture{Image: insect(i), Truth: []string{"ants", "bees"}[i%2], Row: "Surest", Probability: 0.999}
		if i >= 6 {
			p.Row, p.Probability, p.Loss = "Least sure", 0.53, 0.62
		}
		p.Prediction = p.Truth
		out = append(out, p)
	}
	return out
}

// ranked are the curves of k classes, one harder than the one before.
func ranked(n, k int) []metrics.Ranking {
	scores := metrics.Matrix{Rows: n, Cols: k}
	var positive []bool
	var names []string
	for c := range k {
		names = append(names, fmt.Sprintf("class %d", c))
	}
	for i := range n {
		for c := range k {
			is := (i*7+i/k)%max(k, 2) == c
			positive = append(positive, is)
			v := sine(i*k+c, 1.3) * (0.6 + 0.12*float64(c%9))
			if is {
				v++
			}
			scores.Data = append(scores.Data, float32(v))
		}
	}
	out, err := scores.Rankings(names, positive)
	if err != nil {
		panic(err)
	}
	return out
}

// placed are pictures in k clouds.
func placed(n, k int, images bool) []Placed {
	var out []Placed
	for i := range n {
		g := float64(i % k)
		p := Placed{X: 40*math.Sin(2.4*g)*math.Sqrt(g+1) + 14*sine(i, 1.1), Y: 40*math.Cos(2.4*g)*math.Sqrt(g+1) + 14*sine(i, 2.3), Label: fmt.Sprintf("label %d", i%k), Wrong: i%97 == 5}
		if k == 2 {
			p.Label = []string{"ants", "bees"}[i%2]
		}
		if images {
			p.Image = insect(i % 12)
		}
		out = append(out, p)
	}
	return out
}

// lengthy are pictures with names and captions that are wider than a tile.
func lengthy() []Picture {
	var out []Picture
	for i := range 7 {
		p := Picture{Image: insect(i), Truth: "Golden-headed lion tamarin", Prediction: "Three-toed sloth, Bradypus tridactylus", Probability: 0.87, Loss: 2.31,
			Caption: "valid/golden_headed_lion_tamarin/IMG_20240612_174503_HDR-edited (copy 2).jpeg"}
		if i%3 == 1 {
			p.Prediction, p.Note = p.Truth, "near duplicate of train/tamarin/IMG_20240612_174502.jpeg"
		}
		out = append(out, p)
	}
	return append(out, Picture{Image: insect(8), Truth: "ants", Caption: "angle 93.2 degrees, said 101.7 degrees"})
}

// arms are predictions of values of several sizes, good and bad.
func arms(n int, names ...string) []Predicted {
	var out []Predicted
	for k, name := range names {
		p := Predicted{}
		scale, offset := []float64{50, 40, 300, 3}[k%4], []float64{96, 100, 700, 1013}[k%4]
		m := metrics.Matrix{Rows: n, Cols: 1}
		for i := range n {
			v := scale * (math.Sin(float64(i*i)*0.7) + 0.4*math.Cos(float64(i)*1.3))
			e := scale * 0.25 * float64(k+1) * math.Sin(float64(i*i*i)*0.31+float64(k))
			p.True = append(p.True, offset+v)
			m.Data = append(m.Data, float32(offset+0.9*v+e))
			p.Predicted = append(p.Predicted, float64(m.Data[i]))
		}
		s, err := metrics.ScoreValues([]string{name}, m, p.True)
		if err != nil {
			panic(err)
		}
		p.ValueScore = s.Values[0]
		out = append(out, p)
	}
	return out
}

// path is the history of a ridge regression.
func path() curves.Run {
	r := curves.Run{Name: "mobilenetv2 on arm", Axis: curves.Strengths, Marks: []curves.Mark{{Kind: curves.Chosen, Step: 4, Epoch: 4, Text: "L2 10"}}}
	for i := range 10 {
		x := float64(i+1) / 10
		for split, v := range map[string]float64{curves.Train: 1 - math.Exp(-4*x), curves.Folds: 0.9 - 2*(x-0.4)*(x-0.4), curves.Valid: 0.87 - 2*(x-0.42)*(x-0.42)} {
			r.Points = append(r.Points,
				curves.Point{Step: i + 1, Epoch: float64(i + 1), Phase: curves.Head, Split: split, Metric: curves.R2, Value: v},
				curves.Point{Step: i + 1, Epoch: float64(i + 1), Phase: curves.Head, Split: split, Metric: curves.Loss, Value: 1 - v})
		}
	}
	return r
}

// TestGallery writes every picture where a person can look at it, when
// TLKIT_GALLERY names a folder.
func TestGallery(t *testing.T) {
	folder := os.Getenv("TLKIT_GALLERY")
	if folder == "" {
		t.Skip("set TLKIT_GALLERY to a folder to look at the pictures")
	}
	for name, f := range gallery() {
		for ext, write := range map[string]func(*os.File) error{
			".png": func(w *os.File) error { return f.PNG(w) },
			".svg": func(w *os.File) error { return f.SVG(w) },
		} {
			w, err := os.Create(filepath.Join(folder, name+ext))
			if err != nil {
				t.Fatal(err)
			}
			if err := write(w); err != nil {
				t.Errorf("%s%s: %v", name, ext, err)
			}
			w.Close()
		}
		fmt.Fprintln(os.Stderr, name+":", f.Text())
	}
}

// tuned is a head fitted by a solver, or by strengths, and then fine-tuned, as a learner writes it.
func tuned(axis string, iterations, epochs int, groups ...string) curves.Run {
	r := curves.Run{Name: "mobilenetv2 on insects", Axis: axis}
	add := func(step int, epoch float64, phase, split string, metric metrics.Metric, v float64, n int) {
		r.Points = append(r.Points, curves.Point{Step: step, Epoch: epoch, Phase: phase, Split: split, Metric: metric, Value: v, N: n})
	}
	for i := 1; i <= iterations; i++ {
		x := float64(i)
		add(i, x, curves.Head, curves.Train, curves.Loss, 0.004+0.689*math.Exp(-2*(x-1)), 0)
		add(i, x, curves.Head, curves.Folds, curves.Loss, 0.082+0.04*math.Exp(-x/8)+0.57*math.Exp(-3*(x-1)), 0)
		add(i, x, curves.Head, curves.Test, curves.Loss, 0.083+0.05*math.Exp(-x/6)+0.56*math.Exp(-3*(x-1)), 0)
		add(i, x, curves.Head, curves.Train, curves.Accuracy, math.Round(244*(1-0.5*math.Exp(-2.2*(x-1))))/244, 244)
		add(i, x, curves.Head, curves.Folds, curves.Accuracy, math.Round(244*(0.971-0.471*math.Exp(-3.4*(x-1))))/244, 244)
		add(i, x, curves.Head, curves.Test, curves.Accuracy, math.Round(153*(0.967-0.467*math.Exp(-3.4*(x-1))))/153, 153)
	}
	end := float64(iterations)
	last := iterations
	r.Marks = append(r.Marks, curves.Mark{Kind: curves.Chosen, Step: last, Epoch: end})
	for e := 1; e <= epochs; e++ {
		x, step := float64(e), iterations+31*e
		add(step, end+x, curves.Finetune, curves.Train, curves.Loss, 0.2*math.Exp(-x/4)+0.02, 0)
		add(step, end+x, curves.Finetune, curves.Train, curves.Accuracy, math.Round(244*(0.99-0.06*math.Exp(-x/3)))/244, 244)
		add(step, end+x, curves.Finetune, curves.Test, curves.Loss, 0.083-0.01*math.Sqrt(x), 0)
		add(step, end+x, curves.Finetune, curves.Test, curves.Accuracy, math.Round(153*(0.967+0.006*math.Sqrt(x)))/153, 153)
		for i, g := range groups {
			add(step, end+x, curves.Finetune, g, curves.Rate, 1e-3*math.Pow(0.7, float64(len(groups)-1-i))*(1+math.Cos(math.Pi*x/float64(epochs)))/2, 0)
		}
	}
	if epochs > 0 {
		r.Marks = []curves.Mark{{Kind: curves.Unfreeze, Step: last, Epoch: end}, {Kind: curves.Chosen, Step: last + 31*epochs, Epoch: end + float64(epochs)}}
	}
	return r
}

// stairs is a head by SGD with a rate that falls in stairs, then fine-tuned.
func stairs() curves.Run {
	r := curves.Run{Name: "mobilenetv2 on insects-few", Marks: []curves.Mark{{Kind: curves.Unfreeze, Step: 25, Epoch: 25}, {Kind: curves.Chosen, Step: 31, Epoch: 31}}}
	for e := 1; e <= 31; e++ {
		phase, rate, split := curves.Head, 1e-3*math.Pow(0.1, float64(e/8)), ""
		if e > 25 {
			phase, rate, split = curves.Finetune, 1e-3, "everything"
		}
		add := func(split string, metric metrics.Metric, v float64, n int) {
			r.Points = append(r.Points, curves.Point{Step: e, Epoch: float64(e), Phase: phase, Split: split, Metric: metric, Value: v, N: n})
		}
		x := float64(e)
		add(split, curves.Rate, rate, 0)
		add(curves.Train, curves.Loss, 0.1+0.4*math.Exp(-x/3)+float64(e/26)*0.5, 0)
		add(curves.Train, curves.Accuracy, 0.99-0.3*math.Exp(-x/3)-float64(e/26)*0.3, 96)
		add(curves.Test, curves.Accuracy, 0.8-0.1*math.Exp(-x/3)-float64(e/26)*0.1+0.02*sine(e, 2), 200)
		if e <= 25 {
			add(curves.Folds, curves.Accuracy, 0.75-0.1*math.Exp(-x/3), 96)
		}
	}
	return r
}

func renamed(r curves.Run, name string) curves.Run {
	r.Name = name
	return r
}
