package plots_test

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"log"
	"math"
	"os"

	"github.com/tlkit/transfer-learning/data/insects"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
)

var update = flag.Bool("update", false, "write the pictures of the examples anew; look at each before committing it")

// compare prints nothing when the figure at nominal size is the picture in the file, so that
// each example below is the documentation of a chart, its picture, and its test. Fonts are
// compiled in, so a difference means that the code has changed; a small difference is allowed
// for the arithmetic of other machines.
func compare(figure plots.Figure, file string) {
	got, err := figure.Image(1)
	if err != nil {
		log.Fatal(err)
	}
	if *update {
		var b bytes.Buffer
		if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, got); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			log.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	golden, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		log.Fatal(err)
	}
	const help = "look at it (TLKIT_GALLERY=FOLDER go test ./tlkit/plots -run TestGallery), then run with -update"
	if got.Bounds() != golden.Bounds() {
		fmt.Printf("the picture measures %v, %s %v; %s\n", got.Bounds(), file, golden.Bounds(), help)
		return
	}
	if d := distance(got, golden); d > 0.002 {
		fmt.Printf("%.2f %% of %s changed, 0.2 %% is allowed; %s\n", 100*d, file, help)
	}
}

// distance is the share of pixels that changed visibly: by more than a tenth of the range in
// some channel.
func distance(a *image.RGBA, b image.Image) float64 {
	other := image.NewRGBA(a.Bounds())
	draw.Draw(other, other.Bounds(), b, b.Bounds().Min, draw.Src)
	changed := 0
	for i := 0; i < len(a.Pix); i += 4 {
		for c := range 3 {
			if math.Abs(float64(a.Pix[i+c])-float64(other.Pix[i+c])) > 25 {
				changed++
				break
			}
		}
	}
	return float64(changed) / float64(len(a.Pix)/4)
}

// wave is a cheap stand-in for noise, the same on every machine.
func wave(i int, seed float64) float64 {
	return math.Sin(12.9898*float64(i)+78.233*seed) * math.Cos(4.1414*float64(i)*seed+1)
}

// Every chart is a Figure: it writes itself as PNG or SVG, and says in words what it shows.
func Example() {
	run := curves.Run{Name: "ants-and-bees"}
	for epoch, right := range []int{121, 138, 144, 143} {
		run.Points = append(run.Points, curves.Point{Epoch: float64(epoch + 1), Phase: curves.Head,
			Split: curves.Valid, Metric: curves.Accuracy, Value: float64(right) / 153, N: 153})
	}
	figure := plots.Curves(run)

	var picture bytes.Buffer // or a file
	if err := figure.PNG(&picture); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(figure.Text())
	// Output: Valid accuracy rises from 79.1 % to 94.1 % (144 of 153, 95 % 89.2-96.9) at epoch 3 of 4, then falls to 93.5 %. Best: epoch 3 (best valid accuracy).
}

// The history of a run that trains a head for three epochs and fine-tunes for five.
func ExampleCurves() {
	const stepsPerEpoch, epochs = 40, 8
	run := curves.Run{Name: "ants-and-bees", Marks: []curves.Mark{{Kind: curves.Unfreeze, Step: 3 * stepsPerEpoch, Epoch: 3}}}
	phase := func(epoch float64) string {
		if epoch > 3 {
			return curves.Finetune
		}
		return curves.Head
	}
	for step := 0; step <= stepsPerEpoch*epochs; step++ {
		epoch := float64(step) / stepsPerEpoch
		loss := 0.09 + 1.75*math.Exp(-epoch*1.1) + wave(step, 1)*0.25*math.Exp(-epoch*0.35)
		rate, done := 0.0, epoch/epochs
		if done < 0.25 {
			rate = 0.04 + 0.96*(1-math.Cos(math.Pi*done/0.25))/2
		} else {
			rate = (1 + math.Cos(math.Pi*(done-0.25)/0.75)) / 2
		}
		at := curves.Point{Step: step, Epoch: epoch, Phase: phase(epoch), Split: curves.Train}
		at.Metric, at.Value = curves.Loss, math.Max(0.02, loss)
		run.Points = append(run.Points, at)
		at.Metric, at.Value = curves.Rate, rate*1e-3
		run.Points = append(run.Points, at)
	}
	losses := []float64{0.78, 0.46, 0.335, 0.262, 0.231, 0.219, 0.228, 0.236}
	for i, right := range []int{121, 133, 138, 141, 143, 144, 143, 144} {
		epoch := float64(i + 1)
		at := curves.Point{Step: stepsPerEpoch * (i + 1), Epoch: epoch, Phase: phase(epoch), Split: curves.Valid, N: 153}
		at.Metric, at.Value = curves.Loss, losses[i]
		run.Points = append(run.Points, at)
		at.Metric, at.Value = curves.Accuracy, float64(right)/153
		run.Points = append(run.Points, at)
	}
	figure := plots.Curves(run)
	fmt.Println(figure.Text())
	compare(figure, "testdata/curves.png")
	// Output: Train loss falls from 1.88 to 0.0906 at epoch 8. Valid loss falls from 0.780 to 0.219 at epoch 6 of 8, then rises to 0.236. Valid accuracy rises from 79.1 % to 94.1 % (144 of 153, 95 % 89.2-96.9) at epoch 6 of 8, then holds. Learning rate starts at 4e-5, peaks at 1e-3 at epoch 2 and ends at 0. Best: epoch 6 (best valid loss). The backbone is frozen until epoch 3, then fine-tuned.
}

// A head fitted by logistic regression: one point an iteration, chosen on folds of the
// training pictures. Validation is only drawn.
func ExampleCurves_logistic() {
	run := curves.Run{Name: "hymenoptera", Axis: curves.Iterations, Marks: []curves.Mark{{Kind: curves.Chosen, Step: 18}}}
	for step := 1; step <= 34; step++ {
		x := float64(step)
		add := func(split string, metric metrics.Metric, value float64, n int) {
			run.Points = append(run.Points, curves.Point{Step: step, Phase: curves.Head, Split: split, Metric: metric, Value: value, N: n})
		}
		add(curves.Train, curves.Loss, 0.02+0.67*math.Exp(-x/4), 0)
		add(curves.Folds, curves.Loss, 0.15+0.54*math.Exp(-x/5)+0.0007*x, 0)
		add(curves.Folds, curves.Accuracy, math.Round(244*(0.957-0.44*math.Exp(-x/3)-0.0003*x))/244, 244)
		add(curves.Valid, curves.Accuracy, math.Round(153*(0.955-0.42*math.Exp(-x/3)))/153, 153)
	}
	figure := plots.Curves(run)
	fmt.Println(figure.Text())
	compare(figure, "testdata/curves-logistic.png")
	// Output: Train loss falls from 0.542 to 0.0201 at iteration 34. Folds loss falls from 0.593 to 0.171 at iteration 25 of 34, then rises to 0.174. Folds accuracy rises from 64.3 % to 95.1 % (232 of 244, 95 % 91.6-97.2) at iteration 15 of 34, then falls to 94.7 %. Valid accuracy rises from 65.4 % to 95.4 % (146 of 153, 95 % 90.9-97.8) at iteration 14 of 34, then holds. Kept: iteration 18.
}

func ExampleConfusion() {
	figure := plots.Confusion(metrics.Confusion{
		Labels: []string{"bread", "curry", "fruit", "rice dishes", "sweets"},
		Counts: [][]int{{31, 2, 0, 1, 4}, {1, 44, 0, 5, 0}, {0, 0, 27, 0, 2}, {2, 6, 0, 38, 0}, {5, 0, 1, 0, 33}},
	})
	fmt.Println(figure.Text())
	compare(figure, "testdata/confusion-5.png")
	// Output:
	// Confusion matrix of 5 classes: accuracy 85.6 % (173 of 202, 95 % 80.1-89.8). Lowest recall: bread, 81.6 % (31 of 38). Most confused: rice dishes taken for curry: 6 of 46; sweets taken for bread: 5 of 39; curry taken for rice dishes: 5 of 50.
}

// Pixels scaled to 0..1, shown to weights that expect mean 0 and deviation 1.
func ExampleStatistics() {
	var channels []plots.Channel
	for i, name := range []string{"red", "green", "blue"} {
		c := plots.Channel{Name: name, Low: 0, High: 1, Counts: make([]int, 64),
			Mean: []float64{0.48, 0.45, 0.41}[i], SD: []float64{0.24, 0.23, 0.22}[i], WantMean: 0, WantSD: 1}
		for bin := range c.Counts {
			z := ((float64(bin)/64+float64(bin+1)/64)/2 - c.Mean) / c.SD
			c.Counts[bin] = int(1e5 * math.Exp(-z*z/2) * (1 + 0.3*wave(bin, c.Mean+2)))
		}
		channels = append(channels, c)
	}
	figure := plots.Statistics("", false, channels...)
	fmt.Println(figure.Text())
	compare(figure, "testdata/statistics-unit.png")
	// Output: Input statistics against what the weights expect. Not what these weights expect: blue varies 4.5 times too little. Red mean 0.48 (expected 0), sd 0.24 (expected 1); green mean 0.45 (expected 0), sd 0.23 (expected 1); blue mean 0.41 (expected 0), sd 0.22 (expected 1).
}

func ExampleScatter() {
	networks := []string{"mobilenetv2", "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "resnet18", "resnet34", "resnet50", "resnet101"}
	seconds := []float64{2.2, 2.6, 4.4, 6.1, 4.1, 8.3, 11.5, 60}
	var dots []plots.Dot
	for i, right := range []int{144, 143, 145, 146, 141, 143, 147, 147} {
		a := metrics.Fraction{Correct: right, Total: 153}
		dots = append(dots, plots.Dot{Label: networks[i], X: seconds[i], Y: a.Value(), Interval: a.Interval()})
	}
	figure := plots.Scatter("Accuracy against time", plots.Scale{Name: "time for ants and bees", Unit: "s"}, plots.Scale{Name: "accuracy", Unit: "%"}, dots)
	fmt.Println(figure.Text())
	compare(figure, "testdata/scatter.png")
	// Output: Accuracy against time: accuracy of 8 entries against time for ants and bees. Best accuracy: resnet50, 96.1 % (95 % 91.7 to 98.2) at 11.5 s. Least time for ants and bees: mobilenetv2, 94.1 % (95 % 89.2 to 96.9) at 2.20 s.
}

// Success of a robot against the demonstrations that it has seen.
func ExampleLines() {
	line := func(name string, right ...int) plots.Line {
		l := plots.Line{Name: name}
		for i, demos := range []float64{5, 10, 25, 50} {
			f := metrics.Fraction{Correct: right[i], Total: 100}
			l.Dots = append(l.Dots, plots.Dot{X: demos, Y: f.Value(), Interval: f.Interval()})
		}
		return l
	}
	figure := plots.Lines("Success against demonstrations", plots.Scale{Name: "demonstrations"}, plots.Scale{Name: "success", Unit: "%"}, []plots.Line{
		line("pretrained", 60, 82, 92, 97), line("random weights", 2, 5, 8, 10), line("nearest", 0, 1, 2, 2), line("truth", 100, 100, 100, 100),
	})
	fmt.Println(figure.Text())
	compare(figure, "testdata/lines.png")
	// Output: Success against demonstrations: success against demonstrations. pretrained: 60.0 % (95 % 50.2 to 69.1) at 5, 82.0 % (95 % 73.3 to 88.3) at 10, 92.0 % (95 % 85.0 to 95.9) at 25, 97.0 % (95 % 91.5 to 99.0) at 50. random weights: 2.0 % (95 % 0.6 to 7.0) at 5, 5.0 % (95 % 2.2 to 11.2) at 10, 8.0 % (95 % 4.1 to 15.0) at 25, 10.0 % (95 % 5.5 to 17.4) at 50. nearest: 0.0 % (95 % 0.0 to 3.7) at 5, 1.0 % (95 % 0.2 to 5.4) at 10, 2.0 % (95 % 0.6 to 7.0) at 25, 2.0 % (95 % 0.6 to 7.0) at 50. truth: 100.0 % (95 % 96.3 to 100.0) at 5, 100.0 % (95 % 96.3 to 100.0) at 10, 100.0 % (95 % 96.3 to 100.0) at 25, 100.0 % (95 % 96.3 to 100.0) at 50.
}

// Predicted angles against true ones.
func ExampleAgreement() {
	const n = 153
	p := plots.Predicted{}
	predictions := metrics.Matrix{Rows: n, Cols: 1}
	for i := range n {
		v := 50 * (math.Sin(float64(i*i)*0.7) + 0.4*math.Cos(float64(i)*1.3))
		e := 50 * 0.25 * math.Sin(float64(i*i*i)*0.31)
		p.True = append(p.True, 96+v)
		predictions.Data = append(predictions.Data, float32(96+0.9*v+e))
		p.Predicted = append(p.Predicted, float64(predictions.Data[i]))
	}
	score, err := metrics.ScoreValues([]string{"angle, degrees"}, predictions, p.True)
	if err != nil {
		fmt.Println(err)
		return
	}
	p.ValueScore = score.Values[0]
	figure := plots.Agreement(p)
	fmt.Println(figure.Text())
	compare(figure, "testdata/agreement-1.png")
	// Output: Predicted against true values. angle, degrees: R² 0.93 (0.92 to 0.95), mean absolute error 7.91, root mean squared error 9.12, against a deviation of 35.0 over 153 pictures.
}

func ExampleBars() {
	var bars []plots.Bar
	for i, network := range []string{"mobilenetv2", "efficientnet_lite0", "resnet18", "resnet20_cifar10", "k-NN on mobilenetv2"} {
		a := metrics.Fraction{Correct: 147 - 3*i*i, Total: 153}
		bars = append(bars, plots.Bar{Label: network, Value: a.Value(), Interval: a.Interval(), Note: fmt.Sprintf("%d of %d", a.Correct, a.Total)})
	}
	figure := plots.Bars("Which model?", plots.Scale{Name: "accuracy", Unit: "%"}, bars)
	fmt.Println(figure.Text())
	compare(figure, "testdata/bars.png")
	// Output: Which model?, accuracy: mobilenetv2 96.1 % (95 % 91.7 to 98.2), efficientnet_lite0 94.1 % (95 % 89.2 to 96.9), resnet18 88.2 % (95 % 82.2 to 92.4), resnet20_cifar10 78.4 % (95 % 71.3 to 84.2), k-NN on mobilenetv2 64.7 % (95 % 56.9 to 71.8).
}

// The same training from several seeds, three ways.
func ExampleStrip() {
	figure := plots.Strip("Seeds", plots.Scale{Name: "accuracy", Unit: "%"}, []plots.Group{
		{Label: "frozen, logistic", Values: []float64{.948, .954, .948, .961, .954, .941, .954, .948}},
		{Label: "frozen, SGD 25 epochs", Values: []float64{.941, .954, .935, .948, .961}},
		{Label: "fine-tuned", Values: []float64{.882, .922, .902, .915, .895}},
	})
	fmt.Println(figure.Text())
	compare(figure, "testdata/strip.png")
	// Output: Seeds, accuracy: frozen, logistic 95.1 % (95 % 94.6 to 95.6) over 8 runs; frozen, SGD 25 epochs 94.8 % (95 % 93.5 to 96.1) over 5 runs; fine-tuned 90.3 % (95 % 88.3 to 92.3) over 5 runs.
}

// What a rate finder saw: level, falling, running away.
func ExampleRates() {
	var rates, losses []float64
	for i := range 80 {
		rate := 1e-6 * math.Pow(10, 6*float64(i)/79)
		rates = append(rates, rate)
		losses = append(losses, 0.7-0.55/(1+math.Pow(3e-3/rate, 1.4))+0.06*wave(i, 1.3)+math.Pow(rate/0.3, 3))
	}
	figure := plots.Rates(rates, losses, 2e-3)
	fmt.Println(figure.Text())
	compare(figure, "testdata/rates.png")
	// Output: Loss against learning rate from 1e-6 to 1: smoothed it begins at 0.730 and is lowest, 0.238, at 0.103. It falls fastest at 0.002, which is the suggestion.
}

// A head that is too sure of itself.
func ExampleReliability() {
	const n = 600
	probabilities := metrics.Matrix{Rows: n, Cols: 2}
	labels := make([]int, n)
	for i := range n {
		p := 0.5 + 0.5*math.Pow(math.Abs(wave(i, 1.1)), 0.3)
		probabilities.Data = append(probabilities.Data, float32(p), float32(1-p))
		if math.Abs(wave(i, 2.7)) >= 0.5+0.4*math.Pow(2*p-1, 3) {
			labels[i] = 1
		}
	}
	calibration, err := metrics.Reliability(probabilities, labels, 15)
	if err != nil {
		fmt.Println(err)
		return
	}
	figure := plots.Reliability(plots.Calibrated{Name: "as trained", Calibration: calibration})
	fmt.Println(figure.Text())
	compare(figure, "testdata/reliability.png")
	// Output: Reliability diagram. as trained: mean confidence 85.1 %, accuracy 78.7 % (472 of 600, 95 % 75.2-81.8), on the whole too sure; expected calibration error 11.2 % in 15 bins.
}

func ExampleGrid() {
	var pictures []plots.Picture
	for _, i := range []int{0, 3, 4} {
		img, err := insects.Draw(insects.Easy, "test", i%2, i)
		if err != nil {
			fmt.Println(err)
			return
		}
		p := plots.Picture{Image: img, Truth: insects.Classes[i%2], Prediction: insects.Classes[i%2], Probability: 0.99 - 0.06*float64(i),
			Caption: fmt.Sprintf("test/%s-%04d.png", insects.Classes[i%2], i)}
		if i == 4 {
			p.Prediction = "bees"
		}
		pictures = append(pictures, p)
	}
	figure := plots.Grid("Predictions", pictures)
	fmt.Println(figure.Text())
	compare(figure, "testdata/grid.png")
	// Output: Predictions: 3 pictures, 2 right and 1 wrong. Wrong: ants called bees at 75 % (test/ants-0004.png).
}

// Right and wrong of each label, with what the pictures leave open.
func ExamplePerClass() {
	c := metrics.Confusion{Labels: []string{"bread", "curry", "fruit", "rice dishes", "sweets"},
		Counts: [][]int{{31, 2, 0, 1, 4}, {1, 44, 0, 5, 0}, {0, 0, 27, 0, 2}, {2, 6, 0, 38, 0}, {5, 0, 1, 0, 33}}}
	figure := plots.PerClass(c.PerClass())
	fmt.Println(figure.Text())
	compare(figure, "testdata/per-class.png")
	// Output: Precision, recall and F1 of 5 labels. Lowest: bread, F1 80.5 % (95 % 69.3 to 88.4), precision 31 of 39, recall 31 of 38. Highest: fruit, F1 94.7 % (95 % 85.3 to 98.2), precision 27 of 28, recall 27 of 29.
}

// Three labels, one against the rest.
func ExampleRankings() {
	scores := metrics.Matrix{Rows: 90, Cols: 3}
	var positive []bool
	for i := range scores.Rows {
		for k := range scores.Cols {
			is := i%3 == k
			v := 0.8 * wave(3*i+k, 1.2)
			if is {
				v += 1 - 0.3*float64(k)
			}
			positive, scores.Data = append(positive, is), append(scores.Data, float32(v))
		}
	}
	ranked, err := scores.Rankings([]string{"ants", "bees", "wasps"}, positive)
	if err != nil {
		fmt.Println(err)
		return
	}
	figure := plots.Rankings(ranked)
	fmt.Println(figure.Text())
	compare(figure, "testdata/rankings.png")
	// Output: ROC and precision-recall curves of 3 labels. Mean AUC 86.2 %. Lowest average precision: wasps, AP 63.7 % (95 % 45.1 to 79.1), AUC 74.6 % (95 % 61.6 to 84.4).
}

// Pictures of two labels on a plane, such as package embed makes.
func ExampleMap() {
	var pictures []plots.Placed
	for i := range 120 {
		side := float64(i % 2)
		pictures = append(pictures, plots.Placed{X: 3*side + wave(i, 1.1), Y: side + 1.5*wave(i, 2.3), Label: []string{"ants", "bees"}[i%2], Wrong: i%15 == 2})
	}
	figure := plots.Map("Map of hymenoptera", "120 pictures as mobilenetv2 sees them; t-SNE, perplexity 30", pictures)
	fmt.Println(figure.Text())
	compare(figure, "testdata/map.png")
	// Output: Map of hymenoptera: a map of 120 pictures of 2 labels: ants 60, bees 60. 120 pictures as mobilenetv2 sees them; t-SNE, perplexity 30. 8 pictures ringed as wrong.
}
